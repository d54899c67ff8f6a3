"""What is learned from the judgments of a workspace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ragdiag.errors import InputError, SpecError
from ragdiag.records import Judgment, Passage, PassageMetadata, Question
from ragdiag.retrieval import rerank
from ragdiag.settings import Workspace
from ragdiag.store.corpus import add_documents, add_judgments, add_questions, load_passages
from ragdiag.store.lake import Lake
from ragdiag.store.results import find_version, save_version
from ragdiag.version import LexicalSpec, Version, parse_spec
from ragdiag.workflows.indexing.build import build_version_index
from ragdiag.workflows.weighing.calibrate_reranker import calibrate_reranker
from ragdiag.workflows.weighing.tune_fusion import tune_fusion
from ragdiag.workflows.weighing.tune_lexical import choose_setting, tune_lexical
from ragdiag.workflows.weighing.weigh_reranker import weigh_reranker

N = 60
GENERATOR = "[generator]\nkind='extractive'\n"


def version(name: str, spec: str) -> Version:
    return Version(name, parse_spec(spec + GENERATOR, source=name))


BOTH = version("both", "[embedder]\n[lexical]\n")
WORDS = version("words", "[lexical]\n[reranker]\nmodel='toy'\n")


@pytest.fixture
def judged(lake: Lake) -> Lake:
    """Each question asks for one number, which one passage has; the text is otherwise the same."""
    passages = [Passage(f"p{n}", f"d{n}", f"The code of the gate is {1000 + n}.") for n in range(N)]
    add_documents(lake, passages)
    asked = [Question(f"q{n}", f"Which gate has the code {1000 + n}?") for n in range(N)]
    add_questions(lake, asked)
    add_judgments(lake, [Judgment(f"q{n}", f"p{n}", 1, "train") for n in range(N)])
    add_judgments(lake, [Judgment("q0", "p0", 1, "few")])
    return lake


def test_where_words_decide_the_lexical_path_stands_alone(
    judged: Lake, workspace: Workspace
) -> None:
    build_version_index(judged, workspace, BOTH)
    save_version(judged, BOTH)
    found = tune_fusion(judged, workspace, BOTH, "train", save_as="tuned")
    assert (found.choice.alpha, found.choice.best_single, found.choice.n) == (0.0, 0.0, N)
    saved = find_version(judged, "tuned").spec
    assert (saved.fusion.kind, saved.fusion.alpha) == ("convex", 0.0)
    assert saved.index_key == BOTH.spec.index_key
    assert found.to_json()["against_best_single"]["difference"]["value"] == 0
    assert "lexical path alone (in folds: 0.00" in found.to_text()


def test_a_weight_is_not_learned_from_one_path_or_from_few_labels(
    judged: Lake, workspace: Workspace
) -> None:
    with pytest.raises(SpecError, match="has one path"):
        tune_fusion(judged, workspace, WORDS, "train")
    with pytest.raises(InputError, match="1 questions with a relevant passage, and 50 are needed"):
        tune_fusion(judged, workspace, BOTH, "few")


def test_the_setting_of_bm25_follows_what_was_judged(lake: Lake, workspace: Workspace) -> None:
    """What is asked stands in another form of the word in the one passage that answers."""
    nouns = [
        f"{one}{two}{three}" for one in "bdfg" for two in "ktr" for three in ("im", "om", "up")
    ]
    nouns = [*nouns, *(f"{one}al" for one in nouns), *(f"{one}or" for one in nouns)][:N]
    add_documents(lake, [Passage(f"p{n}", f"d{n}", f"It {nouns[n]}ed the gate.") for n in range(N)])
    add_questions(lake, [Question(f"q{n}", f"What is {nouns[n]}ing?") for n in range(N)])
    add_judgments(lake, [Judgment(f"q{n}", f"p{n}", 1, "train") for n in range(N)])
    add_judgments(lake, [Judgment("q0", "p0", 1, "few")])
    plain = version("plain", "[lexical]\n")
    build_version_index(lake, workspace, plain)
    found = tune_lexical(lake, workspace, plain, "train", save_as="stems")
    setting = found.choice.setting
    assert (setting.stemmer, found.choice.n) == ("english", N)
    assert {one.stemmer for one in found.choice.fold_settings} == {"english"}
    assert found.choice.against_own.a == 0.0
    assert found.choice.against_own.b > 0.9
    assert find_version(lake, "stems").spec.lexical == setting
    assert "next: ragdiag index build stems" in found.to_text()
    tried = found.to_json()["MRR@10_by_setting"]
    assert tried["k1 = 1.5, b = 0.75, words"] == 0.0
    assert len(tried) == 32
    with pytest.raises(InputError, match="'few' has 1 questions with a relevant passage, and 50"):
        tune_lexical(lake, workspace, plain, "few")
    with pytest.raises(SpecError, match="version dense has no BM25"):
        tune_lexical(lake, workspace, version("dense", "[embedder]\n"), "train")


def test_settings_are_weighed_over_what_only_some_may_read_too(
    judged: Lake, workspace: Workspace
) -> None:
    acme = PassageMetadata(tenant="acme")
    add_documents(judged, [replace(one, metadata=acme) for one in load_passages(judged)])
    plain = version("plain", "[lexical]\n")
    save_version(judged, plain)
    build_version_index(judged, workspace, plain)
    found = tune_lexical(judged, workspace, plain, "train", save_as="better")
    assert found.choice.against_own.a == 1.0
    assert found.saved == plain
    assert "version plain has this setting already" in found.to_text()
    assert "next:" not in found.to_text()
    save_version(judged, BOTH)
    with pytest.raises(InputError, match="the version both already has another spec"):
        tune_lexical(judged, workspace, plain, "train", save_as="both")


def test_a_setting_that_is_no_better_is_left_alone() -> None:
    own, other = LexicalSpec(), LexicalSpec(stemmer="english")
    even = np.ones((N, 2))
    assert choose_setting([own, other], even).setting == own
    better = np.stack([np.full(N, 0.5), np.ones(N)], axis=1)
    found = choose_setting([own, other], better)
    assert (found.setting, found.against_own.difference.value) == (other, 0.5)


def test_what_a_choice_is_worth_is_measured_on_other_documents() -> None:
    """The other setting is better for one document in two, by luck of the document."""
    chance = np.random.default_rng(0)
    own, other = LexicalSpec(), LexicalSpec(stemmer="english")
    gains = chance.normal(0.02, 0.2, 12).repeat(10)
    scores = np.stack([np.full(120, 0.5), 0.5 + gains + chance.normal(0, 0.05, 120)], axis=1)
    documents = np.arange(12).repeat(10).tolist()
    alone, joined = (choose_setting([own, other], scores, by) for by in (None, documents))
    assert alone.setting == joined.setting
    assert alone.against_own.clusters == 120
    assert joined.against_own.clusters == 12
    assert joined.against_own.difference.low < alone.against_own.difference.low


def test_questions_about_four_documents_choose_and_prove_nothing(
    lake: Lake, workspace: Workspace
) -> None:
    texts = [f"The code of the gate is {1000 + n}." for n in range(N)]
    add_documents(lake, [Passage(f"p{n}", f"d{n % 4}", text) for n, text in enumerate(texts)])
    asked = [Question(f"q{n}", f"Which gate has the code {1000 + n}?") for n in range(N)]
    add_questions(lake, asked)
    add_judgments(lake, [Judgment(f"q{n}", f"p{n}", 1, "train") for n in range(N)])
    build_version_index(lake, workspace, BOTH)
    found = tune_fusion(lake, workspace, BOTH, "train")
    assert (found.choice.alpha, found.choice.fold_alphas) == (0.0, [])
    told = found.to_json()["against_half"]
    assert (told["a"], told["b"], told["p"]) == (None, None, None)
    assert "(in folds: none)" in found.to_text()
    assert "questions about fewer than 5 documents: nothing can be held out" in found.to_text()


class Overlap:
    """Logits far too sure of themselves: 8 where a number is shared and for one in ten besides."""

    def logits(self, question: str, texts: Sequence[str], batch: int) -> Any:
        number = question.removesuffix("?").split()[-1]
        return np.array([8.0 if number in t or t[-2] == "7" else -8.0 for t in texts])


def test_probabilities_follow_what_was_judged(
    judged: Lake, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rerank, "load_cross_encoder", lambda model, max_tokens: Overlap())
    build_version_index(judged, workspace, WORDS)
    found = calibrate_reranker(judged, workspace, WORDS, "train", save_as="calibrated")
    assert found.calibration.relevant == N
    assert found.calibration.slope < 0.5
    assert found.calibration.brier_after < found.calibration.brier_before
    spec = find_version(judged, "calibrated").spec.reranker
    assert spec is not None
    assert spec.slope == pytest.approx(found.calibration.slope, abs=1e-5)
    with pytest.raises(SpecError, match=r"has no \[reranker\]"):
        calibrate_reranker(judged, workspace, BOTH, "train")
    with pytest.raises(InputError, match="1 questions, and 5 are needed"):
        calibrate_reranker(judged, workspace, WORDS, "few")


class Backwards(Overlap):
    def logits(self, question: str, texts: Sequence[str], batch: int) -> Any:
        return -super().logits(question, texts, batch)


def test_a_reranker_is_kept_only_where_it_earns_its_place(
    judged: Lake, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the words alone put every gate first, so that the order has to be spoilt for it to matter
    asked = [Question(f"v{n}", f"vague, code {1000 + n}?") for n in range(N)]
    add_questions(judged, [*asked, Question("unfound", "zebras?"), Question("no", "code 1?")])
    gates = [Judgment(f"v{n}", f"p{(n + 1) % N}", 1, "vague") for n in range(N)]
    others = [Judgment("unfound", "p1", 1, "vague"), Judgment("no", "p1", 0, "vague")]
    add_judgments(judged, [*gates, *others])
    build_version_index(judged, workspace, WORDS)

    class Next:
        def logits(self, question: str, texts: Sequence[str], batch: int) -> Any:
            wanted = str(1000 + (int(question.split()[-1][:-1]) - 999) % N)
            return np.array([4.0 if wanted in text else -4.0 for text in texts])

    monkeypatch.setattr(rerank, "load_cross_encoder", lambda model, max_tokens: Next())
    found = weigh_reranker(judged, workspace, WORDS, "vague", save_as="weighed")
    spec = find_version(judged, "weighed").spec.reranker
    assert spec is not None
    assert (spec.depth, spec.weight) == (found.choice.setting.depth, found.choice.setting.weight)
    assert found.choice.n == N + 1, "all but the one that has no answer"
    assert found.to_json()["against_none"]["difference"]["low"] > 0.3
    chosen = f"weight {spec.weight:.2f} of its probability, depth {spec.depth}"
    assert f"vague: {chosen} (in folds: " in found.to_text()

    monkeypatch.setattr(rerank, "load_cross_encoder", lambda model, max_tokens: Backwards())
    none = weigh_reranker(judged, workspace, WORDS, "train", save_as="bare")
    assert find_version(judged, "bare").spec.reranker is None
    assert "no reranker (in folds: no reranker; " in none.to_text()
    with pytest.raises(SpecError, match=r"has no \[reranker\]"):
        weigh_reranker(judged, workspace, BOTH, "train")
    with pytest.raises(InputError, match="1 judged questions, and 50 are needed"):
        weigh_reranker(judged, workspace, WORDS, "few")
