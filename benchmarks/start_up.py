"""What starting takes, as whole processes, against the imports that cannot be done without.

    python benchmarks/start_up.py [rounds]

Fails if `import linexport` or `linexport --help` takes more than EXTRA_SECONDS longer than `import
click`, or `linexport predict` on ten rows more than PREDICT_TARGET times `import onnxruntime,
numpy`.
"""

import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np
from _timing import alternate, report, rounds_asked

EXTRA_SECONDS = 0.03
"""Too little to be noticed, also by a shell that starts the command to complete its options."""
PREDICT_TARGET = 1.6
"""Reading a table and checking a bundle may take little more than half of what the engine takes."""
BUNDLE = Path(__file__).parent.parent / "models" / "textbook"


def main() -> None:
    rounds = rounds_asked(15)
    program = [sys.executable, "-m", "linexport"]
    script = str(Path(sys.executable).with_name("linexport"))
    click, engine = "import click", "import onnxruntime, numpy"
    ours, helped, predicted = "import linexport", "linexport --help", "linexport predict, 10 rows"
    with tempfile.TemporaryDirectory() as scratch:
        table = Path(scratch) / "rows.csv"
        table.write_text("x1,x2\n" + "1.5,-2\n" * 10)
        timings = alternate(
            {
                click: [sys.executable, "-c", click],
                ours: [sys.executable, "-c", ours],
                helped: [script, "--help"],
                engine: [sys.executable, "-c", engine],
                predicted: [*program, "predict", str(BUNDLE), str(table)],
            },
            rounds=rounds,
        )
    report(timings, base=click)
    missed = []
    for name in (ours, helped):
        extra = statistics.median(np.subtract(timings[name].wall, timings[click].wall))
        print(f"{name}: {extra:+.3f} s, at most {EXTRA_SECONDS:+}")
        missed += [name] if extra > EXTRA_SECONDS else []
    ratio = statistics.median(np.divide(timings[predicted].wall, timings[engine].wall))
    print(f"{predicted}: {ratio:.2f} times {engine}, at most {PREDICT_TARGET}")
    missed += [predicted] if ratio > PREDICT_TARGET else []
    if missed:
        sys.exit("missed: " + "; ".join(missed))


if __name__ == "__main__":
    main()
