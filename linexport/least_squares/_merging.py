"""The factor of all ranks' rows, from those of each.

A factor travels as one array of float64, in which every number of it is exact: a row count up to
2**53, exponents, and the two halves of each double-double. All ranks merge all factors in the order
of the ranks, and so hold the same bits. D features, K targets, P = D + K + 1.
"""

from functools import reduce

import numpy as np

from linexport._arrays import Float64Array
from linexport.least_squares._factor import Factor, Frame, Gram
from linexport.least_squares._passes import Combine
from linexport.numerics import DoubleDouble
from linexport.rows import Ranks

__all__ = ["merging"]

_NUM_SCALARS = 5


def merging(ranks: Ranks) -> Combine | None:
    """Return what turns a rank's factor into that of all ranks; None where there is but one."""
    if ranks.size == 1:
        return None

    def combine(factor: Factor) -> Factor:
        arrays = ranks.gather(_encode(factor))
        factors = [_decode(array, factor.num_features) for array in arrays]
        return reduce(Factor.merge, factors)

    return combine


def _encode(factor: Factor) -> Float64Array:
    matrix = factor.gram.matrix
    scalars = [
        float(len(factor.gram.error)),
        float(factor.num_slices),
        float(factor.num_rows),
        factor.log_weight_sum,
        factor.unit_roundoff,
    ]
    columns = (*factor.frame, factor.minimum, factor.maximum, factor.gram.error)
    return np.concatenate([scalars, *columns, matrix.high.ravel(), matrix.low.ravel()])


def _decode(array: Float64Array, num_features: int) -> Factor:
    size, num_slices, num_rows, log_weight_sum, unit_roundoff = array[:_NUM_SCALARS].tolist()
    order = int(size)
    lengths = [order - 1] * 4 + [order, order**2, order**2]
    shift, exponent, minimum, maximum, error, high, low = np.split(
        array[_NUM_SCALARS:], np.cumsum(lengths)[:-1]
    )
    shape = (order, order)
    return Factor(
        num_features=num_features,
        frame=Frame(shift, exponent.astype(np.int32)),
        gram=Gram(DoubleDouble(high.reshape(shape), low.reshape(shape)), error),
        num_slices=int(num_slices),
        num_rows=int(num_rows),
        log_weight_sum=log_weight_sum,
        minimum=minimum,
        maximum=maximum,
        unit_roundoff=unit_roundoff,
    )
