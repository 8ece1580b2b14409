"""State: what least squares needs of some rows, that adds up exactly wherever they lie."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from linexport._asked import asked
from linexport._files import parsing
from linexport.columns import split_names
from linexport.encoding import CategoryColumn, Unknown
from linexport.errors import ConfigError
from linexport.fit import Fit, WeightsKind
from linexport.least_squares import LeastSquaresConfig
from linexport.rows import (
    ONE,
    DataConfig,
    NoRowsError,
    Ranks,
    Rows,
    said_of_columns,
    training_data,
    training_rows,
    with_units,
)
from linexport.tables import Dialect, OnRead, Table, open_table
from linexport.training._state_bytes import decode, digest, encode
from linexport.training._state_parts import named_part, require_all
from linexport.training._state_rows import SOURCE, rows_of
from linexport.training._summary import OPEN, Part, Summary, placed_in, summary_of
from linexport.training._train import train

_DIGITS = 16
"""Of its digest, for the name of a part that has none."""


class State:
    """The sums of some rows, exact, so that they add up to the same bits in any order.

    A state is made for each part of the rows, wherever it lies, and travels as bytes; states are
    merged in any order, and the fit is that of one process with all rows, to the last bit. Each
    says which parts it covers, so that none is counted twice.

        states = [State(targets="y", part=f"{k}/2").update(table) for k, table in ...]
        fit = states[0].merge(states[1]).fit()
    """

    def __init__(
        self,
        *,
        targets: str | Sequence[str] = (),
        features: str | Sequence[str] = (),
        exclude: str | Sequence[str] = (),
        weights: str | None = None,
        weights_kind: WeightsKind = "precision",
        categorical: str | Sequence[str] | None = None,
        missing: str | Sequence[str] | Mapping[str, str] = ("error",),
        missing_indicator: bool = False,
        date: str | Sequence[str] | Mapping[str, str] | None = None,
        part: str | None = None,
    ) -> None:
        """Begin without rows.

        Args:
            targets: Columns to predict, of the tables that will come; not needed for arrays.
            features: Columns to predict from; all others if empty.
            exclude: Columns to leave aside.
            weights: The column that weights the rows.
            weights_kind: What the weights are, as `read_data` takes it.
            categorical: Columns whose values are levels, or "auto" for those of text and truth
                values; which level the others are compared with is chosen by the fit.
            missing: What becomes of a missing value, in all columns or by column: "error", "drop";
                of numbers "zero" or "mean", which is that of all rows that are fitted; of
                categories "level" or "reference".
            missing_indicator: Whether a feature says where numbers were filled.
            date: Columns of dates, as `read_data` takes them.
            part: What these rows are called, such as the name of their file. Two of one name do
                not merge. "3/8" is the third of eight: a fit then needs all eight. If not given,
                the rows' own digest.

        Raises:
            ConfigError: If what is asked for depends on all rows.
        """
        self._weights = weights
        self._names = {"targets": targets, "features": features, "exclude": exclude}
        self._config = _config(categorical, missing, missing_indicator, date, weights_kind)
        self._part = named_part(part)
        self._summary = Summary(parts={OPEN: Part(digest="")})

    def update(
        self,
        data: Any,
        target: Any = None,
        *,
        dialect: Dialect | None = None,
        on_read: OnRead | None = None,
        ranks: Ranks = ONE,
    ) -> "State":
        """Add rows to the part, and return this state.

        Args:
            data: A table, as `open_table` takes it, such as an Arrow record batch; or arrays and
                whatever else `train` takes.
            target: Beside an array of features.
            dialect: How a CSV file is written, if not as most are.
            on_read: Called as a table is read.
            ranks: Who adds up together: each its share of a table, to one state on each.

        Raises:
            DataError: If the rows cannot be used, or their columns are others than before.
            ConfigError: If the state was merged or read: such a state takes no more rows.
        """
        if OPEN not in self._summary.parts:
            raise ConfigError(
                "A state that was merged or read takes no more rows: make one for them, and merge."
            )
        try:
            if target is not None or not self._names["targets"]:
                rows = training_data(data, target)
                _require_no_reference(rows)
            else:
                rows = self._of_table(open_table(data, dialect=dialect, on_read=on_read), ranks)
            found = summary_of(rows, ranks)
        except NoRowsError:  # of a table of no rows, whose levels are then unknown
            return self
        self._summary = self._summary.plus(found, "the rows")
        return self

    def merge(self, *others: "State") -> "State":
        """Return the state of all these rows.

        Raises:
            DataError: If a part is in two of them, or the columns differ.
        """
        total = self._closed()
        for other in others:
            total = total.plus(other._closed(), "")  # noqa: SLF001 - its own class
        return _state(total)

    def subtract(self, other: "State") -> "State":
        """Return the state without the other's parts: what it would be had they never come.

        Raises:
            DataError: If one of its parts is not among these, or held other rows.
        """
        return _state(self._closed().minus(other._closed()))  # noqa: SLF001 - likewise

    @property
    def parts(self) -> tuple[str, ...]:
        """The names of the parts that it covers, in order."""
        return tuple(sorted(self._closed().parts))

    @property
    def num_rows(self) -> int:
        """Of weight above 0."""
        counted = self._summary.counted
        return 0 if counted is None else counted.sums.num_rows

    @property
    def rows_dropped(self) -> int:
        """Left out for a missing or non-finite value, as asked."""
        return self._summary.rows_dropped

    @property
    def digest(self) -> str:
        """SHA-256 of its content, parts included: the same in whatever order they were merged."""
        return digest(self.to_bytes())

    def to_bytes(self) -> bytes:
        """Return the state as bytes; docs/states.md describes them."""
        return encode(self._closed())

    @classmethod
    def from_bytes(cls, data: bytes) -> "State":
        """Read what `to_bytes` returned; nothing in it is run.

        Raises:
            ArtifactError: If it is no state, damaged, or from a newer linexport.
        """
        with parsing():
            return _state(decode(bytes(data)))

    def fit(
        self,
        solver: LeastSquaresConfig | None = None,
        *,
        exclude: str | Sequence[str] = (),
        reference: str | Sequence[str] | Mapping[str, str] | None = None,
        unknown: Unknown = "error",
        units: Mapping[str, str] | None = None,
    ) -> Fit:
        """Fit all rows by least squares: the same bits for the same rows, however they came.

        Args:
            solver: Ridge, intercept, what to do with dependent features.
            exclude: Columns to leave aside; rows that were left out for them stay so.
            reference: The level that others are compared with, as `read_data` takes it; if not
                given, the most frequent of all rows.
            unknown: What becomes of a level that occurs only when predicting.
            units: Of columns, by name.

        Raises:
            DataError: If there are no rows, a numbered part is missing, or a column or level is
                unknown.
            ConfigError: If a unit is of no column.
            TrainingError: As `train`.
        """
        summary = self._closed()
        require_all(summary.parts)
        if summary.counted is None:
            raise NoRowsError("There are no rows to fit.", source=SOURCE)
        names = summary.counted.names.excluding(exclude, SOURCE)
        counted = placed_in(summary.counted, names)
        rows = rows_of(summary, counted, said_of_columns(reference) or (), unknown)
        return train(with_units(rows, units or {}), solver=solver or LeastSquaresConfig())

    def __repr__(self) -> str:
        count = len(self.parts)
        return f"State of {self.num_rows} rows in {count} part{'s'[: count != 1]}"

    def _of_table(self, table: Table, ranks: Ranks) -> Rows:
        names = {role: split_names(given, table.names) for role, given in self._names.items()}
        chosen = training_rows(
            table,
            targets=names["targets"],
            features=names["features"] or None,
            exclude=names["exclude"],
            weights=self._weights,
            config=self._config,
            of_part=True,
        )
        return chosen if ranks.size == 1 else chosen.share(ranks.rank, ranks.size, ranks.gather)

    def _closed(self) -> Summary:
        """Return the summary with the part named, so that it is told from others."""
        summary = self._summary
        if OPEN not in summary.parts:
            return summary
        part = summary.parts[OPEN]
        if not part.rows and self._part is None:
            return Summary()
        found = digest(encode(summary))
        name = self._part or found[:_DIGITS]
        counted = summary.counted
        if counted is not None:
            counted = replace(counted, ranges={name: counted.ranges[OPEN]})
        parts = {name: msgspec.structs.replace(part, digest=found)}
        return Summary(parts=parts, counted=counted)


def _state(summary: Summary) -> State:
    state = State()
    state._summary = summary  # noqa: SLF001 - its own class
    return state


def _config(
    categorical: str | Sequence[str] | None,
    missing: str | Sequence[str] | Mapping[str, str],
    missing_indicator: bool,
    date: str | Sequence[str] | Mapping[str, str] | None,
    weights_kind: WeightsKind,
) -> DataConfig:
    """Return how to read a part, each level a feature.

    Raises:
        ConfigError: If that depends on rows of other parts.
    """
    named, whats = said_of_columns(categorical), said_of_columns(missing) or ()
    medians = [what for what in whats if what.rpartition("=")[2] == "median"]
    if medians:
        instead = asked(missing=[what.replace("median", "mean") for what in medians])
        raise ConfigError(
            "A median takes all rows at once, and a state has sums only: fill with the mean "
            f"({instead}), or leave such rows out ({asked(missing='drop')})."
        )
    return DataConfig(
        categorical=named,
        reference=("none",) if named else None,
        missing=whats,
        missing_indicator=missing_indicator,
        date=said_of_columns(date),
        weights_kind=weights_kind,
    )


def _require_no_reference(rows: Rows) -> None:
    columns = () if rows.encoding is None else rows.encoding.columns
    for column in columns:
        if isinstance(column, CategoryColumn) and column.reference is not None:
            raise ConfigError(
                f"'{column.name}' has a reference already, which the fit of all parts chooses: "
                "give the table itself, with State(targets=..., categorical=...)."
            )
