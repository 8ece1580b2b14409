"""What Prometheus is told. Labels take few values: no client can make new ones."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate

import prometheus_client
from prometheus_client import CollectorRegistry, Gauge, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from linexport.serving._exchange import Answer
from linexport.serving.models import ServedModel

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
)  # fmt: skip
"""From a row predicted in 0.2 ms to the time limits."""


@dataclass(slots=True)
class _Served:
    """What was answered at one endpoint of one model."""

    statuses: Counter[int] = field(default_factory=Counter)
    within: list[int] = field(default_factory=lambda: [0] * (len(_SECONDS) + 1))
    """Requests by the first of _SECONDS that they did not pass; the last passed all."""
    seconds: float = 0.0
    rows: int = 0


class _Requests(Collector):
    """Counts requests, for the event loop's thread alone.

    The client library's own counters take a lock each: together a tenth of what a row costs.
    """

    def __init__(self) -> None:
        self._served: dict[tuple[str, str], _Served] = {}

    def add(self, endpoint: str, model: str, status: int, rows: int, seconds: float) -> None:
        served = self._served.get((endpoint, model))
        if served is None:
            served = self._served[endpoint, model] = _Served()
        served.statuses[status] += 1
        served.within[bisect_left(_SECONDS, seconds)] += 1
        served.seconds += seconds
        served.rows += rows

    def collect(self) -> Iterator[Metric]:
        place = ["endpoint", "model"]
        requests = CounterMetricFamily(
            "linexport_requests", "Requests answered.", labels=[*place, "status"]
        )
        durations = HistogramMetricFamily(
            "linexport_request_duration_seconds", "From a request's headers to its answer.",
            labels=place,
        )  # fmt: skip
        rows: Counter[str] = Counter()
        bounds = [*map(str, _SECONDS), "+Inf"]
        for (endpoint, model), served in self._served.items():
            for status, number in served.statuses.items():
                requests.add_metric([endpoint, model, str(status)], number)
            buckets = list(zip(bounds, accumulate(served.within), strict=True))
            durations.add_metric([endpoint, model], buckets, served.seconds)
            rows[model] += served.rows
        predicted = CounterMetricFamily("linexport_rows", "Rows predicted.", labels=["model"])
        for model, number in rows.items():
            if model:
                predicted.add_metric([model], number)
        yield from (requests, durations, predicted)


class Metrics:
    """The metrics of one server, in a registry of their own."""

    def __init__(self, in_flight: Callable[[], int]) -> None:
        """Take what tells the number of requests being answered."""
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._requests = _Requests()
        self._registry.register(self._requests)
        self._info = Gauge(
            "linexport_model_info", "1 for the version that is served.", ["model", "version"],
            registry=self._registry,
        )  # fmt: skip
        self._loads = prometheus_client.Counter(
            "linexport_model_loads", "Models loaded, or not, by outcome.", ["model", "outcome"],
            registry=self._registry,
        )  # fmt: skip
        self._refused = prometheus_client.Counter(
            "linexport_refused_connections", "Connections beyond the limit.",
            registry=self._registry,
        )  # fmt: skip
        Gauge(
            "linexport_requests_in_flight", "Inference requests being answered.",
            registry=self._registry,
        ).set_function(in_flight)  # fmt: skip

    def request(self, endpoint: str, model: str, status: int, rows: int, seconds: float) -> None:
        """Count a request that was answered."""
        self._requests.add(endpoint, model, status, rows, seconds)

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
