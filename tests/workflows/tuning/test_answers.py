"""A reader and a generator are tuned for a version, measured beside it and judged."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from ragdiag.cli import main
from ragdiag.errors import InputError, ModelError, UnknownName
from ragdiag.records import Judgment, Passage, Question
from ragdiag.retrieval.adapters import read_manifest
from ragdiag.retrieval.models import weights_hash
from ragdiag.settings import Workspace
from ragdiag.store.corpus import add_documents, add_judgments, add_questions, load_questions
from ragdiag.store.lake import Lake, close_lakes, open_lake
from ragdiag.store.results import find_version, list_builds, load_requests, save_version
from ragdiag.training.answers.located import examples_hash
from ragdiag.training.answers.sets import load_examples
from ragdiag.training.run_folder import run_folder
from ragdiag.training.runs import facts_of
from ragdiag.version import ContextSpec, ReaderSpec, TransformersSpec, Version
from ragdiag.workflows.tuning.answer_options import GeneratorTuning, LearnAnswers, ReaderTuning
from ragdiag.workflows.tuning.answers import tune_answers
from tests.training.toy_answering import READ, WINDOW, make_encoder, make_language
from tests.workflows.aliases import fill

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("tuned answers")]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """A version that packs both passages of a thing, mostly, and takes words from either."""
    workspace = Workspace(tmp_path_factory.mktemp("answers") / "workspace")
    lake, dense = fill(workspace)
    add_documents(lake, [Passage("news", "news", "A notice of nothing in particular.")])
    context = ContextSpec(k=2)
    save_version(lake, Version("two", dense.spec.model_copy(update={"context": context})))
    yield workspace
    close_lakes()


@pytest.fixture
def lake(workspace: Workspace) -> Lake:
    return open_lake(workspace)


def test_a_reader_that_learned_the_words_answers_better(
    lake: Lake, workspace: Workspace, tmp_path_factory: pytest.TempPathFactory
) -> None:
    base = make_encoder(tmp_path_factory.mktemp("encoder"))
    tuning = ReaderTuning(
        str(base), max_tokens=READ, epochs=10, batch=16, learning_rate=3e-3, save_as="reads"
    )
    asked = {one.text for one in load_questions(lake)}
    run = tune_answers(lake, workspace, find_version(lake, "two"), tuning)
    assert run is not None
    facts = facts_of(run)
    assert (run.kind, run.state, facts.artefact) == ("reader", "done", "model")
    run_folder(workspace, run.run_id).verify()
    assert facts.base.sha256 == weights_hash(str(base))
    measured, synthetic = facts.measured
    assert synthetic.name == "synthetic"
    assert facts.data is not None
    n = facts.data.held_out["synthetic"]
    assert synthetic.changes[0].before.n == n > 5
    assert [(one.metric, one.learned, one.unseen) for one in facts.overfit] == [
        ("correct", "test", "synthetic")
    ]
    assert not [one for one in load_requests(lake) if one.question not in asked], "none is logged"
    correct, f1 = measured.changes
    assert (correct.metric, f1.metric, correct.before.n) == ("correct", "token_f1", 28)
    assert f1.before.value < 0.6 < f1.after.value
    assert f1.difference.low > 0
    assert set(measured.slices) == {"blorf", "quimp"}
    assert facts.moved_by == "score"
    assert all(one.before < one.after for one in facts.gained if one.before is not None)
    assert facts.gate is not None
    assert facts.gate.decision in ("pass", "rollback", "inconclusive")
    made = find_version(lake, "reads")
    assert isinstance(made.spec.generator, ReaderSpec)
    assert facts.candidate is not None
    assert facts.candidate.version_id == made.version_id
    assert len(list_builds(lake, made.spec.index_key)) == 1, "the index is the old one"


def test_a_generator_that_learned_only_to_decline_is_rolled_back(
    workspace: Workspace,
    tmp_path_factory: pytest.TempPathFactory,
    capsys: pytest.CaptureFixture[str],
) -> None:
    base = make_language(tmp_path_factory.mktemp("language"))
    options = ["--declines", "1", "--max-tokens", str(WINDOW), "--max-output-tokens", "4"]
    options += ["--epochs", "3", "--batch", "8", "--micro", "8", "--learning-rate", "0.02"]
    command = ["tune", "generator", "two", "--base", str(base), *options, "--save-as", "writes"]
    assert main(["--workspace", str(workspace.root), *command, "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    folder = Path(told["folder"])
    facts = told["facts"]
    assert (told["kind"], told["state"], facts["artefact"]) == ("generator", "done", "adapter")
    assert facts["measured"][0]["changes"][0]["after"]["value"] < 0.1
    assert facts["lost"]
    assert facts["gate"]["decision"] == "rollback"
    assert not told["waits_for_canary"]
    manifest = read_manifest(folder / "adapter")
    assert manifest is not None
    assert manifest.base_sha256 == facts["base"]["sha256"] == weights_hash(str(base))
    assert {"adapter_config.json", "adapter_model.safetensors"} <= manifest.files.keys()
    held = [one for name in ("train", "dev") for one in load_examples(folder, name)]
    assert facts["data"]["data_hash"] == examples_hash(held)
    by_source = facts["data"]["by_source"]
    assert by_source["answered"] == by_source["declined"] > 10
    spec = find_version(open_lake(workspace), "writes").spec.generator
    assert isinstance(spec, TransformersSpec)
    assert (spec.model, spec.adapter) == (str(base), str(folder / "adapter"))


def test_a_split_is_written_for_a_host_and_what_is_refused_is_told(
    lake: Lake, workspace: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add_questions(lake, [Question("mute", "Who sells the unicycle abroad?")])
    add_judgments(lake, [Judgment("mute", "lamp#blorf", 1, "train")])
    out = tmp_path / "chat.jsonl"
    arguments = ["tune", "export", "two", "--split", "train", "--out", str(out)]
    assert main(["--workspace", str(workspace.root), *arguments, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    rows = [json.loads(line)["messages"] for line in out.read_text().splitlines()]
    assert told["rows"] == len(rows)
    assert told["refused"] == [{"question_id": "mute", "reason": "it has no gold answer"}]
    replies = [messages[-1]["content"] for messages in rows]
    assert "10 euros [" in " ".join(replies)
    assert replies.count("NO_ANSWER") == round(0.25 * (len(rows) - replies.count("NO_ANSWER")))
    assert main(["--workspace", str(workspace.root), *arguments]) == 0
    assert "refused 1: it has no gold answer" in capsys.readouterr().out
    assert main(["--workspace", str(workspace.root), *arguments, "--max-tokens", "9"]) == 2
    assert "name a --tokenizer" in capsys.readouterr().err


def test_what_cannot_be_tuned_says_why(lake: Lake, workspace: Workspace, tmp_path: Path) -> None:
    version = find_version(lake, "two")
    taken = ReaderTuning(str(make_encoder(tmp_path / "encoder")), save_as="two")
    with pytest.raises(InputError, match="there is a version two already; choose another name"):
        tune_answers(lake, workspace, version, taken)
    with pytest.raises(InputError, match="the split 'test' cannot be learned from and tested on"):
        tune_answers(lake, workspace, version, ReaderTuning("no", LearnAnswers(split="test")))
    with pytest.raises(UnknownName, match="there is no split 'holdout'"):
        tune_answers(lake, workspace, version, ReaderTuning("no", LearnAnswers(test="holdout")))
    with pytest.raises(ModelError, match="no model at no/such"):
        tune_answers(lake, workspace, version, GeneratorTuning("no/such"))
