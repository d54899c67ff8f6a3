"""Choose how deep a version's reranker reads and how much it says, and what that is worth."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ragdiag.errors import InputError
from ragdiag.progress import Progress
from ragdiag.retrieval.rerank_tuning import (
    RerankChoice,
    RerankSetting,
    choose_reranking,
    depths_up_to,
)
from ragdiag.settings import Workspace
from ragdiag.store.lake import Lake
from ragdiag.version import Spec, Version
from ragdiag.workflows.chosen_versions import refuse_others_name, save_spec, saved_line
from ragdiag.workflows.weighing.judged import owners_of
from ragdiag.workflows.weighing.reranker_evidence import (
    questions_with_judgments,
    require_reranker,
    score_questions,
)
from ragdiag.workflows.weighing.tune_fusion import paired_json, paired_line


@dataclass(frozen=True)
class WeighedReranker:
    """``spec`` is the version's with the setting chosen, ``saved`` the version made of it."""

    version: Version
    split: str
    spec: Spec
    choice: RerankChoice
    saved: Version | None = None

    def to_json(self) -> dict[str, Any]:
        choice = self.choice
        return {
            "version": self.version.name,
            "split": self.split,
            "n": choice.n,
            **asdict(choice.setting),
            "folds": [asdict(one) for one in choice.folds],
            "against_none": paired_json(choice.against_none),
            "against_alone": paired_json(choice.against_alone),
            "saved": None if self.saved is None else self.saved.name,
        }

    def to_text(self) -> str:
        choice = self.choice
        folds = "; ".join(_words(one) for one in choice.folds) or "none"
        lines = [
            f"{self.version.name}, {choice.n} judged questions of {self.split}: "
            f"{_words(choice.setting)} (in folds: {folds})",
            paired_line("against no reranker", choice.against_none),
            paired_line("against the reranker alone", choice.against_alone),
        ]
        if self.saved is not None:
            lines.append(saved_line(self.version, self.saved))
        return "\n".join(lines)


def weigh_reranker(
    lake: Lake,
    workspace: Workspace,
    version: Version,
    split: str,
    *,
    keep_depth: bool = False,
    save_as: str | None = None,
    progress: Progress | None = None,
) -> WeighedReranker:
    """Weigh the reranker of ``version`` by the judged questions of ``split``; keep the result as a
    version named ``save_as``, without a reranker where none is worth having. With ``keep_depth``
    it goes on reading as far as it does.

    Raises SpecError for a version without reranker, InputError for too few judged questions,
    UnknownName where there is no index.
    """
    depth = require_reranker(version).depth
    refuse_others_name(lake, save_as, version, "reranker")
    questions, judgments = questions_with_judgments(lake, split, answerable=True)
    evidence = score_questions(lake, workspace, version, questions, judgments, progress)
    owners, depths = owners_of(lake, split, questions), depths_up_to(depth)
    try:
        choice = choose_reranking(evidence, [depth] if keep_depth else depths, owners)
    except ValueError as error:
        raise InputError(
            f"the reranker of {version.name} cannot be tuned on {split!r}: {error}",
            remedy="judge more questions",
        ) from None
    tuned = with_setting(version.spec, choice.setting)
    saved = save_spec(lake, save_as, tuned)
    return WeighedReranker(version, split, tuned, choice, saved)


def with_setting(spec: Spec, setting: RerankSetting) -> Spec:
    """``spec`` with its reranker set so; without one where the setting is none."""
    if spec.reranker is None or not setting.depth:
        return spec.model_copy(update={"reranker": None})
    fitted = {
        "depth": setting.depth,
        "weight": setting.weight,
        "scale": setting.scale,
        "slope": round(setting.slope, 6),
        "offset": round(setting.offset, 6),
    }
    return spec.model_copy(update={"reranker": spec.reranker.model_copy(update=fitted)})


def _words(setting: RerankSetting) -> str:
    if not setting.depth:
        return "no reranker"
    scale = "" if setting.weight == 1.0 else f" of its {setting.scale.replace('_', '-')}"
    return f"weight {setting.weight:.2f}{scale}, depth {setting.depth}"
