"""Fit a reranker's probabilities to the judged questions of a split."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ragdiag.errors import InputError
from ragdiag.progress import Progress
from ragdiag.retrieval.calibration import Calibration, calibrate
from ragdiag.settings import Workspace
from ragdiag.store.lake import Lake
from ragdiag.version import Version
from ragdiag.workflows.chosen_versions import refuse_others_name, save_spec, saved_line
from ragdiag.workflows.weighing.reranker_evidence import gather_evidence, require_reranker


@dataclass(frozen=True)
class CalibratedReranker:
    """``saved`` is the version made of the fit, where one was asked for."""

    version: Version
    split: str
    questions: int
    calibration: Calibration
    saved: Version | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "version": self.version.name,
            "split": self.split,
            "questions": self.questions,
            **asdict(self.calibration),
            "saved": None if self.saved is None else self.saved.name,
        }

    def to_text(self) -> str:
        found = self.calibration
        lines = [
            f"{self.version.name}, {self.questions} questions of {self.split}, {found.pairs} "
            f"passages, {found.relevant} of them relevant",
            f"  slope = {found.slope:.4g}, offset = {found.offset:.4g}",
            f"  Brier score {found.brier_before:.4f} → {found.brier_after:.4f} on questions that "
            "the fit had not seen; an unjudged passage counts as irrelevant",
        ]
        if self.saved is not None:
            lines.append(saved_line(self.version, self.saved))
        return "\n".join(lines)


def calibrate_reranker(
    lake: Lake,
    workspace: Workspace,
    version: Version,
    split: str,
    *,
    save_as: str | None = None,
    progress: Progress | None = None,
) -> CalibratedReranker:
    """Score what ``version`` retrieves for the judged questions of ``split``, and fit.

    Raises SpecError for a version without reranker, InputError where the judgments cannot be
    fitted.
    """
    spec = require_reranker(version)
    refuse_others_name(lake, save_as, version, "reranker")
    evidence = gather_evidence(lake, workspace, version, split, progress)
    logits = [one.logits.tolist() for one in evidence]
    relevant = [one.relevant[: len(one.logits)].tolist() for one in evidence]
    try:
        found = calibrate(logits, relevant)
    except ValueError as error:
        raise InputError(
            f"the reranker of {version.name} cannot be calibrated on {split!r}: {error}",
            remedy="judge more questions, or train the reranker",
        ) from None
    fitted = spec.model_copy(
        update={"slope": round(found.slope, 6), "offset": round(found.offset, 6)}
    )
    saved = save_spec(lake, save_as, version.spec.model_copy(update={"reranker": fitted}))
    return CalibratedReranker(version, split, len(evidence), found, saved)
