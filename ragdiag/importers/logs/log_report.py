"""What an import of logs loaded, refused, and cannot say for lack of what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ragdiag.records import Reject

SHOWN_REJECTS = 20
SHOWN_VERSIONS = 50


@dataclass(slots=True)
class KindCounts:
    """Records of one kind: ``new`` ones, those the workspace had, those it refused."""

    new: int = 0
    repeated: int = 0
    rejected: int = 0


@dataclass(frozen=True)
class LogReport:
    """Counts by kind; every reject is in the workspace, the first ones are here.

    ``columns`` are those in which cells were found, by field; ``absent_columns`` those that the
    mapping names and no row has. ``labels``: by grader, published labels that say right, wrong or
    neither, and on how many of those compared the default grader agrees. ``rows`` counts traces
    where rows are their spans. A dry run counts all records it read as new.
    """

    format: str
    files: int
    skipped_files: int
    rows: int
    kinds: Mapping[str, KindCounts]
    reasons: Mapping[str, int]
    rejects: tuple[Reject, ...]
    unread_columns: Mapping[str, int]
    columns: Mapping[str, str]
    versions: Mapping[str, int]
    first_at: datetime | None
    last_at: datetime | None
    gaps: tuple[str, ...]
    notes: tuple[str, ...] = ()
    dry_run: bool = False
    labels: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    absent_columns: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {
            "format": self.format,
            "dry_run": self.dry_run,
            "files": self.files,
            "skipped_files": self.skipped_files,
            "rows": self.rows,
            "kinds": {
                kind: {"new": c.new, "repeated": c.repeated, "rejected": c.rejected}
                for kind, c in self.kinds.items()
            },
            "rejected": sum(self.reasons.values()),
            "reasons": dict(self.reasons),
            "rejects": [
                {"source": one.source, "line": one.line, "reason": one.reason}
                for one in self.rejects
            ],
            "unread_columns": dict(self.unread_columns),
            "columns": dict(self.columns),
            "absent_columns": dict(self.absent_columns),
            "versions": dict(self.versions),
            "first_at": self.first_at and self.first_at.isoformat(),
            "last_at": self.last_at and self.last_at.isoformat(),
            "labels": {grader: dict(said) for grader, said in self.labels.items()},
            "cannot_be_diagnosed": list(self.gaps),
            "notes": list(self.notes),
        }

    def to_text(self) -> str:
        """The same in lines, the most important first."""
        verb = "read" if self.dry_run else "loaded"
        unit = "traces" if self.format in ("otlp", "phoenix", "langfuse") else "rows"
        lines = [f"{self.format}: {self.rows} {unit}, {self.files} files"]
        lines += [f"  {field} ← {column}" for field, column in self.columns.items()]
        lines += [
            f"not found: column {column!r}, which the mapping names as {field}; no row has it"
            for field, column in self.absent_columns.items()
        ]
        for kind, counts in self.kinds.items():
            said = f"{verb} {counts.new}" if counts.new or not counts.repeated else ""
            parts = [said, f"{counts.repeated} repeated" if counts.repeated else ""]
            parts.append(f"{counts.rejected} rejected" if counts.rejected else "")
            lines.append(f"{kind:12} {', '.join(part for part in parts if part)}")
        if self.first_at and self.last_at:
            lines.append(
                f"from {self.first_at:%Y-%m-%d %H:%M} to {self.last_at:%Y-%m-%d %H:%M} UTC"
            )
        lines += [f"version {name}: {n} requests" for name, n in self.versions.items()]
        lines += [
            f"grader {grader}: {', '.join(f'{n} {word}' for word, n in said.items())}"
            for grader, said in self.labels.items()
        ]
        lines += [
            f"not read: column {name!r} ({n} rows)" for name, n in self.unread_columns.items()
        ]
        lines += [f"rejected {n}: {reason}" for reason, n in self.reasons.items()]
        lines += [f"  {one.source}:{one.line}: {one.reason}" for one in self.rejects]
        if not self.dry_run and sum(self.reasons.values()) > len(self.rejects):
            lines.append("  …; all of them: ragdiag store rejects")
        return "\n".join([*lines, *self.notes, *self.gaps])


def count_reasons(rejects: Counter[str]) -> dict[str, int]:
    """The 20 most frequent reasons, and the rest as one."""
    common = dict(rejects.most_common(SHOWN_REJECTS))
    rest = rejects.total() - sum(common.values())
    return {**common, "other reasons": rest} if rest else common
