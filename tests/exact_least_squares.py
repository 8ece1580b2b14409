"""Least squares in rational numbers: the oracle."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from linexport.columns import Column, default_columns
from linexport.fit import Weighting


class InMemory:
    """Rows of any dtype, with weights or without, in batches of any size; counts the passes."""

    source = "rows.csv"
    read_once = False
    notes = ()
    features_named = True
    rows_kept_out = 0
    encoding = None

    def __init__(self, features, target, weights=None, *, kind="precision", sizes=None, names=None):
        features, target = np.asarray(features), np.asarray(target)
        self.arrays = [features, target if target.ndim == 2 else target[:, None]]
        if weights is not None:
            self.arrays.append(np.asarray(weights))
        self.weighting = None if weights is None else Weighting(column="w", kind=kind)
        num_features, num_targets = (array.shape[1] for array in self.arrays[:2])
        self.features = default_columns("x", num_features)
        if names is not None:
            self.features = tuple(Column(name=name) for name in names)
        self.targets = default_columns("y", num_targets)
        self.unit_roundoff = np.concatenate(
            [
                [np.finfo(a.dtype).eps / 2 if a.dtype.kind == "f" else 2.0**-53] * a.shape[1]
                for a in self.arrays[:2]
            ]
        )
        self.sizes = sizes or [len(features)]
        self.passes = self.rows_dropped = 0

    def batches(self):
        self.passes += 1
        ends = np.cumsum(self.sizes)
        for start, end in zip(ends - self.sizes, ends, strict=True):
            yield tuple(array[start:end] for array in self.arrays)


@dataclass(frozen=True)
class Exact:
    """One target's optimum; the intercept comes first where there is one."""

    coefficients: list[Fraction]
    residual_sum_of_squares: Fraction
    inverse_diagonal: list[Fraction]
    num_rows: int

    def rounded(self) -> list[float]:
        return [float(value) for value in self.coefficients]

    def standard_errors(self) -> list[float]:
        freedom = self.num_rows - len(self.coefficients)
        variance = self.residual_sum_of_squares / freedom
        return [square_root(variance * value) for value in self.inverse_diagonal]

    def predict(self, row: Sequence[Fraction]) -> Fraction:
        return sum(a * b for a, b in zip(self.coefficients, row, strict=True))


def square_root(value: Fraction) -> float:
    """The root of a rational number, whatever its size."""
    if not value:
        return 0.0
    shift = 2 * ((value.denominator.bit_length() - value.numerator.bit_length()) // 2 + 64)
    scaled = math.isqrt(int(value * Fraction(2) ** shift))
    return float(scaled / Fraction(2) ** (shift // 2))


def solve_exactly(features, target, *, intercept=True, weights=None, l2=0) -> Exact:
    """Solve the normal equations by Gauss and Jordan; float64 numbers are taken as they are."""
    rows = [
        [Fraction(1)] * intercept + [Fraction(float(value)) for value in row] for row in features
    ]
    values = [Fraction(float(value)) for value in np.ravel(target)]
    chances = (
        [Fraction(1)] * len(rows) if weights is None else [Fraction(float(w)) for w in weights]
    )
    size = len(rows[0])
    matrix = [
        [
            sum(w * row[i] * row[j] for w, row in zip(chances, rows, strict=True))
            for j in range(size)
        ]
        + [sum(w * row[i] * y for w, row, y in zip(chances, rows, values, strict=True))]
        + [Fraction(i == j) for j in range(size)]
        for i in range(size)
    ]
    for i in range(int(intercept), size):
        matrix[i][i] += Fraction(l2)
    _reduce(matrix)
    coefficients = [matrix[i][size] for i in range(size)]
    residuals = (
        w * (y - sum(a * b for a, b in zip(row, coefficients, strict=True))) ** 2
        for w, row, y in zip(chances, rows, values, strict=True)
    )
    return Exact(
        coefficients=coefficients,
        residual_sum_of_squares=sum(residuals),
        inverse_diagonal=[matrix[i][size + 1 + i] for i in range(size)],
        num_rows=len(rows),
    )


def ridge_uncertainty(features, *, l2, intercept=True) -> tuple[list[Fraction], Fraction]:
    """Return the variances of a ridge's coefficients over s**2, and the trace of its hat matrix.

    With Z the rows, a 1 in front of each where there is an intercept: A**-1 Z'Z A**-1.
    """
    rows = [
        [Fraction(1)] * intercept + [Fraction(float(value)) for value in row] for row in features
    ]
    size = len(rows[0])
    gram = [[sum(row[i] * row[j] for row in rows) for j in range(size)] for i in range(size)]
    matrix = [
        [value + (i == j and i >= intercept) * Fraction(l2) for j, value in enumerate(row)]
        + [Fraction(i == j) for j in range(size)]
        for i, row in enumerate(gram)
    ]
    _reduce(matrix)
    inverse = [row[size:] for row in matrix]
    hat = _product(inverse, gram)
    covariance = _product(hat, inverse)
    return [covariance[i][i] for i in range(size)], sum(hat[i][i] for i in range(size))


def _product(left, right):
    columns = list(zip(*right, strict=True))
    return [
        [sum(a * b for a, b in zip(row, column, strict=True)) for column in columns] for row in left
    ]


def _reduce(matrix: list[list[Fraction]]) -> None:
    """Bring the first columns to the identity, by Gauss and Jordan."""
    size = len(matrix)
    for pivot in range(size):
        inverse = 1 / matrix[pivot][pivot]
        matrix[pivot] = [value * inverse for value in matrix[pivot]]
        for i in range(size):
            if i != pivot and matrix[i][pivot]:
                factor = matrix[i][pivot]
                matrix[i] = [a - factor * b for a, b in zip(matrix[i], matrix[pivot], strict=True)]
