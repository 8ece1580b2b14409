"""Rows that are known by their sums alone."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from linexport._arrays import Float64Array, FloatArray
from linexport._asked import asked
from linexport.columns import Column
from linexport.encoding import Encoding
from linexport.errors import DataError
from linexport.fit import Weighting
from linexport.least_squares._exact_sums import ExactSums
from linexport.least_squares._factor import Factor


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SummedRows:
    """Rows of which nothing is left but exact sums, ranges and names: all that least squares asks.

    They are `Rows` that cannot be read.
    """

    features: tuple[Column, ...]
    targets: tuple[Column, ...]
    sums: ExactSums
    """Of features, targets, and a column of ones."""
    minimum: Float64Array
    """Shape (D + K,)."""
    maximum: Float64Array
    unit_roundoff: Float64Array
    """Shape (D + K,), of the format that each column came in."""
    source: str = "the state"
    rows_dropped: int = 0
    rows_kept_out: ClassVar[int] = 0
    weighting: Weighting | None = None
    encoding: Encoding | None = None
    notes: tuple[str, ...] = ()
    features_named: bool = True
    read_once: ClassVar[bool] = True

    def batches(self) -> Iterator[tuple[FloatArray, ...]]:
        """Refuse: the rows are gone.

        Raises:
            DataError: Always.
        """
        raise DataError(
            f"It holds sums of rows, not rows: fit it by least squares, {asked(solver='lstsq')}.",
            source=self.source,
        )

    def factor(self) -> Factor:
        """Return what least squares solves."""
        weighting = self.weighting
        return self.sums.factor(
            num_features=len(self.features),
            minimum=self.minimum,
            maximum=self.maximum,
            unit_roundoff=self.unit_roundoff,
            frequencies=weighting is not None and weighting.kind == "frequency",
        )
