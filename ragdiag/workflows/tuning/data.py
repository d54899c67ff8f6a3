"""Where runs of ``ragdiag tune`` learn from, and what they keep of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ragdiag.errors import InputError, TrainingError, UnknownName, first_line
from ragdiag.privacy.keys import Keyring
from ragdiag.progress import Progress
from ragdiag.retrieval.hybrid import HybridRetriever
from ragdiag.store.judgments import split_sizes
from ragdiag.store.lake import Lake
from ragdiag.store.results import find_version
from ragdiag.training.data.assemble import PARTS, Assembled, AssembleOptions, assemble, unlike
from ragdiag.training.data.examples import LABELLED, Pair, Source, mixed
from ragdiag.training.data.finders import DEPTH
from ragdiag.training.data.mined import Mined
from ragdiag.training.data.negatives import Finder, NegativeOptions, Teacher
from ragdiag.training.data.sets import load_set
from ragdiag.training.data.sources import SourceOptions, kept_for_evaluation, without_protected
from ragdiag.training.data.splits import SplitOptions
from ragdiag.training.files import replace_file
from ragdiag.training.retriever.bi_encoder_options import BiEncoderOptions
from ragdiag.training.run_folder import run_folder
from ragdiag.workflows.tuning.general import drawn, read_general
from ragdiag.workflows.tuning.writing import writer_of

REPORT = "data.json"
NO_SPLIT = "none"

SHAPING_DATA = {
    "split": "--split",
    "from_failures": "--from-failures",
    "hard": "--negatives",
    "augment": "--augment",
    "sentences": "--sentences",
    "generate": "--generate",
    "writer": "--writer",
    "mix": "--mix",
}
"""Fields of :class:`LearnFrom` that say which pairs a run has, with the options that set them."""


@dataclass(frozen=True)
class LearnFrom:
    """Learnt from the judged questions of ``split`` (None: of no split, so from the log and the
    corpus alone) and from the log; ``from_failures`` uses only what retrieval got wrong. Tested on
    ``test``, of which nothing is learnt. ``augment``: variants of each training question, as users
    type them. ``hard``: negatives of each pair. ``sentences``: how many sentences of the corpus are
    learnt from too, as questions. ``generate``: to how many passages the language model of the
    version ``writer`` writes a question. ``data_of``: the run whose stored sets are taken instead
    of all this, so that what the log has learnt since changes nothing. ``mix``: general pairs to
    learn from as well (:func:`ragdiag.workflows.tuning.general.read_general`)."""

    split: str | None = "train"
    test: str = "test"
    from_failures: bool = False
    hard: int = 2
    augment: int = 0
    seed: int = 0
    sentences: int = 0
    generate: int = 0
    writer: str | None = None
    data_of: str | None = None
    mix: str | None = None

    @property
    def splits(self) -> tuple[str, ...]:
        return () if self.split is None else (self.split,)

    @property
    def learnt_split(self) -> str:
        """As a run tells it."""
        return self.split or NO_SPLIT

    @property
    def shaping(self) -> LearnFrom:
        """All that shapes the result beside the data itself: where that was taken from does not, so
        that a run goes on with its own sets."""
        return replace(self, data_of=None)

    def assembled(
        self,
        lake: Lake,
        retriever: HybridRetriever,
        *,
        title: bool,
        teacher: Teacher | None = None,
        progress: Progress | None = None,
    ) -> Assembled:
        """Raises TrainingError where that gives too little or the sets of ``data_of`` ask what
        evaluation does, InputError where they came of other options, UnknownName where nothing is
        judged in the split, and as :func:`ragdiag.workflows.tuning.writing.writer_of`."""
        self._require_split(lake)
        if self.data_of is not None:
            self._require_same(lake, self.data_of, title=title)
            return _stored(lake, self.data_of, self.splits)
        usual = SourceOptions()
        asked: tuple[Source, ...] = ("failure",) if self.from_failures else LABELLED
        options = AssembleOptions(
            sources=SourceOptions(
                splits=self.splits,
                sources=(*asked, "generated") if self.generate else asked,
                fallback=() if self.from_failures else usual.fallback,
                most_generated=self.generate,
                seed=self.seed,
            ),
            negatives=NegativeOptions(per_pair=self.hard),
            split=SplitOptions(seed=self.seed),
            title=title,
            augment=self.augment,
            sentences=self.sentences,
        )
        ask = writer_of(lake, self.writer) if self.generate and self.writer is not None else None
        found = assemble(
            lake,
            options,
            dense=_nearest(retriever),
            teacher=teacher,
            ask=ask,
            progress=progress,
        )
        return found if self.mix is None else self._mixed(lake, found, Path(self.mix), title)

    def _mixed(self, lake: Lake, found: Assembled, path: Path, title: bool) -> Assembled:
        """``found`` with general pairs to train with, none of which asks what is held out."""
        general = read_general(path, title=title)
        kept = without_protected(
            Mined(tuple(general.pairs)), kept_for_evaluation(lake, self.splits)
        )
        others = [pair.question for name in PARTS[1:] for pair in getattr(found, name).pairs]
        free = replace(general, pairs=unlike(kept.pairs, others))
        share = BiEncoderOptions.general
        most = round(len(found.train.pairs) * share / (1 - share))
        return replace(found, train=mixed([found.train, drawn(free, most, self.seed)]))

    def _require_same(self, lake: Lake, run_id: str, *, title: bool) -> None:
        """Raises InputError where the sets of ``run_id`` came of other options or other texts: the
        registry would say of this run what is not so."""
        config = _config_of(lake, run_id)
        learnt = config.get("tuning", {}).get("learn")
        if learnt is None:  # a run from before its options were kept
            return
        own = {**asdict(LearnFrom()), **learnt}
        other = [
            f"{option} {'none' if own[name] is None else own[name]}"
            for name, option in SHAPING_DATA.items()
            if own[name] != getattr(self, name)
        ]
        if other:
            raise InputError(
                f"training run {run_id} gathered its pairs with other options ({', '.join(other)})",
                remedy="give the same, or leave --data-of out",
            )
        if config["kind"] != "retriever":  # a reranker always reads titles
            return
        embedder = find_version(lake, config["version"]).spec.embedder
        if embedder is not None and embedder.title is not title:
            raise InputError(
                f"training run {run_id} was given passages {'without' if title else 'with'} their "
                "titles, and this version's embedder is not",
                remedy="name a run of this version, or leave --data-of out",
            )

    def _require_split(self, lake: Lake) -> None:
        there = split_sizes(lake)
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


def keep_data(assembled: Assembled, folder: Path, seal: Keyring | None) -> None:
    """Write the sets of a run into its folder, and how they came about: what each source gave,
    how much gave nothing and why. Counts alone, so that it need not be sealed and holds nothing of
    a user who is to be forgotten."""
    assembled.save(folder, seal)
    text = json.dumps(assembled.report, indent=1, sort_keys=True, default=str)
    replace_file(folder / REPORT, lambda file: file.write(text.encode()))


def _stored(lake: Lake, run_id: str, learnt: Sequence[str]) -> Assembled:
    """The sets of a run. Raises TrainingError where they are not there or train on what is kept
    for evaluation by now, KeyMissing."""
    folder = run_folder(lake.workspace, run_id).root
    sets = {name: load_set(folder, name) for name in PARTS}
    mined = Mined(tuple(sets["train"].pairs))
    free = {*without_protected(mined, kept_for_evaluation(lake, learnt)).pairs}
    taken = next((pair for pair in mined.pairs if pair not in free), None)
    if taken is not None:
        raise TrainingError(
            f"training run {run_id} learns from the question {taken.question_id}, which is kept "
            "for evaluation by now",
            remedy="leave --data-of out",
        )
    return Assembled(**sets, report={**_read_report(folder / REPORT), "data_of": run_id})


def _config_of(lake: Lake, run_id: str) -> dict[str, Any]:
    """What tells the run from another; empty where it was not kept. Raises TrainingError where
    it cannot be read."""
    path = run_folder(lake.workspace, run_id).config
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise TrainingError(
            f"{path}, which says how training run {run_id} gathered its pairs, cannot be read "
            f"({first_line(error)})",
            remedy="leave --data-of out",
        ) from None
    return found if isinstance(found, dict) else {}


def _read_report(path: Path) -> dict[str, Any]:
    """Empty where there is none; of an earlier one, which names ids, the counts alone."""
    if not path.exists():
        return {}
    told: dict[str, Any] = json.loads(path.read_text(), object_hook=_count_of)
    named = told.get("without_text")
    return {**told, "without_text": len(named)} if isinstance(named, list) else told


def _count_of(found: dict[str, Any]) -> Any:
    return found["n"] if found.keys() == {"n", "examples"} else found


def _nearest(retriever: HybridRetriever) -> Finder:
    """What the version finds now: by its vectors, where it has some."""

    def find(pairs: Sequence[Pair]) -> list[list[str]]:
        found = (retriever.retrieve(pair.question) for pair in pairs)
        lists = (one.fused if one.dense is None else one.dense for one in found)
        return [[hit.passage_id for hit in hits[:DEPTH]] for hits in lists]

    return find
