"""What runs of ``ragdiag tune`` share: where they learn from, and what they say they took."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ragdiag.errors import InputError, UnknownName
from ragdiag.progress import Progress
from ragdiag.retrieval.hybrid import HybridRetriever
from ragdiag.settings import Workspace
from ragdiag.store.judgments import splits
from ragdiag.store.lake import Lake
from ragdiag.store.results import list_versions
from ragdiag.training.data.assemble import Assembled, AssembleOptions, assemble
from ragdiag.training.data.examples import LABELLED, Pair
from ragdiag.training.data.finders import DEPTH
from ragdiag.training.data.negatives import Finder, NegativeOptions, Teacher
from ragdiag.training.data.sources import SourceOptions
from ragdiag.training.data.splits import SplitOptions
from ragdiag.training.loop import Trained
from ragdiag.training.run_folder import unfinished_run
from ragdiag.training.runs import Cost, Data, SetName
from ragdiag.workflows.tuning.tuned_change import HeldOut

WATTS_A_CORE = 15.0
"""What a busy server core draws, roughly; only to tell a cheap run from a dear one."""

NO_SPLIT = "none"


@dataclass(frozen=True)
class LearnFrom:
    """Learnt from the judged questions of ``split`` (None: of no split, so from the log and the
    corpus alone) and from the log; ``from_failures`` uses only what retrieval got wrong. Tested on
    ``test``, of which nothing is learnt. ``augment``: variants of each training question, as users
    type them. ``hard``: negatives of each pair. ``sentences``: how many sentences of the corpus are
    learnt from too, as questions."""

    split: str | None = "train"
    test: str = "test"
    from_failures: bool = False
    hard: int = 2
    augment: int = 0
    seed: int = 0
    sentences: int = 0

    @property
    def learnt_split(self) -> str:
        """As a run tells it."""
        return self.split or NO_SPLIT

    def assembled(
        self,
        lake: Lake,
        retriever: HybridRetriever,
        *,
        title: bool,
        teacher: Teacher | None = None,
        progress: Progress | None = None,
    ) -> Assembled:
        """Raises TrainingError where that gives too little, UnknownName where nothing is judged in
        the split."""
        self._require_split(lake)
        usual = SourceOptions()
        options = AssembleOptions(
            sources=SourceOptions(
                splits=() if self.split is None else (self.split,),
                sources=("failure",) if self.from_failures else LABELLED,
                fallback=() if self.from_failures else usual.fallback,
                seed=self.seed,
            ),
            negatives=NegativeOptions(per_pair=self.hard),
            split=SplitOptions(seed=self.seed),
            title=title,
            augment=self.augment,
            sentences=self.sentences,
        )
        dense = _nearest(retriever)
        return assemble(lake, options, dense=dense, teacher=teacher, progress=progress)

    def _require_split(self, lake: Lake) -> None:
        there = splits(lake)
        if self.split is None and self.from_failures:
            raise InputError(
                "which passage a failed request lost is told by labels",
                remedy="name the --split that has them, or leave --from-failures out",
            )
        if self.split is not None and self.split not in there:
            raise UnknownName(
                f"no question is judged in the split {self.split!r}",
                remedy=f"name one of {', '.join(there)} with --split, or say "
                "--no-labels to learn from the log and the corpus alone",
            )


def require_apart(split: str | None, test: str) -> None:
    """Raises InputError where what is learnt from ``split`` would be tested on the same."""
    if split == test:
        raise InputError(
            f"the split {split!r} cannot be learned from and tested on",
            remedy="name another with --split or --test",
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
        raise InputError(
            f"there is a version {name} already", remedy="choose another name with --save-as"
        )


def data_facts(assembled: Assembled, dev: int, sets: Sequence[HeldOut]) -> Data:
    """``dev`` counts the questions that training is steered by."""
    train = assembled.train
    held_out: dict[SetName, int] = {one.name: len(one.questions) for one in sets}
    return Data(
        train.data_hash,
        len(train.pairs),
        by_source=Counter(pair.source for pair in train.pairs),
        held_out={"dev": dev, **held_out},
    )


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
