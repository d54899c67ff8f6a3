"""The ``index`` commands: one JSON document, exit 1 where something is bad, 2 for a mistake."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ragdiag.cli import main
from ragdiag.jobs import read_progress
from ragdiag.records import Passage
from ragdiag.settings import Workspace
from ragdiag.store.alerts import open_alerts
from ragdiag.store.corpus import add_documents, load_passages
from ragdiag.store.lake import Lake
from tests.stocked import Add

Run = Callable[..., tuple[int, Any, str]]


@pytest.fixture
def run(corpus: Lake, workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> Run:
    """Exit status, the document on stdout (None where there is none), stderr."""

    def command(*arguments: str) -> tuple[int, Any, str]:
        status = main(["--workspace", str(workspace.root), "index", *arguments, "--json"])
        printed = capsys.readouterr()
        return status, json.loads(printed.out) if printed.out else None, printed.err

    return command


@pytest.fixture
def text(
    corpus: Lake, workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    def command(*arguments: str) -> str:
        main(["--workspace", str(workspace.root), "index", *arguments])
        return capsys.readouterr().out

    return command


def test_a_build_is_published_listed_and_taken_back(run: Run, add: Add) -> None:
    status, first, _ = run("build", "lexical")
    assert (status, first["published"], first["serving"]) == (0, True, first["build_id"])
    assert first["check"]["status"] == "good"
    add("rust")
    status, second, _ = run("build", "lexical", "--no-publish")
    assert (status, second["published"], second["serving"]) == (0, False, first["build_id"])
    status, done, _ = run("publish", "lexical", "--reason", "rust is asked for")
    assert (status, done["serving"]) == (0, second["build_id"])
    _, rows, _ = run("list", "lexical")
    assert [(row["build_id"], row["serves"], row["on_disk"]) for row in rows] == [
        (second["build_id"], True, True),
        (first["build_id"], False, True),
    ]
    status, back, _ = run("rollback", "lexical")
    assert (status, back["build_id"], back["rolled_back_from"]) == (
        0,
        first["build_id"],
        second["build_id"],
    )
    status, document, said = run("rollback", "lexical")
    assert (status, document) == (2, None)
    assert "no build to go back to" in said
    assert run("publish", "lexical", "--build", second["build_id"])[1]["published"]


@pytest.mark.parametrize("what", ["damaged", "gone"])
def test_a_build_that_was_made_again_says_so(
    run: Run, text: Callable[..., str], workspace: Workspace, what: str
) -> None:
    first = run("build", "lexical")[1]
    assert not first["made_again"]
    assert not run("build", "lexical")[1]["made_again"], "it was there, and is reused"

    def harm() -> None:
        folder = workspace.indexes / first["build_id"]
        if what == "gone":
            shutil.rmtree(folder)
        else:
            (folder / "ids.parquet").write_bytes(b"damaged")

    harm()
    status, again, _ = run("build", "lexical")
    assert (status, again["build_id"], again["made_again"]) == (0, first["build_id"], True)
    harm()
    assert text("build", "lexical").startswith(
        f"build {first['build_id']}: 8 passages; its files were damaged or gone and were made "
        "again; it serves already\n"
    )
    assert run("build", "lexical")[1]["made_again"] is False


def test_a_check_that_is_bad_is_exit_one_and_an_alert(
    run: Run, text: Callable[..., str], add: Add, corpus: Lake
) -> None:
    run("build", "lexical")
    assert run("check", "lexical")[0] == 0
    add("rust")
    status, found, _ = run("check", "lexical")
    assert (status, found["status"]) == (1, "bad")
    (bad,) = [one for one in found["findings"] if one["status"] == "bad"]
    assert set(bad) == {"name", "status", "what", "remedy"}
    assert bad["remedy"] == "run: ragdiag index build lexical"
    assert len(open_alerts(corpus)) == 1
    assert "bad  build" in text("check", "lexical")
    assert run("build", "lexical")[0] == 0
    assert open_alerts(corpus) == []


def test_a_bad_build_is_exit_one_until_it_is_forced(
    run: Run, text: Callable[..., str], corpus: Lake
) -> None:
    first = run("build", "lexical")[1]["build_id"]
    worse = [
        Passage(one.passage_id, one.document_id, f"{n} nothing")
        for n, one in enumerate(load_passages(corpus))
    ]
    add_documents(corpus, worse)
    status, made, _ = run("build", "lexical")
    assert (status, made["published"], made["serving"]) == (1, False, first)
    assert run("publish", "lexical")[0] == 1
    assert f"build {first} goes on serving" in text("publish", "lexical")
    status, done, _ = run("publish", "lexical", "--force")
    assert (status, done["serving"]) == (0, made["build_id"])
    status, found, _ = run("diagnose", "lexical")
    assert (status, found["previous_build_id"]) == (1, first)
    assert found["differences"]["lexical"]["recall@10"]["value"] == -1.0
    said = text("diagnose", "lexical")
    assert "ragdiag index rollback lexical" in said
    assert f"build {first}" in said.splitlines()[0]


def test_nothing_built_and_nothing_published_say_what_to_run(
    run: Run, text: Callable[..., str]
) -> None:
    assert "run: ragdiag index build lexical" in text("list", "lexical")
    for command in ("check", "publish", "diagnose"):
        status, document, said = run(command, "lexical")
        assert (status, document) == (2, None)
        assert "run: ragdiag index build lexical" in said
    run("build", "lexical", "--no-publish")
    status, _, said = run("check", "lexical")
    assert status == 2
    assert "run: ragdiag index publish lexical" in said
    assert "nothing serves" in text("build", "lexical", "--no-publish")
    assert run("check", "nobody")[0] == 2


def test_each_command_says_in_its_progress_file_how_it_ended(
    run: Run, add: Add, tmp_path: Path
) -> None:
    def told(*arguments: str) -> str:
        run(*arguments, "--progress-file", str(tmp_path / "job.json"))
        progress = read_progress(tmp_path / "job.json")
        assert progress is not None
        assert progress.state == "done"
        return progress.message

    assert "it serves from now on" in told("build", "lexical")
    assert told("check", "lexical").endswith("is checked: good")
    add("rust")
    run("build", "lexical", "--no-publish")
    add("go", "zig")
    assert "goes on serving; build" in told("publish", "lexical")
    run("build", "lexical")
    assert "serves again, in place of" in told("rollback", "lexical")
