"""Requests as they were logged, and what graders, users and jobs say of them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from ragdiag.privacy.hiding import is_hidden
from ragdiag.records import (
    DEFAULT_GRADER,
    FILTERS,
    ContextPassage,
    Diagnosis,
    Feedback,
    Grade,
    Replay,
    Request,
    SentenceSupport,
)
from ragdiag.store import (
    asked,
    contexts,
    deciding,
    findings,
    regressions,
    results,
    shadows,
    signals,
    ungraded,
)
from ragdiag.store.asked import AskedQuestion
from ragdiag.store.gold_marks import gold_mark
from ragdiag.store.regressions import Regression
from ragdiag.store.signals import Window
from tests.store.named_queries.known import Given, Known, Row, aware, given, in_order, plain
from tests.store.named_queries.plain_corpus import gold_of
from tests.store.named_queries.random_store import QUESTIONS, START
from tests.store.plain_counts import GRADERS, JUDGE, OWN, PEOPLE

MIDDLE = START + timedelta(hours=250)


def every_id(known: Known) -> list[Given]:
    return [given([*known.request, "unknown"]), given([])]


def grade_of(row: Row) -> Grade:
    own = ("request_id", "grader", "y", "score", "status", "reason")
    return Grade(*(row[name] for name in own), sentences_of(row))


def sentences_of(row: Row) -> tuple[SentenceSupport, ...]:
    return tuple(SentenceSupport(**one) for one in json.loads(row["sentences"] or "[]"))


@plain(asked.asked_times, every_id)
def asked_times(known: Known, names: list[str]) -> dict[str, datetime]:
    return {name: known.request[name].asked_at for name in names if name in known.request}


@plain(
    asked.last_asked,
    lambda _: [given([*QUESTIONS, "unknown"]), given(QUESTIONS, "foreign"), given(QUESTIONS, "?")],
)
def last_asked(
    known: Known, question_ids: list[str], version_id: str | None = None
) -> dict[str, AskedQuestion]:
    found = {}
    for row in known["questions"]:
        if row["question_id"] in question_ids:
            of_it = [one for one in known.requests if one.question_id == row["question_id"]]
            last = max(
                of_it,
                key=lambda one: (one.version_id == version_id, one.asked_at, one.request_id),
                default=None,
            )
            found[row["question_id"]] = AskedQuestion(row["text"], last and last.request_id)
    return found


@plain(contexts.load_contexts, lambda known: [given(known.requests)])
def load_contexts(known: Known, requests: list[Request]) -> dict[str, tuple[ContextPassage, ...]]:
    found = {}
    for one in requests:
        texts = {
            hit.passage_id: text_at(known, hit.passage_id, one.asked_at) for hit in one.context
        }
        if texts and all(text is not None for text in texts.values()):
            found[one.request_id] = tuple(
                ContextPassage(h.passage_id, str(texts[h.passage_id])[: h.chars], score=h.score)
                for h in one.context
            )
    return found


def text_at(known: Known, name: str, at: datetime) -> str | None:
    """The corpus' text of the time, else the nearest later; else a log's, by the same rule."""
    for table, time in (("passages", "ingested_at"), ("logged_passages", "logged_at")):
        rows = [row for row in known[table] if row["passage_id"] == name]
        if rows:
            when = at.replace(tzinfo=None)
            row = min(rows, key=lambda r: (r[time] > when, abs(r[time] - when), r["text"]))
            return None if is_hidden(row["text"]) else str(row["text"])
    return None


@plain(deciding.load_deciding, every_id)
def load_deciding(known: Known, names: list[str]) -> dict[str, Grade]:
    found = {name: decided(known, name) for name in names}
    return {name: grade for name, grade in found.items() if grade is not None}


def decided(known: Known, name: str) -> Grade | None:
    """People's majority, else the judge's word, else the default grader's. The score is always the
    default grader's."""
    said = {grader: known.grades.get((name, grader)) for grader in GRADERS}
    ys = [row["y"] for who, row in said.items() if who in PEOPLE and row and row["y"] is not None]
    own, judge = own_grade(known, name), said[JUDGE]
    score, ayes = own and own["score"], sum(ys)
    if 2 * ayes != len(ys):
        most, least = max(ayes, len(ys) - ayes), min(ayes, len(ys) - ayes)
        y = int(2 * ayes > len(ys))
        return Grade(name, "human", y, score, "ok", f"{most} to {least}")
    if judge is not None and judge["y"] is not None:
        return Grade(name, JUDGE, judge["y"], score, "ok", judge["reason"])
    return None if own is None else grade_of(own)


@plain(deciding.load_people, every_id)
def load_people(known: Known, names: list[str]) -> dict[str, int]:
    found = load_deciding(known, names)
    return {
        name: grade.y
        for name, grade in found.items()
        if grade.grader == "human" and grade.y is not None
    }


@plain(
    findings.find_grade, lambda known: [given(name) for name in [*known.request, "unknown"][-25:]]
)
def find_grade(known: Known, name: str) -> Grade | None:
    row = own_grade(known, name)
    return None if row is None else grade_of(row)


def own_grade(known: Known, name: str) -> Row | None:
    """The default grader's, of its first version where there is no other."""
    rows = (known.grades.get((name, grader)) for grader in OWN)
    return next((row for row in rows if row is not None), None)


@plain(findings.load_weights, every_id)
def load_weights(known: Known, names: list[str]) -> dict[str, float]:
    return {name: known.fact[name]["weight"] if name in known.fact else 1.0 for name in names}


@plain(
    findings.load_grades,
    lambda known: [given(who, [*known.request, "unknown"]) for who in (DEFAULT_GRADER, JUDGE, "?")],
)
def load_grades(known: Known, grader: str, names: list[str]) -> dict[str, Grade]:
    if grader == DEFAULT_GRADER:
        own = {name: own_grade(known, name) for name in names}
        return {name: grade_of(row) for name, row in own.items() if row is not None}
    return {
        name: grade_of(row)
        for (name, who), row in known.grades.items()
        if who == grader and name in names
    }


@plain(findings.load_diagnoses, every_id)
def load_diagnoses(known: Known, names: list[str]) -> dict[str, Diagnosis]:
    columns = ("request_id", "cause", "verdict", "verified_fix", "tier")
    found = {}
    for name, row in known.verdicts.items():
        evidence, grade = json.loads(row["evidence"]), decided(known, name)
        of_gold = evidence["gold_mark"] == gold_mark(
            *gold_of(known, known.request[name].question_id)
        )
        if "y" in evidence:
            of_outcome = grade is None or evidence["y"] == grade.y
        else:
            of_outcome = grade is None or (row["verdict"] in ("ok", "lucky")) == (grade.y == 1)
        if name in names and of_gold and of_outcome:
            own = (row[column] for column in columns)
            found[name] = Diagnosis(*own, evidence, row["second_level"])
    return found


def replay_of(row: Row) -> Replay:
    own = ("request_id", "arm", "draw", "answer", "y", "score")
    return Replay(
        *(row[name] for name in own), tuple(row["passage_ids"]), row["status"], row["draw_key"]
    )


@plain(findings.load_replays, every_id)
def load_replays(known: Known, names: list[str]) -> dict[str, list[Replay]]:
    found: dict[str, list[Replay]] = {}
    for name in names:
        rows = [row for row in known["replays"] if row["request_id"] == name]
        last = max((row["replayed_at"] for row in rows), default=None)
        kept = sorted((r for r in rows if r["replayed_at"] == last), key=in_order("draw", "arm"))
        if kept:
            found[name] = [replay_of(row) for row in kept]
    return found


@plain(findings.load_draws, lambda _: [given(["Why is that?", "What is this"]), given(["?"])])
def load_draws(known: Known, questions: list[str]) -> dict[str, Replay]:
    found: dict[str, Row] = {}
    for row in sorted(known["replays"], key=in_order("replayed_at", "request_id", "arm", "draw")):
        asked_it = known.request[row["request_id"]].question in questions
        if asked_it and row["draw_key"] and row["status"] != "error":
            found[row["draw_key"]] = row
    return {key: replay_of(row) for key, row in found.items()}


@plain(regressions.load_regressions, lambda _: [given(), given("other"), given("no such set")])
def load_regressions(known: Known, set_name: str = "regressions") -> tuple[Regression, ...]:
    last: dict[str, Row] = {}
    for row in sorted(known["regression_questions"], key=in_order("recorded_at", "state")):
        if row["set_name"] == set_name:
            last[row["question_id"]] = row
    held = [row for row in last.values() if row["state"] == "added"]
    return tuple(
        Regression(*(row[n] for n in ("question_id", "from_request", "reason", "recorded_at")))
        for row in sorted(held, key=in_order("recorded_at", "question_id"))
    )


@plain(regressions.mended_failures, lambda known: [given(one) for one in served(known)])
def mended_failures(known: Known, version_id: str) -> list[Regression]:
    found = []
    for question_id in QUESTIONS:
        of_it = [
            fact
            for fact in known.facts
            if fact["request"].question_id == question_id and fact["y"] is not None
        ]
        of_it.sort(key=lambda fact: (fact["request"].asked_at, fact["request"].request_id))
        own = [
            fact
            for fact in of_it
            if fact["request"].version_id == version_id and fact["request"].traffic == "evaluation"
        ]
        if own and own[-1]["y"] == 1:
            before = own[-1]["request"].asked_at
            wrong = [f for f in of_it if f["y"] == 0 and f["request"].asked_at < before]
            if wrong:
                found.append(Regression(question_id, wrong[-1]["request"].request_id))
    return found


def served(known: Known) -> list[str]:
    return sorted({one.version_id for one in known.requests})


@plain(
    results.load_requests,
    lambda known: [
        given(),
        given(version_id="foreign"),
        given(traffic="canary", since=MIDDLE),
        given(until=MIDDLE, question_ids=QUESTIONS[:3]),
        given(request_ids=list(known.request)[::7]),
    ],
)
def load_requests(
    known: Known,
    *,
    version_id: str | None = None,
    traffic: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    request_ids: list[str] | None = None,
    question_ids: list[str] | None = None,
) -> list[Request]:
    kept = [
        one
        for one in known.requests
        if version_id in (None, one.version_id)
        and traffic in (None, one.traffic)
        and (since is None or one.asked_at >= since)
        and (until is None or one.asked_at < until)
        and (request_ids is None or one.request_id in request_ids)
        and (question_ids is None or one.question_id in question_ids)
    ]
    return sorted(kept, key=lambda one: (one.asked_at, one.request_id))


@plain(shadows.load_last_answered, lambda known: [given(one, 3) for one in served(known)])
def load_last_answered(known: Known, version_id: str, n: int) -> list[Request]:
    return load_requests(known, version_id=version_id, traffic="production")[-n:]


@plain(
    shadows.shadowed_ids,
    lambda known: [given(one, list(known.request), MIDDLE) for one in served(known)],
)
def shadowed_ids(known: Known, version_id: str, names: list[str], since: datetime) -> set[str]:
    found = load_requests(
        known, version_id=version_id, traffic="shadow", request_ids=names, since=since
    )
    return {one.request_id for one in found}


def windows(_: Known) -> list[Given]:
    return [
        given(Window()),
        given(Window(since=MIDDLE, version_id="foreign")),
        given(Window(until=MIDDLE, most=3)),
    ]


def within(known: Known, window: Window, kept: Iterable[str]) -> list[Request]:
    chosen = [
        one
        for one in load_requests(known, since=window.since, until=window.until)
        if one.traffic in ("production", "canary", "evaluation")
        and window.version_id in (None, one.version_id)
        and one.request_id in kept
    ]
    newest = sorted(chosen, key=lambda one: one.request_id)
    newest.sort(key=lambda one: one.asked_at, reverse=True)
    return sorted(newest[: window.most], key=lambda one: (one.asked_at, one.request_id))


@plain(signals.load_diagnosed, windows)
def load_diagnosed(known: Known, window: Window) -> list[Request]:
    bad = {n for n, row in known.verdicts.items() if row["verdict"] not in ("ok", "lucky")}
    return within(known, window, bad)


@plain(
    signals.count_lost,
    lambda known: [
        given(split, causes)
        for split in sorted({row["split"] for row in known["judgments"]})
        for causes in ([], ["recall_miss", "fusion_loss"])
    ],
)
def count_lost(known: Known, split: str, causes: list[str]) -> tuple[int, int]:
    elsewhere = {row["question_id"] for row in known["judgments"] if row["split"] != split}
    requests, pairs = set(), set()
    for one in load_diagnosed(known, Window()):
        verdict = known.verdicts[one.request_id]
        if verdict["verdict"] != "retrieval" and verdict["cause"] not in causes:
            continue
        for row in known["judgments"]:
            same = row["question_id"] == one.question_id and row["split"] == split
            if same and row["grade"] > 0 and one.question_id not in elsewhere:
                requests.add(one.request_id)
                pairs.add((one.question_id, row["passage_id"]))
    return len(requests), len(pairs)


@plain(signals.load_commented, windows)
def load_commented(known: Known, window: Window) -> list[Request]:
    return within(known, window, {row["request_id"] for row in known["feedback"]})


@plain(signals.load_unjudged, windows)
def load_unjudged(known: Known, window: Window) -> list[Request]:
    judged = {row["question_id"] for row in known["judgments"]}
    unjudged = {
        one.request_id
        for one in known.requests
        if one.traffic != "evaluation" and one.question_id not in judged
    }
    return within(known, window, unjudged)


@plain(signals.load_first_asked)
def load_first_asked(known: Known) -> list[tuple[Any, ...]]:
    first: dict[tuple[str | None, str], datetime] = {}
    for one in known.requests:
        if one.traffic in ("production", "canary"):
            key = one.question_id, one.question
            first[key] = min(one.asked_at, first.get(key, one.asked_at))
    return [(*key, at) for key, at in first.items()]


@plain(signals.load_feedback, every_id)
def load_feedback(known: Known, names: list[str]) -> list[Feedback]:
    own = ("feedback_id", "request_id", "given_at", "kind", "value", "passage_id", "certain")
    rows = [row for row in known["feedback"] if row["request_id"] in names]
    return [
        Feedback(**{name: row[name] for name in own} | {"given_at": aware(row["given_at"])})
        for row in sorted(rows, key=in_order("given_at", "feedback_id"))
    ]


@plain(ungraded.load_ungraded, lambda known: [given(one, START) for one in served(known)])
def load_ungraded(known: Known, version_id: str, since: datetime) -> list[Row]:
    def wording(text: str) -> str:
        return " ".join(text.lower().replace("?", " ").split())

    named: dict[str, list[str]] = {}
    for row in known["questions"]:
        named.setdefault(wording(row["text"]), []).append(row["question_id"])
    answered = {row["question_id"] for row in known["gold_answers"]}
    graded = {
        row["request_id"]
        for row in known["grades"]
        if row["grader"] == DEFAULT_GRADER and row["status"] != "no_gold"
    }
    found = []
    for one in load_requests(known, version_id=version_id, since=since):
        question_id = one.question_id
        if question_id is None and all(getattr(one, name) is None for name in FILTERS):
            alike = named.get(wording(one.question), [])
            question_id = alike[0] if len(alike) == 1 else None
        if question_id in answered and one.request_id not in graded:
            own = {name: getattr(one, name) for name in ("request_id", "answer", "status")}
            found.append({**own, "question_id": question_id})
    return found
