"""Everything that one lake gives to learn from, without what is kept for evaluation."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from ragdiag.errors import TrainingError
from ragdiag.privacy.hiding import is_hidden
from ragdiag.progress import Progress
from ragdiag.records import Passage, Question
from ragdiag.store.findings import load_diagnoses
from ragdiag.store.judgments import load_judgments, load_questions, splits
from ragdiag.store.lake import Lake
from ragdiag.store.regressions import load_regressions
from ragdiag.store.signals import (
    Window,
    load_commented,
    load_diagnosed,
    load_feedback,
    load_first_asked,
    load_unjudged,
)
from ragdiag.training.data.clicks import ClickOptions, pairs_from_feedback
from ragdiag.training.data.examples import LABELLED, Pair, Source
from ragdiag.training.data.generated import Ask, GeneratedOptions, examples_of, pairs_from_model
from ragdiag.training.data.mined import Mined, join_mined
from ragdiag.training.data.pairs import failed_above_gold, pairs_from_failures, pairs_from_judgments
from ragdiag.training.data.similarity import (
    DUPLICATE_QUESTION,
    NearDuplicates,
    normalised,
    question_shingles,
)
from ragdiag.training.data.weak import WeakOptions, pairs_from_bm25, pairs_from_titles
from ragdiag.version import LexicalSpec

NEEDED: Mapping[str, set[Source]] = {
    "judgments": {"judgment"},
    "failures": {"failure"},
    "feedback": {"click", "feedback"},
}
"""Parts of the log, by the sources of which one at least must be wanted."""


@dataclass(frozen=True)
class SourceOptions:
    """Where pairs come from.

    ``splits`` of judgments to learn from; questions judged in any other, and regression questions,
    are kept for evaluation. ``sources`` are always used, ``fallback`` where fewer than ``enough``
    pairs of those may be learnt from. Of the passages that have no pair yet, ``most_weak`` are
    asked about by title and ``most_generated`` by a model, chosen at random under ``seed``.
    """

    splits: tuple[str, ...] = ("train",)
    window: Window = field(default_factory=Window)
    sources: tuple[Source, ...] = LABELLED
    fallback: tuple[Source, ...] = ("bm25", "title")
    enough: int = 200
    most_weak: int = 2_000
    most_generated: int = 200
    lexical: LexicalSpec = field(default_factory=LexicalSpec)
    clicks: ClickOptions = field(default_factory=ClickOptions)
    weak: WeakOptions = field(default_factory=WeakOptions)
    generated: GeneratedOptions = field(default_factory=GeneratedOptions)
    seed: int = 0


@dataclass(frozen=True)
class Gathered:
    """``golds``: question id → every passage that anybody judged relevant, whatever the split.
    ``above_gold``: as :func:`failed_above_gold`. ``asked_at``: question id → when a user first
    asked it, where one did. ``protected``: what the questions say that are kept for evaluation.
    ``report`` is plain JSON."""

    mined: Mined
    golds: Mapping[str, frozenset[str]]
    above_gold: Mapping[str, Sequence[str]]
    asked_at: Mapping[str, datetime] = field(default_factory=dict)
    protected: Sequence[str] = ()
    report: Mapping[str, Any] = field(default_factory=dict)


def gather_pairs(
    lake: Lake,
    passages: Sequence[Passage],
    options: SourceOptions,
    ask: Ask | None = None,
    progress: Progress | None = None,
) -> Gathered:
    """Mine every source and join what they give.

    Raises TrainingError where the model is to write questions and there is no ``ask``; what the
    sources raise passes through.
    """
    if "generated" in (*options.sources, *options.fallback) and ask is None:
        raise TrainingError(
            "questions are to be generated, and no language model is configured",
            remedy="name one, or leave out the source 'generated'",
        )
    everything = load_judgments(lake)
    judged, questions, protected = _judged(lake, options.splits)
    failed = load_diagnosed(lake, options.window)
    diagnoses = load_diagnoses(lake, [one.request_id for one in failed])
    parts = {
        "judgments": pairs_from_judgments(questions, judged),
        "failures": pairs_from_failures(failed, diagnoses, judged),
        "feedback": _from_users(lake, options),
    }
    parts = {name: one for name, one in parts.items() if NEEDED[name] & set(options.sources)}
    irrelevant = {(q, p) for q, grades in everything.items() for p in grades if not grades[p]}
    known = {normalised(one.text): one.question_id for one in load_questions(lake)}

    def joined() -> Mined:
        return without_protected(join_mined(list(parts.values()), irrelevant, known), protected)

    parts |= _weak_parts(lake, passages, options, joined().pairs, ask, progress)
    mined = joined()
    facts = {
        "sources": {name: one.to_json() for name, one in parts.items()},
        "joined": mined.to_json(),
        "splits": sorted({*options.splits} & {*splits(lake)}),
        "kept_for_evaluation": len(protected),
    }
    golds = {q: frozenset(p for p in grades if grades[p]) for q, grades in everything.items()}
    above = failed_above_gold(failed, diagnoses, everything)
    asked_at = _first_asked(lake, mined.pairs)
    words = [one.text for one in protected if not is_hidden(one.text)]
    return Gathered(mined, golds, above, asked_at, words, facts)


def _first_asked(lake: Lake, pairs: Sequence[Pair]) -> dict[str, datetime]:
    """Question id → when a user first asked it, under its id or in its words."""
    ids = {pair.question_id for pair in pairs}
    known = {normalised(pair.question): pair.question_id for pair in pairs}
    first: dict[str, datetime] = {}
    for question_id, words, at in load_first_asked(lake):
        for name in ids & {question_id, known.get(normalised(words))}:
            first[name] = min(at, first.get(name, at))
    return first


def _from_users(lake: Lake, options: SourceOptions) -> Mined:
    commented = load_commented(lake, options.window)
    said = load_feedback(lake, [one.request_id for one in commented])
    found = pairs_from_feedback(commented, said, options.clicks)
    return replace(found, pairs=tuple(p for p in found.pairs if p.source in options.sources))


def kept_for_evaluation(lake: Lake, wanted: Collection[str]) -> list[Question]:
    """The questions of all splits but those ``wanted``, and the regression questions."""
    return _judged(lake, wanted)[2]


def _judged(
    lake: Lake, wanted: Collection[str]
) -> tuple[dict[str, dict[str, int]], list[Question], list[Question]]:
    """Judgments and questions of the splits to learn from, and the questions that are kept for
    evaluation: those of the other splits, and the regression questions of any."""
    there = splits(lake)
    held_out = {
        q.question_id: q for one in there if one not in wanted for q in load_questions(lake, one)
    }
    checked = {one.question_id for one in load_regressions(lake)}
    held_out |= {q.question_id: q for q in load_questions(lake) if q.question_id in checked}
    judged: dict[str, dict[str, int]] = {}
    questions: dict[str, Question] = {}
    for split in there:
        if split in wanted:
            for name, grades in load_judgments(lake, split).items():
                if name not in held_out:
                    judged.setdefault(name, {}).update(grades)
            questions |= {q.question_id: q for q in load_questions(lake, split)}
    learnt = [one for name, one in questions.items() if name not in held_out]
    return judged, learnt, list(held_out.values())


def _weak_parts(
    lake: Lake,
    passages: Sequence[Passage],
    options: SourceOptions,
    labelled: Sequence[Pair],
    ask: Ask | None,
    progress: Progress | None,
) -> dict[str, Mined]:
    """``labelled`` are the pairs that are left of the other sources."""
    wanted = {*options.sources, *(options.fallback if len(labelled) < options.enough else ())}
    parts = {}
    if "bm25" in wanted and passages:
        unjudged = load_unjudged(lake, options.window)
        parts["bm25"] = pairs_from_bm25(unjudged, passages, options.lexical, options.weak)
    asked_about = {pair.passage_id for pair in labelled}
    free = [one for one in passages if one.passage_id not in asked_about]
    chance = random.Random(options.seed)
    if "generated" in wanted and ask is not None:
        chosen = chance.sample(free, min(len(free), options.most_generated))
        shown = examples_of(labelled, passages, options.generated, options.seed)
        parts["generated"] = pairs_from_model(chosen, ask, options.generated, shown, progress)
        taken = {one.passage_id for one in chosen}
        free = [one for one in free if one.passage_id not in taken]
    if "title" in wanted:
        parts["titles"] = pairs_from_titles(
            free, options.weak, most=options.most_weak, seed=options.seed
        )
    return parts


def without_protected(mined: Mined, protected: Sequence[Question]) -> Mined:
    """Without what asks, in the same or nearly the same words, what evaluation asks."""
    ids = {one.question_id for one in protected}
    seen = NearDuplicates(
        {q.question_id: question_shingles(q.text) for q in protected if not is_hidden(q.text)},
        DUPLICATE_QUESTION,
    )
    kept, held = [], Counter[str]()
    for pair in mined.pairs:
        if pair.question_id in ids or any(seen.of(question_shingles(pair.question))):
            held[pair.question_id] += 1
        else:
            kept.append(pair)
    skipped = {**mined.skipped, **({"kept for evaluation": list(held)} if held else {})}
    return Mined(tuple(kept), mined.texts, skipped)
