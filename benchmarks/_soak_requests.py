"""Requests good and bad for the model of the textbook, and what is a right answer to each.

The model may be replaced by another meanwhile: an answer says which predicted it.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from email.message import Message
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from _servers import HEADER_LENGTH, Request, tensor_request
from numpy.typing import NDArray

import linexport
from linexport.numerics._bounds import FLOAT32, FLOAT64, Affine, rounding_error_bound
from linexport.numerics._forms import affine_of
from linexport.serving import Limits

BUNDLE = Path(__file__).parent.parent / "models" / "textbook"
INFER, ROWS = (f"/v2/models/{BUNDLE.name}/{verb}" for verb in ("infer", "rows"))
NAMES = ("x1", "x2")
MOST_BYTES, MOST_ROWS = Limits().body_bytes, Limits().rows

Rows = NDArray[np.float32]
Models = Mapping[str, Affine]
"""What each version means."""


def versions_of(*bundles: Path) -> Models:
    """Return what the bundles mean, by the version under which each is served."""
    return {
        sha256((path / "model.onnx").read_bytes()).hexdigest()[:16]: affine_of(
            linexport.read_bundle(path).model
        )
        for path in bundles
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """One kind of request."""

    status: int
    """That every answer must have."""
    path: str = INFER
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    method: str = "POST"
    rows: Rows | None = None
    """That must be predicted, where any must."""
    announced: bool = False
    """Whether the body stays unsent: the headers are enough to refuse it."""

    def check(
        self, status: int, headers: Message, body: bytes, models: Models, busy: Collection[int]
    ) -> None:
        """Raise AssertionError unless the answer is right; `busy` statuses are it too."""
        assert status in {self.status, *busy}, f"{status}, not {self.status}: {body[:200]!r}"
        if self.rows is not None and status == 200:
            version, predictions = _predictions(headers, body)
            require_near(predictions, self.rows, models[version])
        elif status >= 400:
            sentence = json.loads(body)["error"]
            assert sentence.endswith("."), f"no sentence: {sentence}"


def require_near(predictions: Rows, rows: Rows, meant: Affine) -> None:
    """Raise AssertionError unless every prediction is within the bound of the exact one."""
    features = rows.astype(np.float64)
    distance = np.abs(predictions.astype(np.float64).ravel() - meant.evaluate(features).ravel())
    of_answer, of_reference = (
        rounding_error_bound(features, meant, precision=precision).ravel()
        for precision in (FLOAT32, FLOAT64)
    )
    limit = of_answer + of_reference
    assert distance.shape == limit.shape, f"{distance.size} predictions of {len(rows)} rows"
    worst = int(np.argmax(distance - limit))
    assert (distance <= limit).all(), (
        f"row {worst} is predicted {distance[worst]} from the truth, and rounding explains "
        f"{limit[worst]}"
    )


def good_requests() -> dict[str, Kind]:
    """Return what is predicted; 5,000 rows are more than is answered on the event loop."""
    kinds = {}
    for num_rows in (1, 500, 5000):
        rows = np.random.default_rng(num_rows).normal(size=(num_rows, 2)).astype(np.float32)
        named: Any = [dict(zip(NAMES, row, strict=True)) for row in rows.tolist()]
        body = json.dumps(named if num_rows > 1 else named[0]).encode()
        kinds[f"{num_rows} named"] = Kind(status=200, path=ROWS, body=body, rows=rows)
        for form in ("json", "binary"):
            request = tensor_request(BUNDLE.name, rows, form)
            kinds[f"{num_rows} {form}"] = _kind(request, 200, rows=rows)
    return kinds


def bad_requests() -> dict[str, Kind]:
    """Return what is refused, and a look at whether the server lives."""
    rows = np.ones((2, 2), np.float32)
    binary = tensor_request(BUNDLE.name, rows, "binary")
    lacking = np.array([[1, 1], [1, np.nan]], np.float32)
    too_many = json.dumps({"inputs": [_tensor([MOST_ROWS + 1, 2], [])]}).encode()
    zeros = bytes(MOST_BYTES + 1)
    return {
        "healthy": Kind(status=200, path="/v2/health/live", method="GET"),
        "a name is missing": Kind(status=400, path=ROWS, body=b'{"x1": 1}'),
        "a name is unknown": Kind(status=400, path=ROWS, body=b'{"x1": 1, "x2": 2, "x3": 3}'),
        "NaN, named": Kind(status=400, path=ROWS, body=b'{"x1": 1, "x2": NaN}'),
        "NaN, binary": _kind(tensor_request(BUNDLE.name, lacking, "binary"), 400),
        "a wrong shape": _kind(
            tensor_request(BUNDLE.name, np.ones((1, 3), np.float32), "json"), 400
        ),
        "a wrong type": Kind(
            status=400, body=json.dumps({"inputs": [_tensor([1, 2], [1, "2"])]}).encode()
        ),
        "broken JSON": Kind(status=400, body=b'{"inputs": ['),
        "truncated binary": _kind(binary._replace(body=binary.body[:-1]), 400),
        "an unknown model": Kind(status=404, path="/v2/models/other/infer", body=b"{}"),
        "a wrong method": Kind(status=405, method="GET"),
        "too many rows": Kind(status=413, body=too_many),
        "a body too large, announced": Kind(
            status=413, headers={"Content-Length": str(len(zeros))}, announced=True
        ),
        "a body too large, sent": Kind(status=413, body=zeros),
        "a body too large, in chunks": Kind(
            status=413, headers={"Transfer-Encoding": "chunked"}, body=_chunk(zeros) + _chunk(b"")
        ),
    }


def _kind(request: Request, status: int, rows: Rows | None = None) -> Kind:
    path, headers, body = request
    return Kind(status=status, path=path, headers=headers, body=body, rows=rows)


def _chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def _tensor(shape: list[int], data: list[Any]) -> dict[str, Any]:
    return {"name": "features", "shape": shape, "datatype": "FP32", "data": data}


def _predictions(headers: Message, body: bytes) -> tuple[str, Rows]:
    """Return which version predicted what."""
    length = headers.get(HEADER_LENGTH)
    answer = json.loads(body[: len(body) if length is None else int(length)])
    if length is not None:
        found = np.frombuffer(body[int(length) :], "<f4")
    elif "rows" in answer:
        found = np.array([row["y"] for row in answer["rows"]], np.float32)
    else:
        found = np.array(answer["outputs"][0]["data"], np.float32)
    return answer["model_version"], found
