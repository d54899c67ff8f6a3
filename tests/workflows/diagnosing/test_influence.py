"""Which passage moved the answer of a logged request: real versions, a real lake, no network."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ragdiag.cli import main
from ragdiag.errors import InputError, UnknownName
from ragdiag.pipeline import open_pipeline
from ragdiag.records import ContextHit, GoldAnswer, Passage, Question, Request
from ragdiag.settings import Workspace
from ragdiag.store.corpus import add_documents, add_gold_answers, add_questions
from ragdiag.store.influences import latest_influences, load_trials
from ragdiag.store.lake import Lake
from ragdiag.store.results import save_version
from ragdiag.version import LexicalSpec, Spec, Version, parse_spec
from ragdiag.workflows.diagnosing import influence
from ragdiag.workflows.indexing.build import build_version_index
from tests.answered import log
from tests.taught import TaughtLanguage
from tests.weighed import log_tea


@pytest.fixture
def asked(corpus: Lake, workspace: Workspace, version: Version) -> Request:
    return log_tea(corpus, workspace, version)


def test_the_passage_that_carries_the_answer_is_found_and_kept(
    corpus: Lake, asked: Request
) -> None:
    subject = influence.open_subject(corpus, asked.request_id)
    assert influence.plan(corpus, subject)["answers"] == [4, 9]
    found = influence.weigh_by_leaving_out(corpus, subject)
    assert [(part["part_id"], part["role"]) for part in found["parts"]] == [
        ("moon", "changed"),
        ("tea", "carried"),
    ]
    # What was logged was said from another context.
    assert (found["y"], found["deterministic"], found["reproduces"]) == (1, True, False)
    assert influence.sentences(found)[:2] == [
        "The answer rests on tea: without it the answer turns wrong.",
        "Without moon the answer changes and stays right.",
    ]
    assert latest_influences(corpus, asked.request_id) == {"leave-one-out": found}
    assert influence.plan(corpus, subject)["answers"] == [0, 5]


def test_what_was_interrupted_goes_on(
    corpus: Lake, asked: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = influence.open_subject(corpus, asked.request_id)
    said = 0

    def stop(fraction: float, message: str) -> None:
        nonlocal said
        said += 1
        if said == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        influence.weigh_by_leaving_out(corpus, subject, progress=stop)
    kept = load_trials(corpus, asked.request_id, subject.setting())
    assert len(kept) == 3
    found = influence.weigh_by_leaving_out(corpus, subject)
    assert found["answers"] == 4
    assert set(kept) < set(load_trials(corpus, asked.request_id, subject.setting()))
    other = replace(subject, golds=("another",))
    assert load_trials(corpus, asked.request_id, other.setting()) == []


def test_an_exact_influence_and_a_useless_option_are_told(
    workspace: Workspace, asked: Request, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--workspace", str(workspace.root), "influence", asked.request_id]
    assert main(arguments) == 0
    assert "1.000 (exact: the generator repeats itself)" in capsys.readouterr().out
    assert main([*arguments, "--by", "sentence"]) == 2
    assert "--by sentence needs --method ablation" in capsys.readouterr().err


def test_only_the_first_passages_can_be_asked_for(corpus: Lake, asked: Request) -> None:
    subject = influence.open_subject(corpus, asked.request_id)
    influence.weigh_by_leaving_out(corpus, subject)
    found = influence.weigh_by_leaving_out(corpus, subject, k=1)
    assert [part["part_id"] for part in found["parts"]] == ["moon"]


def test_what_cannot_be_asked_again_is_named(
    corpus: Lake, workspace: Workspace, asked: Request
) -> None:
    with pytest.raises(UnknownName, match="no request 'nope'"):
        influence.open_subject(corpus, "nope")
    log(
        corpus,
        workspace,
        [
            replace(asked, request_id="foreign", version_id="somebody"),
            replace(asked, request_id="empty", context=()),
        ],
    )
    with pytest.raises(InputError, match=r"foreign was answered by a service.*not known"):
        influence.open_subject(corpus, "foreign")
    with pytest.raises(InputError, match="its prompt was empty"):
        influence.open_subject(corpus, "empty")
    subject = influence.open_subject(corpus, asked.request_id)
    with pytest.raises(InputError, match=r"kind 'extractive'; use --method leave-one-out"):
        influence.weigh_by_ablation(corpus, subject)


def test_a_server_that_may_cost_is_priced_first(
    corpus: Lake, workspace: Workspace, asked: Request, capsys: pytest.CaptureFixture[str]
) -> None:
    paid = Version(
        "paid",
        parse_spec(
            "[lexical]\n[generator]\nkind = 'openai'\nmodel = 'm'\nbase_url = 'http://127.0.0.1:9'",
            source="toy",
        ),
    )
    save_version(corpus, paid)
    priced = replace(asked, request_id="p", version_id=paid.version_id, cost_usd=0.5)
    log(corpus, workspace, [priced])
    assert main(["--workspace", str(workspace.root), "influence", "p"]) == 0
    assert capsys.readouterr().out == ("4 to 9 answers, 2.0000 to 4.5000 US$; run it with --yes\n")


@pytest.mark.slow
def test_a_language_models_answer_is_weighed_by_its_probability(
    lake: Lake, workspace: Workspace, taught_language: TaughtLanguage
) -> None:
    facts = ("k1 v4 .", "k7 v2 .", "k3 v9 .", "k5 v6 .")
    add_documents(lake, [Passage(f"p{n}", f"p{n}", fact) for n, fact in enumerate(facts)])
    add_questions(lake, [Question("q", "k7")])
    add_gold_answers(lake, [GoldAnswer("q", ("v2",))])
    spec = Spec(lexical=LexicalSpec(stopwords="none"), generator=taught_language.trained.spec)
    version = Version("local", spec)
    save_version(lake, version)
    build_version_index(lake, workspace, version)
    context = tuple(ContextHit(f"p{n}", 1.0 - n / 10, 100) for n in range(4))
    request = replace(
        open_pipeline(lake, workspace, version).ask("k7"),
        question_id="q",
        answer="v2",
        status="ok",
        citations=("p0",),
        context=context,
    )
    log(lake, workspace, [request])
    subject = influence.open_subject(lake, request.request_id)
    found = influence.weigh_by_ablation(lake, subject, k=1)
    assert found["strongest"] == ["p1"]
    weights = {part["part_id"]: part["influence"]["value"] for part in found["parts"]}
    assert max(weights, key=lambda name: weights[name]) == "p1"
    assert len(weights) == 4
    assert influence.weigh_by_ablation(lake, subject, k=1) == found
