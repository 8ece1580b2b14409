"""From a table to rows to train on."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np

from linexport._arrays import Float64Array
from linexport._asked import asked
from linexport._documented import documented
from linexport.columns import Column, named_columns, require_known
from linexport.encoding import CategoryColumn, DateColumn, Encoding, NumberColumn, Undecided
from linexport.errors import DataError
from linexport.fit import Weighting
from linexport.numerics import unit_roundoffs
from linexport.rows._config import DataConfig
from linexport.rows._counted import Counted
from linexport.rows._dataset import Dataset, NoRowsError, Rows, finite_rows, require_rows
from linexport.rows._missing import MissingRules
from linexport.rows._row_numbers import features_left
from linexport.rows._weights import check_weights
from linexport.tables import Gather, Table, alone


@documented
@dataclass(kw_only=True, slots=True, eq=False)
class TableRows:
    """The rows of a table, read anew in each pass, so that memory does not grow with them."""

    features: tuple[Column, ...]
    """D columns, in the order of the batches."""
    targets: tuple[Column, ...]
    """K columns."""
    notes: tuple[str, ...] = ()
    """Sentences for the user: columns that were left out unasked."""
    features_named: bool = True
    """Whether the user named them; else they are all columns that were left."""
    rows_dropped: int = field(default=0, init=False)
    """Rows that the last complete pass left out for a missing or non-finite value."""
    rows_kept_out: ClassVar[int] = 0
    unit_roundoff: Float64Array | None = field(default=None, init=False)
    """Shape (D + K,), of the format that each column came in: the widest of all files read."""
    weighting: Weighting | None = None
    """Which column weights the rows; None where each counts once."""
    encoding: Encoding | None = None
    """What makes the features of the table's columns; None where they are its columns."""
    undecided: Undecided = field(default_factory=Undecided)
    """What of that other parts of the rows decide too."""
    _table: Table
    """All of it, or a rank's share."""
    _rules: MissingRules
    """What was said of missing values."""
    _drop: frozenset[str]
    """Columns whose missing values leave their rows out."""
    _gather: Gather = alone
    """From all ranks that share the table."""

    @property
    def source(self) -> str:
        """Where the rows come from, for messages."""
        return self._table.source

    @property
    def read_once(self) -> bool:
        """Whether they can be read but once, as from a pipe."""
        return self._table.num_bytes is None

    def share(self, rank: int, num_ranks: int, gather: Gather) -> "TableRows":
        """Return what one of several ranks reads; see linexport.tables._sharing.

        Each pass ends with one call of `gather`, with which all ranks check what all rows must
        hold.

        Raises:
            DataError: If the table can be read only once.
        """
        return replace(self, _table=self._table.share(rank, num_ranks, gather), _gather=gather)

    def _encoded(self, config: DataConfig) -> "TableRows":
        """Return the same rows with features made of the columns as asked.

        Raises:
            DataError, ConfigError: As `draft_encoding` and `decided`.
        """
        names, rules = [column.name for column in self.features], self._rules
        if not config.encodes:
            drop = frozenset(name for name in names if rules.of_number(name) == "drop")
            return replace(self, _drop=self._drop | drop)
        from linexport.rows import _encoding as encodings  # with polars

        if self.read_once:
            raise DataError(
                "It can be read only once, but categories and fills are looked for before "
                "training; save it to a file.",
                source=self.source,
            )
        draft = encodings.draft_encoding(self._table, names, config, rules)
        rows = self._with_encoding(draft.encoding)
        if rules.of_part:
            return replace(rows, undecided=encodings.undecided(draft, config))
        counted = None
        may_not_count = rows._drop or rows.weighting  # noqa: SLF001 - its own class
        if draft.fills or (draft.looks and may_not_count):
            counted = Counted(draft.encoding, draft.fills, rows.batches())
        encoding = encodings.decided(draft, counted, config, rules, self.source)
        notes = encodings.taken_as_categories(encoding, draft.auto)
        return replace(self._with_encoding(encoding), notes=(*self.notes, *notes))

    def _with_encoding(self, encoding: Encoding) -> "TableRows":
        dates = (column for column in encoding.columns if isinstance(column, DateColumn))
        days = {column.name: f"days since {column.origin}" for column in dates}
        features = named_columns(encoding.features, self.source)
        return replace(
            self,
            features=tuple(replace(column, unit=days.get(column.name, "")) for column in features),
            encoding=encoding,
            _drop=self._drop | {c.name for c in encoding.columns if self._rules.of(c) == "drop"},
        )

    def batches(self) -> Iterator[tuple[Float64Array, ...]]:
        """Yield finite features (n, D), targets (n, K) and, where rows have weights, these (n,).

        Raises:
            DataError: Of all columns that hold no numbers; else at the first value that cannot be
                used; after the last batch, if there was no row.
        """
        try:
            yield from self._finite_batches()
        except NoRowsError:
            raise
        except DataError as error:
            from linexport.rows._unusable import explained  # with polars

            targets = [column.name for column in self.targets]
            raise explained(
                error,
                self._table,
                self._number_names,
                targets,
                refused=self._refused,
                to_fill=self._rules.to_fill(),
            ) from error

    @property
    def _number_names(self) -> list[str]:
        """Of the columns that must hold numbers to be features."""
        if self.encoding is None:
            return [column.name for column in self.features]
        return [c.name for c in self.encoding.columns if isinstance(c, NumberColumn)]

    @property
    def _refused(self) -> list[str]:
        """Of the numbers that are features or targets, those that may not lack a value."""
        filled = [] if self.encoding is None else self.encoding.columns
        fine = self._drop | {
            c.name for c in filled if isinstance(c, NumberColumn) and c.fill is not None
        }
        names = [*self._number_names, *(column.name for column in self.targets)]
        return [name for name in names if name not in fine]

    def _to_fill(self, name: str) -> str:
        """Say how a missing value of a column may be filled in."""
        if name in self._number_names:
            return f"fill it in, as with {self._rules.to_fill(name)}"
        categories = [] if self.encoding is None else self.encoding.columns
        if any(isinstance(c, CategoryColumn) and c.name == name for c in categories):
            return f"make it a level with {asked(missing=[f'{name}=level'])}"
        return "fill it in"

    def _to_drop(self, name: str) -> str:
        """Say how rows without a value of a column may be left out."""
        return f"leave such rows out with {self._rules.to_drop([name])}"

    @property
    def _wanted(self) -> tuple[Sequence[str] | Encoding, list[str]]:
        """What to read, and the column that each of the numbers is made of."""
        others = [column.name for column in self.targets]
        others += [] if self.weighting is None else [self.weighting.column]
        if self.encoding is None:
            names = [column.name for column in self.features] + others
            return names, names
        more = tuple(NumberColumn(name=name) for name in others)
        read = Encoding(columns=(*map(self._rules.leniently, self.encoding.columns), *more))
        return read, list(read.feature_columns)

    def _finite_batches(self) -> Iterator[tuple[Float64Array, ...]]:
        wanted, names = self._wanted
        num_features = len(self.features)
        num_columns = num_features + len(self.targets)
        num_rows = num_read = 0
        for values, source, first_row in self._read(wanted):
            num_read += len(values)
            place: dict[str, Any] = {"source": source, "first_row": first_row}
            if self.weighting is not None:
                check_weights(values[:, -1], self.weighting, **place)
            kept = finite_rows(
                values,
                names,
                **place,
                drop=self._drop,
                to_fill=self._to_fill,
                to_drop=self._to_drop,
            )
            features, targets = kept[:, :num_features], kept[:, num_features:num_columns]
            num_rows += len(kept)
            yield (features, targets, *kept.T[num_columns:])
        counts = self._gather(np.array([float(num_rows), float(num_read)])).sum(axis=0)
        num_rows, num_read = (int(count) for count in counts)  # exact up to 2**53
        self.rows_dropped = num_read - num_rows
        require_rows(num_rows, self.source, rows_dropped=self.rows_dropped)

    def _read(self, wanted: Sequence[str] | Encoding) -> Iterator[tuple[Float64Array, str, int]]:
        """Yield values (n, C), the file that they come from, and the number of the first row."""
        for batch in self._table.batches(wanted, text_remedy=self._text_remedy):
            roundoff = unit_roundoffs(batch.number_types[: len(self.features + self.targets)])
            known = self.unit_roundoff
            self.unit_roundoff = roundoff if known is None else np.maximum(known, roundoff)
            for start, values in batch.blocks():
                yield values, batch.source, batch.first_row + start

    def _text_remedy(self, name: str) -> str:
        if any(column.name == name for column in self.targets):
            return "correct it, delete its row, or choose a target of numbers"
        if self.weighting is not None and name == self.weighting.column:
            return "correct it, or choose other weights"
        from linexport.rows._unusable import of_text  # with polars

        return of_text(name)


def training_rows(
    table: Table,
    *,
    targets: str | Sequence[str],
    features: Sequence[str] | None = None,
    exclude: Sequence[str] = (),
    weights: str | None = None,
    config: DataConfig | None = None,
    of_part: bool = False,
) -> TableRows:
    """Choose the columns to fit, without reading a row.

    Args:
        table: Any table; standard input can be read in one pass only.
        targets: The columns to predict.
        features: The columns to predict from, in this order; by default every column that is
            neither a target nor excluded, in the table's order.
        exclude: Columns to leave out.
        weights: The column that weights the rows; least squares heeds it.
        config: What becomes of columns that are no numbers, and of missing values; and what the
            weights are.
        of_part: Whether there are more rows elsewhere, which decide too what these become.

    Raises:
        DataError: If a name is unknown, given twice or in two roles, or no feature is left; or a
            column does not hold what it is said to.
        ConfigError: If what is asked for cannot be.
    """
    config = config or DataConfig()
    chosen_targets = [targets] if isinstance(targets, str) else list(targets)
    roles = {
        "target": chosen_targets,
        "feature": features or (),
        "excluded": exclude,
        "weight of the rows": [] if weights is None else [weights],
    }
    taken = _taken(table, roles)
    chosen_features, notes = list(features or ()), tuple[str, ...]()
    if features is None:
        chosen_features, notes = features_left(table, taken)
    if not chosen_features:
        raise DataError("No feature is left to predict from.", source=table.source)
    rules = MissingRules(config.missing, table.names, table.source, of_part=of_part)
    others = [*chosen_targets, *([] if weights is None else [weights])]
    rows = TableRows(
        _table=table,
        features=named_columns(chosen_features, table.source),
        targets=named_columns(chosen_targets, table.source),
        notes=notes,
        features_named=features is not None,
        _rules=rules,
        _drop=frozenset(name for name in others if rules.of_other(name) == "drop"),
        weighting=None if weights is None else Weighting(column=weights, kind=config.weights_kind),
    )
    return rows._encoded(config)  # noqa: SLF001 - its own class


def read_rows(rows: Rows) -> Dataset:
    """Read rows into memory in one pass; their columns stay as described.

    Raises:
        DataError: As a pass over them.
    """
    batches = list(rows.batches())
    num_rows = sum(len(batch[0]) for batch in batches)
    shapes: list[tuple[int, ...]] = [(len(rows.features),), (len(rows.targets),)]
    shapes += [] if rows.weighting is None else [()]
    arrays = [np.empty((num_rows, *shape)) for shape in shapes]
    end = num_rows
    while batches:  # each is freed once copied, so that the rows are not in memory twice
        batch = batches.pop()
        start = end - len(batch[0])
        for array, part in zip(arrays, batch, strict=True):
            array[start:end] = part
        end = start
    features, targets, *weights = arrays
    return Dataset(
        feature_values=features,
        target_values=targets,
        features=rows.features,
        targets=rows.targets,
        source=rows.source,
        rows_dropped=rows.rows_dropped,
        unit_roundoff=rows.unit_roundoff,
        weighting=rows.weighting,
        weights=weights[0] if weights else None,
        notes=rows.notes,
        features_named=rows.features_named,
        encoding=rows.encoding,
    )


def _taken(table: Table, roles: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return the role of each column that has one.

    Raises:
        DataError: If a name is unknown or in two roles, or there is no target or no feature.
    """
    taken: dict[str, str] = {}
    for role, names in roles.items():
        require_known(names, table.names, table.source)
        for name in names:
            if name in taken:
                other = taken[name]
                what = f"{role} twice" if role == other else f"both {other} and {role}"
                raise DataError(f"'{name}' is given as {what}.", source=table.source)
            taken[name] = role
    if not roles["target"]:
        raise DataError("No target is given.", source=table.source)
    return taken
