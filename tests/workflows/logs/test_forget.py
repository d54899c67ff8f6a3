"""One user forgotten, everywhere, with real files; the lake is unencrypted so that bytes tell."""

from __future__ import annotations

import html
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from ragdiag.errors import StoreBusy
from ragdiag.privacy.pseudonyms import key_as_typed, mark_user, user_key
from ragdiag.records import (
    ContextPassage,
    Diagnosis,
    Feedback,
    GoldAnswer,
    Grade,
    Hit,
    Passage,
    Question,
    Replay,
    Request,
    Span,
)
from ragdiag.retrieval.vectors import open_cache
from ragdiag.settings import Workspace
from ragdiag.store.gold import add_gold_answers, add_questions
from ragdiag.store.ingest import ingest
from ragdiag.store.intake.segment_lines import record_line
from ragdiag.store.kinds import Record
from ragdiag.store.lake import Lake, close_lakes, open_lake
from ragdiag.store.results import load_requests, save_findings
from ragdiag.store.segments import create_segment
from ragdiag.store.spool import SpoolWriter
from ragdiag.store.upkeep.byte_search import files_with
from ragdiag.store.upkeep.check import Finding, check_store
from ragdiag.store.upkeep.forgotten import ForgottenUsers
from ragdiag.store.upkeep.history import purge_history
from ragdiag.training.answers.located import AnswerExample
from ragdiag.training.answers.sets import load_examples, save_examples
from ragdiag.training.data.examples import Pair, TrainingSet
from ragdiag.training.data.sets import load_set, save_set
from ragdiag.workflows.logs import forget as module
from ragdiag.workflows.logs.forget import forget_again, forget_user

pytestmark = pytest.mark.slow

MONDAY = datetime(2026, 1, 5, 12, tzinfo=UTC)
ANN, BOB = "ann-of-accounting", "bob-of-billing"
SECRET = "Why was the quokka invoice of the walrus refused"
SHARED = "How do I reset my password?"


@pytest.fixture(scope="module")
def lived_in(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    workspace = Workspace(tmp_path_factory.mktemp("lived") / "workspace")
    workspace.root.mkdir()
    workspace.configuration.write_text("[lake]\nencrypted = false\n")
    lake = open_lake(workspace, create=True)
    # Else compression would hide what the search through the bytes must not find.
    option = "call lake.set_option('parquet_compression', 'uncompressed')"
    lake.write(lambda cursor: cursor.execute(option))
    live_together(lake, workspace)
    close_lakes()
    return workspace


@pytest.fixture
def lake(copied: Callable[[Workspace], Lake], lived_in: Workspace) -> Lake:
    """Where Ann and Bob have been for a while."""
    return copied(lived_in)


def asked(workspace: Workspace, user: str, number: int, question: str) -> Request:
    return Request(
        f"{user[:3]}-{number}",
        MONDAY + timedelta(days=number),
        "v1",
        "production",
        question,
        topic=f"{SECRET}, in short" if question.startswith(SECRET) else "accounts",
        user_key=user_key(workspace, user),
        answer=f"Because of {question}",
        fused=(Hit("p1", 1.0),),
    )


def log(lake: Lake, workspace: Workspace, *records: Record) -> None:
    with SpoolWriter(workspace) as spool:
        for record in records:
            spool.write(record)
    ingest(lake, workspace)


def live_together(lake: Lake, workspace: Workspace) -> None:
    """What two users leave in a workspace, in several commits."""
    for day in range(0, 26, 13):
        log(
            lake,
            workspace,
            *(asked(workspace, ANN, day + i, f"{SECRET} ({day + i})?") for i in range(12)),
            *(asked(workspace, BOB, day + i, f"What is owed on day {day + i}?") for i in range(12)),
            asked(workspace, ANN, day + 12, SHARED),
            asked(workspace, BOB, day + 12, SHARED),
            Feedback(f"f-ann-{day}", f"ann-{day}", MONDAY, "thumbs", -1),
            Feedback(f"f-bob-{day}", f"bob-{day}", MONDAY, "thumbs", 1),
        )
    started = MONDAY
    log(
        lake,
        workspace,
        Span("ann-1", "s1", None, "ask", started, started, {"input.value": f"{SECRET} (1)?"}),
        Span("t-new", "s2", None, "ask", started, started, {"user.id": ANN, "input.value": SECRET}),
        Span("t-bob", "s3", None, "ask", started, started, {"user.id": BOB, "input.value": "Hm?"}),
        # Another body under a known id: rejected, with the line as its body.
        asked(workspace, ANN, 1, f"{SECRET}, once more?"),
    )
    for user in ("ann", "bob"):
        save_findings(
            lake, grades=[Grade(f"{user}-1", "judge", 0, reason=f"{user} was not answered")]
        )
        save_findings(
            lake, replays=[Replay(f"{user}-1", "g", 0, f"replay for {user}", 1, 1.0, ("p1",))]
        )
        found = Diagnosis(f"{user}-1", "recall_miss", "retrieval", "g+", "A", {"y": 0})
        save_findings(lake, diagnoses=[found])
    add_questions(lake, [Question("q-made", f"{SECRET} (3)?"), Question("q-own", SHARED)])
    add_gold_answers(lake, [GoldAnswer("q-made", ("never",)), GoldAnswer("q-own", ("here",))])
    texts = [f"{SECRET} (3)?", "What is owed on day 3?"]
    hashes = {Passage("", "", text).content_hash: np.ones(4, np.float32) for text in texts}
    open_cache(workspace).write("model", hashes)
    learnt = [
        Pair("asked:1", f"{SECRET} (1)?", "p1", "click", request_ids=("ann-1",)),
        Pair("q-made", f"{SECRET} (3)?", "p1"),
        Pair("asked:4", f"{SECRET} (4)?", "p1", "bm25"),
        Pair("asked:12", SHARED, "p1", "feedback", request_ids=("ann-12", "bob-12")),
    ]
    save_set(workspace.training / "run-1", TrainingSet(learnt, {"p1": "A passage."}))
    answered = [
        AnswerExample("asked:4-declined", f"{SECRET} (4)?", (), (ContextPassage("p1", "A."),)),
        AnswerExample("known", SHARED, ("by mail",), (ContextPassage("p2", "By mail."),)),
    ]
    save_examples(workspace.training / "run-2", answered)


def tables(lake: Lake) -> dict[str, int]:
    names = [
        row["table_name"]
        for row in lake.rows("select table_name from duckdb_tables() where database_name = 'lake'")
    ]
    return {name: lake.rows(f"select count(*) as n from {name}")[0]["n"] for name in names}


def needles(workspace: Workspace) -> list[bytes]:
    key = user_key(workspace, ANN)
    return [SECRET.encode(), ANN.encode(), key.encode(), b"ann was not", b"replay for ann"]


def test_a_forgotten_user_is_in_no_byte_of_the_workspace_and_the_others_are(
    lake: Lake, workspace: Workspace
) -> None:
    before = {r.request_id: r for r in load_requests(lake) if r.request_id.startswith("bob")}
    places = files_with(workspace.root, needles(workspace))
    kinds = {Path(place).suffix for place in places}
    assert kinds >= {".parquet", ".jsonl"}, "the search finds what there is to find"

    done = forget_user(lake, workspace, ANN)

    assert done.requests == 26
    assert files_with(workspace.root, needles(workspace)) == []
    assert done.clean, done.to_json()
    assert {r.request_id: r for r in load_requests(lake)} == before
    assert lake.rows("select topic, sum(n)::int as n from daily group by 1") == [
        {"topic": "accounts", "n": 26}
    ]
    left = tables(lake)
    expected = {"requests": 26, "feedback": 2, "grades": 1, "replays": 1, "verdicts": 1}
    expected |= {"spans": 1, "rejects": 0, "questions": 1, "gold_answers": 1}
    assert {name: left[name] for name in expected} == expected
    kept = {Passage("", "", "What is owed on day 3?").content_hash}
    every = kept | {Passage("", "", f"{SECRET} (3)?").content_hash}
    assert open_cache(workspace).read("model", every).keys() == kept
    (learnt,) = load_set(workspace.training / "run-1").pairs
    assert (learnt.question, learnt.request_ids) == (SHARED, ("bob-12",))
    assert [one.question_id for one in load_examples(workspace.training / "run-2")] == ["known"]
    (trained,) = (place for place in done.places if place.name == "training data")
    assert (trained.found, trained.removed, trained.left) == (4, 4, 0)
    assert trained.note == "models of these runs have learnt from them: run-1, run-2"
    caches = {p.name: p for p in done.places if p.name.startswith("cache: ")}
    vectors, judgements, answers = caches.values()
    assert (vectors.found, vectors.removed, vectors.left) == (1, 1, 0)
    assert (judgements.found, judgements.left) == (0, 0)
    assert (answers.found, answers.removed, answers.left) == (None, None, None)
    assert "drops all of them before its next answer or page" in answers.note
    assert lake.rows("select count(*) as n from ducklake_snapshots('lake')") == [{"n": 1}]
    assert check_store(lake, workspace).findings == ()


def test_an_id_typed_with_its_blanks_is_forgotten_as_older_versions_kept_it_too(
    lake: Lake, workspace: Workspace
) -> None:
    question = f"{SECRET}, asked with a blank?"
    older = replace(
        asked(workspace, ANN, 40, question), user_key=key_as_typed(workspace, f"{ANN} ")
    )
    log(lake, workspace, older)
    assert forget_user(lake, workspace, ANN, dry_run=True).requests == 26
    done = forget_user(lake, workspace, f"{ANN} ")
    assert (done.requests, done.clean) == (27, True)


def test_neither_an_import_nor_an_archive_nor_a_backup_brings_a_forgotten_user_back(
    lake: Lake, workspace: Workspace, tmp_path: Path
) -> None:
    archive = tmp_path / "archive"
    shutil.copytree(workspace.spool / "archive", archive)
    backup = tmp_path / "backup"
    close_lakes()  # to read an open catalog's file in this process would drop its locks
    shutil.copytree(workspace.root / "lake", backup)
    lake = open_lake(workspace)
    forget_user(lake, workspace, ANN)
    counts = tables(lake)

    for number, path in enumerate(sorted(archive.glob("*.jsonl"))):
        shutil.copy(path, workspace.spool / f"imported-{number}.jsonl")
    again = ingest(lake, workspace)
    assert again.accepted == 0
    assert again.rejected == 26 + 2 + 2 + 1
    log(lake, workspace, asked(workspace, ANN, 99, f"{SECRET}, and I am back?"))
    assert files_with(workspace.root, needles(workspace)) == []
    assert tables(lake)["forgotten"] == counts["forgotten"] + 1, "of the request that is new"
    changed = {"rejects", "segments", "forgotten"}
    assert {n: c for n, c in tables(lake).items() if n not in changed} == {
        n: c for n, c in counts.items() if n not in changed
    }

    close_lakes()
    shutil.rmtree(workspace.root / "lake")
    shutil.copytree(backup, workspace.root / "lake")
    restored = open_lake(workspace)
    assert len(load_requests(restored)) == 52
    back = Finding(
        "forgotten users who are in the lake again: 1", "run: ragdiag privacy forget-again"
    )
    assert back in check_store(restored, workspace).findings
    log(restored, workspace, asked(workspace, ANN, 98, "And before that?"))
    assert len(load_requests(restored)) == 52, "the lake has no tombstone yet, the workspace has"
    done = forget_again(restored, workspace)
    assert done is not None
    assert done.clean, done.to_json()
    assert len(load_requests(restored)) == 26
    assert files_with(workspace.root, needles(workspace)) == []
    assert forget_again(restored, workspace) is not None
    assert back not in check_store(restored, workspace).findings


def test_a_dry_run_counts_and_changes_nothing(lake: Lake, workspace: Workspace) -> None:
    before, snapshot = tables(lake), lake.snapshot()
    bytes_before = {p: p.read_bytes() for p in workspace.spool.rglob("*.jsonl")}
    trial = forget_user(lake, workspace, ANN, dry_run=True)
    assert (tables(lake), lake.snapshot()) == (before, snapshot)
    assert {p: p.read_bytes() for p in workspace.spool.rglob("*.jsonl")} == bytes_before
    assert not (workspace.root / "secrets" / "forgotten").exists()
    assert not trial.clean
    assert trial.files
    done = forget_user(lake, workspace, mark_user(workspace, ANN))
    found = {place.name: place.found for place in trial.places}
    assert {place.name: place.found for place in done.places if place.name in found} == found
    assert found["lake: requests"] == 26
    assert found["spool archive"] == 26 + 2 + 2 + 1
    assert found["training data"] == 4


def test_what_is_not_ragdiags_to_change_is_named(lake: Lake, workspace: Workspace) -> None:
    (workspace.root / "reports").mkdir()
    (workspace.root / "reports" / "week.html").write_text(f"<p>{SECRET} (3)?</p>")
    backups = [
        {"directory": "/b", "backup": "old", "snapshot": 1, "made_at": "2025-12-31T00:00:00+00:00"},
        {"directory": "/b", "backup": "new", "snapshot": 9, "made_at": "2026-02-01T00:00:00+00:00"},
    ]
    (workspace.root / "backups.json").write_text(json.dumps(backups))
    live = create_segment(workspace.spool, "live")
    live.append(record_line(asked(workspace, ANN, 99, f"{SECRET} again?")) + b"\n")
    done = forget_user(lake, workspace, ANN)
    assert [one.backup for one in done.backups] == ["new"]
    assert sorted(done.files) == ["reports/week.html", f"spool/{live.path.name}"]
    assert not done.clean
    (being_written,) = (place for place in done.places if place.name == "spool, being written")
    assert being_written.found == 1
    live.hand_over()
    assert ingest(lake, workspace).rejected == 1
    (workspace.root / "reports" / "week.html").unlink()
    assert forget_user(lake, workspace, ANN).clean, "run again, it finds nothing more"


def test_each_of_their_texts_is_searched_for(lake: Lake, workspace: Workspace) -> None:
    asides = [f"Is the walrus's aside {n} in order?" for n in range(60)]
    log(lake, workspace, *(asked(workspace, ANN, 100 + n, one) for n, one in enumerate(asides)))
    shortest = min(asides, key=len)
    (workspace.root / "week.html").write_text(f"<p>{html.escape(shortest)}</p>")
    done = forget_user(lake, workspace, ANN)
    assert (done.files, done.clean) == (("week.html",), False)


def test_what_was_interrupted_is_finished_by_the_next_run(
    lake: Lake, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = f"{SECRET} (3)?"
    report = workspace.root / "week.html"
    report.write_text(f"<p>{text}</p>")
    made = {"directory": "/b", "backup": "b", "snapshot": 9, "made_at": "2026-02-01T00:00:00+00:00"}
    (workspace.root / "backups.json").write_text(json.dumps([made]))

    def busy(*_: object, **__: object) -> None:
        raise StoreBusy("the archive is held", remedy="nothing was written")

    with monkeypatch.context() as patch:
        patch.setattr(module, "sweep_segments", busy)
        with pytest.raises(StoreBusy, match="the rows are deleted"):
            forget_user(lake, workspace, ANN)
    assert len(load_requests(lake)) == 26
    (kept,) = (workspace.root / "secrets" / "forgetting").iterdir()
    trial = forget_user(lake, workspace, ANN, dry_run=True)
    assert "week.html" in trial.files
    second = forget_user(lake, workspace, ANN)
    assert (second.files, second.clean) == (("week.html",), False)
    assert [one.backup for one in second.backups] == ["b"]
    gone = Passage("", "", text).content_hash
    assert not open_cache(workspace).read("model", {gone})
    report.unlink()
    assert forget_user(lake, workspace, ANN).clean
    assert not kept.exists()
    assert files_with(workspace.root, needles(workspace)) == []


def test_what_was_kept_in_memory_while_rows_went_is_dropped_after_them(
    lake: Lake, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    forgotten = ForgottenUsers(workspace)
    drawn: list[object] = []

    def purge(lake: Lake) -> object:
        drawn.append(forgotten.mark())  # of a page that is drawn in between
        return purge_history(lake)

    monkeypatch.setattr(module, "purge_history", purge)
    for _ in range(2):  # the second time no tombstone is new
        drawn.append(forgotten.mark())
        forget_user(lake, workspace, ANN)
        drawn.append(forgotten.mark())
    assert drawn[2] == drawn[3]
    assert len(set(drawn)) == 5


def test_what_ragdiag_asked_with_their_words_is_theirs_and_no_one_elses(
    lake: Lake, workspace: Workspace
) -> None:
    made, own = f"{SECRET} (3)?", "What is owed on day 3?"
    asked_first = asked(workspace, ANN, 3, "Where is the quay?")
    log(lake, workspace, replace(asked_first, request_id="ann-own"))
    early = MONDAY - timedelta(days=300)
    lake.write(
        lambda c: c.execute(
            "insert into questions (question_id, text, added_at) values "
            "('q-early', 'Where is the quay?', ?)",
            [early],
        )
    )
    by_ragdiag = [
        replace(
            asked(workspace, ANN, 99, text),
            request_id=name,
            user_key=None,
            traffic=traffic,
            question_id=question_id,
            answer=f"{text} answered",
        )
        for name, text, traffic, question_id in (
            ("e-made", made, "evaluation", "q-made"),
            ("e-replay", f"{SECRET} (4)?", "replay", None),
            ("e-own", own, "evaluation", None),
            ("e-early", "Where is the quay?", "evaluation", "q-early"),
        )
    ]
    log(lake, workspace, *by_ragdiag)
    done = forget_user(lake, workspace, ANN)
    assert done.clean, done.to_json()
    assert files_with(workspace.root, needles(workspace)) == []
    left = {request.request_id for request in load_requests(lake)}
    assert {one for one in left if not one.startswith("bob")} == {"e-own", "e-early"}
    log(lake, workspace, by_ragdiag[0])
    assert len(load_requests(lake)) == len(left), "it does not come back"


def test_somebody_who_never_was_here_is_kept_out_as_well(lake: Lake, workspace: Workspace) -> None:
    carol = "carol-of-catering"
    assert forget_user(lake, workspace, carol).requests == 0
    log(lake, workspace, asked(workspace, carol, 1, "Where is lunch?"))
    assert len(load_requests(lake)) == 52
    assert forget_again(lake, workspace) is not None
