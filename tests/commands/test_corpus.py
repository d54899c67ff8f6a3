"""Importing and removing documents tells what it means for the indexes that serve."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ragdiag.cli import main
from ragdiag.settings import Workspace
from ragdiag.store.alerts import open_alerts
from ragdiag.store.corpus import load_passages
from ragdiag.store.lake import Lake

Run = Callable[..., tuple[int, Any]]


@pytest.fixture
def run(corpus: Lake, workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> Run:
    def command(*arguments: str) -> tuple[int, Any]:
        status = main(["--workspace", str(workspace.root), *arguments, "--json"])
        return status, json.loads(capsys.readouterr().out)

    return command


@pytest.fixture
def documents(tmp_path: Path) -> str:
    path = tmp_path / "more.jsonl"
    path.write_text('{"id": "rust", "text": "Rust is iron that has met water and air."}\n')
    return str(path)


def test_an_import_tells_what_is_stale_and_rebuilds_where_asked(
    run: Run, documents: str, corpus: Lake, workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("import", "corpus", documents)[1]["indexes"] == []  # nothing serves yet
    run("documents", "remove", "rust")
    built = run("index", "build", "lexical")[1]["build_id"]
    status, told = run("import", "corpus", documents)
    assert (status, told["added"]) == (0, 1)
    (state,) = told["indexes"]
    assert (state["build_id"], state["status"], state["renewed"]) == (built, "bad", False)
    assert len(open_alerts(corpus)) == 1
    assert run("import", "corpus", documents)[1]["indexes"] == []  # nothing has changed
    status, told = run("import", "corpus", documents, "--rebuild")
    assert (status, told["indexes"][0]["renewed"]) == (0, True)
    assert open_alerts(corpus) == []
    assert main(["--workspace", str(workspace.root), "documents", "remove", "rust"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("1 passages removed\n")
    assert "1 removed since; run: ragdiag index build lexical" in said


def test_ids_that_the_corpus_never_held_are_named(
    run: Run, corpus: Lake, workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    remove = ["--workspace", str(workspace.root), "documents", "remove"]
    assert main([*remove, "cats#0", "nobody"]) == 2
    assert capsys.readouterr().err == (
        "ragdiag: the corpus never held the documents 'cats#0', 'nobody'; nothing was removed; "
        "give the document's id as it was imported, not that of a passage\n"
    )
    assert main([*remove, "cats", "nobody", "nobody"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].endswith(" passages removed")
    assert said[1] == "WARNING: the corpus never held the document 'nobody'"
    status, told = run("documents", "remove", "cats", "nobody")
    assert (status, told["passages_removed"], told["unknown"]) == (0, 0, ["nobody"])
    assert run("documents", "remove", "cats")[1]["unknown"] == [], "removed before is no mistake"
    assert main([*remove, *(f"n{i}" for i in range(22))]) == 2
    assert "'n19' and 2 more; nothing was removed" in capsys.readouterr().err


def test_a_rebuild_that_fails_is_exit_one_and_the_import_is_done(
    run: Run, toy_beir: Path, corpus: Lake
) -> None:
    run("index", "build", "lexical")
    lines = [{"_id": one.passage_id, "text": "nothing"} for one in load_passages(corpus)]
    (toy_beir / "corpus.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    status, told = run("import", "beir", str(toy_beir), "--rebuild")
    assert (status, told["replaced"]) == (1, 8)
    assert "was not renewed" in told["indexes"][0]["notes"][0]
    assert {one.kind for one in open_alerts(corpus)} == {"index_rebuild", "index_freshness"}


@pytest.mark.parametrize("what", ["gold", "corpus"])
def test_a_file_of_which_nothing_can_be_used_is_no_success(
    what: str,
    run: Run,
    tmp_path: Path,
    corpus: Lake,
    workspace: Workspace,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "table.jsonl"
    path.write_text('question,answer\n"What is rust?","iron"\n')
    status, told = run("import", what, str(path))
    assert (status, len(told["rejects"])) == (2, 2)
    assert main(["--workspace", str(workspace.root), "import", what, str(path)]) == 2
    told = capsys.readouterr().err
    assert f"nothing was loaded: all that {path} holds was rejected (not JSON" in told
    path.write_text('{"id": "new", "text": "Air.", "question": "What?", "answers": ["air"]}\nnot\n')
    assert run("import", what, str(path))[0] == 0, "some of it could be used"
