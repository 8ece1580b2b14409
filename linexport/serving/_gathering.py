"""Small requests, answered together.

What came to all connections in one turn of the event loop is understood request by request, but
predicted in one call of the engine. Nothing waits for others to come: a request is delayed by what
came in the same turn, and by no more of that than `_budget` allows.
"""

from asyncio import AbstractEventLoop
from collections.abc import Callable, Sequence
from typing import NamedTuple

from linexport._arrays import FloatArray
from linexport.serving._budget import share
from linexport.serving._exchange import CLIENT_LEFT, Answer, Asked, Headers
from linexport.serving._routes import Inference, Route
from linexport.serving.models import ServedModel


class Small(NamedTuple):
    """A request that is there as a whole."""

    route: Route
    """Of an address that predicts."""
    inference: Inference
    """The route's."""
    path: str
    headers: Headers
    body: bytes
    started: float
    """By time.perf_counter."""
    send: Callable[[Answer], bool]
    """Sends the answer; returns False if the client has left."""


Failed = Callable[[str, Exception], Answer]
"""What the client is told, of the path that it asked and of what went wrong."""
Note = Callable[[Route, str, str, Answer, float], None]
"""Logs and counts: the route, the method, the path, the answer, and when the request began."""


class Gatherer:
    """Takes requests, and answers them in this turn of the event loop or the next."""

    def __init__(self, failed: Failed, note: Note) -> None:
        """Take what answers failures, and what notes each answer."""
        self._failed = failed
        self._note = note
        self._waiting: list[Small] = []
        self._taken = 0.0
        """Of the turn, by those that wait; 1 is all."""

    def add(self, request: Small, loop: AbstractEventLoop) -> None:
        """Have a request answered; the model that serves it now is the one that predicts.

        Its body has no more than the `most_bytes` of its inference.
        """
        taken = share(len(request.body), request.inference.most_bytes)
        if self._taken + taken > 1:
            self._answer_all()
        if not self._waiting:
            loop.call_soon(self._answer_all)
        self._waiting.append(request)
        self._taken += taken

    def _answer_all(self) -> None:
        waiting, self._waiting, self._taken = self._waiting, [], 0.0
        # A connection may have sent several: their answers go out in the same order.
        for request, answer in zip(waiting, self._answers(waiting), strict=True):
            sent = request.send(answer)
            noted = answer if sent else Answer(CLIENT_LEFT, b"")
            self._note(request.route, "POST", request.path, noted, request.started)

    def _answers(self, waiting: Sequence[Small]) -> list[Answer]:
        understood = [self._understand(request) for request in waiting]
        of_model: dict[ServedModel, list[Asked]] = {}
        for request, asked in zip(waiting, understood, strict=True):
            if isinstance(asked, Asked):
                of_model.setdefault(request.inference.model, []).append(asked)
        predictions = {
            model: iter(model.predict_each([asked.features for asked in together]))
            for model, together in of_model.items()
        }
        return [
            self._answer(request, asked, next(predictions[request.inference.model]))
            if isinstance(asked, Asked)
            else asked
            for request, asked in zip(waiting, understood, strict=True)
        ]

    def _understand(self, request: Small) -> Asked | Answer:
        try:
            return request.inference.ask(request.body, request.headers)
        except Exception as error:
            return self._failed(request.path, error)

    def _answer(self, request: Small, asked: Asked, prediction: FloatArray | Exception) -> Answer:
        if isinstance(prediction, Exception):
            return self._failed(request.path, prediction)
        try:
            return asked.answer(prediction)
        except Exception as error:
            return self._failed(request.path, error)
