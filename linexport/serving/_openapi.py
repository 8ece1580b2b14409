"""The addresses, described by OpenAPI."""

from collections.abc import Collection
from typing import Any
from urllib.parse import quote

import msgspec

from linexport.serving._http import HEADER_LENGTH
from linexport.serving._infer import (
    DATATYPES,
    INPUT,
    OUTPUT,
    InferRequest,
    datatype_of,
)
from linexport.serving._models import ServedModel

MOST_COLUMNS = 100
"""Of a model that are described one by one; its metadata names all."""
_ERRORS = {
    "400": "What was sent cannot be used; the sentence says what, where and what to do.",
    "404": "No such model or version.",
    "405": "The address takes another method.",
    "408": "The request did not arrive in time.",
    "413": "Too many rows or bytes, or values in the answer.",
    "415": "The body is compressed.",
    "429": "As many requests as the server takes are being answered; try again.",
    "503": "The answer could not be computed in time; try again.",
}

Document = dict[str, Any]


def _object(**properties: Document) -> Document:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _array(items: Document) -> Document:
    return {"type": "array", "items": items}


_STRING, _BOOLEAN, _INTEGER = {"type": "string"}, {"type": "boolean"}, {"type": "integer"}
_NUMBER, _PREDICTION = {"type": "number"}, {"type": ["number", "null"]}
_ERROR = _object(error=_STRING)
_SERVER = _object(name=_STRING, version=_STRING, extensions=_array(_STRING))
_LIVE = _object(live=_BOOLEAN)
_READY = _object(live=_BOOLEAN, ready=_BOOLEAN)
_MODEL_READY = _object(name=_STRING, ready=_BOOLEAN)
_TENSOR = _object(name=_STRING, datatype={"enum": list(DATATYPES)}, shape=_array(_INTEGER))
_MODEL = _object(
    name=_STRING,
    versions=_array(_STRING),
    platform=_STRING,
    inputs=_array(_TENSOR),
    outputs=_array(_TENSOR),
)
(_INFER,), _SCHEMAS = msgspec.json.schema_components(
    (InferRequest,), ref_template="#/components/schemas/{name}"
)
_BYTES = {"schema": {"type": "string", "format": "binary"}}
_HEADER_LENGTH = {
    "name": HEADER_LENGTH.title(),
    "in": "header",
    "description": "Bytes of the JSON object, where binary data follow it.",
    "schema": {"type": "integer", "minimum": 1},
}


def document(models: Collection[ServedModel], version: str) -> Document:
    """Return what openapi.json holds."""
    ready = _get("Whether it takes requests; 503 once it is to stop.", _READY)
    ready["get"]["responses"]["503"] = _answer("It is to stop.", _READY)
    paths = {
        "/v2": _get("The server: name, version, extensions.", _SERVER),
        "/v2/health/live": _get("Whether the server lives.", _LIVE),
        "/v2/health/ready": ready,
    }
    for model in models:
        name = f"/v2/models/{quote(model.name, safe='')}"
        paths |= _addresses(model, name) | _addresses(model, f"{name}/versions/{model.version}")
    paths["/metrics"] = _get("Metrics for Prometheus.", _STRING, "text/plain")
    return {
        "openapi": "3.1.0",
        "info": {"title": "linexport", "version": version},
        "paths": paths,
        "components": {"schemas": {"error": _ERROR, **_SCHEMAS}},
    }


def _addresses(model: ServedModel, base: str) -> Document:
    features = model.predictor.features
    tensor = {"name": INPUT, "shape": [1, len(features)], "datatype": datatype_of(model)}
    infer_example = {"inputs": [{**tensor, "data": [_typical(column) for column in features]}]}
    value = _NUMBER if model.missing == "error" else _PREDICTION
    row = {column.name: _typical(column) for column in features[:MOST_COLUMNS]}
    row_schema = {
        "type": "object",
        "properties": {c.name: _column(c, value) for c in features[:MOST_COLUMNS]},
        "required": list(row),
        "additionalProperties": len(row) < len(features),
    }
    return {
        base: _get_model(
            f"Version {model.version} of the model: tensors, columns, units, ranges.", _MODEL
        ),
        f"{base}/ready": _get_model("Whether the model takes requests.", _MODEL_READY),
        f"{base}/rows": _post(
            "Predict rows of named values, one or a list.",
            {"oneOf": [row_schema, _array(row_schema)]},
            row,
            _predicted(rows=_array(_targets(model))),
        ),
        f"{base}/infer": _post(
            f"Predict a tensor '{INPUT}' into '{OUTPUT}', as JSON or binary.",
            _INFER,
            infer_example,
            _predicted(outputs=_array(_TENSOR)),
            binary=True,
        ),
    }


def _typical(column: Any) -> float:
    """Return a value from the training range, to begin with."""
    value = column.mean if column.mean is not None else column.minimum
    return 0.0 if value is None else float(f"{value:.3g}")


def _column(column: Any, value: Document) -> Document:
    known = {"unit": column.unit, "trained from": column.minimum, "to": column.maximum}
    told = [f"{name} {number}" for name, number in known.items() if number not in ("", None)]
    return {**value, "description": ", ".join(told)}


def _targets(model: ServedModel) -> Document:
    shown = {column.name: _PREDICTION for column in model.predictor.targets[:MOST_COLUMNS]}
    return {**_object(**shown), "additionalProperties": len(shown) < len(model.predictor.targets)}


def _predicted(**answered: Document) -> Document:
    return _object(model_name=_STRING, model_version=_STRING, **answered)


def _answer(text: str, schema: Document, content_type: str = "application/json") -> Document:
    return {"description": text, "content": {content_type: {"schema": schema}}}


def _refusals(*statuses: str) -> Document:
    error = {"$ref": "#/components/schemas/error"}
    return {status: _answer(_ERRORS[status], error) for status in statuses}


def _get(summary: str, schema: Document, content_type: str = "application/json") -> Document:
    responses = {"200": _answer("OK", schema, content_type), **_refusals("405")}
    return {"get": {"summary": summary, "responses": responses}}


def _get_model(summary: str, schema: Document) -> Document:
    operation = _get(summary, schema)
    operation["get"]["responses"] |= _refusals("404")
    return operation


def _post(
    summary: str, schema: Document, example: Document, answer: Document, *, binary: bool = False
) -> Document:
    content: Document = {"application/json": {"schema": schema, "example": example}}
    answered = _answer("OK", answer)
    operation: Document = {
        "summary": summary,
        "requestBody": {"required": True, "content": content},
        "responses": {"200": answered, **_refusals(*_ERRORS)},
    }
    if binary:
        content["application/octet-stream"] = _BYTES
        answered["content"]["application/octet-stream"] = _BYTES
        operation["parameters"] = [_HEADER_LENGTH]
    return {"post": operation}
