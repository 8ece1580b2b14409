"""The addresses, described by OpenAPI and on a page that needs nothing from elsewhere."""

import html
from collections.abc import Iterator, Sequence
from typing import Any

from linexport.serving._exchange import Answer, encode_json
from linexport.serving._infer import DATATYPES, HEADER_LENGTH, INPUT, OUTPUT, datatype_of
from linexport.serving.models import ServedModel

MOST_COLUMNS = 100
"""Of a model that are described one by one; its metadata names all."""
_ERRORS = {
    "400": "What was sent cannot be used; the sentence says what, where and what to do.",
    "404": "No such model or version.",
    "405": "The address takes another method.",
    "408": "The request did not arrive in time.",
    "413": "Too many rows or bytes.",
    "415": "The body is compressed.",
    "429": "As many requests as the server takes are being answered; try again.",
    "503": "The answer could not be computed in time; try again.",
}
_ERROR = {"type": "object", "properties": {"error": {"type": "string"}}, "required": ["error"]}

_HEADER_LENGTH = {
    "name": HEADER_LENGTH.decode().title(),
    "in": "header",
    "description": "Bytes of the JSON object, where binary data follow it.",
    "schema": {"type": "integer", "minimum": 1},
}

Document = dict[str, Any]


def document(models: Sequence[ServedModel], version: str) -> Answer:
    """Return openapi.json."""
    return Answer(200, encode_json(_document(models, version)))


def page(models: Sequence[ServedModel], version: str) -> Answer:
    """Return the same as HTML, with commands to try."""
    lines = ["<!doctype html><html lang=en><meta charset=utf-8><title>linexport</title>"]
    lines += ["<style>body{font:1rem sans-serif;max-width:60em;margin:2em auto;padding:0 1em}"]
    lines += ["pre{background:#eee;padding:.7em;overflow:auto}</style>"]
    lines += ["<h1>linexport</h1><p>The Open Inference Protocol, version 2, and rows as named"]
    lines += ["values. For programs: <a href=openapi.json>openapi.json</a>.</p>"]
    lines += ["<p>Every address of a model exists with /versions/VERSION behind its name too.</p>"]
    for path, operations in _document(models, version)["paths"].items():
        if "/versions/" in path:
            continue
        for method, operation in operations.items():
            lines.append(f"<h2>{method.upper()} {html.escape(path)}</h2>")
            lines.append(f"<p>{html.escape(operation['summary'])}</p>")
            lines += _commands(path, operation)
    return Answer(200, "\n".join(lines).encode(), b"text/html; charset=utf-8")


def _commands(path: str, operation: Document) -> Iterator[str]:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content:
        body = encode_json(content["example"]).decode().replace("'", "\\u0027")
        yield f"<pre>curl -d '{html.escape(body)}' http://HOST:PORT{html.escape(path)}</pre>"


def _document(models: Sequence[ServedModel], version: str) -> Document:
    paths = {
        "/v2": _get("The server: name, version, extensions."),
        "/v2/health/live": _get("Whether the server lives."),
        "/v2/health/ready": _get("Whether it takes requests; 503 once it is to stop."),
    }
    for model in models:
        paths |= _model_paths(model)
    paths["/metrics"] = _get("Metrics for Prometheus.", "text/plain")
    return {
        "openapi": "3.1.0",
        "info": {"title": "linexport", "version": version},
        "paths": paths,
        "components": {"schemas": {"error": _ERROR}},
    }


def _model_paths(model: ServedModel) -> Document:
    name = f"/v2/models/{model.name}"
    return _addresses(model, name) | _addresses(model, f"{name}/versions/{model.version}")


def _addresses(model: ServedModel, base: str) -> Document:
    shape = [1, len(model.features)]
    infer_example = {
        "inputs": [
            {
                "name": INPUT,
                "shape": shape,
                "datatype": datatype_of(model),
                "data": [_typical(column) for column in model.features],
            }
        ]
    }
    row = {column.name: _typical(column) for column in model.features[:MOST_COLUMNS]}
    row_schema = {
        "type": "object",
        "properties": {c.name: _column(c) for c in model.features[:MOST_COLUMNS]},
        "required": list(row),
        "additionalProperties": len(row) < len(model.features),
    }
    return {
        base: _get(f"Version {model.version} of the model: tensors, columns, units, ranges."),
        f"{base}/ready": _get("Whether the model takes requests."),
        f"{base}/rows": _post(
            "Predict rows of named values, one or a list.",
            {"oneOf": [row_schema, {"type": "array", "items": row_schema}]},
            row,
        ),
        f"{base}/infer": _post(
            f"Predict a tensor '{INPUT}' into '{OUTPUT}', as JSON or binary.",
            _infer_schema(len(model.features)),
            infer_example,
            binary=True,
        ),
    }


def _infer_schema(num_features: int) -> Document:
    tensor = {
        "type": "object",
        "properties": {
            "name": {"const": INPUT},
            "shape": {"type": "array", "items": {"type": "integer"}},
            "datatype": {"enum": list(DATATYPES)},
            "data": {"type": "array", "description": f"Rows of {num_features} numbers, or flat."},
            "parameters": {"type": "object"},
        },
        "required": ["name", "shape", "datatype"],
    }
    return {
        "type": "object",
        "properties": {
            "id": {"type": "string"},
            "inputs": {"type": "array", "items": tensor, "minItems": 1, "maxItems": 1},
            "outputs": {"type": "array", "items": {"type": "object"}},
            "parameters": {"type": "object"},
        },
        "required": ["inputs"],
    }


def _typical(column: Any) -> float:
    """Return a value from the training range, to begin with."""
    value = column.mean if column.mean is not None else column.minimum
    return 0.0 if value is None else float(f"{value:.3g}")


def _column(column: Any) -> Document:
    known = {"unit": column.unit, "trained from": column.minimum, "to": column.maximum}
    told = [f"{name} {value}" for name, value in known.items() if value not in ("", None)]
    return {"type": "number", "description": ", ".join(told)}


def _get(summary: str, content_type: str = "application/json") -> Document:
    answers = {"200": {"description": "OK", "content": {content_type: {}}}}
    return {"get": {"summary": summary, "responses": answers}}


def _post(summary: str, schema: Document, example: Document, *, binary: bool = False) -> Document:
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/error"}}}
    refusals = {status: {"description": text, "content": error} for status, text in _ERRORS.items()}
    content: Document = {"application/json": {"schema": schema, "example": example}}
    operation: Document = {
        "summary": summary,
        "requestBody": {"required": True, "content": content},
        "responses": {"200": {"description": "OK"}, **refusals},
    }
    if binary:
        content["application/octet-stream"] = {"schema": {"type": "string", "format": "binary"}}
        operation["parameters"] = [_HEADER_LENGTH]
    return {"post": operation}
