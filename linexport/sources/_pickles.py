"""What loading a pickle would take, told by its instructions before any of them is followed.

`torch.load(weights_only=True)` runs no code, but does make what a few bytes ask for: a bytearray of
any length, a tuple of a tuple, twice each, again and again, whose hash takes for ever.
"""

import io
import pickletools
import zipfile

__all__ = ["is_saved_by_torch", "is_small"]

_LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""The pickled number that a file of torch.save began with before PyTorch 1.6."""

_FREE_STEPS, _BYTES_PER_STEP = 2**18, 64
"""Instructions, of which each makes an object of some hundred bytes: 100 MB; and more of them for a
large file. A tensor takes 60."""
_MOST_PARTS = 10**6
"""Of tuples that are used again, counted as often as they are."""
_SLOW_ENCODINGS = {"idna", "punycode"}
"""Of which the time grows with the square of a text, or worse."""


def is_small(data: bytes, num_pickles: int) -> bool:
    """Tell whether the first pickles in a file make no more than a state_dict does of its size."""
    stream, left = io.BytesIO(data), _FREE_STEPS + len(data) // _BYTES_PER_STEP
    parts, parts_of, is_tuple = 0, {}, False
    try:
        for _ in range(num_pickles):
            for opcode, argument, _ in pickletools.genops(stream):
                left -= 1
                if opcode.name.endswith("BINPUT"):
                    parts_of[argument] = 1 + parts if is_tuple else 0
                elif opcode.name.endswith("BINGET"):
                    parts += parts_of.get(argument, 0)
                is_tuple = opcode.name.startswith("TUPLE")
                if left < 0 or parts > _MOST_PARTS or _is_large(argument):
                    return False
    except ValueError:  # these are other bytes
        return False
    return True


def is_saved_by_torch(data: bytes) -> bool:
    """Tell what torch.save writes, a state_dict or any object, from programs and other files."""
    if not data.startswith(b"PK"):
        return data.startswith(_LEGACY)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = {name.rpartition("/")[2] for name in archive.namelist()}
    except Exception:  # it fails in many ways, on bytes that may be anything
        return False
    return "data.pkl" in names and not names & {"constants.pkl", "archive_format"}


def _is_large(argument: object) -> bool:
    """Tell whether a text names what makes much of little."""
    text = argument.lower() if isinstance(argument, str) else ""
    return text in _SLOW_ENCODINGS or text.endswith(" bytearray")
