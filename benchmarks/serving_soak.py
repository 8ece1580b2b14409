"""Good and bad requests for ten minutes: every answer as it should be, and flat memory.

    python benchmarks/serving_soak.py [seconds]

CLIENTS connections to one server, each sending good rows, wrong names, wrong shapes, NaN, broken
JSON, truncated binary and unknown models in turn, PAUSE seconds apart. Fails if a status is not the
expected one, a prediction is not the model's, or the server's resident memory in the last quarter
is more than GROWTH_MB above that in the second one (the first fills buffers and caches).
"""

import http.client
import json
import random
import sys
import threading
import time
from pathlib import Path

from serving import BUNDLE, ours

import linexport

SECONDS, CLIENTS, PAUSE = 600.0, 8, 0.005
GROWTH_MB = 4.0
"""What malloc keeps goes up and down by so much; 100 bytes lost by each request would be 50 MB."""

GOOD = {"x1": 0.5, "x2": -1.25}
INFER, ROWS = "/v2/models/textbook/infer", "/v2/models/textbook/rows"
TRUNCATED = json.dumps(
    {
        "inputs": [
            {
                "name": "features", "shape": [1, 2], "datatype": "FP32",
                "parameters": {"binary_data_size": 8},
            }
        ]
    }
).encode()  # fmt: skip


def tensor(shape: list[int], data: list[float]) -> bytes:
    given = {"name": "features", "shape": shape, "datatype": "FP32", "data": data}
    return json.dumps({"inputs": [given]}).encode()


REQUESTS: list[tuple[int, str, bytes, dict[str, str]]] = [
    (200, ROWS, json.dumps(GOOD).encode(), {}),
    (200, INFER, tensor([1, 2], [0.5, -1.25]), {}),
    (200, INFER, tensor([500, 2], [0.5, -1.25] * 500), {}),
    (400, ROWS, b'{"x1": 1}', {}),
    (400, ROWS, b'{"x1": 1, "x2": NaN}', {}),
    (400, INFER, tensor([1, 3], [1, 2, 3]), {}),
    (400, INFER, b'{"inputs": [', {}),
    (400, INFER, TRUNCATED, {"Inference-Header-Content-Length": str(len(TRUNCATED))}),
    (404, "/v2/models/other/infer", tensor([1, 2], [1, 2]), {}),
    (413, ROWS, b" " * (5 << 20), {}),
]


class Client(threading.Thread):
    """Sends requests until it is time to stop, and notes the first that is answered wrongly."""

    def __init__(self, port: int, seed: int, end: float, expected: float) -> None:
        super().__init__()
        self._port, self._random, self._end = port, random.Random(seed), end
        self._expected = expected
        self.num_requests = 0
        self.fault: str | None = None

    def run(self) -> None:
        """Send one request after the other."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        while time.monotonic() < self._end and self.fault is None:
            status, path, body, headers = self._random.choice(REQUESTS)
            try:
                connection.request("POST", path, body, headers)
                response = connection.getresponse()
                answer = response.read()
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                # Refused by its announced length, before all of it was sent.
                cut_off = isinstance(error, BrokenPipeError | ConnectionResetError)
                if not (status == 413 and cut_off):
                    self.fault = f"{path}: {error!r}"
                continue
            if response.status != status:
                self.fault = f"{path}: {response.status}, not {status}: {answer[:200]!r}"
            elif status == 200 and self._prediction(path, answer) != self._expected:
                self.fault = f"{path}: {answer[:200]!r}"
            self.num_requests += 1
            time.sleep(PAUSE)

    def _prediction(self, path: str, answer: bytes) -> float:
        found = json.loads(answer)
        return float(found["rows"][0]["y"] if path == ROWS else found["outputs"][0]["data"][0])


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS
    expected = float(linexport.load(BUNDLE).predict(GOOD)[0, 0])
    with ours() as (port, process):
        end = time.monotonic() + seconds
        clients = [Client(port, seed, end, expected) for seed in range(CLIENTS)]
        for client in clients:
            client.start()
        memory = []
        while any(client.is_alive() for client in clients):
            memory.append(resident_mb(process))
            time.sleep(seconds / 200)
    faults = [client.fault for client in clients if client.fault]
    quarter = len(memory) // 4
    before, after = max(memory[quarter : 2 * quarter]), max(memory[-quarter:])
    print(f"{sum(client.num_requests for client in clients):,} requests in {seconds:.0f} s")
    print(f"resident: {before:.1f} MB in the second quarter, {after:.1f} MB in the last")
    if faults or after > before + GROWTH_MB:
        sys.exit("missed: " + (faults[0] if faults else "memory grows"))


def resident_mb(process: int) -> float:
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1000
    raise AssertionError("no such process")


if __name__ == "__main__":
    main()
