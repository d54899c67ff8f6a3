"""What was refused of exports that were answered 200, and what was odd about the rest.

An exporter is told in ``partial_success``, which some (Python's over HTTP) never look at. So it is
counted here as well, for ``/health``, and logged.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable

EVERY_S = 60.0
"""Between two warnings: a service that sends nothing else must not fill the disk with them."""

_log = logging.getLogger(__name__)


class Tally:
    """``refused`` and ``remarks`` count by reason since the start. Used by one thread; others may
    copy the counts."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.refused: Counter[str] = Counter()
        self.remarks: Counter[str] = Counter()
        self._clock = clock
        self._due = 0.0
        self._untold: tuple[Counter[str], Counter[str]] = Counter(), Counter()

    def note(self, refused: Counter[str], remarks: Counter[str]) -> None:
        """Count them; warn of all that came since the last warning, if that is a while ago."""
        if not refused and not remarks:
            return
        self.refused += refused
        self.remarks += remarks
        self._untold[0].update(refused)
        self._untold[1].update(remarks)
        if self._clock() >= self._due:
            self.tell()

    def tell(self) -> None:
        """Warn of what no warning has named yet."""
        for verb, counts in zip(("refused", "taken, but odd"), self._untold, strict=True):
            if counts:
                _log.warning("%s: %s", verb, list_reasons(counts))
                counts.clear()
        self._due = self._clock() + EVERY_S


def list_reasons(counts: Counter[str]) -> str:
    """The most frequent first.

    >>> list_reasons(Counter({"no end time": 1, "bad trace id": 3}))
    'bad trace id (3×), no end time'
    """
    return ", ".join(f"{kind} ({n}×)" if n > 1 else kind for kind, n in counts.most_common())
