"""The addresses, described by OpenAPI."""

from collections.abc import Collection, Sequence
from typing import Any
from urllib.parse import quote

import msgspec

from linexport.columns import Column
from linexport.encoding import CategoryColumn, DateColumn, EncodedColumn
from linexport.predicting import with_ends
from linexport.serving._http import HEADER_LENGTH
from linexport.serving._infer import datatype_of
from linexport.serving._models import ServedModel
from linexport.serving._request import DATATYPES, INPUT, OUTPUT, AnyRequest

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
_NUMBER, _NULLABLE = {"type": ["number", "boolean"]}, {"type": ["number", "boolean", "null"]}
_PREDICTION = {"type": ["number", "null"]}
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
    (AnyRequest,), ref_template="#/components/schemas/{name}"
)
_BYTES = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
_HEADER_LENGTH = {
    "name": HEADER_LENGTH.title(),
    "in": "header",
    "description": "Bytes of the JSON object, where binary data follow it.",
    "schema": {"type": "integer", "minimum": 1},
}
_INTERVAL = {
    "name": "interval",
    "in": "query",
    "description": "Probability with which the truth lies within the ends that are answered too.",
    "schema": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
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
_UNKNOWN = {"404": _REFUSALS["404"]}
_OPEN: Document = {"security": []}
"""For everybody, whether or not there is a token."""


def document(models: Collection[ServedModel], version: str) -> Document:
    """Return what openapi.json holds."""
    live = {"get": {**_get("Whether the server lives.", _answer("OK", _LIVE))["get"], **_OPEN}}
    stopping = {"503": _answer("It is to stop.", _READY)}
    ready = _get(
        "Whether it takes requests; 503 once it is to stop.", _answer("OK", _READY), stopping
    )
    listed = _get("The models.", _answer("OK", _object(models=_array(_IN_INDEX))))
    indexed = _get("The models, as Triton's.", _answer("OK", _array(_IN_INDEX)))
    paths = {
        "/v2": _get("The server: name, version, extensions.", _answer("OK", _SERVER)),
        **dict.fromkeys(("/v2/health/live", "/livez"), live),
        **dict.fromkeys(("/v2/health/ready", "/readyz"), ready),
        "/metrics": _get("Metrics for Prometheus.", _answer("OK", _STRING, "text/plain")),
        "/openapi.json": _get("This document.", _answer("OK", {"type": "object"})),
        "/v2/models": listed,
        "/v2/repository/index": {"post": indexed["get"]},
        "/v2/models/stats": _get("What all models answered.", _answer("OK", _STATISTICS)),
        "/v1/models": _get("The models' names.", _answer("OK", _object(models=_array(_STRING)))),
    }
    for model in models:
        name = quote(model.name, safe="")
        paths |= _first_protocol(model, f"/v1/models/{name}")
        for base in (f"/v2/models/{name}", f"/v2/models/{name}/versions/{model.version}"):
            paths |= _addresses(model, base)
    return {
        "openapi": "3.1.0",
        "info": {"title": "linexport", "version": version},
        "security": [{}, {"token": []}],  # where the server is started with one
        "paths": paths,
        "components": {
            "schemas": {"error": _object(error=_STRING), **_SCHEMAS},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _first_protocol(model: ServedModel, base: str) -> Document:
    """Describe the addresses of KServe's first protocol."""
    row, example, value = _row(model)
    numbers = [_typical(column) for column in model.predictor.features]
    listed = {**_array(value), "minItems": len(numbers), "maxItems": len(numbers)}
    request = {
        "schema": _object(instances={"oneOf": [_array(listed), _array(row)]}),
        "example": {"instances": [numbers if model.predictor.encoding is None else example]},
    }
    one = {"type": ["number", "null", "array"]}
    return {
        base: _get("Whether the model takes requests.", _answer("OK", _MODEL_READY), _UNKNOWN),
        f"{base}:predict": _post(
            "Predict instances: lists of numbers, or named values.",
            request,
            _object(predictions=_array(one)),
        ),
    }


def _addresses(model: ServedModel, base: str) -> Document:
    row, example, _ = _row(model)
    predicted = _predicted(model.predictor.target_names)
    rows = _post(
        "Predict rows of named values, one or a list.",
        {"schema": {"oneOf": [row, _array(row)]}, "example": example},
        _object(model_name=_STRING, model_version=_STRING, rows=_array(predicted)),
    )
    rows["post"]["parameters"] = [_INTERVAL]
    features = model.predictor.features
    tensor = {
        "name": INPUT,
        "shape": [1, len(features)],
        "datatype": datatype_of(model),
        "data": [_typical(column) for column in features],
    }
    infer = _post(
        f"Predict a tensor '{INPUT}', or one for each column, into '{OUTPUT}', as JSON or binary.",
        {"schema": _INFER, "example": {"inputs": [tensor]}},
        _object(model_name=_STRING, model_version=_STRING, outputs=_array(_TENSOR)),
    )
    infer["post"]["parameters"] = [_HEADER_LENGTH]
    infer["post"]["requestBody"]["content"] |= _BYTES
    infer["post"]["responses"]["200"]["content"] |= _BYTES
    described = {
        "": (f"Version {model.version} of the model: tensors, columns, units, ranges.", _MODEL),
        "/ready": ("Whether the model takes requests.", _MODEL_READY),
        "/config": ("Its configuration, as Triton's.", _CONFIGURATION),
        "/stats": ("What it answered.", _STATISTICS),
    }
    told = {
        f"{base}{end}": _get(summary, _answer("OK", schema), _UNKNOWN)
        for end, (summary, schema) in described.items()
    }
    return {**told, f"{base}/rows": rows, f"{base}/infer": infer}


def _predicted(targets: Sequence[str]) -> Document:
    """Describe a row of predictions, with the ends of their intervals where those are asked for."""
    row = _columns(targets, dict.fromkeys(targets, _PREDICTION))
    ends = dict.fromkeys(with_ends(row["required"]), _PREDICTION)
    return {**row, "properties": {**ends, **row["properties"]}}


def _row(model: ServedModel) -> tuple[Document, Document, Document]:
    """Return the schema and an example of a row of named values; and the schema of a feature."""
    value = _NUMBER if model.missing == "error" else _NULLABLE
    cells = _cells(model, value)
    row = _columns(cells, {name: schema for name, (schema, _) in cells.items()})
    return row, {name: cells[name][1] for name in row["required"]}, value


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
    return {**schema, **(value if column.fill is None else _NULLABLE)}, example


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
    refusals = {status: _REFUSALS[status] for status in ("400", "401", "405")}
    return {"get": {"summary": summary, "responses": {"200": answer, **refusals, **(others or {})}}}


def _post(summary: str, request: Document, answer: Document) -> Document:
    return {
        "post": {
            "summary": summary,
            "requestBody": {"required": True, "content": {"application/json": request}},
            "responses": {"200": _answer("OK", answer), **_REFUSALS},
        }
    }
