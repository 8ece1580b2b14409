"""Rows as named values, as a person writes them: {"area": 54, "floor": 2}, or a list of such."""

import sys
from collections.abc import Mapping
from functools import partial
from typing import Any

import msgspec
import numpy as np

from linexport._arrays import FloatArray
from linexport.serving._exchange import Answer, Asked, Headers, Refusal, encode_json, shortened
from linexport.serving._infer import require_rows
from linexport.serving._json import ANYTHING, decode, require_unique_keys
from linexport.serving.limits import Limits
from linexport.serving.models import ServedModel

_ROWS: "msgspec.json.Decoder[dict[str, float | None] | list[dict[str, float | None]]]" = (
    msgspec.json.Decoder(dict[str, float | None] | list[dict[str, float | None]])
)


def ask_rows(model: ServedModel, limits: Limits, body: bytes, _: Headers) -> Asked:
    """Understand a request of named values.

    Raises:
        Refusal: 400 if it is malformed, 413 if it has too many rows.
    """
    try:
        found = decode(_ROWS, body)
    except Refusal:
        _explain(decode(ANYTHING, body), model)
        raise
    rows = found if isinstance(found, list) else [found]
    require_unique_keys(body, sum(len(row) for row in rows))
    require_rows(len(rows), model, limits)
    names = [column.name for column in model.features]
    known = set(names)
    for number, row in enumerate(rows, start=1):
        if row.keys() != known:
            raise _wrong_names(row, names, number)
    values = np.array([[row[name] for name in names] for row in rows], np.float64)
    return Asked(values.reshape(len(rows), len(names)), partial(_response, model))


def row_bytes(model: ServedModel) -> int:
    """Return the fewest bytes that a row takes in a body: `"name":1,` for each, and braces."""
    return 2 + sum(len(encode_json(column.name)) + 3 for column in model.features)


def _response(model: ServedModel, prediction: FloatArray) -> Answer:
    targets = [column.name for column in model.targets]
    answer = {
        "model_name": model.name,
        "model_version": model.version,
        "rows": [dict(zip(targets, row, strict=True)) for row in prediction.tolist()],
    }
    return Answer(200, encode_json(answer), rows=len(prediction))


def _wrong_names(row: Mapping[str, Any], names: list[str], number: int) -> Refusal:
    missing = [name for name in names if name not in row]
    if missing:
        return Refusal(400, f"Row {number} has no '{missing[0]}'; a row needs {_listed(names)}.")
    known = set(names)
    unknown = shortened(next(name for name in row if name not in known))
    return Refusal(
        400, f"Row {number} has '{unknown}', which is no feature; they are {_listed(names)}."
    )


def _explain(document: Any, model: ServedModel) -> None:
    """Say which value of which row is not a number, where the decoder can only say that one is."""
    listed = document if isinstance(document, list) else [document]
    for number, row in enumerate(listed, start=1):
        if not isinstance(row, dict):
            raise Refusal(
                400,
                f"Row {number} must be an object of names and numbers, such as "
                f'{{"{model.features[0].name}": 1.5}}, got {_shown(row)}.',
            )
        for name, value in row.items():
            fault = _fault(value)
            if fault:
                told = f"Row {number}, '{shortened(name)}': {_shown(value)} is {fault}."
                raise Refusal(400, told)


def _fault(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | float | None):
        return "not a number"
    if isinstance(value, int) and abs(value) > sys.float_info.max:
        return "beyond the range of float64"
    return None


def _shown(value: Any) -> str:
    return shortened(encode_json(value).decode(), 40)


def _listed(names: list[str]) -> str:
    shown = ", ".join(f"'{name}'" for name in names[:10])
    return shown if len(names) <= 10 else f"{shown} and {len(names) - 10} more"
