"""A model whose predictions are known, and clients: one within the process, one process to ask."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from linexport.columns import Column
from linexport.model import LinearModel
from linexport.serving.application import Application
from linexport.serving.limits import Limits
from linexport.serving.log import Log
from linexport.serving.models import ServedModel


class NumPyRuntime:
    """weight @ features + bias; exact for the numbers that the tests use."""

    name = "numpy"
    version = np.__version__
    provider = "cpu"
    num_threads = 1

    def __init__(self, weight: Any, bias: Any, dtype: Any) -> None:
        self.structure = LinearModel(weight=np.array(weight, dtype), bias=np.array(bias, dtype))
        self.dtype = self.structure.dtype

    def predict(self, features):
        assert features.dtype == self.dtype
        with np.errstate(all="ignore"):
            return features @ self.structure.weight.T + self.structure.bias


def _model(name="flats", version="v1", dtype=np.float32, missing="error", bias=(0.5, -1)):
    """y = 2 a - 4 b + 0.5, z = a + b - 1."""
    return ServedModel(
        name=name,
        version=version,
        runtime=NumPyRuntime([[2, -4], [1, 1]], bias, dtype),
        features=(Column(name="a", unit="m", minimum=0.0, maximum=9.0), Column(name="b")),
        targets=(Column(name="y"), Column(name="z")),
        missing=missing,
    )


@dataclass(frozen=True)
class Response:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """The sentence of a refusal, which is all that it holds."""
        assert set(self.json) == {"error"}
        return self.json["error"]


@dataclass
class Client:
    """Asks an application as a server would, without one."""

    application: Application
    lines: list[dict[str, Any]] = field(default_factory=list)
    """What was logged."""

    async def ask(self, method, path, parts=(b"",), headers=(), state=None) -> Response:
        """Send a body in parts; None among them is a client that leaves."""
        messages = [
            {"type": "http.disconnect"}
            if part is None
            else {"type": "http.request", "body": part, "more_body": number < len(parts)}
            for number, part in enumerate(parts, start=1)
        ]
        sent: list[dict[str, Any]] = []

        async def receive():
            await asyncio.sleep(0)
            return messages.pop(0)

        async def send(message):
            sent.append(message)

        encoded = [(name.lower().encode(), str(value).encode()) for name, value in headers]
        scope = {"type": "http", "method": method, "path": path, "headers": encoded}
        await self.application(scope | {"state": state or {}}, receive, send)
        if not sent:
            return Response(0, {}, b"")
        start, body = sent
        received = {name.decode(): value.decode() for name, value in start["headers"]}
        assert received["content-length"] == str(len(body["body"]))
        return Response(start["status"], received, body["body"])

    def get(self, path: str, method: str = "GET") -> Response:
        return asyncio.run(self.ask(method, path))

    def post(self, path: str, body: Any, *headers: tuple[str, Any]) -> Response:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return asyncio.run(self.ask("POST", path, [data], headers))


@pytest.fixture
def make_model() -> Callable[..., ServedModel]:
    return _model


@pytest.fixture
def make_client() -> Callable[..., Client]:
    def make(*models, **limits) -> Client:
        lines: list[dict[str, Any]] = []
        log = Log(lambda line: lines.append(json.loads(line)))
        application = Application(
            models or [_model()], version="1.2", limits=Limits(**limits), log=log
        )
        return Client(application, lines)

    return make


@pytest.fixture
def client(make_client) -> Client:
    return make_client()
