"""What is small enough to be answered in one turn of the event loop: one or two milliseconds' work.

Handing it to threads would delay it more. How many rows a body holds is not known before it is
read, so the work is bounded by the bytes and by the fewest bytes that a row can take.
"""

MOST_REQUESTS = 64
"""Answered together; each costs some 20 µs, whatever it holds."""
MOST_BYTES = 2**15
"""Of their bodies."""
MOST_VALUES = 2**11
"""Of their rows and predictions; a value costs up to 0.5 µs to make and write, a row about as much
to read."""
MULTIPLICATIONS = 2**9
"""That cost as much as a value, at four bytes of weights each from memory."""


def most_bytes(row_bytes: int, num_features: int, num_targets: int) -> int:
    """Return how large the bodies may be that are answered together, if all are for one model.

    It is 1, in which no row fits, if a single row is too much.

    Args:
        row_bytes: The fewest that a row takes.
        num_features: Of the model.
        num_targets: Likewise.
    """
    values = 1 + num_targets * (1 + num_features / MULTIPLICATIONS)
    return max(1, min(MOST_BYTES, int(MOST_VALUES / values) * row_bytes))


def share(body_bytes: int, most: int) -> float:
    """Return which part of a turn a request takes, where bodies may have so many bytes in all."""
    return max(body_bytes / most, 1 / MOST_REQUESTS)
