"""The application: finds what a request is for, has it answered, notes what came of it.

What came to all connections in one turn of the event loop is understood request by request, but
predicted in one call of the engine. Nothing waits for others to come. What takes longer than a
millisecond or two is answered in threads instead.
"""

import asyncio
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from time import perf_counter
from typing import Any, TypeAlias, cast

import numpy as np
from granian.rsgi import HTTPProtocol, ProtocolClosed, ProtocolError, Scope

from linexport._arrays import FloatArray
from linexport._asked import asked
from linexport.errors import ArtifactError, DataError, shortened
from linexport.serving._access import REQUEST_ID, Access
from linexport.serving._http import (
    CLIENT_LEFT,
    HEADER_LENGTH,
    Answer,
    Refusal,
    Sent,
    is_packed,
    too_large,
    unpacked,
)
from linexport.serving._log import Log
from linexport.serving._metrics import Metrics
from linexport.serving._models import ServedModel, changed_signature
from linexport.serving._routes import (
    LIVENESS,
    NOWHERE,
    Inference,
    Route,
    Routes,
    all_routes,
    unknown,
)
from linexport.serving._settings import Limits

_CLOSE = ("connection", "close")
_RETRY = ("retry-after", "1")

Predict: TypeAlias = Callable[[ServedModel, FloatArray], FloatArray]


class Application:
    """Serves models that may be replaced while it runs."""

    def __init__(
        self,
        models: Iterable[ServedModel],
        *,
        version: str,
        limits: Limits,
        log: Log,
        metrics: Metrics,
        access: Access | None = None,
        may_change: bool = False,
    ) -> None:
        """Take the models, the server's version, what it may take on, and who may ask.

        `may_change` lets a model be replaced by one with other columns under the same name.
        """
        self.limits = limits
        self.log = log
        self.metrics = metrics
        self.ready = True
        """Whether new requests are asked for; False once the server is to stop."""
        self.in_flight = 0
        """Requests to predict that are being read and answered."""
        self.loop: asyncio.AbstractEventLoop
        """In which requests are answered; set before the first. Python 3.11 asks the system for the
        process at each asyncio.get_running_loop, a tenth of what a small request takes."""
        self._access = access or Access()
        self._may_change = may_change
        self._version = version
        self._models: dict[str, ServedModel] = {}
        self._routes: Routes = {}
        self._gatherer = Gatherer(self._predicted)
        self._pool = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="answer")
        metrics.in_flight = lambda: self.in_flight
        self.serve_from_now_on(models)

    @property
    def versions(self) -> dict[str, str]:
        """What is served, by name."""
        return {model.name: model.version for model in self._models.values()}

    def require_same_signature(self, model: ServedModel) -> None:
        """Check that whoever asks the model that is there can ask its successor.

        Raises:
            ArtifactError: If columns, their order, targets or dtype differ.
        """
        old = self._models.get(model.name)
        changed = changed_signature(old, model) if old and not self._may_change else ""
        if changed:
            raise ArtifactError(
                f"{model.name}: the new model is asked otherwise: {changed}. Serve it under "
                f"another name, or start the server with {asked(allow_signature_change=True)}."
            )

    def serve_from_now_on(self, models: Iterable[ServedModel]) -> None:
        """Add models, or replace those of the same name; running requests keep theirs."""
        found = {model.name: model for model in models}
        for model in found.values():
            if model.coarse:
                self.log.event("coarse", model=model.name, reason=model.coarse)
        self._models |= found
        self._routes = all_routes(
            self._models.values(),
            version=self._version,
            limits=self.limits,
            ready=lambda: self.ready,
            metrics=self.metrics,
        )
        self.metrics.serving(self.versions)

    async def handle(self, scope: Scope, exchange: HTTPProtocol) -> None:
        """Answer one request (RSGI 1)."""
        started = perf_counter()
        headers, path = scope.headers, scope.path
        route = self._routes.get(path) or self._routes.get(path.rstrip("/")) or NOWHERE
        request_id = self._access.name(headers)
        try:
            asks_leave = self._access.preflight(headers) if scope.method == "OPTIONS" else None
            if asks_leave is None:
                self._access.check(scope, is_open=route.endpoint == LIVENESS)
            answer = asks_leave or await self._answered(scope, route, exchange)
        except Exception as error:
            answer = self._failed(path, error)
        told = [("content-type", answer.content_type), (REQUEST_ID, request_id)]
        told += [*answer.headers, *self._access.shared(headers)]
        if not self.ready or answer.status == 408:
            told.append(_CLOSE)
        # Who has ended only the sending half of the connection may still read.
        status = 400 if answer.status == CLIENT_LEFT else answer.status
        exchange.response_bytes(status, told, answer.body)
        seconds = perf_counter() - started
        self.metrics.request(
            route.endpoint, route.model, route.version, answer.status, answer.rows, seconds
        )
        self.log.request(scope, answer, request_id, seconds)
        if answer.status >= 400 or (route.method == "POST" and route.inference is None):
            await self._take_the_rest(exchange)

    async def _answered(self, scope: Scope, route: Route, exchange: HTTPProtocol) -> Answer:
        if scope.method != route.method:
            return self._refuse(route, scope.method, scope.path)
        if route.inference:
            return await self._predict(route.inference, scope, exchange)
        return route.show()

    async def _predict(self, inference: Inference, scope: Scope, exchange: HTTPProtocol) -> Answer:
        headers: Any = scope.headers
        if self.in_flight >= self.limits.requests:
            told = f"As many requests as the server takes at the same time, {self.in_flight}, are "
            raise Refusal(f"{told}being answered; try again.", 429, [_RETRY])
        self.in_flight += 1
        try:
            packed = headers.get("content-encoding") is not None
            packed = packed and is_packed(headers.get_all("content-encoding"))
            body = await self._read(headers, exchange)
            length = headers.get(HEADER_LENGTH)
            if length is not None:  # so what is said twice is not taken for the first
                length = ", ".join(headers.get_all(HEADER_LENGTH))
            sent = Sent(body, length, scope.query_string)
            if packed or len(body) > inference.small_bytes:
                return await self._in_thread(inference, sent, packed=packed)
            asked = inference.ask(sent)
            if self.in_flight == 1:  # a turn of the event loop would bring no other
                return asked.answer(self._predicted(inference.model, asked.features))
            gathered = self._gatherer.predict(inference.model, asked.features, self.loop)
            return asked.answer(await gathered)
        finally:
            self.in_flight -= 1

    async def _read(self, headers: Any, exchange: HTTPProtocol) -> bytes:
        """Read a body within its limits.

        Raises:
            Refusal: 408 or 413; 499 if the client leaves before it is whole.
        """
        announced = headers.get("content-length")
        if announced is not None and int(announced) > self.limits.body_bytes:
            raise too_large(self.limits.body_bytes)
        loop, seconds = self.loop, self.limits.client_seconds
        task, late = asyncio.current_task(loop), False
        assert task is not None

        def stop_waiting() -> None:
            nonlocal late
            late = task.cancel()

        timer = loop.call_later(seconds, stop_waiting)  # a third of what asyncio.timeout takes
        try:
            return await (_whole(exchange, self.limits) if announced is None else exchange())
        except asyncio.CancelledError:
            if not late:
                raise
            task.uncancel()
            raise Refusal(f"The request was not there within {seconds:g} s.", 408) from None
        except ProtocolClosed as error:
            told = "The connection ended before the request was whole."
            raise Refusal(told, CLIENT_LEFT) from error
        finally:
            timer.cancel()

    async def _in_thread(self, inference: Inference, sent: Sent, *, packed: bool) -> Answer:
        def answer() -> Answer:
            plain = sent
            if packed:
                plain = sent._replace(body=unpacked(sent.body, self.limits.body_bytes))
            asked = inference.ask(plain)
            return asked.answer(self._predicted(inference.model, asked.features))

        working = self.loop.run_in_executor(self._pool, answer)
        done, _ = await asyncio.wait((working,), timeout=self.limits.answer_seconds)
        if done:
            return working.result()
        self.in_flight += 1  # until it is done, though nobody waits for it any more
        working.add_done_callback(self._release)
        told = f"The answer was not there within {self.limits.answer_seconds:g} s, so busy is the "
        raise Refusal(f"{told}server; try again.", 503, [_RETRY])

    def _release(self, working: "asyncio.Future[Answer]") -> None:
        self.in_flight -= 1
        working.exception()  # is nobody's any more

    async def _take_the_rest(self, exchange: HTTPProtocol) -> None:
        """Let a client that is refused send on: one that cannot would not read why."""
        # ProtocolError: it was read. Where a client leaves as the time is over, granian's future
        # may say that it was cancelled, which nobody did; this is the last thing that is done.
        with suppress(ProtocolClosed, ProtocolError, TimeoutError, asyncio.CancelledError):
            async with asyncio.timeout(self.limits.client_seconds):
                async for _ in exchange:
                    pass

    def _predicted(self, model: ServedModel, features: FloatArray) -> FloatArray:
        return model.predictor.predict_array(
            features,
            missing=model.missing,
            report=lambda found: self.metrics.outside_range(model.name, found.num_rows),
        )

    def _failed(self, path: str, error: Exception) -> Answer:
        """Return what a client is told of an error; log one that is ours."""
        if isinstance(error, Refusal):
            return error.answer()
        if isinstance(error, DataError):
            return Refusal(str(error)).answer()
        self.log.failure(path, error)
        return Refusal("The server failed; its log says where.", 500).answer()

    def _refuse(self, route: Route, method: str, path: str) -> Answer:
        if route is NOWHERE:
            return unknown(path, self._models).answer()
        if method == "HEAD" and route.method == "GET":
            return route.show()
        message = f"This address takes {route.method}, not {shortened(method)}."
        return Refusal(message, 405, [("allow", route.method)]).answer()


class Gatherer:
    """Predicts in one call of the engine for what came in one turn of the event loop."""

    def __init__(self, predict: Predict) -> None:
        """Take what predicts (n, K) for features (n, D)."""
        self._predict = predict
        self._waiting: dict[ServedModel, list[tuple[FloatArray, asyncio.Future[FloatArray]]]] = {}

    def predict(
        self, model: ServedModel, features: FloatArray, loop: asyncio.AbstractEventLoop
    ) -> asyncio.Future[FloatArray]:
        """Return what will hold the predictions, (n, K), for features (n, D)."""
        if not self._waiting:
            loop.call_soon(self._predict_all)
        prediction: asyncio.Future[FloatArray] = loop.create_future()
        self._waiting.setdefault(model, []).append((features, prediction))
        return prediction

    def _predict_all(self) -> None:
        of_model, self._waiting = self._waiting, {}
        for model, waiting in of_model.items():
            self._answer(model, waiting)

    def _answer(
        self, model: ServedModel, waiting: list[tuple[FloatArray, asyncio.Future[FloatArray]]]
    ) -> None:
        asked = [features for features, _ in waiting]
        try:
            together = cast(FloatArray, np.concatenate(asked)) if len(asked) > 1 else asked[0]
            made = self._predict(model, together)
        except Exception as error:
            if len(waiting) > 1:  # whose it is, is found out by asking for each alone
                for one in waiting:
                    self._answer(model, [one])
            elif not waiting[0][1].done():
                waiting[0][1].set_exception(error)
            return
        end = 0
        for features, prediction in waiting:
            start, end = end, end + len(features)
            if not prediction.done():  # or else it is cancelled: nobody is there for it
                prediction.set_result(made[start:end])


async def _whole(exchange: HTTPProtocol, limits: Limits) -> bytes:
    """Read a body that comes in chunks, of which nothing says how many there are."""
    parts, size = [], 0
    async for part in exchange:
        size += len(part)
        if size > limits.body_bytes:
            raise too_large(limits.body_bytes)
        parts.append(part)
    return b"".join(parts)
