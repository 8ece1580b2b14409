"""Every bit of every file of a bundle, flipped: refused, or no prediction and no name changed.

    PYTHONPATH=tests python -m hostile.bit_flips [FLIPS]

All of them, or as many as are asked for, drawn with a seed. Each flipped bundle is read by `load`
and by `read_bundle`; it prints how many of each file were refused, and how many changed nothing
that is used, and ends at the first that did.
"""

import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import linexport
from linexport.errors import LinexportError

BUNDLE = Path(linexport.__file__).parents[1] / "models" / "textbook"
ROWS = np.array([[0, 0], [1, 0], [0, 1], [0.1, -0.7], [3.5, 2.25], [-1e3, 1e-3]], np.float32)


def seen(bundle: Path) -> tuple[Any, ...]:
    """What is used of a bundle: predictions of ROWS, the names, and the model's own numbers."""
    predictor = linexport.load(bundle)
    model = linexport.read_bundle(bundle).model
    return (
        predictor.predict(ROWS).tobytes(),
        predictor.feature_names,
        predictor.target_names,
        model.feature_names,
        model.target_names,
        model.weight.tobytes(),
        model.bias.tobytes(),
    )


def places(bundle: Path) -> Iterator[tuple[str, int]]:
    """Every bit: a file's name, and the bit's number in it."""
    for path in sorted(bundle.iterdir()):
        yield from ((path.name, bit) for bit in range(8 * path.stat().st_size))


def flip(bundle: Path, flips: int | None = None) -> dict[str, Counter[str]]:
    """Flip bits of a copy, one at a time.

    Returns:
        By file, how many were "refused" and how many left all that is used "the same".

    Raises:
        AssertionError: If a flip changed what is used without a word.
    """
    found: dict[str, Counter[str]] = {}
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(shutil.copytree(bundle, Path(folder) / "bundle"))
        right = seen(copy)
        chosen = list(places(copy))
        if flips is not None:
            chosen = random.Random(0).sample(chosen, flips)
        for name, bit in chosen:
            whole = (bundle / name).read_bytes()
            changed = bytearray(whole)
            changed[bit // 8] ^= 1 << bit % 8
            (copy / name).write_bytes(changed)
            try:
                assert seen(copy) == right, f"bit {bit} of {name} changed what is used"
                outcome = "the same"
            except LinexportError:
                outcome = "refused"
            found.setdefault(name, Counter())[outcome] += 1
            (copy / name).write_bytes(whole)
    return found


def main() -> None:
    found = flip(BUNDLE, int(sys.argv[1]) if len(sys.argv) > 1 else None)
    for name, outcomes in sorted(found.items()):
        print(f"{name:<20} {outcomes['refused']:>9,} refused {outcomes['the same']:>9,} the same")
    print(f"{sum(outcomes.total() for outcomes in found.values()):,} bits flipped")


if __name__ == "__main__":
    main()
