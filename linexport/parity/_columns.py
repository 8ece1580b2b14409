"""What runtimes are asked that take a table's columns: every cell there can be, in every batch.

The features that an encoding makes are exact, so what is right is what the model makes of them,
within the bounds of the model.

N rows, D features of C columns.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linexport._arrays import FloatArray, FloatDType
from linexport.encoding import (
    CategoryColumn,
    Codes,
    EncodedColumn,
    Encoding,
    NumberColumn,
    codes_of,
)
from linexport.model import LinearModel
from linexport.parity._probes import MOST_NUMBERS, Probe, probes, rows_of

__all__ = ["column_probes", "features_of", "unknown_cells"]

Columns = Mapping[str, NDArray[Any]]
_UNUSUAL = 0.5
"""Part of the rows of which one cell is any, also one that makes the row be refused."""


def column_probes(
    encoding: Encoding, model: LinearModel, *, num_rows: int, seed: int
) -> Iterator[Probe]:
    """Yield the probes of a model, as far as columns can make them, and one row for every cell.

    To be drawn under np.errstate(all="ignore").
    """
    random = np.random.default_rng(seed)
    yield from _every_cell(encoding, model)
    are_numbers = all(
        type(c) is not CategoryColumn and len(c.features) == 1 for c in encoding.columns
    )
    for probe in probes(model, num_rows=num_rows, seed=seed):
        columns = _mixed(encoding, model.dtype, probe.features, random)
        yield replace(
            probe,
            columns=columns,
            features=features_of(encoding, columns, model.dtype),
            num_roundings=probe.num_roundings if are_numbers else None,
        )


def features_of(
    encoding: Encoding,
    columns: Columns,
    dtype: FloatDType,
    *,
    codes: Mapping[str, Codes] | None = None,
    unfilled: str | None = None,
) -> FloatArray:
    """Return the features (N, D) of columns, (N, 1) by name, in a model's dtype.

    Args:
        encoding: What makes them.
        columns: Text as objects, else numbers.
        dtype: Of the features.
        codes: Of categories that are to be read otherwise.
        unfilled: A column whose missing values stay NaN.
    """
    parts: list[FloatArray] = []
    for column in encoding.columns:
        cells = columns[column.name]
        if isinstance(column, CategoryColumn):
            read = (codes or {}).get(column.name) or codes_of(column)
            parts.append(_levels(cells, read, len(column.features), dtype))
        else:
            numbers: FloatArray = cells.astype(dtype)
            parts.append(_numbers(numbers, column, is_filled=column.name != unfilled))
    features: FloatArray = np.concatenate(parts, axis=1).astype(dtype, copy=False)
    return features


def unknown_cells(column: CategoryColumn) -> tuple[str, ...]:
    """Return texts that are no spelling of a level: another, and one with a space after it."""
    text = "no such level"
    known = column.spellings()
    while text in known:
        text += "?"
    return text, f"{column.levels[0]} "


def _levels(cells: NDArray[Any], codes: Codes, num_features: int, dtype: FloatDType) -> FloatArray:
    code = np.array([codes.known.get(text, codes.unknown) for text in cells[:, 0]], np.int64)
    features: FloatArray = (code[:, None] == np.arange(num_features)).astype(dtype)
    features[code == num_features + 1] = np.nan
    return features


def _numbers(cells: FloatArray, column: EncodedColumn, *, is_filled: bool) -> FloatArray:
    if not isinstance(column, NumberColumn) or column.fill is None:
        return cells
    missing = np.isnan(cells)
    values = np.where(missing, cells.dtype.type(column.fill), cells) if is_filled else cells
    told = [missing.astype(cells.dtype)] if column.indicator else []
    features: FloatArray = np.concatenate([values, *told], axis=1)
    return features


def _cells(column: EncodedColumn, dtype: FloatDType) -> NDArray[Any]:
    """Return all that a cell may say, first what is plain; of numbers, one of them and NaN."""
    if isinstance(column, CategoryColumn):
        spelled = dict.fromkeys((*column.spellings(), *unknown_cells(column)))
        return np.array(list(spelled), object)
    return np.array([1.0, np.nan], dtype)


def _every_cell(encoding: Encoding, model: LinearModel) -> Iterator[Probe]:
    """One cell of one column in each row, between plain ones."""
    cells = {column.name: _cells(column, model.dtype) for column in encoding.columns}
    rows = [(name, cell) for name, own in cells.items() for cell in own]
    step = rows_of(MOST_NUMBERS, model)
    for start in range(0, len(rows), step):
        chosen = rows[start : start + step]
        columns = {name: np.repeat(own[:1], len(chosen))[:, None] for name, own in cells.items()}
        for row, (name, cell) in enumerate(chosen):
            columns[name][row] = cell
        features = features_of(encoding, columns, model.dtype)
        yield Probe(name="every cell", features=features, columns=columns)


def _mixed(
    encoding: Encoding, dtype: FloatDType, features: FloatArray, random: np.random.Generator
) -> Columns:
    """Return columns with the numbers of a probe where they are features, and any levels."""
    num_rows, num_columns = len(features), len(encoding.columns)
    unusual = np.where(
        random.random(num_rows) < _UNUSUAL, random.integers(0, num_columns, num_rows), num_columns
    )
    columns, place = {}, 0
    for index, column in enumerate(encoding.columns):
        cells, odd = _cells(column, dtype), unusual == index
        if isinstance(column, CategoryColumn):
            own = cells[random.integers(0, len(column.levels), num_rows)]
            own[odd] = cells[random.integers(0, len(cells), int(odd.sum()))]
        else:
            own = features[:, place].astype(dtype)
            own[odd & (random.random(num_rows) < _UNUSUAL)] = np.nan
        columns[column.name] = own[:, None]
        place += len(column.features)
    return columns
