"""What a logger could not log, counted by reason: in memory, in the service's log, on disk.

``losses/<writer>-<pid>-<start>.json`` of the workspace holds one process's counts since it began;
it is there only where something was lost. ``ragdiag doctor`` reads it.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from ragdiag.settings import Workspace

Kind = Literal["dropped", "refused", "left_out", "thumbs_down_too_late"]
"""``dropped``: there was no room or no disk. ``refused``: it was no record. ``left_out``: a part
that has no place in the record; the rest was logged."""

MOST_REASONS = 50
SAVE_EVERY_S = 1.0
_log = logging.getLogger("ragdiag.instrumentation")


@dataclass(frozen=True, slots=True)
class RecordedLoss:
    """One process's counts by kind and reason, from its file."""

    path: Path
    writer: str
    until: str
    counts: Mapping[str, Mapping[str, int]]

    @property
    def requests(self) -> int:
        """Records that are not in the log."""
        lost = (self.counts.get(kind, {}) for kind in ("dropped", "refused"))
        return sum(sum(reasons.values()) for reasons in lost)


class Losses:
    """Counts from any thread; :meth:`report` belongs to the background thread, since a log handler
    may block."""

    def __init__(
        self,
        workspace: Workspace,
        writer: str,
        warn_every_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = workspace.losses
        self._writer = writer
        self._warn_every_s = warn_every_s
        self._clock = clock
        self.forget()

    def forget(self) -> None:
        """Begin anew: in a forked child the counts are the parent's."""
        # A caller may be a signal handler that interrupted a caller.
        self._lock = threading.RLock()
        self._counts: dict[Kind, dict[str, int]] = {}
        self._total = self._saved = self._warned = 0
        self._saved_at = self._warned_at = -float("inf")
        self._since = datetime.now(UTC)
        self._name = f"{self._writer}-{os.getpid()}-{time.time_ns()}.json"

    def count(self, kind: Kind, reason: str, number: int = 1) -> None:
        if number:
            with self._lock:
                reasons = self._counts.setdefault(kind, {})
                if reason not in reasons and len(reasons) >= MOST_REASONS:
                    reason = "other reasons"
                reasons[reason] = reasons.get(reason, 0) + number
                self._total += number

    def take_back(self, kind: Kind, reason: str, number: int) -> None:
        """What seemed lost was not. For the background thread, which saves the counts."""
        with self._lock:
            reasons = self._counts.get(kind, {})
            if number and reason in reasons:
                left = max(0, reasons.pop(reason) - number)
                reasons.update({reason: left} if left else {})
                self._saved = -1

    def counts(self) -> dict[Kind, dict[str, int]]:
        with self._lock:
            return {kind: dict(reasons) for kind, reasons in self._counts.items() if reasons}

    def report(self, *, at_once: bool = False) -> None:
        """Save and warn of what is new, each at most every so often, or now."""
        total, now = self._total, self._clock()
        if total > self._saved and (at_once or now - self._saved_at >= SAVE_EVERY_S):
            self._saved_at = now
            with suppress(OSError):  # a full disk: memory keeps the counts for the next time
                self._save()
                self._saved = total
        if total > self._warned and (at_once or now - self._warned_at >= self._warn_every_s):
            self._warned_at, self._warned = now, total
            _log.warning("not logged to %s so far: %s", self._folder.parent, self._summary())

    def _save(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        document = {
            "writer": self._writer,
            "pid": os.getpid(),
            "since": self._since.isoformat(),
            "until": datetime.now(UTC).isoformat(),
            "counts": self.counts(),
        }
        path = self._folder / self._name
        draft = path.with_suffix(".draft")
        draft.write_text(json.dumps(document), encoding="utf-8")
        draft.replace(path)

    def _summary(self) -> str:
        return "; ".join(
            f"{kind} {number} ({reason})"
            for kind, reasons in self.counts().items()
            for reason, number in reasons.items()
        )


def read_losses(workspace: Workspace) -> list[RecordedLoss]:
    """What every process that logged here has lost so far, the latest last. A file that is none
    of ours is passed over."""
    found = []
    for path in workspace.losses.glob("*.json"):
        with suppress(OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
            document: dict[str, Any] = json.loads(path.read_bytes())
            counts = {
                str(kind): {str(reason): int(number) for reason, number in reasons.items()}
                for kind, reasons in document["counts"].items()
            }
            found.append(
                RecordedLoss(path, str(document["writer"]), str(document["until"]), counts)
            )
    return sorted(found, key=lambda loss: (loss.until, loss.path.name))
