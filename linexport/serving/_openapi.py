"""The addresses, described by OpenAPI."""

from collections.abc import Collection
from typing import Any
from urllib.parse import quote

import msgspec

from linexport.columns import Column
from linexport.encoding import CategoryColumn, DateColumn, EncodedColumn
from linexport.serving._http import HEADER_LENGTH
from linexport.serving._infer import datatype_of
from linexport.serving._models import ServedModel
from linexport.serving._request import DATATYPES, INPUT, OUTPUT, InferRequest

MOST_COLUMNS = 100
"""Of a model that are described one by one; its metadata names all."""

Document = dict[str, Any]


def _object(**properties: Document) -> Document:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _array(items: Document) -> Document:
    return {"type": "array", "items": items}


def _answer(text: str, schema: Document, content_type: str = "application/json") -> Document:
    return {"description": text, "content": {content_type: {"schema": schema}}}


_STRING, _BOOLEAN = {"type": "string"}, {"type": "boolean"}
_NUMBER, _PREDICTION = {"type": "number"}, {"type": ["number", "null"]}
_SERVER = _object(name=_STRING, version=_STRING, extensions=_array(_STRING))
_LIVE = _object(live=_BOOLEAN)
_READY = _object(live=_BOOLEAN, ready=_BOOLEAN)
_MODEL_READY = _object(name=_STRING, ready=_BOOLEAN)
_TENSOR = _object(
    name=_STRING, datatype={"enum": list(DATATYPES)}, shape=_array({"type": "integer"})
)
_TENSORS = {"inputs": _array(_TENSOR), "outputs": _array(_TENSOR)}
_IN_INDEX = _object(name=_STRING, version=_STRING, state=_STRING, reason=_STRING)
_STATISTICS = _object(model_stats=_array({"type": "object"}))
_CONFIGURATION = _object(name=_STRING, platform=_STRING, max_batch_size={"type": "integer"})
_MODEL = _object(name=_STRING, versions=_array(_STRING), platform=_STRING, **_TENSORS)
(_INFER,), _SCHEMAS = msgspec.json.schema_components(
    (InferRequest,), ref_template="#/components/schemas/{name}"
)
_BYTES = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
_HEADER_LENGTH = {
    "name": HEADER_LENGTH.title(),
    "in": "header",
    "description": "Bytes of the JSON object, where binary data follow it.",
    "schema": {"type": "integer", "minimum": 1},
}
_REFUSALS = {
    status: _answer(said, {"$ref": "#/components/schemas/error"})
    for status, said in {
        "400": "What was sent cannot be used; the sentence says what, where and what to do.",
        "404": "No such model or version.",
        "405": "The address takes another method.",
        "408": "The request did not arrive in time.",
        "413": "Too many rows or bytes, or values in the answer.",
        "401": "The server wants a token.",
        "415": "The body is compressed otherwise than by gzip or deflate.",
        "429": "As many requests as the server takes are being answered; try again.",
        "503": "The answer could not be computed in time; try again.",
    }.items()
}


def document(models: Collection[ServedModel], version: str) -> Document:
    """Return what openapi.json holds."""
    paths = {
        "/v2": _get("The server: name, version, extensions.", _answer("OK", _SERVER)),
        "/v2/health/live": _get("Whether the server lives.", _answer("OK", _LIVE)),
        "/v2/health/ready": _get(
            "Whether it takes requests; 503 once it is to stop.",
            _answer("OK", _READY),
            {"503": _answer("It is to stop.", _READY)},
        ),
        "/metrics": _get("Metrics for Prometheus.", _answer("OK", _STRING, "text/plain")),
        "/v2/models": _get("The models.", _answer("OK", _object(models=_array(_IN_INDEX)))),
        "/v2/models/stats": _get("What all models answered.", _answer("OK", _STATISTICS)),
        "/v1/models": _get("The models' names.", _answer("OK", _object(models=_array(_STRING)))),
    }
    unknown = {"404": _REFUSALS["404"]}
    for model in models:
        name = f"/v2/models/{quote(model.name, safe='')}"
        paths |= {
            f"{name}/config": _get(
                "Its configuration, as Triton's.", _answer("OK", _CONFIGURATION), unknown
            ),
            f"{name}/stats": _get("What it answered.", _answer("OK", _STATISTICS), unknown),
        }
        for base in (name, f"{name}/versions/{model.version}"):
            paths |= _addresses(model, base)
    return {
        "openapi": "3.1.0",
        "info": {"title": "linexport", "version": version},
        "paths": paths,
        "components": {"schemas": {"error": _object(error=_STRING), **_SCHEMAS}},
    }


def _addresses(model: ServedModel, base: str) -> Document:
    features, targets = model.predictor.features, model.predictor.targets
    value = _NUMBER if model.missing == "error" else _PREDICTION
    cells = _cells(model, value)
    row = _columns(cells, {name: schema for name, (schema, _) in cells.items()})
    predicted = _columns(targets, {column.name: _PREDICTION for column in targets})
    typical = [_typical(column) for column in features]
    rows = {
        "schema": {"oneOf": [row, _array(row)]},
        "example": {name: cells[name][1] for name in row["required"]},
    }
    tensor = {
        "name": INPUT,
        "shape": [1, len(features)],
        "datatype": datatype_of(model),
        "data": typical,
    }
    infer = _post(
        f"Predict a tensor '{INPUT}' into '{OUTPUT}', as JSON or binary.",
        {"schema": _INFER, "example": {"inputs": [tensor]}},
        _array(_TENSOR),
        "outputs",
    )
    infer["post"]["parameters"] = [_HEADER_LENGTH]
    infer["post"]["requestBody"]["content"] |= _BYTES
    infer["post"]["responses"]["200"]["content"] |= _BYTES
    unknown = {"404": _REFUSALS["404"]}
    return {
        base: _get(
            f"Version {model.version} of the model: tensors, columns, units, ranges.",
            _answer("OK", _MODEL),
            unknown,
        ),
        f"{base}/ready": _get(
            "Whether the model takes requests.", _answer("OK", _MODEL_READY), unknown
        ),
        f"{base}/rows": _post(
            "Predict rows of named values, one or a list.", rows, _array(predicted), "rows"
        ),
        f"{base}/infer": infer,
    }


def _cells(model: ServedModel, value: Document) -> dict[str, tuple[Document, object]]:
    """Return the schema and an example of each value that a row of named values has."""
    predictor = model.predictor
    described = {column.name: column for column in predictor.features}
    cells: dict[str, tuple[Document, object]] = {
        name: (_described(column, value), _typical(column)) for name, column in described.items()
    }
    if predictor.encoding is None:
        return cells
    return {c.name: _encoded(c, cells, value) for c in predictor.encoding.columns}


def _encoded(
    column: EncodedColumn, numbers: dict[str, tuple[Document, object]], value: Document
) -> tuple[Document, object]:
    """Describe a value of a table's column; as a number it is described already."""
    if isinstance(column, CategoryColumn):
        kinds = {"type": ["string", "number", "boolean", "null"]}
        levels = ", ".join(column.levels[:MOST_COLUMNS])
        return {**kinds, "description": f"one of {levels}"}, column.levels[0]
    if isinstance(column, DateColumn):
        return {"type": ["string", "null"], "description": "a date or time"}, column.origin
    schema, example = numbers[column.name]
    return {**schema, **(value if column.fill is None else _PREDICTION)}, example


def _columns(columns: Collection[object], shown: Document) -> Document:
    """Describe a row of named values, whose first columns are described one by one."""
    first = dict(list(shown.items())[:MOST_COLUMNS])
    return {**_object(**first), "additionalProperties": len(first) < len(columns)}


def _typical(column: Column) -> float:
    """Return a value from the training range, to begin with."""
    value = column.mean if column.mean is not None else column.minimum
    return 0.0 if value is None else float(f"{value:.3g}")


def _described(column: Column, value: Document) -> Document:
    known = {"unit": column.unit, "trained from": column.minimum, "to": column.maximum}
    told = [f"{name} {number}" for name, number in known.items() if number not in ("", None)]
    return {**value, "description": ", ".join(told)}


def _get(summary: str, answer: Document, others: Document | None = None) -> Document:
    responses = {"200": answer, "405": _REFUSALS["405"], **(others or {})}
    return {"get": {"summary": summary, "responses": responses}}


def _post(summary: str, request: Document, predicted: Document, name: str) -> Document:
    answer = _object(model_name=_STRING, model_version=_STRING, **{name: predicted})
    return {
        "post": {
            "summary": summary,
            "requestBody": {"required": True, "content": {"application/json": request}},
            "responses": {"200": _answer("OK", answer), **_REFUSALS},
        }
    }
