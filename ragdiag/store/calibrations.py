"""How far each grader agrees with people, as it was measured last."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ragdiag.records import Estimate
from ragdiag.store.lake import Lake
from ragdiag.store.tables import insert
from ragdiag.store.times import now_utc

KNOWN_TRUTH = "the demo's known truth"
"""What ``labels`` says where no person gave them: they follow from how the answers were made."""


@dataclass(frozen=True, slots=True)
class GraderCalibration:
    """One grader against people's labels. ``labels`` names where they are from; ``found`` is plain
    JSON: the agreement, ``floor``, the AUROC of plain word overlap on the same items, and of a
    judge ``flips``, the share of its verdicts that were others when it was asked again."""

    grader: str
    about: str
    labels: str
    found: Mapping[str, Any]
    calibrated_at: datetime | None = None

    def estimate(self, name: str) -> Estimate:
        """``accuracy``, ``kappa``, ``sensitivity``, ``specificity``, ``auroc`` or ``floor``."""
        return Estimate.from_json(self.found[name])

    def told(self, name: str) -> float:
        """How many labels drawn alike would tell this rate as well as those that were drawn."""
        return float(self.found.get("told", {}).get(name, self.estimate(name).n))

    @property
    def whose(self) -> str:
        """With whom the grader was compared, in words."""
        return KNOWN_TRUTH if self.labels == KNOWN_TRUTH else "people"

    @property
    def flips(self) -> Estimate | None:
        """None of a grader that no chance is in, or that was not asked again."""
        return self.estimate("flips") if "flips" in self.found else None


def save_calibration(lake: Lake, calibration: GraderCalibration) -> None:
    """Keep it; earlier ones of the grader stay beside it."""
    row = {
        "grader": calibration.grader,
        "about": calibration.about,
        "labels": calibration.labels,
        "found": json.dumps(calibration.found, sort_keys=True, allow_nan=False),
        "calibrated_at": now_utc(),
    }
    lake.write(lambda cursor: insert(cursor, "grader_calibrations", [row]))


def load_calibrations(lake: Lake) -> dict[str, GraderCalibration]:
    """The last calibration of every grader that has one, by its name."""
    rows = lake.rows(
        "select * from grader_calibrations qualify row_number() over ("
        "partition by grader order by calibrated_at desc, found) = 1 order by grader"
    )
    return {
        row["grader"]: GraderCalibration(**{**row, "found": json.loads(row["found"])})
        for row in rows
    }
