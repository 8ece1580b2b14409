"""What is written of each row: columns that are kept, its predictions, and intervals."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from linexport._arrays import FloatArray
from linexport._asked import asked
from linexport._documented import documented
from linexport.errors import ConfigError, DataError
from linexport.predicting._config import Missing
from linexport.predicting._policy import Report, check_missing
from linexport.predicting._predictor import Predictor
from linexport.predicting._spread import Interval, known_spread

if TYPE_CHECKING:
    from linexport.tables import Batch


@documented
class Outputs(msgspec.Struct, frozen=True, kw_only=True):
    """What a predictor is asked to make of each row of a table.

    Raises:
        DataError: If a column is to be kept twice, or has the name of one that is added.
        ConfigError: If the names are not one for each target, or interval or missing cannot be.
        ModelError: If there are to be intervals, and the fit knows none.
    """

    predictor: Predictor
    """The model."""
    source: str
    """What messages call the table."""
    keep: tuple[str, ...] = ()
    """Columns to hand on before the predictions. From CSV they are text, and stay as they are
    written there: 007 is 007."""
    names: tuple[str, ...] = ()
    """Of the predictions. If not given those of the targets, or predicted_NAME beside a column that
    is kept."""
    interval: float | None = None
    """The probability with which the truth lies between two columns more, after each."""
    missing: Missing = "error"
    """Whether a missing feature is an error, or makes its row be predicted as NaN."""

    def __post_init__(self) -> None:
        check_missing(self.missing)
        targets = self.predictor.target_names
        if self.names and len(self.names) != len(targets):
            raise ConfigError(
                f"{len(self.names)} names are given for {len(targets)} predictions "
                f"({asked(names=...)})."
            )
        self._require_apart()
        if self.interval is not None:
            known_spread(self.predictor.spread).require(self.interval)

    def _require_apart(self) -> None:
        for position, name in enumerate(self.keep):
            if name in self.keep[:position]:
                raise DataError("It is to be kept twice.", source=self.source, column=name)
        columns = [*self.keep, *self.columns]
        for position, name in enumerate(columns):
            if name in columns[:position]:
                raise DataError(
                    "A column of the predictions would have this name too; name theirs with "
                    f"{asked(names=...)}.",
                    source=self.source,
                    column=name,
                )

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns that are added."""
        targets = self.predictor.target_names
        beside = tuple(f"predicted_{name}" if name in self.keep else name for name in targets)
        names = self.names or beside
        return names if self.interval is None else with_ends(names)

    def of_batch(self, batch: "Batch", report: Report) -> FloatArray:
        """Return the values of the columns that are added, for n rows; shape (n, columns)."""
        if self.interval is None:
            return self.predictor.predict_batch(batch, missing=self.missing, report=report)
        found = self.predictor.batch_interval(
            batch, level=self.interval, missing=self.missing, report=report
        )
        return side_by_side(found)

    def of_table(self, table: Any) -> FloatArray:
        """Return them for a table in memory, shape (N, columns)."""
        if self.interval is None:
            return self.predictor.predict(table, missing=self.missing)
        found = self.predictor.predict_interval(table, level=self.interval, missing=self.missing)
        return side_by_side(found)


def with_ends(names: Sequence[str]) -> tuple[str, ...]:
    """Name the columns of predictions and of the ends of their intervals; see `side_by_side`."""
    return tuple(f"{name}{end}" for name in names for end in ("", "_lower", "_upper"))


def side_by_side(interval: Interval) -> FloatArray:
    """Return each target's prediction, lower and upper end, shape (n, 3 K)."""
    values: Any = np.stack(interval, axis=2)
    num_rows, num_targets, num_ends = values.shape
    found: FloatArray = values.reshape(num_rows, num_targets * num_ends)
    return found
