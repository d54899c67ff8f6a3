"""The data of one run, from the lake to sets that share nothing: pairs, negatives, parts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ragdiag.privacy.keys import Keyring
from ragdiag.progress import Progress, part, report
from ragdiag.records import Passage
from ragdiag.retrieval.lexical import tokenise
from ragdiag.retrieval.vectors import passage_text
from ragdiag.store.corpus import load_passages, load_passages_by_id
from ragdiag.store.lake import Lake
from ragdiag.store.logged_passages import load_logged_passages
from ragdiag.training.data.examples import Pair, TrainingSet
from ragdiag.training.data.finders import bm25_finder, failure_finder
from ragdiag.training.data.generated import Ask
from ragdiag.training.data.leaks import check_leaks, holds_its_question
from ragdiag.training.data.mined import Mined, require_pairs
from ragdiag.training.data.negatives import (
    Finder,
    NegativeOptions,
    Negatives,
    Teacher,
    mine_negatives,
)
from ragdiag.training.data.sentences import pairs_from_sentences
from ragdiag.training.data.sets import save_set
from ragdiag.training.data.similarity import DUPLICATE_QUESTION, NearDuplicates, question_shingles
from ragdiag.training.data.sources import Gathered, SourceOptions, gather_pairs
from ragdiag.training.data.splits import Split, SplitOptions, split_pairs
from ragdiag.training.data.user_questions import Family, vary_pairs

PARTS = ("train", "dev", "temporal", "synthetic")


@dataclass(frozen=True)
class AssembleOptions:
    """``title`` puts a passage's title in front of its text, as the model to be trained reads it.
    ``augment``: variants of every training question to train with as well. ``synthetic``: variants
    of every dev question, of the other family, to try the model on. ``sentences``: how many
    sentences of the corpus to train with as questions; no part of the split, since they know no
    label."""

    sources: SourceOptions = field(default_factory=SourceOptions)
    negatives: NegativeOptions = field(default_factory=NegativeOptions)
    split: SplitOptions = field(default_factory=SplitOptions)
    title: bool = False
    augment: int = 0
    synthetic: int = 2
    sentences: int = 0


@dataclass(frozen=True)
class Assembled:
    """``train``, and three sets that share no question and no gold passage with it: ``dev``, which
    shares no document either where that can be; ``temporal``, which users first asked later than
    the rest, or none (``no_holdout`` of the report says why); ``synthetic``, which asks what
    ``dev`` asks as users type it. ``report`` is plain JSON: pairs by source and part, what gave
    none and why, negatives, hashes.
    """

    train: TrainingSet
    dev: TrainingSet
    temporal: TrainingSet
    synthetic: TrainingSet
    report: Mapping[str, Any] = field(default_factory=dict)

    def save(self, folder: Path, seal: Keyring | None = None) -> None:
        """Write the sets for ``load_set(folder, name)``, by the names of PARTS, encrypted under
        ``seal`` if there is one."""
        for name in PARTS:
            save_set(folder, getattr(self, name), name, seal)


def assemble(
    lake: Lake,
    options: AssembleOptions | None = None,
    *,
    dense: Finder | None = None,
    teacher: Teacher | None = None,
    ask: Ask | None = None,
    progress: Progress | None = None,
) -> Assembled:
    """Everything that ``lake`` gives to train a retriever or a reranker.

    ``dense`` finds what the present model mistakes (``finders.dense_finder``), ``teacher`` tells
    unjudged golds from negatives, ``ask`` writes questions. Raises TrainingError where there are
    too few pairs, where they cannot be split, or where none has a negative.
    """
    options, snapshot = options or AssembleOptions(), lake.snapshot()
    corpus = load_passages(lake)
    gathered = gather_pairs(lake, corpus, options.sources, ask, part(progress, 0.0, 0.4))
    passages = _named(lake, corpus, gathered.mined.pairs)
    texts = {name: passage_text(one, title=options.title) for name, one in passages.items()}
    texts |= gathered.mined.texts
    kept = [pair for pair in gathered.mined.pairs if texts.get(pair.passage_id, "").strip()]
    refused = {reason: len(names) for reason, names in gathered.mined.skipped.items()}
    require_pairs(kept, refused)
    documents = {name: one.document_id for name, one in passages.items()}
    report(progress, 0.4, f"looking for hard negatives to {len(kept)} pairs")
    negatives = _negatives(kept, texts, documents, corpus, gathered, options, dense, teacher)
    split = split_pairs(negatives.pairs, texts, documents, gathered.asked_at, options.split)
    sets = _parts(split, texts, gathered.protected, options)
    sets["train"] = _with_sentences(sets, texts, corpus, gathered.protected, options)
    told = f"; none held out as asked later: {split.no_holdout}" if split.no_holdout else ""
    report(progress, 1.0, f"{len(sets['train'].pairs)} pairs to train with{told}")
    facts = {
        "snapshot": snapshot,
        **gathered.report,
        "without_text": len({p.question_id for p in set(gathered.mined.pairs) - set(kept)}),
        "negatives": negatives.to_json(),
        "split_by": split.by,
        "purged": len(split.purged),
        "no_holdout": split.no_holdout,
        "cut": None if split.cut is None else split.cut.isoformat(),
        "parts": {name: _about(one) for name, one in sets.items()},
    }
    return Assembled(**sets, report=facts)


def _parts(
    split: Split, texts: Mapping[str, str], protected: Sequence[str], options: AssembleOptions
) -> dict[str, TrainingSet]:
    """The sets by the names of PARTS, with their variants, checked for leaks. No variant that is
    trained on asks what another part or evaluation (``protected``) does."""
    words = frozenset(word for text in texts.values() for word in tokenise(text))

    def vary(pairs: Sequence[Pair], family: Family, count: int) -> list[Pair]:
        seed = options.split.seed
        made = vary_pairs(pairs, family, per_question=count, seed=seed, vocabulary=words)
        return [pair for pair in made if not holds_its_question(pair, texts[pair.passage_id])]

    others = [*protected, *(pair.question for pair in (*split.dev, *split.temporal))]
    train = [*split.train, *unlike(vary(split.train, "augment", options.augment), others)]
    trained = [pair.question for pair in train]
    synthetic = unlike(vary(split.dev, "holdout", options.synthetic), trained)
    parts = (train, split.dev, split.temporal, synthetic)
    sets = {name: _set(pairs, texts) for name, pairs in zip(PARTS, parts, strict=True)}
    for name in PARTS[1:]:
        check_leaks(sets["train"], sets[name])
    return sets


def _with_sentences(
    sets: Mapping[str, TrainingSet],
    texts: Mapping[str, str],
    corpus: Sequence[Passage],
    protected: Sequence[str],
    options: AssembleOptions,
) -> TrainingSet:
    """What is trained on, with sentences of the corpus that ask nothing like a held-out question.
    Their negatives are BM25's alone: the version itself finds what holds the words."""
    train = sets["train"]
    found = pairs_from_sentences(corpus, most=options.sentences, seed=options.split.seed)
    others = [pair.question for name in PARTS[1:] for pair in sets[name].pairs]
    drawn = unlike(found.pairs, [*protected, *others])
    if not drawn:
        return train
    finders = {}
    if options.negatives.per_pair:
        finders["bm25"] = bm25_finder(corpus, options.sources.lexical)
    mined = mine_negatives(drawn, texts, finders, options=options.negatives)
    return _set([*train.pairs, *mined.pairs], texts)


def _named(lake: Lake, corpus: Sequence[Passage], pairs: Iterable[Pair]) -> dict[str, Passage]:
    """The corpus, and of what left it or was never ours those passages that pairs name."""
    found = {one.passage_id: one for one in corpus}
    missing = {pair.passage_id for pair in pairs} - found.keys()
    if missing:
        found = {
            **load_logged_passages(lake, missing),
            **load_passages_by_id(lake, missing),
            **found,
        }
    return found


def _negatives(
    pairs: Sequence[Pair],
    texts: Mapping[str, str],
    documents: Mapping[str, str],
    corpus: Sequence[Passage],
    gathered: Gathered,
    options: AssembleOptions,
    dense: Finder | None,
    teacher: Teacher | None,
) -> Negatives:
    finders = {"failures": failure_finder(gathered.above_gold)}
    if corpus:
        finders["bm25"] = bm25_finder(corpus, options.sources.lexical)
    if dense is not None:
        finders["dense"] = dense
    return mine_negatives(
        pairs,
        texts,
        finders if options.negatives.per_pair else {},
        known=gathered.golds,
        documents=documents,
        teacher=teacher,
        options=options.negatives,
    )


def unlike(pairs: Sequence[Pair], others: Iterable[str]) -> list[Pair]:
    """Without those that came out like one of the questions ``others``: short ones share most of
    their template."""
    seen = NearDuplicates({one: question_shingles(one) for one in others}, DUPLICATE_QUESTION)
    return [pair for pair in pairs if not any(seen.of(question_shingles(pair.question)))]


def _set(pairs: Sequence[Pair], texts: Mapping[str, str]) -> TrainingSet:
    named = {name for pair in pairs for name in (pair.passage_id, *pair.negatives)}
    return TrainingSet(tuple(pairs), {name: texts[name] for name in sorted(named)})


def _about(held: TrainingSet) -> dict[str, Any]:
    return {
        "pairs": len(held.pairs),
        "questions": len(held.positives),
        "by_source": Mined(tuple(held.pairs)).to_json()["pairs"],
        "data_hash": held.data_hash,
    }
