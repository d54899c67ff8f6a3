"""What the service counts, in Prometheus' text format.

Counters and histograms are kept as things happen; gauges are read from the service when somebody
asks. Labels are versions, stages and statuses: never a user, a tenant or a question.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ragdiag.records import Request

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Seconds; 0.2 is the usual target of p95."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One value of a gauge at the moment it is read."""

    name: str
    help: str
    value: float
    labels: tuple[tuple[str, str], ...] = ()


class Metrics:
    """``read`` gives the gauges."""

    def __init__(self, read: Callable[[], Iterable[Reading]]) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "ragdiag_requests",
            "Questions answered, or failed.",
            ("version", "traffic", "status", "degraded", "cache_hit"),
            registry=self._registry,
        )
        self._latency = Histogram(
            "ragdiag_stage_seconds",
            "Time by stage; total counts from arrival and holds answers from the cache too.",
            ("version", "stage"),
            buckets=BUCKETS,
            registry=self._registry,
        )
        self._refusals = Counter(
            "ragdiag_refusals",
            "Requests that were not taken, by HTTP status.",
            ("status",),
            registry=self._registry,
        )
        self._unmirrored = Counter(
            "ragdiag_shadows_left_out",
            "Questions that the shadow was too busy for.",
            registry=self._registry,
        )
        self._registry.register(_Gauges(read))

    def count(self, request: Request, version: str) -> None:
        """``version`` is its name."""
        degraded = str(request.degraded_reason is not None).lower()
        hit = str(request.cache_hit).lower()
        self._requests.labels(version, request.traffic, request.status, degraded, hit).inc()
        for stage, milliseconds in request.latency_ms.items():
            self._latency.labels(version, stage).observe(milliseconds / 1e3)

    def refuse(self, status: int) -> None:
        self._refusals.labels(str(status)).inc()

    def leave_out(self) -> None:
        self._unmirrored.inc()

    def text(self) -> bytes:
        return generate_latest(self._registry)


class _Gauges(Collector):
    def __init__(self, read: Callable[[], Iterable[Reading]]) -> None:
        self._read = read

    def describe(self) -> Iterable[Metric]:
        return ()  # so that registering does not read them

    def collect(self) -> Iterator[Metric]:
        families: dict[str, GaugeMetricFamily] = {}
        for one in self._read():
            names = [name for name, _ in one.labels]
            family = families.setdefault(
                one.name, GaugeMetricFamily(one.name, one.help, labels=names)
            )
            family.add_metric([value for _, value in one.labels], one.value)
        yield from families.values()
