"""What Prometheus is told. Labels take few values: no client can make new ones."""

import asyncio
import os
import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import accumulate
from pathlib import Path
from time import time
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from linexport.serving._http import Answer

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PREDICTING = ("infer", "rows", "predict")
"""Endpoints that answer with predictions."""
SHARE_SECONDS = 0.5
"""Scrapes are many seconds apart; a file of a few kilobytes takes 0.1 ms to write."""
_SECONDS = (
    0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1,
)  # fmt: skip
"""From a row predicted in 50 us on; what takes longer than a second is seen as such."""


class _Served(msgspec.Struct):
    """What was answered at one endpoint of one model."""

    statuses: Counter[int] = msgspec.field(default_factory=Counter)
    within: list[int] = msgspec.field(default_factory=lambda: [0] * (len(_SECONDS) + 1))
    """Requests by the first of _SECONDS that they did not pass; the last passed all."""
    seconds: float = 0.0
    rows: int = 0
    last: float = 0.0
    """When the last of them was answered, in seconds since 1970."""


class _Counts(msgspec.Struct):
    """What one process counted: requests and loads in the event loop's thread alone.

    The client library's own counters take a lock each: together a tenth of what a row costs.
    """

    processes: list[int] = []
    served: dict[tuple[str, str, str], _Served] = {}
    """By endpoint, model and version."""
    loads: Counter[tuple[str, str]] = msgspec.field(default_factory=Counter)
    """By model and outcome."""
    refused: dict[str, str] = {}
    """Why a model's last attempt to load failed, by model."""
    outside: Counter[str] = msgspec.field(default_factory=Counter)
    """Rows outside the training range, by model."""
    versions: dict[str, str] = {}
    in_flight: int = 0


_decode_counts = msgspec.msgpack.Decoder(_Counts, dec_hook=lambda _, plain: Counter(plain)).decode


class Metrics(Collector):
    """The metrics of one server, of which several processes may be a part.

    Each writes what it counted into a directory that they share; whoever is asked adds it up. What
    the others count is there within SHARE_SECONDS.
    """

    def __init__(self, shared: Path | None = None) -> None:
        """Take the directory; None if this is the only process."""
        self.in_flight: Callable[[], int] = int
        """Tells the number of requests being answered."""
        self._counts = _Counts(processes=[os.getpid()])
        self._lock = threading.Lock()
        self._shared = shared
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def request(
        self, endpoint: str, model: str, version: str, status: int, rows: int, seconds: float
    ) -> None:
        """Count a request that was answered."""
        served = self._counts.served.get((endpoint, model, version))
        if served is None:
            served = self._counts.served[endpoint, model, version] = _Served()
        served.last = time()
        served.statuses[status] += 1
        served.within[bisect_left(_SECONDS, seconds)] += 1
        served.seconds += seconds
        served.rows += rows

    def outside_range(self, model: str, rows: int) -> None:
        """Count rows outside the training range that were predicted all the same."""
        with self._lock:  # large requests are predicted in threads
            self._counts.outside[model] += rows

    def loaded(self, model: str, refusal: str = "") -> None:
        """Count an attempt to load a model; the reason, where it was refused."""
        self._counts.loads[model, "refused" if refusal else "loaded"] += 1
        self._counts.refused.pop(model, None)
        if refusal:
            self._counts.refused[model] = refusal

    @property
    def refused(self) -> Mapping[str, str]:
        """Why a model's last attempt to load failed, by model."""
        return self._counts.refused

    def statistics(self, model: str, version: str) -> dict[str, object]:
        """Return what Triton's clients ask of one version, over all processes."""
        total = _total([self._now(), *self._others()])
        served = [
            s for (e, *of), s in total.served.items() if e in PREDICTING and of == [model, version]
        ]
        done = sum(each.statuses[200] for each in served)
        asked = sum(sum(each.statuses.values()) for each in served)
        nanoseconds = int(1e9 * sum(each.seconds for each in served))
        return {
            "name": model,
            "version": version,
            "last_inference": int(1000 * max((each.last for each in served), default=0.0)),
            "inference_count": sum(each.rows for each in served),
            "execution_count": done,
            "inference_stats": {
                "success": {"count": done, "ns": nanoseconds * done // max(asked, 1)},
                "fail": {
                    "count": asked - done,
                    "ns": nanoseconds * (asked - done) // max(asked, 1),
                },
            },
        }

    def serving(self, versions: Mapping[str, str]) -> None:
        """State the versions that are served from now on, by model."""
        self._counts.versions = dict(versions)

    async def share_for_ever(self) -> None:
        """Tell the other processes what was counted here, time and again."""
        while self._shared is not None:
            self._share(self._shared)
            await asyncio.sleep(SHARE_SECONDS)

    def _share(self, shared: Path) -> None:
        fresh = shared / f".{os.getpid()}"
        fresh.write_bytes(msgspec.msgpack.encode(self._now()))
        fresh.replace(shared / str(os.getpid()))

    def page(self) -> Answer:
        """Return the text that Prometheus reads."""
        return Answer(200, generate_latest(self._registry), CONTENT_TYPE)

    def collect(self) -> Iterator[Metric]:
        """Yield everything, summed over the processes."""
        counts = [self._now(), *self._others()]
        total = _total(counts)
        yield from _requests(total.served)
        yield _counter(
            "linexport_rows_outside_range", "Predicted rows outside the training range.",
            ["model"], {(model,): rows for model, rows in total.outside.items()},
        )  # fmt: skip
        yield _counter(
            "linexport_model_loads", "Models loaded, or not, by outcome.",
            ["model", "outcome"], total.loads,
        )  # fmt: skip
        refused = GaugeMetricFamily(
            "linexport_model_refused", "1 where the last attempt to load a model was refused.",
            labels=["model"],
        )  # fmt: skip
        for model in sorted({name for part in counts for name in part.refused}):
            refused.add_metric([model], 1)
        yield refused
        info = GaugeMetricFamily(
            "linexport_model_info", "1 for the version that is served.",
            labels=["model", "version"],
        )  # fmt: skip
        # A moment after models were loaded anew, one process may still serve what was there.
        for served in sorted({pair for part in counts for pair in part.versions.items()}):
            info.add_metric(served, 1)
        yield info
        yield GaugeMetricFamily(
            "linexport_requests_in_flight", "Inference requests being answered.", total.in_flight
        )
        yield from _processes(total.processes)

    def _now(self) -> _Counts:
        self._counts.in_flight = self.in_flight()
        return self._counts

    def _others(self) -> Iterator[_Counts]:
        for path in self._shared.glob("[0-9]*") if self._shared else ():
            if path.name != str(os.getpid()):
                with suppress(OSError):
                    yield _decode_counts(path.read_bytes())


def _total(counts: Iterable[_Counts]) -> _Counts:
    total = _Counts()
    for part in counts:
        total.processes += part.processes
        total.in_flight += part.in_flight
        total.loads.update(part.loads)
        total.outside.update(part.outside)
        for place, served in part.served.items():
            summed = total.served.setdefault(place, _Served())
            summed.statuses.update(served.statuses)
            summed.within = [a + b for a, b in zip(summed.within, served.within, strict=True)]
            summed.seconds += served.seconds
            summed.last = max(summed.last, served.last)
            summed.rows += served.rows
    return total


def _requests(table: Mapping[tuple[str, str, str], _Served]) -> Iterator[Metric]:
    place = ["endpoint", "model", "version"]
    durations = HistogramMetricFamily(
        "linexport_request_duration_seconds", "From a request's headers to its answer.",
        labels=place,
    )  # fmt: skip
    requests: dict[tuple[str, ...], int] = {}
    rows: Counter[tuple[str]] = Counter()
    bounds = [*map(str, _SECONDS), "+Inf"]
    for (endpoint, model, version), served in table.items():
        for status, number in served.statuses.items():
            requests[endpoint, model, version, str(status)] = number
        buckets = list(zip(bounds, accumulate(served.within), strict=True))
        durations.add_metric([endpoint, model, version], buckets, served.seconds)
        if model:
            rows[(model,)] += served.rows
    yield _counter("linexport_requests", "Requests answered.", [*place, "status"], requests)
    yield durations
    yield _counter("linexport_rows", "Rows predicted.", ["model"], rows)


def _counter(name: str, said: str, labels: Sequence[str], values: Mapping[Any, int]) -> Metric:
    family = CounterMetricFamily(name, said, labels=labels)
    for place, value in values.items():
        family.add_metric(place, value)
    return family


def _processes(pids: Iterable[int]) -> Iterator[Metric]:
    """Yield processor time, memory and files of all processes, and when the first of them began."""
    found = (ProcessCollector(pid=pid.__int__, registry=None).collect() for pid in pids)
    for families in zip(*filter(None, map(list, found)), strict=True):
        values = [family.samples[0].value for family in families]
        value = min(values) if "start_time" in families[0].name else sum(values)
        families[0].samples = [families[0].samples[0]._replace(value=value)]
        yield families[0]
