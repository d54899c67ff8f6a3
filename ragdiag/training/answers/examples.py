"""Answer examples of a lake: a split's questions over the passages that a version packs for them.

A version that missed the gold passage would teach to answer from nothing, so the passage is put in,
at a random place (Zhang et al. 2024, RAFT: one telling passage among distractors).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ragdiag.errors import TrainingError
from ragdiag.privacy.hiding import is_hidden
from ragdiag.privacy.keys import Keyring
from ragdiag.progress import Progress, report
from ragdiag.records import ContextPassage, Passage
from ragdiag.store.corpus import load_gold_answers, load_passages_by_id, removed_passages
from ragdiag.store.lake import Lake
from ragdiag.training.answers.located import (
    LEAST,
    AnswerExample,
    Refused,
    examples_hash,
    find_places,
    locate_answer,
    usable_examples,
    with_declines,
)
from ragdiag.training.answers.sets import save_examples
from ragdiag.training.data.examples import Pair, TrainingSet
from ragdiag.training.data.leaks import check_leaks
from ragdiag.training.data.sources import SourceOptions, gather_pairs
from ragdiag.training.data.splits import SplitOptions, split_pairs

Retrieve = Callable[[str], Sequence[ContextPassage]]
"""A question → the passages that a version packs for it."""


@dataclass(frozen=True)
class AnswerOptions:
    """Questions judged in ``split`` and nowhere else. ``declines`` is the share of them that is
    asked again over passages that do not tell; ``dev`` the share to choose by."""

    split: str = "train"
    declines: float = 0.25
    dev: float = 0.15
    seed: int = 0


@dataclass(frozen=True)
class AnswerData:
    """``examples`` can all be learned from, one a question; the ``refused`` ones cannot. ``pairs``
    are questions and gold passages of the former, ``passages`` the gold ones by id."""

    examples: tuple[AnswerExample, ...]
    refused: tuple[Refused, ...]
    pairs: tuple[Pair, ...]
    passages: Mapping[str, Passage]


@dataclass(frozen=True)
class AnswerParts:
    """Share no question, no gold passage and, where that can be, no document; both with their
    declines."""

    train: tuple[AnswerExample, ...]
    dev: tuple[AnswerExample, ...]

    @property
    def data_hash(self) -> str:
        return examples_hash([*self.train, *self.dev])

    def save(self, folder: Path, seal: Keyring | None = None) -> None:
        """Write both for ``load_examples(folder, "train")`` and ``"dev"``, encrypted under ``seal``
        if there is one. Raises StoreFull."""
        save_examples(folder, self.train, "train", seal)
        save_examples(folder, self.dev, "dev", seal)


def gather_answers(
    lake: Lake, retrieve: Retrieve, options: AnswerOptions, progress: Progress | None = None
) -> AnswerData:
    """An example for each question of the split that has a gold answer and a gold passage in the
    corpus.

    Raises TrainingError where fewer than ten can be used.
    """
    sources = SourceOptions(splits=(options.split,), sources=("judgment",), fallback=())
    pairs = gather_pairs(lake, (), sources).mined.pairs
    named = {pair.passage_id for pair in pairs}
    passages = load_passages_by_id(lake, named - removed_passages(lake, list(named)))
    answers = load_gold_answers(lake)
    questions: dict[str, list[Pair]] = {}
    for pair in pairs:
        questions.setdefault(pair.question_id, []).append(pair)
    found, refused = [], []
    for number, (name, own) in enumerate(questions.items(), start=1):
        accepted = tuple(one for one in answers.get(name, ()) if not is_hidden(one))
        gold = [passages[pair.passage_id] for pair in own if pair.passage_id in passages]
        if not accepted:
            refused.append(Refused(name, "it has no gold answer"))
        elif not gold:
            refused.append(Refused(name, "none of its gold passages is in the corpus"))
        else:
            chance = random.Random(f"{options.seed}:{name}")
            packed = retrieve(own[0].question)
            found.append(_example(own[0], accepted, packed, gold, chance))
        report(progress, number / len(questions), f"read {number} of {len(questions)} questions")
    usable, unusable = usable_examples(found, options.split)
    names = {one.question_id for one in usable}
    kept = tuple(p for p in pairs if p.question_id in names and p.passage_id in passages)
    return AnswerData(tuple(usable), (*refused, *unusable), kept, passages)


def split_answers(data: AnswerData, options: AnswerOptions) -> AnswerParts:
    """Training and dev examples, the same every time under one seed.

    Raises TrainingError where the questions hang together, or where the two share something.
    """
    texts = {name: passage.text for name, passage in data.passages.items()}
    documents = {name: passage.document_id for name, passage in data.passages.items()}
    # Groups are taken whole, so that a bare ten might come out as nine.
    share = max(options.dev, (LEAST + 2) / len(data.examples))
    if share > 0.5:
        raise TrainingError(
            f"{len(data.examples)} questions of the split {options.split!r} can be learned from, "
            f"and {2 * (LEAST + 2)} are the least",
            remedy="judge more of its questions and give their answers",
        )
    split = split_pairs(
        data.pairs, texts, documents, None, SplitOptions(share, temporal=0.0, seed=options.seed)
    )
    train, dev = TrainingSet(split.train, texts), TrainingSet(split.dev, texts)
    check_leaks(train, dev)
    return AnswerParts(_of(data, train, options), _of(data, dev, options))


def with_some_declines(
    examples: Iterable[AnswerExample], options: AnswerOptions
) -> tuple[AnswerExample, ...]:
    """``examples``, and the share of them that ``options`` wants to be declined."""
    return tuple(with_declines(tuple(examples), options.declines, options.seed))


def _of(data: AnswerData, held: TrainingSet, options: AnswerOptions) -> tuple[AnswerExample, ...]:
    names = held.positives.keys()
    return with_some_declines((e for e in data.examples if e.question_id in names), options)


def _example(
    pair: Pair,
    answers: tuple[str, ...],
    packed: Sequence[ContextPassage],
    gold: Sequence[Passage],
    chance: random.Random,
) -> AnswerExample:
    """Where no gold passage that was packed tells, the first that does takes the last one's
    place."""
    named = frozenset(passage.passage_id for passage in gold)
    found = AnswerExample(pair.question_id, pair.question, answers, tuple(packed), named)
    telling = (p for p in gold if any(locate_answer(one, p.text) for one in answers))
    missing = None if find_places(found) else next(telling, None)
    if missing is None:
        return found
    others = [one for one in packed if one.passage_id != missing.passage_id]
    context = others[: max(len(packed) - 1, 0)]
    put_in = ContextPassage(missing.passage_id, missing.text, title=missing.title)
    context.insert(chance.randint(0, len(context)), put_in)
    return AnswerExample(pair.question_id, pair.question, answers, tuple(context), named)
