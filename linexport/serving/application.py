"""The ASGI application: finds what a request is for, has it answered, notes what came of it."""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from time import perf_counter
from typing import Any
from urllib.parse import quote

from linexport.errors import DataError
from linexport.serving._exchange import CLIENT_LEFT, Answer, ClientLeftError, Refusal
from linexport.serving._gathering import Gatherer
from linexport.serving._metrics import Metrics
from linexport.serving._routes import NOWHERE, Route, Routes, model_routes, server_routes, unknown
from linexport.serving._workers import Receive, Scope, Workers
from linexport.serving.limits import Limits
from linexport.serving.log import Log
from linexport.serving.models import ServedModel

__all__ = ["Application"]

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Application:
    """Serves models that may be replaced while it runs."""

    def __init__(
        self, models: Iterable[ServedModel], *, version: str, limits: Limits, log: Log
    ) -> None:
        """Take the models, the server's version, and what it may take on."""
        self.limits = limits
        self.log = log
        self.ready = True
        """Whether new requests are asked for; False once the server is to stop."""
        self._version = version
        self.workers = Workers(limits)
        self.gatherer = Gatherer(self.failed, self.note)
        self.metrics = Metrics(lambda: self.in_flight)
        self._models: dict[str, ServedModel] = {}
        self._routes: Routes = {}
        self.serve_from_now_on(models)

    @property
    def in_flight(self) -> int:
        """Requests being read and answered."""
        return self.workers.in_flight

    @property
    def versions(self) -> dict[str, str]:
        """What is served, by name."""
        return {model.name: model.version for model in self._models.values()}

    def serve_from_now_on(self, models: Iterable[ServedModel]) -> None:
        """Add models, or replace those of the same name; running requests keep theirs."""
        self._models |= {model.name: model for model in models}
        served = list(self._models.values())
        routes = server_routes(served, version=self._version, ready=lambda: self.ready)
        routes["/metrics"] = Route("metrics", show=self.metrics.page)
        for model in served:
            routes |= model_routes(model, self.limits)
        self._routes = routes
        # By what a client has to write for a path (RFC 3986, section 2.1); that it may write it
        # in other ways is left to those requests that are not small.
        self._predicting = {
            quote(path).encode(): route for path, route in routes.items() if route.inference
        }
        self.metrics.serving(served)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI 3)."""
        started = perf_counter()
        method, path = scope["method"], scope["path"]
        route = self._routes.get(path) or self._routes.get(path.rstrip("/")) or NOWHERE
        try:
            if method != route.method:
                answer = self._refuse(route, method, path)
            elif route.inference:
                answer = await self.workers.answer(route.inference.answer, scope, receive)
            else:
                answer = route.show()
        except ClientLeftError:
            answer = Answer(CLIENT_LEFT, b"")
        except Exception as error:
            answer = self.failed(path, error)
        if answer.status != CLIENT_LEFT:
            await _send(answer, send)
        self.note(route, method, path, answer, started)

    def predicting(self, path: bytes) -> Route | None:
        """Return what answers a POST to an address as it stands in a request, if that predicts."""
        return self._predicting.get(path)

    def refusal(self, path: str, error: Exception) -> Refusal:
        """Return what a client is told of an error; log one that is ours."""
        if isinstance(error, Refusal):
            return error
        if isinstance(error, DataError):
            return Refusal(400, str(error))
        self.log.failure(path, error)
        return Refusal(500, "The server failed; its log says where.")

    def failed(self, path: str, error: Exception) -> Answer:
        """Return the same as an answer."""
        return self.refusal(path, error).answer()

    def note(self, route: Route, method: str, path: str, answer: Answer, started: float) -> None:
        """Log and count a request that was answered."""
        seconds = perf_counter() - started
        self.metrics.request(route.endpoint, route.model, answer.status, answer.rows, seconds)
        self.log.request(method, path, answer.status, answer.rows, seconds)

    def _refuse(self, route: Route, method: str, path: str) -> Answer:
        if route is NOWHERE:
            return unknown(path, self._models).answer()
        if method == "HEAD" and route.method == "GET":
            return route.show()
        allowed = (b"allow", route.method.encode())
        message = f"This address takes {route.method}, not {method}."
        return Refusal(405, message, [allowed]).answer()


async def _send(answer: Answer, send: Send) -> None:
    length = str(len(answer.body)).encode()
    headers = [(b"content-type", answer.content_type), (b"content-length", length)]
    headers += answer.headers
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
