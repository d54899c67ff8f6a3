"""What runs of ``ragdiag tune`` share: where they learn from, and what they say they took."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ragdiag.errors import InputError
from ragdiag.privacy.keys import Keyring
from ragdiag.progress import Progress
from ragdiag.retrieval.hybrid import HybridRetriever
from ragdiag.settings import Workspace
from ragdiag.store.lake import Lake
from ragdiag.store.results import list_versions
from ragdiag.store.training_runs import list_runs
from ragdiag.training.data.assemble import Assembled, AssembleOptions, assemble
from ragdiag.training.data.examples import LABELLED, Pair
from ragdiag.training.data.finders import DEPTH
from ragdiag.training.data.negatives import Finder, NegativeOptions, Teacher
from ragdiag.training.data.sources import SourceOptions
from ragdiag.training.data.splits import SplitOptions
from ragdiag.training.files import replace_file
from ragdiag.training.loop import Trained
from ragdiag.training.reranker.losses import DISTILLED
from ragdiag.training.run_folder import unfinished_run
from ragdiag.training.runs import Cost, Data, SetName
from ragdiag.workflows.tuning.tuned_change import HeldOut

REPORT = "data.json"
WATTS_A_CORE = 15.0
"""What a busy server core draws, roughly; only to tell a cheap run from a dear one."""


@dataclass(frozen=True)
class LearnFrom:
    """Learnt from the judged questions of ``split`` and from the log; ``from_failures`` uses only
    what retrieval got wrong. Tested on ``test``, of which nothing is learnt. ``augment``: variants
    of each training question, as users type them. ``hard``: negatives of each pair. ``sentences``:
    how many sentences of the corpus are learnt from too, as questions."""

    split: str = "train"
    test: str = "test"
    from_failures: bool = False
    hard: int = 2
    augment: int = 0
    seed: int = 0
    sentences: int = 0

    def assembled(
        self,
        lake: Lake,
        retriever: HybridRetriever,
        *,
        title: bool,
        teacher: Teacher | None = None,
        progress: Progress | None = None,
    ) -> Assembled:
        """Raises TrainingError where that gives too little."""
        usual = SourceOptions()
        options = AssembleOptions(
            sources=SourceOptions(
                splits=(self.split,),
                sources=("failure",) if self.from_failures else LABELLED,
                fallback=() if self.from_failures else usual.fallback,
                seed=self.seed,
            ),
            negatives=NegativeOptions(per_pair=max(1, self.hard)),
            split=SplitOptions(seed=self.seed),
            title=title,
            augment=self.augment,
            sentences=self.sentences,
        )
        dense = _nearest(retriever)
        return assemble(lake, options, dense=dense, teacher=teacher, progress=progress)


def require_apart(split: str, test: str) -> None:
    """Raises InputError where what is learnt from ``split`` would be tested on the same."""
    if split == test:
        raise InputError(
            f"the split {split!r} cannot be learned from and tested on",
            remedy="name another with --split or --test",
        )


def require_teacher(loss: str, teacher: str | None) -> None:
    """Raises InputError where ``loss`` learns from a teacher and none is named."""
    if teacher is None and loss in DISTILLED:
        raise InputError(
            f"the loss {loss} learns from a teacher, and none is named",
            remedy="name a cross-encoder with --teacher, or choose another --loss",
        )


def check_rate(given: float | None) -> None:
    """Raises InputError for a learning rate that is no number above 0."""
    if given is not None and not (math.isfinite(given) and given > 0):
        raise InputError(
            f"nothing is learnt at the learning rate {given:g}",
            remedy="choose one above 0 with --learning-rate, or leave it out",
        )


def refuse_taken_name(lake: Lake, name: str | None) -> None:
    """As :func:`require_free_name`, before the data of the run is known: raises InputError where no
    unfinished run whatever can have made the version called ``name``."""
    taken = next((one for one in list_versions(lake) if one.name == name), None)
    if taken is not None:
        spec = taken.spec.model_dump_json()
        if not any(run.state != "done" and run.run_id in spec for run in list_runs(lake)):
            raise _taken(taken.name)


def _taken(name: str) -> InputError:
    return InputError(
        f"there is a version {name} already", remedy="choose another name with --save-as"
    )


def require_free_name(
    lake: Lake, workspace: Workspace, config: Mapping[str, Any], name: str | None
) -> None:
    """Raises InputError where there is a version called ``name`` already, unless the unfinished run
    of this ``config`` has made it."""
    taken = next((one for one in list_versions(lake) if one.name == name), None)
    if taken is None:
        return
    begun = unfinished_run(lake, workspace, config)
    if begun is None or begun.run_id not in taken.spec.model_dump_json():
        raise _taken(taken.name)


def data_facts(assembled: Assembled, dev: int, sets: Sequence[HeldOut]) -> Data:
    """``dev`` counts the questions that training is steered by."""
    train = assembled.train
    held_out: dict[SetName, int] = {one.name: len(one.questions) for one in sets}
    return Data(
        train.data_hash,
        len(train.pairs),
        by_source=Counter(pair.source for pair in train.pairs),
        held_out={"dev": dev, **held_out},
        refused=refused_by_reason(assembled.report),
    )


def keep_data(assembled: Assembled, folder: Path, seal: Keyring | None) -> None:
    """Write the sets of a run into its folder, and how they came about: what each source gave,
    which ids gave nothing and why. Ids and counts alone, so that it need not be sealed."""
    assembled.save(folder, seal)
    text = json.dumps(assembled.report, indent=1, sort_keys=True, default=str)
    replace_file(folder / REPORT, lambda file: file.write(text.encode()))


def refused_by_reason(report: Mapping[str, Any]) -> dict[str, int]:
    """What gave no pair to learn from, and pairs that were left out, as ``Assembled.report`` has
    them."""
    found = {reason: one["n"] for reason, one in report["joined"]["skipped"].items()}
    found["without a text"] = len(report["without_text"])
    found["like a held-out question or passage"] = report["purged"]
    return {reason: n for reason, n in found.items() if n}


def cost_of(trained: Trained) -> Cost:
    """Energy is told of processors alone: what an accelerator draws is not known here."""
    if trained.accelerators:
        hours = trained.wall_s * trained.accelerators / 3600
        return Cost(trained.wall_s, trained.cpu_s, trained.peak_bytes, gpu_hours=hours)
    return Cost(
        trained.wall_s,
        trained.cpu_s,
        trained.peak_bytes,
        energy_wh=trained.cpu_s * WATTS_A_CORE / 3600,
        assumption=f"{WATTS_A_CORE:g} W a busy core",
    )


def _nearest(retriever: HybridRetriever) -> Finder:
    """What the version finds now: by its vectors, where it has some."""

    def find(pairs: Sequence[Pair]) -> list[list[str]]:
        found = (retriever.retrieve(pair.question) for pair in pairs)
        lists = (one.fused if one.dense is None else one.dense for one in found)
        return [[hit.passage_id for hit in hits[:DEPTH]] for hits in lists]

    return find
