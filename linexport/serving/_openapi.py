"""What OpenAPI says of the addresses, of which `_routes` has the list."""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from linexport.columns import Column
from linexport.encoding import CategoryColumn, DateColumn, EncodedColumn
from linexport.predicting import with_ends
from linexport.serving._http import HEADER_LENGTH, JSON, OCTETS
from linexport.serving._infer import datatype_of
from linexport.serving._models import ServedModel
from linexport.serving._request import DATATYPES, INPUT, OUTPUT, AnyRequest

if TYPE_CHECKING:
    from linexport.serving._routes import Route

MOST_COLUMNS = 100
"""Of a model that are described one by one; its metadata names all."""

Document = dict[str, Any]


def _object(**properties: Document) -> Document:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _array(items: Document) -> Document:
    return {"type": "array", "items": items}


def _answer(text: str, schema: Document, content_type: str = JSON) -> Document:
    return {"description": text, "content": {content_type: {"schema": schema}}}


_STRING, _BOOLEAN = {"type": "string"}, {"type": "boolean"}
_NUMBER, _NULLABLE = {"type": ["number", "boolean"]}, {"type": ["number", "boolean", "null"]}
_PREDICTION = {"type": ["number", "null"]}
_TENSOR = _object(
    name=_STRING, datatype={"enum": list(DATATYPES)}, shape=_array({"type": "integer"})
)
(_INFER,), _SCHEMAS = msgspec.json.schema_components(
    (AnyRequest,), ref_template="#/components/schemas/{name}"
)
_BYTES = {OCTETS: {"schema": {"type": "string", "format": "binary"}}}
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


def _get(summary: str, schema: Document, *statuses: str, kind: str = JSON) -> Document:
    """Describe an address that shows something, and the other answers that it may give."""
    refusals = {status: _REFUSALS[status] for status in ("400", "401", "405", *statuses)}
    return {"summary": summary, "responses": {"200": _answer("OK", schema, kind), **refusals}}


def _post(summary: str, request: Document, answer: Document) -> Document:
    return {
        "summary": summary,
        "requestBody": {"required": True, "content": {JSON: request}},
        "responses": {"200": _answer("OK", answer), **_REFUSALS},
    }


_READY = _object(live=_BOOLEAN, ready=_BOOLEAN)
_IN_INDEX = _array(_object(name=_STRING, version=_STRING, state=_STRING, reason=_STRING))
_STATISTICS = _object(model_stats=_array({"type": "object"}))
_CONFIGURATION = _object(name=_STRING, platform=_STRING, max_batch_size={"type": "integer"})
_TENSORS = {"inputs": _array(_TENSOR), "outputs": _array(_TENSOR)}
_MODEL = _object(name=_STRING, versions=_array(_STRING), platform=_STRING, **_TENSORS)

SERVER = _get(
    "The server: name, version, extensions.",
    _object(name=_STRING, version=_STRING, extensions=_array(_STRING)),
)
LIVE = _get("Whether the server lives.", _object(live=_BOOLEAN)) | {"security": []}
"""For everybody, whether or not there is a token."""
READY = _get("Whether it takes requests; 503 once it is to stop.", _READY)
READY["responses"]["503"] = _answer("It is to stop.", _READY)
METRICS = _get("Metrics for Prometheus.", _STRING, kind="text/plain")
OPENAPI = _get("This document.", {"type": "object"})
MODELS = _get("The models.", _object(models=_IN_INDEX))
INDEX = _get("The models, as Triton's.", _IN_INDEX)
ANSWERED = _get("What all models answered.", _STATISTICS)
NAMES = _get("The models' names.", _object(models=_array(_STRING)))
MODEL_READY = _get(
    "Whether the model takes requests.", _object(name=_STRING, ready=_BOOLEAN), "404"
)
CONFIGURATION = _get("Its configuration, as Triton's.", _CONFIGURATION, "404")
STATISTICS = _get("What it answered.", _STATISTICS, "404")


def document(routes: "Mapping[str, Route]", version: str) -> Document:
    """Return what openapi.json holds."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "linexport", "version": version},
        "security": [{}, {"token": []}],  # where the server is started with one
        "paths": {
            quote(path, safe="/:"): {route.method.lower(): route.operation}
            for path, route in routes.items()
        },
        "components": {
            "schemas": {"error": _object(error=_STRING), **_SCHEMAS},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def metadata(model: ServedModel) -> Document:
    """Describe the address that tells what a model is."""
    told = f"Version {model.version} of the model: tensors, columns, units, ranges."
    return _get(told, _MODEL, "404")


def instances(model: ServedModel) -> Document:
    """Describe the address that predicts by KServe's first protocol."""
    row, example, value = _row(model)
    numbers = [_typical(column) for column in model.predictor.features]
    listed = {**_array(value), "minItems": len(numbers), "maxItems": len(numbers)}
    request = {
        "schema": _object(instances={"oneOf": [_array(listed), _array(row)]}),
        "example": {"instances": [numbers if model.predictor.encoding is None else example]},
    }
    one = {"type": ["number", "null", "array"]}
    return _post(
        "Predict instances: lists of numbers, or named values.",
        request,
        _object(predictions=_array(one)),
    )


def rows(model: ServedModel) -> Document:
    """Describe the address that predicts rows of named values."""
    row, example, _ = _row(model)
    predicted = _predicted(model.predictor.target_names)
    described = _post(
        "Predict rows of named values, one or a list.",
        {"schema": {"oneOf": [row, _array(row)]}, "example": example},
        _object(model_name=_STRING, model_version=_STRING, rows=_array(predicted)),
    )
    return described | {"parameters": [_INTERVAL]}


def infer(model: ServedModel) -> Document:
    """Describe the address that predicts tensors, as JSON or binary."""
    features = model.predictor.features
    tensor = {
        "name": INPUT,
        "shape": [1, len(features)],
        "datatype": datatype_of(model),
        "data": [_typical(column) for column in features],
    }
    described = _post(
        f"Predict a tensor '{INPUT}', or one for each column, into '{OUTPUT}', as JSON or binary.",
        {"schema": _INFER, "example": {"inputs": [tensor]}},
        _object(model_name=_STRING, model_version=_STRING, outputs=_array(_TENSOR)),
    )
    described["requestBody"]["content"] |= _BYTES
    described["responses"]["200"]["content"] |= _BYTES
    return described | {"parameters": [_HEADER_LENGTH]}


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
