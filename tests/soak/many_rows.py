"""`predict` of very many rows from standard input: every row is there, in flat memory.

    python tests/soak/many_rows.py [rows] [--short]

The same BLOCK of rows is sent again and again, so what must come back is known to the last byte.
Memory is flat if its peak in the second half of the rows is at most GROWTH_MB above the one in the
first, at which buffers and the allocator's caches have their size.
"""

import hashlib
import random
import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO

import linexport

BUNDLE = Path(linexport.__file__).parents[1] / "models" / "textbook"
ROWS, ROWS_SHORT, BLOCK = 100_000_000, 2_000_000, 50_000
GROWTH_MB = 16.0
"""A byte kept of each row of the second half would be 48 MB; the allocator's caches took 7.8 MB of
one run (measured). The short form looks at the count."""
_COMMAND = [sys.executable, "-m", "linexport", "predict", str(BUNDLE), "-", "-q"]
_CHUNK = 1 << 20
_SECONDS = 3600
"""After which it hangs; 100 million rows take some 40 on idle cores."""


def block() -> bytes:
    """Return the rows that are repeated, without a header."""
    drawn = random.Random(5)
    pairs = ((drawn.gauss(0, 1), drawn.gauss(0, 1)) for _ in range(BLOCK))
    return "".join(f"{a:.3f},{b:.3f}\n" for a, b in pairs).encode()


def main() -> None:
    numbers = [int(argument) for argument in sys.argv[1:] if argument.isdecimal()]
    is_short = "--short" in sys.argv
    times = (numbers[0] if numbers else ROWS_SHORT if is_short else ROWS) // BLOCK
    rows = block()
    once = subprocess.run(
        _COMMAND, input=b"x1,x2\n" + rows, capture_output=True, check=True, timeout=_SECONDS
    ).stdout
    header, predictions = once.split(b"\n", 1)
    expected = hashlib.sha256(header + b"\n")
    for _ in range(times):
        expected.update(predictions)
    began = time.monotonic()
    with subprocess.Popen(_COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        clock = threading.Timer(_SECONDS, process.kill)
        clock.daemon = True
        clock.start()
        sender = threading.Thread(target=send, args=(process.stdin, rows, times))
        sender.start()
        found, lines, peaks = received(process, process.stdout, len(predictions) * times)
        sender.join()
        clock.cancel()
    seconds = time.monotonic() - began
    print(
        f"{lines - 1:,} rows in {seconds:.0f} s; resident at most {peaks[0]:.1f} MB in the first "
        f"half, {peaks[1]:.1f} MB in the second"
    )
    if process.returncode or lines - 1 != times * BLOCK or found != expected.hexdigest():
        sys.exit(f"missed: status {process.returncode}, or other predictions than of one block")
    if peaks[1] - peaks[0] > GROWTH_MB:
        sys.exit(f"missed: memory grows by more than {GROWTH_MB} MB")


def send(stream: IO[bytes], rows: bytes, times: int) -> None:
    """Write the rows so many times."""
    with stream:
        stream.write(b"x1,x2\n")
        for _ in range(times):
            stream.write(rows)


def received(
    process: subprocess.Popen[bytes], stream: IO[bytes], num_bytes: int
) -> tuple[str, int, list[float]]:
    """Return the digest of what a process prints, its lines, and its peak of each half in MB."""
    digest, lines, taken, peaks = hashlib.sha256(), 0, 0, [0.0, 0.0]
    while chunk := stream.read(_CHUNK):
        digest.update(chunk)
        lines += chunk.count(b"\n")
        half = 2 * taken >= num_bytes
        taken += len(chunk)
        peaks[half] = max(peaks[half], resident_mb(process.pid))
    return digest.hexdigest(), lines, peaks


def resident_mb(process: int) -> float:
    """Return what a process has in memory; 0 when it has ended."""
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{process}/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


if __name__ == "__main__":
    main()
