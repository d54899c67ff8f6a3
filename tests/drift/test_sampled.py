"""A sampled log says of all requests what all of them say, and says how sure it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from ragdiag.drift.latency import stage_quantiles
from ragdiag.drift.week import week_report
from ragdiag.drift.weekly import ALL, estimates, weekly_cells
from ragdiag.instrumentation.sampling import Sampler, Sampling
from ragdiag.records import DEFAULT_GRADER, Diagnosis, Feedback, Grade, Request
from ragdiag.settings import Workspace
from ragdiag.store import latency_trends
from ragdiag.store.ingest import ingest
from ragdiag.store.lake import Lake, close_lakes, open_lake
from ragdiag.store.queries import Filters, inventory
from ragdiag.store.results import save_findings
from ragdiag.store.spool import SpoolWriter
from ragdiag.store.trends import failing_segments

N = 4_000
MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
EVERY = Filters(traffic="production")
WRONG_OF_SLOW, WRONG_OF_REST = 0.6, 0.1


@dataclass(frozen=True)
class Sampled:
    """A lake of what was logged, and the truth about all requests."""

    lake: Lake
    correct: float
    declined: float
    p95: float
    thumbs_up: float
    by_topic: dict[str, float]


def every_request(chance: np.random.Generator) -> Iterator[tuple[Request, int, Feedback | None]]:
    """A request, its Y, and its thumb; slow ones are wrong more often, and wrong ones disliked."""
    for n in range(N):
        ms = float(100 * np.exp(0.7 * chance.standard_normal()))
        y = int(chance.random() >= (WRONG_OF_SLOW if ms > 250 else WRONG_OF_REST))
        request = Request(
            f"r{n:04}",
            MONDAY + timedelta(minutes=n),
            "v1",
            "production",
            "q?",
            topic="slow" if ms > 250 else "fast",
            status="no_answer" if chance.random() < 0.1 else "ok",
            latency_ms={"total": ms},
        )
        said = None
        if chance.random() < 0.3:
            value = 1 if y else -1
            said = Feedback(f"f{n}", request.request_id, request.asked_at, "thumbs", value)
        yield request, y, said


@pytest.fixture(scope="module")
def sampled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sampled]:
    everything = list(every_request(np.random.default_rng(11)))
    workspace = Workspace(tmp_path_factory.mktemp("sampled") / "workspace")
    lake = open_lake(workspace, create=True)
    sampler = Sampler(Sampling(rate=0.2, slow_ms=250, remember=50))
    grades = {}
    with SpoolWriter(workspace) as spool:

        def keep(request: Request | None) -> None:
            if request is not None:
                spool.write(request)
                grades[request.request_id] = Grade(request.request_id, DEFAULT_GRADER, None)

        for request, _, said in everything:
            keep(sampler.choose(request, thumbs_down=False))
            if said is not None and said.value < 0:
                keep(sampler.recall(request.request_id))
                said = replace(said, certain=sampler.is_certain(request.request_id))
            if said is not None:
                spool.write(said)
    ingest(lake, workspace)
    known = {request.request_id: y for request, y, _ in everything}
    save_findings(
        lake,
        grades=[replace(grade, y=known[name]) for name, grade in grades.items()],
        diagnoses=[
            Diagnosis(name, "in_context", "generator", "", "C", {})
            for name in grades
            if known[name] == 0
        ],
    )
    thumbs = [said.value for _, _, said in everything if said is not None]
    topics = {
        topic: [y for request, y, _ in everything if request.topic == topic]
        for topic in ("slow", "fast")
    }
    yield Sampled(
        lake,
        correct=float(np.mean(list(known.values()))),
        declined=float(np.mean([r.status == "no_answer" for r, _, _ in everything])),
        p95=float(np.quantile([r.latency_ms["total"] for r, _, _ in everything], 0.95)),
        thumbs_up=float(np.mean(np.array(thumbs) > 0)),
        by_topic={topic: 1 - float(np.mean(ys)) for topic, ys in topics.items()},
    )
    close_lakes(workspace)


def test_rates_and_quantiles_are_those_of_all_requests(sampled: Sampled) -> None:
    held = inventory(sampled.lake)
    assert held["requests"] < N / 2
    assert held["meant"] == pytest.approx(N, rel=0.05)
    cells = weekly_cells(sampled.lake, EVERY)
    for metric, truth in (
        ("correct", sampled.correct),
        ("no_answer", sampled.declined),
        ("thumbs_up", sampled.thumbs_up),
        ("p95", sampled.p95),
    ):
        ((_, found),) = estimates(cells, metric)[ALL]
        width = found.high - found.low
        assert width < 0.25 * truth + 0.05, metric
        # Six standard errors: each of these intervals may miss the truth one time in twenty.
        assert found.low - width / 4 <= truth <= found.high + width / 4, metric
    (right,) = sampled.lake.rows("select avg(y) as y from latest_grades")
    assert right["y"] < sampled.correct - 0.1, "unweighted, the log says something else"


def test_quantiles_from_buckets_are_too(sampled: Sampled, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency_trends, "EXACT_ROWS", 0)
    (total,) = stage_quantiles(sampled.lake, EVERY)
    found = total.quantiles["p95"]
    assert found.reason is not None
    assert found.low <= sampled.p95 <= found.high


def test_segments_and_faults_are_shares_of_all_requests(sampled: Sampled) -> None:
    for row in failing_segments(sampled.lake, EVERY, "topic"):
        share = row["failed"].weighted / row["graded"].weighted
        assert share == pytest.approx(sampled.by_topic[row["name"]], abs=0.05)
    (fault,) = week_report(sampled.lake, EVERY, MONDAY.date()).faults
    assert fault.after.low <= 1 - sampled.correct <= fault.after.high
