"""The pages on another service's log: no spec, no corpus, texts only in the log."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from ragdiag.importers.logs.import_logs import import_logs
from ragdiag.metrics.question_slices import Slices
from ragdiag.settings import Workspace
from ragdiag.store.lake import Lake, close_lakes, open_lake
from ragdiag.store.results import find_served_version
from tests.diagnosed import diagnose

HOSTILE_VERSION = "bot'; $(rm x)"
ROWS = (
    {
        "id": "w",
        "time": "2026-01-05T12:00:00Z",
        "version": "bot-7",
        "question": "How long do cats sleep?",
        "answer": "An hour.",
        "contexts": [{"id": "p1", "text": "Cats sleep <b>fifteen</b> hours."}],
        "gold_answer": "fifteen hours",
        "keep_probability": 0.1,
    },
    {
        "id": "e",
        "time": "2026-01-06T12:00:00Z",
        "version": HOSTILE_VERSION,
        "traffic": "evaluation",
        "question": "What is tea?",
        "answer": "A dog.",
        "contexts": ["p-of-nobody"],
        "fused": ["p-of-nobody"],
        "gold_answer": "a drink",
    },
)


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    folder = tmp_path_factory.mktemp("imported")
    workspace, path = Workspace(folder / "workspace"), Path(folder, "log.jsonl")
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    lake = open_lake(workspace, create=True)
    import_logs(lake, workspace, path)
    yield workspace
    close_lakes()


def test_triage_shows_the_failure_and_how_to_diagnose_it(open_page, imported, said) -> None:
    text = said(open_page("triage", imported))
    assert "1 failed request" in text
    assert 'python -m ragdiag diagnose "bot-7"' in text


def test_a_sampled_log_is_told_to_be_one(open_page, imported) -> None:
    (told,) = open_page("overview", imported).sidebar.info
    assert "Sampled: 1 request logged by chance" in told.value
    assert "about 11 requests" in told.value


def test_of_a_sampled_log_gold_by_stage_is_of_what_was_logged(
    open_page, empty_lake, tmp_path, said
) -> None:
    (drawn,) = (row for row in ROWS if "keep_probability" in row)
    for kept, told in ((1.0, False), (0.1, True)):
        row = drawn | {"id": f"kept {kept}", "gold_contexts": ["p1"], "keep_probability": kept}
        path = Path(tmp_path, f"{kept}.jsonl")
        path.write_text(json.dumps(row) + "\n")
        import_logs(open_lake(empty_lake), empty_lake, path)
        text = said(open_page("triage", empty_lake))
        assert "how much gold each keeps" in text
        assert ("shares are of what was logged" in text) is told


def test_what_is_not_graded_is_weighed_on_triage_as_on_overview(
    open_page, empty_lake, tmp_path, said
) -> None:
    ungraded = {name: told for name, told in ROWS[0].items() if name != "gold_answer"}
    right = ROWS[0] | {"id": "r", "answer": "Fifteen hours.", "keep_probability": 1.0}
    path = Path(tmp_path, "log.jsonl")
    path.write_text("".join(json.dumps(row) + "\n" for row in (ungraded, right)))
    import_logs(open_lake(empty_lake), empty_lake, path)
    for page in ("overview", "triage"):
        text = said(open_page(page, empty_lake))
        assert "1 request is not graded: of all, 9.1 % are correct if it is wrong" in text


def test_headroom_reads_no_corpus_where_no_failure_was_replayed(
    open_page, imported, said, monkeypatch
) -> None:
    def unasked(_: Lake) -> Slices:
        raise AssertionError("the slices of the whole corpus were asked for")

    monkeypatch.setattr("ragdiag.ui.headroom.load_slices", unasked)
    app = open_page("triage", imported)
    assert not app.exception
    assert "Headroom" not in said(app)


def test_an_evaluation_without_a_split_is_named_by_its_traffic(open_page, imported, said) -> None:
    text = said(open_page("request", imported, request_id="e"))
    assert "diagnose 'bot'\"'\"'; $(rm x)' --traffic evaluation" in text
    assert "Its text is neither in the corpus nor in the log." in text


def test_the_request_page_shows_the_texts_of_the_log(open_page, imported, said) -> None:
    app = open_page("request", imported, request_id="w")
    assert not app.exception
    text = said(app)
    assert "Cats sleep &lt;b&gt;fifteen&lt;/b&gt; hours." in text
    assert "no longer in the corpus" not in text


def test_a_diagnosis_says_what_it_cannot_know(open_page, imported, said) -> None:
    lake = open_lake(imported)
    found = diagnose(lake, imported, find_served_version(lake, "bot-7"))
    assert (found.n, found.failures) == (1, 1)
    assert found.verdicts == {"undetermined": 1}
    assert found.causes == {"gold_unknown": 1}
    text = said(open_page("request", imported, request_id="w"))
    assert "Undetermined" in text
    assert "No gold passage is known for this question." in text


@pytest.mark.parametrize("page", ["overview", "versions", "latency", "drift"])
def test_every_other_page_opens(open_page, imported, page) -> None:
    assert not open_page(page, imported).exception
