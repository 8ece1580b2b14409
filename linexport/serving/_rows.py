"""Rows as named values, as a person writes them: {"area": 54, "floor": 2}, or a list of such."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import msgspec
import numpy as np

from linexport._arrays import FloatArray
from linexport.serving._exchange import Answer, Asked, Headers, Refusal, encode_json
from linexport.serving._infer import require_rows
from linexport.serving._json import decode, require_unique_keys
from linexport.serving.limits import Limits
from linexport.serving.models import Missing, ServedModel

_ROWS: "dict[Missing, msgspec.json.Decoder[Any]]" = {
    "error": msgspec.json.Decoder(dict[str, float] | list[dict[str, float]]),
    "nan": msgspec.json.Decoder(dict[str, float | None] | list[dict[str, float | None]]),
}
_ANYTHING: "msgspec.json.Decoder[Any]" = msgspec.json.Decoder()


def ask_rows(model: ServedModel, limits: Limits, body: bytes, _: Headers) -> Asked:
    """Understand a request of named values.

    Raises:
        Refusal: 400 if it is malformed, 413 if it has too many rows.
    """
    try:
        found = decode(_ROWS[model.missing], body)
    except Refusal:
        _explain(decode(_ANYTHING, body), model)
        raise
    rows = found if isinstance(found, list) else [found]
    require_unique_keys(body, sum(len(row) for row in rows))
    require_rows(len(rows), limits)
    names = [column.name for column in model.features]
    for number, row in enumerate(rows, start=1):
        _require_names(row, names, number)
    values = np.array([[row[name] for name in names] for row in rows], np.float64)
    return Asked(values.reshape(len(rows), len(names)), partial(_response, model))


def _response(model: ServedModel, prediction: FloatArray) -> Answer:
    targets = [column.name for column in model.targets]
    answer = {
        "model_name": model.name,
        "model_version": model.version,
        "rows": [dict(zip(targets, row, strict=True)) for row in prediction.tolist()],
    }
    return Answer(200, encode_json(answer), rows=len(prediction))


def _require_names(row: Mapping[str, Any], names: list[str], number: int) -> None:
    if len(row) == len(names) and all(name in row for name in names):
        return
    missing = [name for name in names if name not in row]
    if missing:
        raise Refusal(400, f"Row {number} has no '{missing[0]}'; a row needs {_listed(names)}.")
    unknown = next(name for name in row if name not in set(names))
    raise Refusal(
        400, f"Row {number} has '{unknown}', which is no feature; they are {_listed(names)}."
    )


def _explain(document: Any, model: ServedModel) -> None:
    """Say which value of which row is not a number, where the decoder can only say that one is."""
    listed = document if isinstance(document, list) else [document]
    allowed = (int, float) if model.missing == "error" else (int, float, type(None))
    for number, row in enumerate(listed, start=1):
        if not isinstance(row, dict):
            raise Refusal(
                400,
                f"Row {number} must be an object of names and numbers, such as "
                f'{{"{model.features[0].name}": 1.5}}, got {_shown(row)}.',
            )
        for name, value in row.items():
            if isinstance(value, bool) or not isinstance(value, allowed):
                raise Refusal(400, f"Row {number}, '{name}': {_shown(value)} is not a number.")


def _shown(value: Any) -> str:
    text = encode_json(value).decode()
    return text if len(text) <= 40 else f"{text[:40]}..."


def _listed(names: list[str]) -> str:
    shown = ", ".join(f"'{name}'" for name in names[:10])
    return shown if len(names) <= 10 else f"{shown} and {len(names) - 10} more"
