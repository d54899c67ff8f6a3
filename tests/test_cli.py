"""The command contract: one document on stdout, one line and status 2 for a user's mistake."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ragdiag.cli import main
from ragdiag.settings import Workspace
from ragdiag.store.lake import open_lake
from ragdiag.store.results import load_requests
from tests.faulty_server import FaultyServer

SPEC = """
[embedder]
[lexical]
[context]
k = 2
[generator]
kind = "extractive"
sentences = 1
"""


class Command:
    """Runs ragdiag on one workspace and reads what it printed."""

    def __init__(self, workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
        self._workspace = workspace
        self._capsys = capsys

    def json(self, *arguments: str) -> Any:
        status = main(["--workspace", str(self._workspace.root), *arguments, "--json"])
        printed = self._capsys.readouterr()
        assert status == 0, printed.err
        return json.loads(printed.out)

    def text(self, *arguments: str) -> str:
        status = main(["--workspace", str(self._workspace.root), *arguments])
        printed = self._capsys.readouterr()
        assert status == 0, printed.err
        return printed.out

    def mistake(self, *arguments: str) -> str:
        """The one line that a mistake ends with, after any progress."""
        status = main(["--workspace", str(self._workspace.root), *arguments])
        printed = self._capsys.readouterr()
        assert status == 2
        assert printed.out == ""
        said = [line for line in printed.err.splitlines() if line.startswith("ragdiag: ")]
        assert len(said) == 1
        assert "Traceback" not in printed.err
        return said[0]


@pytest.fixture
def command(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(workspace, capsys)


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "hybrid.toml"
    path.write_text(SPEC)
    return path


@pytest.mark.slow
def test_one_question_travels_the_whole_house(
    command: Command, toy_beir: Path, spec: Path, tmp_path: Path
) -> None:
    loaded = command.json("import", "beir", str(toy_beir))
    assert loaded["rejects"] == []
    version = command.json("version", "add", "hybrid", "--spec", str(spec))
    build = command.json("index", "build", "hybrid")
    assert (build["passages"], build["dimension"]) == (8, 384)
    assert command.json("index", "build", "hybrid")["build_id"] == build["build_id"]

    run = tmp_path / "run.txt"
    found = command.json("evaluate", "hybrid", "--split", "test", "--run-out", str(run))
    assert (found["n"], found["errors"]) == (6, 0)
    assert found["version_id"] == version["version_id"]
    assert found["metrics"]["recall@10"]["value"] == 1.0
    assert set(found["metrics"]["MRR@10"]) == {"value", "low", "high", "n"}
    assert found["latency_ms"]["total"]["p50"]["value"] > 0
    assert {"embed", "lexical", "dense", "fusion"} <= found["latency_ms"].keys()

    diagnosis = command.json("diagnose", "hybrid", "--split", "test")
    assert diagnosis["n"] == 6
    assert sum(diagnosis["verdicts"].values()) == diagnosis["failures"]
    assert sum(diagnosis["causes"].values()) == diagnosis["failures"]
    assert command.json("diagnose", "hybrid", "--split", "test") == diagnosis

    asked = command.json("ask", "hybrid", "How long do cats sleep?")
    assert asked["stages"]["fused"][0]["passage_id"] == "cats"
    assert "fifteen hours a day" in asked["answer"]
    assert asked["citations"] == ["cats"]

    qrels = tmp_path / "qrels.txt"
    judged = (toy_beir / "qrels" / "test.tsv").read_text().splitlines()[1:]
    qrels.write_text("".join("{} 0 {} {}\n".format(*line.split("\t")) for line in judged))
    scored = command.json("score", "--qrels", str(qrels), "--run", str(run), "-m", "recip_rank")
    assert scored["metrics"]["recip_rank"] == pytest.approx(found["metrics"]["MRR@10"]["value"])


@pytest.mark.slow
def test_two_versions_are_compared_question_by_question(
    command: Command, toy_beir: Path, spec: Path, tmp_path: Path
) -> None:
    lexical = tmp_path / "lexical.toml"
    lexical.write_text(SPEC.replace("[embedder]\n", ""))
    command.json("import", "beir", str(toy_beir))
    for name, path in (("hybrid", spec), ("lexical", lexical)):
        command.json("version", "add", name, "--spec", str(path))
        command.json("index", "build", name)
        command.json("evaluate", name, "--split", "test")
    found = command.json("compare", "lexical", "hybrid", "--split", "test")
    assert found["n"] == 6
    for metric in found["metrics"].values():
        assert {"a", "b", "difference", "p", "p_holm", "minimum_detectable"} <= metric.keys()
        assert metric["difference"]["value"] == pytest.approx(metric["b"] - metric["a"])
    assert "hybrid against lexical on 6 questions" in command.text(
        "compare", "lexical", "hybrid", "--split", "test"
    )


SERVED = """
[lexical]
[generator]
kind = "openai"
model = "served"
base_url = "{}"
api_key_env = "RAGDIAG_TEST_KEY"
retries = 0
timeout_s = {}
"""


@pytest.fixture(params=["wrong key", "hanging"])
def served(
    request: pytest.FixtureRequest,
    command: Command,
    toy_beir: Path,
    tmp_path: Path,
    faulty_server: FaultyServer,
) -> str:
    """A version whose server refuses its key, or hangs; returns what the error line must name."""
    wrong_key = request.param == "wrong key"
    if wrong_key:
        faulty_server.answers(401, {})
    else:
        faulty_server.hangs()
    spec = tmp_path / "served.toml"
    spec.write_text(SERVED.format(faulty_server.base_url, 5 if wrong_key else 0.2))
    command.json("import", "beir", str(toy_beir))
    command.json("version", "add", "served", "--spec", str(spec))
    command.json("index", "build", "served")
    return "set RAGDIAG_TEST_KEY" if wrong_key else "raise timeout_s"


def test_a_server_that_is_down_ends_an_evaluation_with_nothing_half_written(
    command: Command, served: str
) -> None:
    said = command.mistake("evaluate", "served", "--split", "test")
    assert "3 answers in a row failed" in said
    assert served in said
    assert "no evaluation" in command.mistake("diagnose", "served", "--split", "test")


def test_a_question_that_the_server_failed_on_is_logged_all_the_same(
    command: Command, served: str, workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    status = main(["--workspace", str(workspace.root), "ask", "served", "How long do cats sleep?"])
    printed = capsys.readouterr()
    assert status == 2
    assert served in printed.err
    assert printed.out.startswith("(no answer)")
    (request,) = load_requests(open_lake(workspace))
    assert (request.status, request.fused[0].passage_id) == ("error", "cats")


@pytest.mark.parametrize(
    ("expected", "qrels", "arguments"),
    [
        ("out.test", "qrels.test", []),
        ("out.test.a", "qrels.test", ["-m", "all_trec"]),
        ("out.test.aq", "qrels.test", ["-m", "all_trec", "-q"]),
        (
            "out.test.aql",
            "qrels.rel_level",
            ["-m", "all_trec", "-m", "relstring.20", "-q", "-l", "2"],
        ),
    ],
)
def test_score_prints_what_trec_eval_prints(
    command: Command, shared_data: Path, expected: str, qrels: str, arguments: list[str]
) -> None:
    folder = shared_data / "trec_eval"
    files = ["--qrels", str(folder / qrels), "--run", str(folder / "results.test")]
    assert command.text("score", *files, *arguments) == (folder / expected).read_text()


def test_removed_documents_leave_the_corpus(command: Command, toy_beir: Path) -> None:
    command.json("import", "beir", str(toy_beir))
    for removed in (2, 0):
        told = command.json("documents", "remove", "cats", "dogs")
        assert told == {"passages_removed": removed, "unknown": [], "indexes": []}


def test_a_tenants_documents_are_found_by_the_tenant_alone(
    command: Command, tmp_path: Path
) -> None:
    (tmp_path / "words.toml").write_text("[lexical]\n[generator]\nkind = 'extractive'\n")
    tea = {"id": "tea", "text": "Tea is brewed at eighty degrees.", "metadata": {"tenant": "acme"}}
    (tmp_path / "tea.jsonl").write_text(json.dumps(tea))
    (tmp_path / "gold.jsonl").write_text(
        json.dumps({"question": "How is tea brewed?", "passages": {"tea#0": 1}, "split": "test"})
    )
    command.json("import", "corpus", str(tmp_path / "tea.jsonl"))
    command.json("import", "gold", str(tmp_path / "gold.jsonl"))
    command.json("version", "add", "words", "--spec", str(tmp_path / "words.toml"))
    command.json("index", "build", "words")
    for asker, hits in (((), 0), (("--tenant", "acme"), 1), (("--tenant", "other"), 0)):
        asked = command.json("ask", "words", "How is tea brewed?", *asker)
        assert len(asked["stages"]["fused"]) == hits
        found = command.json("evaluate", "words", "--split", "test", *asker)
        assert found["metrics"]["MRR@10"]["value"] == hits


@pytest.mark.parametrize(
    ("arguments", "culprit"),
    [
        (["version", "list"], "no workspace"),
        (["import", "beir", "/nowhere"], "/nowhere"),
        (["import", "logs", "/nowhere"], "/nowhere"),
        (["import", "logs", "/nowhere", "--mapping", "/no.toml"], "/no.toml"),
        (["import", "logs", "/nowhere", "--format", "xml"], "'xml'"),
        (["version", "add", "v", "--spec", "/nowhere.toml"], "/nowhere.toml"),
        (["score", "--qrels", "/no.qrels", "--run", "/no.run"], "/no."),
        (["evaluate", "v"], "--split"),
        (["evaluate", "v"], "see: ragdiag evaluate --help"),
        (["nonsense"], "nonsense"),
        (["nonsense"], "see: ragdiag --help"),
        (["score", "--qrels", "q", "--run", "r", "-l", "many"], "'-l'"),
    ],
)
def test_a_mistake_is_one_line_that_names_the_culprit(
    command: Command, arguments: list[str], culprit: str
) -> None:
    assert culprit in command.mistake(*arguments)


def test_names_that_are_not_there_come_with_what_is(
    command: Command, toy_beir: Path, spec: Path
) -> None:
    command.json("import", "beir", str(toy_beir))
    command.json("version", "add", "hybrid", "--spec", str(spec))
    assert "hybrid" in command.mistake("evaluate", "hybrd", "--split", "test")
    assert "test" in command.mistake("evaluate", "hybrid", "--split", "tset")
    assert "ragdiag index build hybrid" in command.mistake("ask", "hybrid", "Why?")
    assert "evaluate" in command.mistake("diagnose", "hybrid")
    assert "evaluate" in command.mistake("compare", "hybrid", "hybrid", "--split", "test")


def test_an_index_over_nothing_is_refused(command: Command, spec: Path) -> None:
    command.json("version", "add", "hybrid", "--spec", str(spec))
    assert "import corpus" in command.mistake("index", "build", "hybrid")
