"""Choose how BM25 counts words from judged questions, and say what the choice is worth."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from ragdiag.errors import SpecError
from ragdiag.metrics.ranking import reciprocal_rank
from ragdiag.pipeline import serving_parts
from ragdiag.progress import Progress, report
from ragdiag.records import Question
from ragdiag.retrieval.embed import load_question_encoder
from ragdiag.retrieval.hybrid import Embedding, HybridRetriever
from ragdiag.retrieval.lexical import index_terms, terms
from ragdiag.retrieval.vectors import passage_text
from ragdiag.settings import Workspace
from ragdiag.stats.held_out import compare_held_out, held_out_folds
from ragdiag.stats.paired import PairedComparison
from ragdiag.store.lake import Lake
from ragdiag.version import LexicalSpec, Spec, Stemmer, Version
from ragdiag.workflows.chosen_versions import refuse_others_name, save_spec, saved_line
from ragdiag.workflows.weighing.judged import judged_questions, owners_of
from ragdiag.workflows.weighing.tune_fusion import paired_json, paired_line

K1S = (0.6, 0.9, 1.2, 1.5)
BS = (0.2, 0.4, 0.6, 0.75)

CUT = 10

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LexicalChoice:
    """``setting`` has the best mean RR@10 of the fused list over all ``n`` questions; of equals the
    earliest tried, and the version's own is tried first. ``against_own`` compares (as B) the
    setting that the other folds chose with the version's own, question by question; with fewer
    than five clusters there are no folds, and it is undefined."""

    setting: LexicalSpec
    n: int
    tried: Sequence[tuple[LexicalSpec, float]]
    fold_settings: Sequence[LexicalSpec]
    against_own: PairedComparison


@dataclass(frozen=True)
class TunedLexical:
    """``spec`` is the version's with the setting chosen, ``saved`` the version made of it."""

    version: Version
    split: str
    spec: Spec
    choice: LexicalChoice
    saved: Version | None = None

    def to_json(self) -> dict[str, Any]:
        choice = self.choice
        return {
            "version": self.version.name,
            "split": self.split,
            "n": choice.n,
            "setting": _named(choice.setting),
            "fold_settings": [_named(one) for one in choice.fold_settings],
            "MRR@10_by_setting": {_named(one): value for one, value in choice.tried},
            "against_own": paired_json(choice.against_own),
            "saved": None if self.saved is None else self.saved.name,
        }

    def to_text(self) -> str:
        choice = self.choice
        folds = "; ".join(map(_named, dict.fromkeys(choice.fold_settings))) or "none"
        lines = [
            f"{self.version.name}, {choice.n} judged questions of {self.split}: "
            f"{_named(choice.setting)} (in folds: {folds})",
            paired_line(f"against {_named(choice.tried[0][0])}", choice.against_own),
        ]
        if self.saved is not None:
            lines.append(saved_line(self.version, self.saved))
            if self.saved.version_id != self.version.version_id:
                lines.append(f"next: ragdiag index build {self.saved.name}")
        return "\n".join(lines)


def tune_lexical(
    lake: Lake,
    workspace: Workspace,
    version: Version,
    split: str,
    *,
    stemmer: Stemmer = "english",
    save_as: str | None = None,
    progress: Progress | None = None,
) -> TunedLexical:
    """Choose k1, b and whether words count by their stems (``stemmer`` is the corpus's language) by
    the fused lists of the judged questions of ``split``; keep the result as a version named
    ``save_as``, whose index is still to be built. Everything else of ``version`` stays, the weight
    of the paths too.

    Raises SpecError for a version without BM25, InputError for too few judged questions,
    UnknownName where there is no index.
    """
    own = version.spec.lexical
    if own is None:
        raise SpecError(
            f"version {version.name} has no BM25, so there is nothing to tune",
            remedy="add [lexical] to its spec",
        )
    refuse_others_name(lake, save_as, version, "lexical")
    questions, gold = judged_questions(
        lake,
        split,
        to="choose a setting",
        remedy="judge more, or set k1, b and stemmer in [lexical] yourself",
    )
    tried = _settings(own, stemmer)
    scores = _scores(lake, workspace, version, questions, gold, tried, progress)
    choice = choose_setting(tried, scores, owners_of(lake, split, questions))
    tuned = version.spec.model_copy(update={"lexical": choice.setting})
    return TunedLexical(version, split, tuned, choice, save_spec(lake, save_as, tuned))


def choose_setting(
    tried: Sequence[LexicalSpec],
    scores: Floats,
    clusters: Sequence[Hashable] | None = None,
    seed: int = 0,
) -> LexicalChoice:
    """``scores`` (n, settings) has each question's RR@10 under each of ``tried``, of which the
    first is the version's own. ``clusters`` name which questions belong together (held_out.py),
    without them none do; they change what the choice is said to be worth, not the choice."""
    n = len(scores)
    owners = range(n) if clusters is None else clusters
    chosen, held_out = [], np.full(n, math.nan)
    for held in held_out_folds(owners, seed):
        best = int(scores[~held].mean(axis=0).argmax())
        chosen.append(tried[best])
        held_out[held] = scores[held, best]
    means = scores.mean(axis=0)
    return LexicalChoice(
        setting=tried[int(means.argmax())],
        n=n,
        tried=tuple(zip(tried, means.tolist(), strict=True)),
        fold_settings=tuple(chosen),
        against_own=compare_held_out(scores[:, 0].tolist(), held_out.tolist(), owners),
    )


def _settings(own: LexicalSpec, stemmer: Stemmer) -> list[LexicalSpec]:
    """The version's own first."""
    grid = [
        own.model_copy(update={"stemmer": words, "k1": k1, "b": b})
        for words, k1, b in product(dict.fromkeys(("none", stemmer, own.stemmer)), K1S, BS)
    ]
    return [own, *(one for one in grid if one != own)]


def _scores(
    lake: Lake,
    workspace: Workspace,
    version: Version,
    questions: Sequence[Question],
    gold: dict[str, set[str]],
    tried: Sequence[LexicalSpec],
    progress: Progress | None,
) -> Floats:
    """RR@10 of the fused list of each question under each setting, (questions, settings). Settings
    differ from each other in k1, b and the stemmer."""
    index, passages = serving_parts(lake, workspace, version)
    first_stage = version.spec.model_copy(update={"reranker": None})
    embedder = version.spec.embedder
    encoder = None if embedder is None else load_question_encoder(embedder)
    index = index.unrestricted()
    retriever = HybridRetriever(index, first_stage, encoder)
    asked = [(one, retriever.embed(one.text)) for one in questions]
    known = [passages.get(name) for name in index.passage_ids]

    def rr(found: HybridRetriever, question: Question, vector: Embedding | None) -> float:
        hits = found.retrieve(question.text, embedding=vector).fused
        relevant = gold[question.question_id]
        return reciprocal_rank([hit.passage_id in relevant for hit in hits], CUT)

    texts = [passage_text(one, title=tried[0].title) if one else "" for one in known]
    counted: dict[Stemmer, list[list[str]]] = {}
    columns = []
    for number, setting in enumerate(tried, start=1):
        if setting.stemmer not in counted:
            counted[setting.stemmer] = [terms(text, setting) for text in texts]
        changed = replace(index, lexical=index_terms(counted[setting.stemmer], setting))
        found = HybridRetriever(changed, first_stage, encoder)
        columns.append([rr(found, *one) for one in asked])
        report(progress, number / len(tried), f"tried {number} of {len(tried)} settings of BM25")
    return np.array(columns).T


def _named(setting: LexicalSpec) -> str:
    words = "words" if setting.stemmer == "none" else f"{setting.stemmer} stems"
    return f"k1 = {setting.k1:g}, b = {setting.b:g}, {words}"
