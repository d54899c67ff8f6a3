"""``ragdiag deploy`` from the command line, once with real pipelines."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ragdiag.cli import main
from ragdiag.settings import Workspace
from ragdiag.store.lake import Lake, close_lakes, open_lake
from ragdiag.store.results import load_requests
from tests.answered import fill_corpus
from tests.conftest import TOY_QUESTIONS

SPEC = """
[lexical]
k1 = {}
[context]
k = 2
[generator]
kind = "extractive"
sentences = 1
"""

Run = Callable[..., tuple[int, Any, str]]


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Three versions, and nothing deployed."""
    workspace = Workspace(tmp_path_factory.mktemp("known") / "workspace")
    fill_corpus(workspace)
    close_lakes()
    return workspace


@pytest.fixture
def run(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> Run:
    """Exit status, the document on stdout (None where there is none), stderr."""

    def command(*arguments: str) -> tuple[int, Any, str]:
        status = main(["--workspace", str(workspace.root), *arguments, "--json"])
        printed = capsys.readouterr()
        return status, json.loads(printed.out) if printed.out else None, printed.err

    return command


def test_states_follow_the_commands(
    run: Run, copied: Callable[[Workspace], Lake], known: Workspace
) -> None:
    copied(known)
    assert run("deploy", "status")[1] == {"deployment": None, "events": []}
    status, event, _ = run("deploy", "set", "old", "--actor", "ada")
    assert (status, event["kind"], event["actor"]) == (0, "set", "ada")
    status, event, _ = run("deploy", "canary", "new", "--share", "20%", "--planned-n", "200")
    assert (status, event["deployment"]["share"]) == (0, 0.2)
    assert event["evidence"]["plan"]["planned_n"] == 200
    status, found, _ = run("deploy", "decide")
    assert (status, found["action"], found["applied"]) == (3, "hold", False)
    assert run("deploy", "decide", "--apply")[1]["event"] == 3
    assert run("deploy", "shadow", "third", "--planned-n", "50")[0] == 0
    told = run("deploy", "status")[1]
    assert told["deployment"]["names"] == {
        "production": "old", "canary": "new", "shadow": "third", "previous": None
    }  # fmt: skip
    assert [one["kind"] for one in told["events"]] == ["set", "canary", "hold", "shadow"]
    assert run("deploy", "rollback", "shadow")[1]["deployment"]["shadow"] is None
    assert run("deploy", "promote")[1]["applied"]
    status, _, told = run("deploy", "rollback", "--reason", "it smells")
    assert (status, "ragdiag deploy rollback production" in told) == (2, True)
    status, event, _ = run("deploy", "rollback", "production", "--reason", "it smells")
    assert event["evidence"] == {"by_hand": True, "reason": "it smells"}
    assert run("deploy", "status")[1]["deployment"]["names"]["production"] == "old"


def test_people_read_the_same(
    copied: Callable[[Workspace], Lake], known: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    root = str(copied(known).workspace.root)

    def said(*arguments: str, status: int = 0) -> str:
        assert main(["--workspace", root, "deploy", *arguments]) == status
        return capsys.readouterr().out

    assert said("status") == "nothing is deployed; run: ragdiag deploy set VERSION\n"
    assert said("set", "old") == "production old\n"
    started = said("canary", "new", "--planned-n", "200")
    assert started.startswith("production old, canary new (5 % of keys)\nplanned: 200 requests")
    assert "not watched: errors, known of 0 of production's requests" in started
    assert said("decide", status=3).startswith("hold: canary new against old since ")
    assert "canary new (5 % of keys)" in said("status").splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "culprit"),
    [
        (["set", "nwe"], "'nwe'"),
        (["canary", "new", "--share", "half"], "'half' is no share"),
        (["canary", "new", "--slo-ms", "inf"], "'--slo-ms'"),
        (["shadow", "new", "--slo-ms", "nan"], "'--slo-ms'"),
        (["canary", "new"], "ragdiag deploy set VERSION"),
        (["shadow", "new"], "ragdiag deploy set VERSION"),
        (["decide"], "ragdiag deploy set VERSION"),
        (["promote"], "ragdiag deploy set VERSION"),
        (["rollback"], "ragdiag deploy set VERSION"),
        (["rollback", "everything"], "'everything'"),
    ],
)
def test_a_mistake_is_one_line(
    known: Workspace, arguments: list[str], culprit: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--workspace", str(known.root), "deploy", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert culprit in printed.err
    assert len(printed.err.splitlines()) == 1


@pytest.mark.slow
def test_a_shadow_answers_productions_last_questions(
    run: Run, workspace: Workspace, toy_beir: Path, tmp_path: Path
) -> None:
    run("import", "beir", str(toy_beir))
    for name, k1 in (("old", 1.5), ("new", 1.2)):
        spec = tmp_path / f"{name}.toml"
        spec.write_text(SPEC.format(k1))
        run("version", "add", name, "--spec", str(spec))
        run("index", "build", name)
    for question, _, _ in TOY_QUESTIONS.values():
        assert run("ask", "old", question)[0] == 0
    lake = open_lake(workspace)
    lake.write(
        lambda c: c.execute(
            "update requests set user_key = repeat('a1', 16), question_id = 'q-tea' "
            "where question like '%green tea%'"
        )
    )
    lake.write(
        lambda c: c.execute(
            "update requests set question = '[text 00112233445566778899aabbccddeeff]' "
            "where question like '%Moon%'"
        )
    )
    run("deploy", "set", "old")
    shadow = ["deploy", "shadow", "new", "--planned-n", "30"]
    assert run(*shadow, "--replay", "4")[1]["replayed"] == {"asked": 3, "known": 0, "hidden": 1}
    assert run(*shadow, "--replay", "9")[1]["replayed"] == {"asked": 2, "known": 3, "hidden": 1}
    mirrored = load_requests(lake, traffic="shadow")
    assert len(mirrored) == 5
    by_question = {one.question: one for one in load_requests(lake, traffic="production")}
    for one in mirrored:
        followed = by_question[one.question]
        assert one.request_id == f"{followed.request_id}.shadow.{one.version_id}.2"
        assert (one.user_key, one.question_id) == (followed.user_key, followed.question_id)
        assert one.logged_depth == 10
    status, found, _ = run("deploy", "decide")
    assert (status, found["n"], found["judged"], found["side"]) == (3, 5, 5, "shadow")
    assert found["arms"]["new"]["correct"]["n"] == 5
    close_lakes()
