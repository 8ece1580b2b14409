"""Whether sums that came from elsewhere can be those of any rows."""

from collections.abc import Mapping
from fractions import Fraction

import numpy as np

from linexport._arrays import Float64Array
from linexport.least_squares._exact_sums import ExactSums
from linexport.least_squares._summing import LARGEST_EXPONENT, LARGEST_WEIGHT_EXPONENT, LOG_UNIT


def are_possible(sums: ExactSums, largest: Float64Array, marks: Mapping[int, int]) -> bool:
    """Tell whether these may be sums of rows, as far as single columns and pairs of them tell.

    By what `Summing` takes, and by the inequality of Cauchy and Schwarz. What passes, least squares
    can reckon with, if only to say that there is no solution.

    Args:
        sums: Of at least one row, and P columns, the last of them 1.
        largest: Shape (P - 1,): the most that a column is, without its sign.
        marks: As `Summing` takes them.
    """
    products, weight = sums.products, sums.products[-1, -1]
    mean = Fraction(weight, sums.num_rows) * Fraction(2) ** sums.exponent
    mean_log = Fraction(sums.log_weights, sums.num_rows) * Fraction(LOG_UNIT)
    most = Fraction(2) ** LARGEST_WEIGHT_EXPONENT
    if not (1 / most <= mean <= most and abs(mean_log) <= LARGEST_WEIGHT_EXPONENT):
        return False
    if (largest > 2.0**LARGEST_EXPONENT).any():
        return False
    for column, limit in enumerate(largest.tolist()):
        total, square = products[column, -1], products[column, column]
        count = weight - products[marks[column], -1] if column in marks else weight
        if not (total * total <= count * square and square <= count * Fraction(limit) ** 2):
            return False
    bits = np.array([[number.bit_length() for number in row] for row in products.tolist()])
    return bool((2 * (bits - 1) < bits.diagonal()[:, None] + bits.diagonal()).all())
