"""What a run cost: one clock from its command's beginning, kept when the command is stopped.

    RUN/spent.json    {"wall_s", "cpu_s", "peak_bytes"} of all stretches so far

Training is one part of it: mining, embedding, ranking held-out questions and answering them for the
gate take their time as well.
"""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from ragdiag.errors import StoreFull
from ragdiag.training.files import replace_file
from ragdiag.training.loop import Trained, duration
from ragdiag.training.processes import peak_bytes
from ragdiag.training.runs import Cost

WATTS_A_CORE = 15.0
"""What a busy server core draws, roughly; only to tell a cheap run from a dear one."""
KEEP_S = 5.0
"""At most so much of the time of a process that is killed goes uncounted, where it reports."""


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds by the wall and of this command's processor, and the most memory it held."""

    wall_s: float = 0.0
    cpu_s: float = 0.0
    peak_bytes: int = 0


class Clock:
    """Runs from its making on; :meth:`go_on` adds what earlier stretches of the run have spent."""

    def __init__(self) -> None:
        self._began = time.monotonic(), time.process_time()
        self._earlier, self._kept = Spent(), self._began[0]
        self._path: Path | None = None

    def go_on(self, path: Path) -> None:
        """Count what ``path`` says was spent before, and keep what is spent there from now on. A
        file that is not there or cannot be read counts nothing."""
        self._path = path
        with suppress(OSError, ValueError, TypeError, KeyError):
            kept = json.loads(path.read_text(encoding="utf-8"))
            self._earlier = Spent(
                float(kept["wall_s"]), float(kept["cpu_s"]), int(kept["peak_bytes"])
            )

    @property
    def spent(self) -> Spent:
        earlier = self._earlier
        return Spent(
            earlier.wall_s + time.monotonic() - self._began[0],
            earlier.cpu_s + time.process_time() - self._began[1],
            max(earlier.peak_bytes, peak_bytes()),
        )

    def keep(self, every_s: float = 0.0) -> None:
        """Write down what was spent, where that was ``every_s`` ago. A disk that is full is no
        reason to end a run: the next time counts all of it."""
        if self._path is None or time.monotonic() - self._kept < every_s:
            return
        text = json.dumps(asdict(self.spent))
        with suppress(StoreFull, OSError):
            replace_file(self._path, lambda file: file.write(text.encode()))
            self._kept = time.monotonic()


def cost_of(spent: Spent, trained: Trained | None = None) -> Cost:
    """All that was ``spent``, and of it what training took, None before it has ended.

    Processors of other processes count while they train together. An accelerator is held by each
    process while they train, and by the first one for the rest. Energy is told of processors alone,
    and once it is known that they were all: what an accelerator draws is not known here.
    """
    if trained is None:
        return Cost(spent.wall_s, spent.cpu_s, spent.peak_bytes, training_s=0.0)
    # a run that an earlier ragdiag began has its first seconds in the loop's checkpoint alone
    wall_s = max(spent.wall_s, trained.wall_s)
    cpu_s = max(spent.cpu_s + trained.others_s, trained.cpu_s)
    peak = max(spent.peak_bytes, trained.peak_bytes)
    if trained.accelerators:
        held_s = wall_s + trained.wall_s * (trained.accelerators - 1)
        return Cost(wall_s, cpu_s, peak, gpu_hours=held_s / 3600, training_s=trained.wall_s)
    return Cost(
        wall_s,
        cpu_s,
        peak,
        energy_wh=cpu_s * WATTS_A_CORE / 3600,
        assumption=f"{WATTS_A_CORE:g} W a busy core",
        training_s=trained.wall_s,
    )


def took_text(cost: Cost) -> str:
    """How long a run took; of one from before all of it was counted, that it is training alone.

    >>> took_text(Cost(65.0, 35.0, 0, training_s=8.0)), took_text(Cost(65.0, 35.0, 0))
    ('1 min, of which training 8 s', '1 min of training alone')
    """
    if cost.training_s is None:
        return f"{duration(cost.wall_s)} of training alone"
    of_it = f", of which training {duration(cost.training_s)}" if cost.training_s else ""
    return f"{duration(cost.wall_s)}{of_it}"


def used_text(cost: Cost) -> str:
    """What it used meanwhile.

    >>> used_text(Cost(90.0, 150.0, 2_000_000_000, 0.0, 1.25, "30 W a busy core"))
    '2 min of processors, at most 2.0 GB, about 1.2 Wh (30 W a busy core)'
    """
    parts = [f"{duration(cost.cpu_s)} of processors"]
    if cost.gpu_hours:
        parts.append(f"{_two_digits(cost.gpu_hours)} GPU hours")
    parts.append(f"at most {cost.peak_bytes / 1e9:.1f} GB")
    if cost.energy_wh is not None:
        assumed = f" ({cost.assumption})" if cost.assumption else ""
        parts.append(f"about {energy_text(cost.energy_wh)}{assumed}")
    return ", ".join(parts)


def energy_text(watt_hours: float) -> str:
    """Two digits that count, however small.

    >>> [energy_text(wh) for wh in (0.0, 0.0004, 0.033, 1.25, 42.4, 1234.5)]
    ['0 Wh', 'less than 0.001 Wh', '0.033 Wh', '1.2 Wh', '42 Wh', '1,234 Wh']
    """
    if 0 < watt_hours < 0.001:
        return "less than 0.001 Wh"
    return f"{_two_digits(watt_hours)} Wh"


def _two_digits(number: float) -> str:
    return f"{number:,.0f}" if number >= 10 else f"{number:.2g}"
