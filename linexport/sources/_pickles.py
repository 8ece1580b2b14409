"""What loading a pickle would take, told by its instructions before any of them is followed.

`torch.load(weights_only=True)` runs no code, but does make what a few bytes ask for: a bytearray of
any length, a tuple of a tuple, twice each, again and again, whose hash takes for ever.
"""

import io
import pickletools

__all__ = ["is_small"]

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


def _is_large(argument: object) -> bool:
    """Tell whether a text names what makes much of little."""
    text = argument.lower() if isinstance(argument, str) else ""
    return text in _SLOW_ENCODINGS or text.endswith(" bytearray")
