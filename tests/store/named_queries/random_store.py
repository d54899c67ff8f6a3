"""A small lake with something of everything in it, drawn at random through the store's own doors.

Times are drawn from few values, so that there are ties wherever a query says how it breaks them.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

from ragdiag.records import (
    Cause,
    ContextHit,
    Diagnosis,
    Feedback,
    GoldAnswer,
    Grade,
    Hit,
    IndexBuild,
    Judgment,
    Passage,
    PassageMetadata,
    Question,
    Replay,
    Request,
    SentenceSupport,
)
from ragdiag.settings import Workspace
from ragdiag.store.corpus import (
    add_documents,
    add_gold_answers,
    add_judgments,
    add_questions,
    remove_documents,
)
from ragdiag.store.gold import add_members
from ragdiag.store.gold_marks import load_gold_marks
from ragdiag.store.ingest import ingest
from ragdiag.store.lake import Lake, open_lake
from ragdiag.store.results import mark_pruned, save_build, save_findings, save_version
from ragdiag.store.spool import SpoolWriter
from ragdiag.store.tables import insert
from ragdiag.version import ExtractiveSpec, LexicalSpec, Spec, Version
from tests.store.plain_counts import GRADERS, JUDGE, OWN, PEOPLE

START = datetime(2026, 1, 1, 9, tzinfo=UTC)
REQUESTS = 60
REVIEWED = 40
"""Of the requests: the first so many are graded and diagnosed by hand."""
TRAFFIC = ("production", "canary", "evaluation", "shadow", "replay")
QUESTIONS = tuple(f"q{n}" for n in range(6))
DOCUMENTS = tuple(f"doc{n}" for n in range(4))
PASSAGES = tuple(f"{document}#{n}" for document in DOCUMENTS for n in range(3))
FOREIGN = ("log#0", "log#1", "text:00", "text:01")
"""Passages that only a log has; the last two are named by their text."""
WORDS = ("cats", "sleep", "Dawn", "tea", "ünder_water", "moon", "42")
SETTINGS = ("key-a", "key-b")
HIDDEN = "[text 00112233445566778899aabbccddeeff]"
"""What stands for a text that is not stored."""
BUILDS = ("b0", "b1", "b2", "b3")


class RandomStore:
    """Fills a lake; the same seed gives the same rows but for the times of writing."""

    def __init__(self, workspace: Workspace, seed: int) -> None:
        self.chance = random.Random(seed)
        self.workspace = workspace
        self.lake = open_lake(workspace, create=True)
        self.versions = [
            Version(
                f"version {n}", Spec(lexical=LexicalSpec(k1=1.0 + n), generator=ExtractiveSpec())
            )
            for n in range(3)
        ]

    def fill(self) -> Lake:
        for version in self.versions:
            save_version(self.lake, version)
        self._build()
        self._write_corpus()
        self._log()
        self._judge()
        self._say()
        self._keep()
        return self.lake

    def some(self, values: Sequence[Any], most: int) -> list[Any]:
        return self.chance.sample(values, self.chance.randrange(most + 1))

    def at(self, hours: int = 500) -> datetime:
        """One of few moments, without a zone, as the lake has them."""
        return START.replace(tzinfo=None) + timedelta(hours=self.chance.randrange(hours))

    def text(self) -> str:
        return " ".join(self.chance.choices(WORDS, k=self.chance.randrange(1, 5)))

    def _build(self) -> None:
        for n, name in enumerate(BUILDS):
            at = START + timedelta(hours=n)
            made = IndexBuild(name, SETTINGS[n % 2], "c1", 9, None, None, 90, 0.5, at, {"n": n})
            save_build(self.lake, made)
        mark_pruned(self.lake, BUILDS[-1])

    def _passage(self, passage_id: str) -> Passage:
        metadata = PassageMetadata(
            tenant=self.chance.choice(["", "acme"]),
            topic=self.chance.choice(["", "cats"]),
            published_at=self.chance.choice([None, START]),
            roles=self.chance.choice([(), ("staff",)]),
        )
        document, _, number = passage_id.partition("#")
        return Passage(passage_id, document, self.text(), self.text(), int(number), metadata)

    def _write_corpus(self) -> None:
        add_documents(self.lake, map(self._passage, PASSAGES))
        for document in self.some(DOCUMENTS[:3], 2):
            kept = [name for name in PASSAGES if name.startswith(document)]
            add_documents(self.lake, map(self._passage, kept[: self.chance.randrange(1, 4)]))
        remove_documents(self.lake, [DOCUMENTS[-1]])
        questions = [Question(name, f"What of  {name}?", name[-1]) for name in QUESTIONS[:-2]]
        questions += [Question(name, "What is this?") for name in QUESTIONS[-2:]]
        add_questions(self.lake, questions)

    def _hits(self, most: int = 12) -> tuple[Hit, ...]:
        names = self.chance.choices((*PASSAGES, *FOREIGN), k=self.chance.randrange(most))
        return tuple(Hit(name, 0.5) for name in names)

    def _request(self, number: int) -> Request:
        chance = self.chance
        stages = ("lexical", "dense", "packing", "generation", "total")
        question_id = chance.choice([None, None, *QUESTIONS])
        known = ["what of q1 ?", "Why is that?", "What is this"]
        asked = chance.choice([*known, f"What {number}?", HIDDEN])
        return Request(
            request_id=f"r{number:02d}",
            asked_at=START + timedelta(hours=chance.randrange(500)),
            version_id=chance.choice([*(one.version_id for one in self.versions[:2]), "foreign"]),
            traffic=chance.choices(TRAFFIC, weights=(4, 2, 2, 1, 1))[0],  # type: ignore[arg-type]
            question=asked,
            question_id=question_id,
            topic=chance.choice(["", "a", "b"]),
            user_key=chance.choice([None, "1" * 32, "2" * 32]),
            answer=chance.choice(["", "Fifteen.", "At dawn.", HIDDEN]),
            status=chance.choice(["ok", "ok", "no_answer", "error"]),
            degraded_reason=chance.choice([None, None, "dense: late", "dense: late; cut", " ; "]),
            cache_hit=chance.random() < 0.2,
            prompt_tokens=chance.choice([None, 100]),
            cost_usd=chance.choice([None, 0.0, 0.125]),
            latency_ms={name: chance.uniform(0, 900) for name in self.some(stages, 5)},
            keep_probability=chance.choice([1.0, 1.0, 0.25]),
            fused=self._hits(),
            reranked=self._hits() if chance.random() < 0.3 else None,
            context=tuple(ContextHit(hit.passage_id, hit.score, 6) for hit in self._hits(3)),
            tenant=chance.choice([None, None, "acme"]),
        )

    def _log(self) -> None:
        requests = [self._request(number) for number in range(REQUESTS)]
        with SpoolWriter(self.workspace) as spool:
            for request in requests:
                spool.write(request)
            for name in FOREIGN:
                spool.write(Passage(name, name, self.text(), "logged"))
            spool.write(Passage(FOREIGN[2], FOREIGN[2], "sleep", "logged"))
            spool.write(Passage(FOREIGN[0], FOREIGN[0], "sleep", "logged"))
            for number in range(REQUESTS):
                spool.write(self._feedback(number))
        ingest(self.lake, self.workspace)

    def _feedback(self, number: int) -> Feedback:
        kind, value = self.chance.choice([("click", 1), ("task_success", 0), ("thumbs", 1)])
        return Feedback(
            f"f{number:02d}",
            f"r{self.chance.randrange(REQUESTS):02d}",
            START + timedelta(minutes=self.chance.randrange(5)),
            kind,  # type: ignore[arg-type]
            value if kind != "thumbs" else self.chance.choice([1, -1]),
            certain=self.chance.random() < 0.3,
        )

    def _judge(self) -> None:
        judged = [
            Judgment(question, passage, self.chance.randrange(3), split)
            for question in QUESTIONS[:5]
            for split in ("dev", "test")
            for passage in self.some(PASSAGES, 3)
        ]
        add_judgments(self.lake, judged)
        golds = [GoldAnswer(name, tuple(self.some(WORDS, 2)) or ("so",)) for name in QUESTIONS[1:5]]
        add_gold_answers(self.lake, golds)
        known = [(QUESTIONS[5], "dev"), (QUESTIONS[1], "test"), (QUESTIONS[2], "answers")]
        add_members(self.lake, [*known, ("unknown", "dev")])
        add_members(self.lake, [(one, "gold") for one in QUESTIONS[3:]], named=False)

    def _say(self) -> None:
        """Twice over, so that there is a latest and one before."""
        names = [f"r{n:02d}" for n in range(REVIEWED)]
        for _ in range(2):
            graders = (*OWN, *GRADERS, "numeric-v1")
            chosen = [(name, who) for name in names for who in self.some(graders, 3)]
            grades = [self._grade(name, who) for name, who in chosen]
            marks = load_gold_marks(self.lake, names)
            diagnoses = [self._diagnosis(name, marks) for name in self.some(names, REVIEWED)]
            arms = [(name, arm) for name in self.some(names, 10) for arm in ("r", "g")]
            save_findings(
                self.lake,
                grades=list({(one.request_id, one.grader): one for one in grades}.values()),
                diagnoses=diagnoses,
                replays=[self._replay(n, *one) for n, one in enumerate(arms)],
            )

    def _grade(self, name: str, grader: str) -> Grade:
        chance = self.chance
        if grader in PEOPLE and chance.random() < 0.2:
            return Grade(name, grader, None, status="withdrawn")
        sentences = [SentenceSupport(True, 0.5, "doc0#0"), SentenceSupport(False, None, None)]
        return Grade(
            name,
            grader,
            chance.choice([None, 0, 0, 1]),
            chance.choice([None, 0.25]),
            chance.choice(["ok", "no_gold"]),
            chance.choice(["", "so it is"]),
            tuple(self.some(sentences, 2)) if grader == JUDGE else (),
        )

    def _diagnosis(self, name: str, marks: Mapping[str, str]) -> Diagnosis:
        chance = self.chance
        verdict = chance.choice(["retrieval", "generator", "ok", "lucky"])
        evidence: dict[str, Any] = {"gold_mark": chance.choice([marks[name], "old"])}
        if chance.random() < 0.5:
            evidence["y"] = chance.choice([0, 0, 1, None])
        second = chance.choice([None, "vocabulary"])
        tier = chance.choice(["A", "B"])
        *causes, withheld = get_args(Cause)
        cause = chance.choice(causes)
        # By what was drawn already: one draw more or of more would make another store of this seed.
        if cause == "gold_unknown" and evidence["gold_mark"] == "old":
            cause = withheld
        return Diagnosis(name, cause, verdict, "g", tier, evidence, second)  # type: ignore[arg-type]

    def _replay(self, number: int, name: str, arm: str) -> Replay:
        status = self.chance.choice(["ok", "ok", "error"])
        key = self.chance.choice(["", f"key{number % 7}"])
        return Replay(name, arm, number % 2, "So.", 1, 0.5, ("p",), status, key)  # type: ignore[arg-type]

    def _keep(self) -> None:
        """What jobs keep as plain JSON beside the log."""
        tables = {name: [make(n) for n in range(12)] for name, make in self._rows().items()}

        def put(cursor: Any) -> None:
            for table, rows in tables.items():
                insert(cursor, table, rows)
            for number in range(4):
                cursor.execute(
                    "insert into remarks values (?, ?, 'odd', ?)",
                    [self.chance.choice(["a.jsonl", "b.csv"]), number, self.at(3)],
                )
                cursor.execute(
                    "insert into deployments values "
                    "(?, ?, 'set', ?, null, null, 0.0, null, 'ada', '{}')",
                    [4 - number, self.at(), self.versions[number % 3].version_id],
                )

        self.lake.write(put)

    def _rows(self) -> dict[str, Any]:
        """Table → its n-th row. ``when`` gives each row another moment: where it alone decides
        which row is the last, a tie would leave that open."""
        choice, names = self.chance.choice, [one.version_id for one in self.versions]
        moments = self.chance.sample(range(500), 12)

        def when(n: int) -> datetime:
            return START.replace(tzinfo=None) + timedelta(hours=moments[n])

        def told(n: int) -> str:
            return json.dumps({"n": n})

        return {
            "alerts": lambda n: {
                "alert_id": f"a{n % 7}",
                "raised_at": self.at(3),
                "kind": "drift",
                "severity": choice(["warning", "critical"]),
                "subject": choice(names),
                "message": "Look.",
                "runbook": "drift.md",
                "details": told(n),
                "resolved_at": choice([None, self.at()]),
                "noted_at": when(n),
            },
            "grader_calibrations": lambda n: {
                "grader": choice(GRADERS),
                "about": "correct",
                "labels": "people",
                "found": told(n),
                "calibrated_at": self.at(3),
            },
            "index_checks": lambda n: {
                "build_id": choice(BUILDS),
                "index_key": choice(SETTINGS),
                "version_id": choice(names),
                "checked_by": "test",
                "status": "good",
                "findings": json.dumps([{"what": "w", "status": "good", "remedy": "", "name": ""}]),
                "details": told(n),
                "checked_at": when(n),
            },
            "index_trials": lambda n: {
                "tuning_id": choice(["t0", "t1"]),
                "tried_at": self.at(3),
                "trial": told(n),
            },
            "index_tunings": lambda n: {
                "tuning_id": f"t{n}",
                "version_id": choice(names),
                "tuned_at": self.at(3),
                "tuning": told(n),
            },
            "index_measurements": lambda n: {
                "version_id": choice(names),
                "build_id": choice(BUILDS),
                "measured_at": self.at(3),
                "measured": told(n),
            },
            "prescriptions": lambda n: {
                "version_id": choice(names),
                "split": "test",
                "prescribed_at": self.at(3),
                "prescription": told(n),
            },
            "training_runs": lambda n: {
                "run_id": f"run{n % 5}",
                "recorded_at": when(n),
                "kind": "retriever",
                "state": choice(["running", "done"]),
                "run": told(n),
            },
            "regression_questions": lambda n: {
                "set_name": choice(["regressions", "other"]),
                "question_id": choice(QUESTIONS),
                "from_request": choice([None, "r01"]),
                "reason": "seen",
                "state": choice(["added", "added", "dropped"]),
                "recorded_at": when(n),
            },
            "validations": lambda n: {
                "version_id": choice(names),
                "split": "test",
                "found": told(n),
                "validated_at": when(n),
            },
            "sufficiency_models": lambda n: {
                "version_id": choice(names),
                "found": told(n),
                "calibrated_at": when(n),
            },
            "context_trials": lambda n: {
                "request_id": choice(["r01", "r02"]),
                "setting": choice(["s1", "s2"]),
                "answer": "So.",
                "removed": self.some(PASSAGES[:3], 2),
                "citations": [],
                "draw": choice([0, 1]),
                "y": 1,
                "tried_at": when(n),
            },
            "influences": lambda n: {
                "request_id": choice(["r01", "r02"]),
                "method": choice(["loo", "lasso"]),
                "found": told(n),
                "found_at": when(n),
            },
            "rejects": lambda n: {
                "source": choice(["a.jsonl", "b.csv"]),
                "reason": choice(["not JSON", "no id"]),
                "body": "{",
                "line": n,
                "rejected_at": self.at(3),
            },
        }
