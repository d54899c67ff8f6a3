"""Choose a version's fusion weight from judged questions, and say what the choice is worth."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ragdiag.errors import SpecError
from ragdiag.pipeline import serving_index
from ragdiag.progress import Progress, report
from ragdiag.retrieval.fusion_tuning import ALPHAS, FusionChoice, choose_alpha
from ragdiag.retrieval.hybrid import HybridRetriever
from ragdiag.settings import Workspace
from ragdiag.stats.paired import PairedComparison
from ragdiag.store.lake import Lake
from ragdiag.version import FusionSpec, Spec, Version
from ragdiag.workflows.chosen_versions import refuse_others_name, save_spec, saved_line
from ragdiag.workflows.comparing.compare_words import interval
from ragdiag.workflows.weighing.judged import judged_questions, owners_of

PATHS = {0.0: "lexical path alone", 1.0: "dense path alone"}


@dataclass(frozen=True)
class TunedFusion:
    """``spec`` is the version's with the chosen weight, ``saved`` the version made of it."""

    version: Version
    split: str
    spec: Spec
    choice: FusionChoice
    saved: Version | None = None

    def to_json(self) -> dict[str, Any]:
        choice = self.choice
        return {
            "version": self.version.name,
            "split": self.split,
            "n": choice.n,
            "alpha": choice.alpha,
            "fold_alphas": list(choice.fold_alphas),
            "MRR@10_by_alpha": {
                f"{alpha:.2f}": value
                for alpha, value in zip(ALPHAS.tolist(), choice.by_alpha, strict=True)
            },
            "best_single": PATHS[choice.best_single],
            "against_best_single": paired_json(choice.against_single),
            "against_half": paired_json(choice.against_half),
            "saved": None if self.saved is None else self.saved.name,
        }

    def to_text(self) -> str:
        choice = self.choice
        chosen = PATHS.get(choice.alpha, f"alpha = {choice.alpha:.2f}")
        folds = ", ".join(f"{alpha:.2f}" for alpha in choice.fold_alphas) or "none"
        lines = [
            f"{self.version.name}, {choice.n} judged questions of {self.split}: {chosen}"
            f" (in folds: {folds})",
            paired_line(f"against the {PATHS[choice.best_single]}", choice.against_single),
            paired_line("against alpha = 0.50", choice.against_half),
        ]
        if self.saved is not None:
            lines.append(saved_line(self.version, self.saved))
        return "\n".join(lines)


def tune_fusion(
    lake: Lake,
    workspace: Workspace,
    version: Version,
    split: str,
    *,
    save_as: str | None = None,
    progress: Progress | None = None,
) -> TunedFusion:
    """Weigh the paths of ``version`` by the judged questions of ``split``; keep the result as a
    version named ``save_as``, which shares the index.

    Raises SpecError for a version with one path, InputError for too few judged questions,
    UnknownName where there is no index.
    """
    spec = version.spec
    if spec.embedder is None or spec.lexical is None:
        raise SpecError(
            f"version {version.name} has one path, so there is nothing to weigh",
            remedy="add both [embedder] and [lexical]",
        )
    refuse_others_name(lake, save_as, version, "fusion")
    fusion = FusionSpec(kind="convex", normalisation=spec.fusion.normalisation)
    convex = spec.model_copy(update={"fusion": fusion})
    questions, gold = judged_questions(
        lake, split, to="learn a weight", remedy='use [fusion] kind = "rrf", which needs none'
    )
    retriever = HybridRetriever(serving_index(lake, workspace, version), convex)
    evidence = []
    for number, question in enumerate(questions, start=1):
        evidence.append(retriever.evidence(question.text, gold[question.question_id]))
        report(progress, number / len(questions), f"weighed {number} of {len(questions)}")
    choice = choose_alpha(evidence, owners_of(lake, split, questions))
    tuned = convex.model_copy(
        update={"fusion": fusion.model_copy(update={"alpha": round(choice.alpha, 2)})}
    )
    saved = save_spec(lake, save_as, tuned)
    return TunedFusion(version, split, tuned, choice, saved)


def paired_line(name: str, paired: PairedComparison) -> str:
    """What a choice is worth, as one line."""
    if math.isnan(paired.difference.value):
        return f"  {name}: {paired.difference.reason}"
    return (
        f"  {name}: MRR@10 {paired.a:.3f} → {paired.b:.3f}, {interval(paired.difference)}, "
        f"p = {paired.p:.4f}, by cross-validation"
    )


def paired_json(paired: PairedComparison) -> dict[str, Any]:
    return {
        "a": None if math.isnan(paired.a) else paired.a,
        "b": None if math.isnan(paired.b) else paired.b,
        "difference": paired.difference.to_json(),
        "p": None if math.isnan(paired.p) else paired.p,
    }
