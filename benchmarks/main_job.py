"""The main job as a whole process, against its floor and against a script written by hand.

    python benchmarks/main_job.py [rounds]

Floor: importing torch and onnxruntime, which any such job must. Fails if `linexport
train-and-export`, parity proof and canaries included, takes more than TARGET times the floor.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from _timing import alternate, report, rounds_asked

TARGET = 1.2
"""Room for onnx (0.1 of the floor), training, both exports and the proof."""


def main() -> None:
    rounds = rounds_asked(7)
    hand_script = Path(__file__).parent / "peers" / "hand_script.py"
    scratch = Path(tempfile.mkdtemp())
    ours, floor, peer = "linexport train-and-export", "import torch, onnxruntime", "by hand"
    try:
        timings = alternate(
            {
                floor: [sys.executable, "-c", "import torch, onnxruntime"],
                ours: [
                    sys.executable, "-m", "linexport", "train-and-export", "--overwrite",
                    "--output", str(scratch / "ours"),
                ],
                peer: [sys.executable, str(hand_script), str(scratch / "by-hand")],
            },
            rounds=rounds,
        )  # fmt: skip
    finally:
        shutil.rmtree(scratch)
    ratios = report(timings, base=floor)
    print(f"target: at most {TARGET} times the floor; by hand it is {ratios[peer]:.1f} times")
    if ratios[ours] > TARGET:
        sys.exit(f"missed: {ratios[ours]:.2f} times the floor")


if __name__ == "__main__":
    main()
