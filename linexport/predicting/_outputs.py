"""What is written of each row beside the columns that are kept: its predictions, and intervals."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from linexport._arrays import FloatArray
from linexport._asked import asked
from linexport._documented import documented
from linexport.errors import ConfigError, DataError
from linexport.predicting._config import Missing
from linexport.predicting._interval import batch_interval, spread_of
from linexport.predicting._policy import Report
from linexport.predicting._predictor import Predictor
from linexport.predicting._spread import Interval

if TYPE_CHECKING:
    from linexport.tables import Batch


@documented
class Outputs(msgspec.Struct, frozen=True, kw_only=True):
    """The columns that predicting adds to a table."""

    names: tuple[str, ...]
    """Of the predictions, in the order of the targets."""
    interval: float | None = None
    """The probability with which the truth lies in an interval that stands beside each."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column's name."""
        if self.interval is None:
            return self.names
        return tuple(f"{name}{end}" for name in self.names for end in ("", "_lower", "_upper"))

    def of_batch(
        self, predictor: Predictor, batch: "Batch", *, missing: Missing, report: Report
    ) -> FloatArray:
        """Return the columns' values for n rows of a table, shape (n, columns)."""
        if self.interval is None:
            return predictor.predict_batch(batch, missing=missing, report=report)
        return _side_by_side(
            batch_interval(predictor, batch, self.interval, missing=missing, report=report)
        )

    def of_table(self, predictor: Predictor, table: Any, *, missing: Missing) -> FloatArray:
        """Return them for a table in memory, shape (N, columns)."""
        if self.interval is None:
            return predictor.predict(table, missing=missing)
        return _side_by_side(
            predictor.predict_interval(table, level=self.interval, missing=missing)
        )


def outputs_of(
    predictor: Predictor,
    keep: Sequence[str],
    *,
    names: Sequence[str] = (),
    interval: float | None = None,
    source: str,
) -> Outputs:
    """Name the columns of the predictions, before a row is read.

    Args:
        predictor: The model.
        keep: Columns that come before them.
        names: Of the predictions. If not given those of the targets, or predicted_NAME beside a
            column that is kept.
        interval: As in `Outputs`.
        source: What messages call the table.

    Raises:
        DataError: If a column is to be kept twice, or has the name of one that is added.
        ConfigError: If the names are not one for each target, or there is no such interval.
        ModelError: If the fit knows no intervals.
    """
    for position, name in enumerate(keep):
        if name in keep[:position]:
            raise DataError("It is to be kept twice.", source=source, column=name)
    targets = predictor.target_names
    if names and len(names) != len(targets):
        raise ConfigError(
            f"{len(names)} names are given for {len(targets)} predictions ({asked(names=...)})."
        )
    beside = (f"predicted_{name}" if name in keep else name for name in targets)
    outputs = Outputs(names=tuple(names or beside), interval=interval)
    taken = list(keep)
    for name in outputs.columns:
        if name in taken:
            raise DataError(
                "A column of the predictions would have this name too; name theirs with "
                f"{asked(names=...)}.",
                source=source,
                column=name,
            )
        taken.append(name)
    if interval is not None:
        spread_of(predictor, interval)
    return outputs


def _side_by_side(interval: Interval) -> FloatArray:
    """Return each target's prediction, lower and upper end, shape (n, 3 K)."""
    values: Any = np.stack(interval, axis=2)
    found: FloatArray = values.reshape(len(values), -1)
    return found
