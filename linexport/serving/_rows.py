"""Rows as named values, as a person writes them: {"area": 54, "floor": 2}, or a list of such."""

import sys
from collections.abc import Sequence
from functools import partial
from typing import Any, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from linexport._arrays import FloatArray
from linexport.columns import listed
from linexport.errors import shortened
from linexport.predicting import side_by_side, with_ends
from linexport.serving._http import (
    ANYTHING,
    Answer,
    Asked,
    Refusal,
    Sent,
    decode,
    encode_json,
)
from linexport.serving._models import ServedModel
from linexport.serving._request import interval_around, query_level, require_rows
from linexport.serving._settings import Limits

_Numbers: TypeAlias = dict[str, float | bool | None]
_NUMBERS = msgspec.json.Decoder(_Numbers | list[_Numbers])
"""Truth values are 0 and 1, as the predictor has them."""
_Cells: TypeAlias = dict[str, float | str | bool | None]


class _Instances(msgspec.Struct):
    """KServe's first protocol; other fields, such as signature_name, do not matter."""

    instances: list[Any]


_INSTANCES = msgspec.json.Decoder(_Instances)
_CELLS = msgspec.json.Decoder(_Cells | list[_Cells])
"""Of a model that has an encoding: text may be a category or a date."""


def ask_rows(model: ServedModel, limits: Limits, sent: Sent) -> Asked:
    """Understand a request of named values.

    Raises:
        Refusal: 400 if it is malformed, 413 if it has too many rows.
        DataError: If its names are not those of the columns, or a value is not what they hold.
    """
    try:
        found: Any = decode(_NUMBERS if model.predictor.encoding is None else _CELLS, sent.body)
    except Refusal:
        _explain(decode(ANYTHING, sent.body), model)
        raise
    rows = found if isinstance(found, list) else [found]
    require_rows(len(rows), model, limits)
    features, level = model.predictor.from_rows(rows, source="rows"), query_level(model, sent.query)
    if level is not None:
        return Asked(features, partial(_with_intervals, model, features, level))
    return Asked(features, partial(_response, model))


def ask_instances(model: ServedModel, limits: Limits, sent: Sent) -> Asked:
    """Understand a request by KServe's first protocol: {"instances": [...]}.

    Each is a list of features in their order, or an object of named values.

    Raises:
        Refusal: 400 if it is malformed, 413 if it has too many rows.
        DataError: As `ask_rows`.
    """
    instances = decode(_INSTANCES, sent.body).instances
    require_rows(len(instances), model, limits)
    if all(isinstance(each, list) for each in instances):
        features = _matrix(instances, len(model.predictor.features))
    else:
        _explain(instances, model)
        features = model.predictor.from_rows(instances, source="instances")
    return Asked(features, partial(_predictions, instances))


def _matrix(instances: list[Any], num_features: int) -> FloatArray:
    for number, row in enumerate(instances, start=1):
        if len(row) != num_features:
            raise Refusal(
                f"Instance {number} has {len(row)} values; the model takes {num_features}."
            )
        for value in row:
            fault = _fault(value, may_be_text=False)
            if fault:
                raise Refusal(f"Instance {number}: {_shown(value)} is {fault}.")
    return np.array(instances, np.float64).reshape(len(instances), num_features)


def _predictions(instances: list[Any], prediction: FloatArray) -> Answer:
    """Answer one number for each, or a list of them where there are several targets."""
    rows = prediction[:, 0] if prediction.shape[1] == 1 else prediction
    return Answer(200, encode_json({"predictions": rows.tolist()}), rows=len(instances))


def row_bytes(model: ServedModel) -> int:
    """Return the fewest bytes that a row takes in a body: `"name":1,` for each, and braces."""
    return 2 + sum(len(encode_json(name)) + 3 for name in model.predictor.column_names)


def _response(model: ServedModel, prediction: FloatArray) -> Answer:
    return _named_rows(model, model.predictor.target_names, prediction)


def _with_intervals(
    model: ServedModel, features: FloatArray, level: float, prediction: FloatArray
) -> Answer:
    """Answer with each prediction and, beside it, the ends of its interval."""
    found = interval_around(model, prediction, features, level)
    return _named_rows(model, with_ends(model.predictor.target_names), side_by_side(found))


def _named_rows(model: ServedModel, names: Sequence[str], values: NDArray[Any]) -> Answer:
    answer = {
        "model_name": model.name,
        "model_version": model.version,
        "rows": [dict(zip(names, row, strict=True)) for row in values.tolist()],
    }
    return Answer(200, encode_json(answer), rows=len(values))


def _explain(document: Any, model: ServedModel) -> None:
    """Say which value of which row is not a number, where the decoder can only say that one is."""
    encoding = model.predictor.encoding
    texts = set() if encoding is None else {column.name for column in encoding.columns}
    what, names = "values" if texts else "numbers", model.predictor.column_names
    rows = document if isinstance(document, list) else [document]
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict):
            raise Refusal(
                f"Row {number} must be an object of names and {what}, such as "
                f'{{"{names[0]}": 1.5}}, got {_shown(row)}.',
            )
        for name, value in row.items():
            fault = _fault(value, may_be_text=name in texts)
            if fault and name not in names:
                raise Refusal(
                    f"Row {number}: '{shortened(name)}' is no feature; a row has {listed(names)}, "
                    "and several are a list."
                )
            if fault:
                told = f"Row {number}, '{shortened(name)}': {_shown(value)} is {fault}."
                raise Refusal(told)


def _fault(value: Any, *, may_be_text: bool) -> str | None:
    if may_be_text and isinstance(value, str):
        return None
    if not isinstance(value, int | float | None):  # truth values are int
        return "neither text nor a number" if may_be_text else "not a number"
    if isinstance(value, int) and abs(value) > sys.float_info.max:
        return "beyond the range of float64"
    return None


def _shown(value: Any) -> str:
    return shortened(encode_json(value).decode(), 40)
