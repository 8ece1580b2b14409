"""What Prometheus is told. Labels take few values: no client can make new ones."""

from collections.abc import Callable, Iterable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

from linexport.serving._exchange import Answer
from linexport.serving.models import ServedModel

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
)  # fmt: skip
"""From a row predicted in 0.2 ms to the time limits."""


class Metrics:
    """The metrics of one server, in a registry of their own."""

    def __init__(self, in_flight: Callable[[], int]) -> None:
        """Take what tells the number of requests being answered."""
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._requests = Counter(
            "linexport_requests", "Requests answered.", ["endpoint", "model", "status"],
            registry=self._registry,
        )  # fmt: skip
        self._seconds = Histogram(
            "linexport_request_duration_seconds", "From a request's headers to its answer.",
            ["endpoint", "model"], buckets=_SECONDS, registry=self._registry,
        )  # fmt: skip
        self._rows = Counter(
            "linexport_rows", "Rows predicted.", ["model"], registry=self._registry
        )
        self._info = Gauge(
            "linexport_model_info", "1 for the version that is served.", ["model", "version"],
            registry=self._registry,
        )  # fmt: skip
        self._loads = Counter(
            "linexport_model_loads", "Models loaded, or not, by outcome.", ["model", "outcome"],
            registry=self._registry,
        )  # fmt: skip
        self._refused = Counter(
            "linexport_refused_connections", "Connections beyond the limit.",
            registry=self._registry,
        )  # fmt: skip
        Gauge(
            "linexport_requests_in_flight", "Inference requests being answered.",
            registry=self._registry,
        ).set_function(in_flight)  # fmt: skip
        self._children: dict[tuple[str, str, int], tuple[Counter, Histogram, Counter]] = {}

    def request(self, endpoint: str, model: str, status: int, rows: int, seconds: float) -> None:
        """Count a request that was answered."""
        key = (endpoint, model, status)
        if key not in self._children:  # looking a child up by its labels costs more than counting
            self._children[key] = (
                self._requests.labels(endpoint, model, str(status)),
                self._seconds.labels(endpoint, model),
                self._rows.labels(model),
            )
        requests, durations, rows_of_model = self._children[key]
        requests.inc()
        durations.observe(seconds)
        if rows:
            rows_of_model.inc(rows)

    def loaded(self, model: str, *, succeeded: bool) -> None:
        """Count an attempt to load a model."""
        self._loads.labels(model, "loaded" if succeeded else "refused").inc()

    def serving(self, models: Iterable[ServedModel]) -> None:
        """State the versions that are served from now on."""
        self._info.clear()
        for model in models:
            self._info.labels(model.name, model.version).set(1)

    def refused_connection(self) -> None:
        """Count a connection that was turned away."""
        self._refused.inc()

    def page(self) -> Answer:
        """Return the text that Prometheus reads."""
        return Answer(200, generate_latest(self._registry), CONTENT_TYPE)
