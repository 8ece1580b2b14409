"""Files below directories called KEY=VALUE, whose keys are columns."""

from collections.abc import Iterator, Mapping, Sequence
from typing import cast

import msgspec

from linexport._polars import pl
from linexport.tables._numbers import FrameBatch, require_numbers
from linexport.tables._part import Batch, Part, Selection


def partitions(parts: Sequence[Part], keys: Sequence[Mapping[str, str | None]]) -> list[Part]:
    """Add to each part what the directories above it say.

    A key whose values are all numbers is a number, else text. A column of the file itself stays,
    whatever the directory says.
    """
    names = dict.fromkeys(name for found in keys for name in found)
    kinds = {name: _kind([found.get(name) for found in keys]) for name in names}
    return [
        _Partition(
            part,
            {
                name: pl.Series(name, [value], pl.String).cast(kinds[name])
                for name, value in found.items()
                if name not in part.names
            },
        )
        for part, found in zip(parts, keys, strict=True)
    ]


def _kind(values: Sequence[str | None]) -> pl.DataType:
    text = pl.Series(values, dtype=pl.String)
    for dtype in (pl.Int64(), pl.Float64()):
        if text.cast(dtype, strict=False).null_count() == text.null_count() < len(text):
            return dtype
    return pl.String()


class _Partition:
    """A part, and columns that hold one value in all its rows; see Part."""

    def __init__(self, part: Part, constants: Mapping[str, pl.Series]) -> None:
        self._part = part
        self._constants = constants
        self.source = part.source
        self.names = (*part.names, *constants)
        self.index_columns = part.index_columns
        self.is_file = part.is_file
        self.num_bytes = part.num_bytes

    @property
    def size(self) -> int:
        return self._part.size

    def cut(self, start: int, stop: int) -> "_Partition":
        return _Partition(self._part.cut(start, stop), self._constants)

    def batches(self, selection: Selection) -> Iterator[Batch]:
        numbers, kept = (
            tuple(name for name in names if name not in self._constants)
            for names in (selection.numbers, selection.kept)
        )
        if not numbers + kept:  # something must tell how many rows there are
            kept = self._part.names[:1]
        inner = msgspec.structs.replace(selection, numbers=numbers, kept=kept)
        for batch in cast("Iterator[FrameBatch]", self._part.batches(inner)):
            frame = self._with(batch.frame, selection.numbers, batch.num_rows)
            require_numbers(frame, self.source, batch.first_row, selection.text_remedy)
            yield msgspec.structs.replace(
                batch, frame=frame, kept=self._with(batch.kept, selection.kept, batch.num_rows)
            )

    def _with(self, frame: pl.DataFrame, names: Sequence[str], num_rows: int) -> pl.DataFrame:
        return pl.DataFrame(
            [
                self._constants[name].new_from_index(0, num_rows)
                if name in self._constants
                else frame.get_column(name)
                for name in names
            ]
        )
