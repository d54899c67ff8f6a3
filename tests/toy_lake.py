"""A small, deterministic workspace through the store's own doors, for tests of pages and queries.

Three versions, three topics, sixty questions, twelve weeks from 1 September 2025 with 24
production requests each, and one evaluation per version. In the last week half of the questions
of one topic have no passage in the index (``corpus_gap``), so correct answers fall.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from ragdiag.records import (
    DEFAULT_GRADER,
    ContextHit,
    Diagnosis,
    Feedback,
    GoldAnswer,
    Grade,
    Hit,
    IndexBuild,
    Judgment,
    Passage,
    Question,
    Replay,
    Request,
)
from ragdiag.settings import Workspace
from ragdiag.store.corpus import add_documents, add_gold_answers, add_judgments, add_questions
from ragdiag.store.gold_marks import load_gold_marks
from ragdiag.store.ingest import ingest
from ragdiag.store.lake import Lake, close_lakes, open_lake
from ragdiag.store.results import save_build, save_findings, save_version
from ragdiag.store.spool import SpoolWriter
from ragdiag.version import EmbedderSpec, ExtractiveSpec, LexicalSpec, Spec, Version

FIRST_MONDAY = datetime(2025, 9, 1, 9, tzinfo=UTC)
LAST_WEEK = "2025-11-17"
WEEKS = 12
PER_WEEK = 24
TOPICS = ("billing", "setup", "<b>limits</b>")
HOSTILE = "<script>alert(1)</script> $x^2$ **bold** ![i](http://evil.example/p.png) :red[hi]"
DEGRADED = "dense: no answer within its deadline"
HOSTILE_REQUEST = "p-11-00"
FAULTS = (
    ("retrieval", "recall_miss", "g"),
    ("retrieval", "fusion_loss", "s"),
    ("generator", "in_context", "no_fix"),
    ("distraction", "in_context", "g"),
    ("packing", "packing", "g+"),
)


SECOND_LEVELS = {"recall_miss": "vocabulary", "fusion_loss": "outvoted", "corpus_gap": "stale"}


def versions() -> list[Version]:
    generator = ExtractiveSpec()
    return [
        Version("lexical", Spec(lexical=LexicalSpec(), generator=generator)),
        Version("dense", Spec(embedder=EmbedderSpec(), generator=generator)),
        Version(
            "hybrid",
            Spec(embedder=EmbedderSpec(), lexical=LexicalSpec(), generator=generator),
        ),
    ]


@pytest.fixture(scope="session")
def toy_workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """To be read, by many tests."""
    workspace = Workspace(tmp_path_factory.mktemp("toy") / "workspace")
    build_toy_lake(workspace)
    close_lakes(workspace)
    return workspace


@pytest.fixture
def toy_lake(toy_workspace: Workspace) -> Lake:
    """Opened anew where another test has closed all lakes of the process."""
    return open_lake(toy_workspace)


def build_toy_lake(workspace: Workspace) -> Lake:
    """Fill ``workspace``; the same every time."""
    lake = open_lake(workspace, create=True)
    add_documents(lake, passages())
    questions = [
        Question(f"q{n:02d}", HOSTILE if n == 0 else f"How is item {n} set?", TOPICS[n % 3])
        for n in range(60)
    ]
    add_questions(lake, questions)
    add_judgments(lake, [Judgment(q.question_id, gold_id(q), 1, "test") for q in questions])
    add_gold_answers(lake, [GoldAnswer(q.question_id, (gold_answer(q),)) for q in questions])
    for version in versions():
        save_version(lake, version)
    save_build(lake, index_build(versions()[0]))
    logged = [*production(questions), *evaluations(questions)]
    with SpoolWriter(workspace) as spool:
        for request, _ in logged:
            spool.write(request)
        for said in feedback([request for request, _ in logged]):
            spool.write(said)
    ingest(lake, workspace)
    save_opinions(lake, logged)
    return lake


def index_build(version: Version) -> IndexBuild:
    """What the lake says of a build; its files are gone."""
    key = version.spec.index_key
    return IndexBuild("b1", key, "c1", 60, None, None, 2_400, 0.1, FIRST_MONDAY, {})


def passages() -> list[Passage]:
    return [
        Passage(
            f"doc{n // 10}#{n % 10}",
            f"doc{n // 10}",
            f"{HOSTILE} The value is {n}." if n == 0 else f"Item {n} is set once. It is {n}.",
            f"Chapter {n // 10}",
            n % 10,
        )
        for n in range(60)
    ]


def gold_id(question: Question) -> str:
    n = int(question.question_id[1:])
    return f"doc{n // 10}#{n % 10}"


def gold_answer(question: Question) -> str:
    return f"It is {int(question.question_id[1:])}."


def production(questions: list[Question]) -> Iterator[tuple[Request, tuple[str, str, str] | None]]:
    """Requests with the fault put into them, None where the answer is right."""
    chance = random.Random(7)
    for week in range(WEEKS):
        for n in range(PER_WEEK):
            question = questions[(week * PER_WEEK + n) % 60 if (week, n) != (11, 0) else 0]
            version = versions()[0 if week < 4 else 2]
            gap = week == WEEKS - 1 and n % 2 == 0
            wrong = chance.random() < 0.25
            fault = ("corpus", "corpus_gap", "") if gap else chance.choice(FAULTS)
            request = make_request(
                f"p-{week:02d}-{n:02d}",
                FIRST_MONDAY + timedelta(weeks=week, hours=n * 6),
                version,
                question,
                fault if gap or wrong else None,
                chance.lognormvariate(4.6 if week < WEEKS - 1 else 4.8, 0.35),
            )
            if week == 9 and n % 6 == 0:
                request = replace(request, degraded_reason=DEGRADED)
            yield request, fault if gap or wrong else None


def evaluations(questions: list[Question]) -> Iterator[tuple[Request, tuple[str, str, str] | None]]:
    for number, version in enumerate(versions()):
        for n, question in enumerate(questions):
            fault = FAULTS[n % len(FAULTS)] if n % (3 + number) == 0 else None
            at = FIRST_MONDAY + timedelta(weeks=11, days=3, minutes=n)
            yield (
                make_request(
                    f"e-{version.name}-{n:02d}",
                    at,
                    version,
                    question,
                    fault,
                    60.0 + n,
                    traffic="evaluation",
                ),
                fault,
            )


def make_request(
    request_id: str,
    at: datetime,
    version: Version,
    question: Question,
    fault: tuple[str, str, str] | None,
    total_ms: float,
    traffic: str = "production",
) -> Request:
    cause = fault[1] if fault else "in_context"
    gold = gold_id(question)
    others = [f"doc{n % 6}#{n % 10}" for n in range(1, 12) if f"doc{n % 6}#{n % 10}" != gold][:9]
    found = cause in ("fusion_loss", "packing", "in_context")
    ranked = [others[0], gold, *others[1:]] if cause in ("packing", "in_context") else others
    candidates = [*others[:5], gold, *others[5:]] if found else others
    kept = [p for p in ranked[:5] if not (cause == "packing" and p == gold)]
    dense = version.spec.embedder is not None
    return Request(
        request_id=request_id,
        asked_at=at,
        version_id=version.version_id,
        traffic=traffic,  # type: ignore[arg-type]
        question=question.text,
        build_id="b1",
        question_id=question.question_id,
        topic=question.topic,
        answer="Nothing of the sort." if fault else gold_answer(question),
        citations=(kept[0],),
        status="no_answer" if fault and int(request_id[-2:]) % 5 == 0 else "ok",
        latency_ms={
            "lexical": total_ms * 0.1,
            "fusion": total_ms * 0.05,
            "generation": total_ms * 0.5,
            **({"embed": total_ms * 0.2, "dense": total_ms * 0.15} if dense else {}),
            "total": total_ms,
        },
        lexical=hits(candidates),
        dense=hits(others) if dense else None,
        fused=hits(ranked),
        context=tuple(ContextHit(hit.passage_id, hit.score, 20) for hit in hits(kept)),
        searched_depth=100,
        logged_depth=10,
    )


def hits(passage_ids: list[str]) -> tuple[Hit, ...]:
    return tuple(Hit(p, 1.0 / rank) for rank, p in enumerate(passage_ids, start=1))


def feedback(requests: list[Request]) -> Iterator[Feedback]:
    for n, request in enumerate(requests):
        if request.traffic != "production":
            continue
        good = request.answer.startswith("It is")
        at = request.asked_at + timedelta(minutes=1)
        if good and n % 2 == 0:
            yield Feedback(
                f"c{n}", request.request_id, at, "click", 1.0, request.context[0].passage_id
            )
        yield Feedback(f"t{n}", request.request_id, at, "task_success", 1.0 if good else 0.0)
        if n % 3 == 0:
            yield Feedback(f"u{n}", request.request_id, at, "thumbs", 1.0 if good else -1.0)


def save_opinions(lake: Lake, logged: list[tuple[Request, tuple[str, str, str] | None]]) -> None:
    """Grades for all; verdicts and replays for all but the tenth week, which is not diagnosed."""
    grades, diagnoses, replays = [], [], []
    marks = load_gold_marks(lake, [request.request_id for request, _ in logged])
    for request, fault in logged:
        grades.append(
            Grade(request.request_id, DEFAULT_GRADER, int(fault is None), float(fault is None))
        )
        if request.request_id.startswith("p-09"):
            continue
        verdict, cause, fix = fault or ("ok", "in_context", "")
        arms = arms_of(fault)
        diagnoses.append(
            Diagnosis(
                request.request_id,
                cause,  # type: ignore[arg-type]
                verdict,  # type: ignore[arg-type]
                fix,
                "A" if arms else "B",
                {
                    "rule": f"the rule of {verdict}",
                    "p": arms,
                    "gold_mark": marks[request.request_id],
                },
                SECOND_LEVELS.get(cause),  # type: ignore[arg-type]
            )
        )
        for arm, y in arms.items():
            for draw in range(2 if arm == "r" else 1):
                answer = "It is so." if y else "Nothing of the sort."
                replays.append(
                    Replay(request.request_id, arm, draw, answer, y, float(y), ("doc0#0",))  # type: ignore[arg-type]
                )
    save_findings(lake, grades=grades, replays=replays, diagnoses=diagnoses)


def arms_of(fault: tuple[str, str, str] | None) -> dict[str, int]:
    if fault is None or fault[0] == "corpus":
        return {}
    fixed = fault[0] != "generator"
    plus, order = int(fault[2] in ("s", "g+")), int(fault[2] == "s")
    return {"r": 0, "g": int(fixed), "g+": plus, "s": order, "none": 0}
