"""What of a training set a cross-encoder can learn from, checked before anything is loaded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ragdiag.errors import TrainingError
from ragdiag.training.data.examples import Pair, TrainingSet
from ragdiag.training.reranker.dev import RerankDev, RerankQuestion

PAIRS_NEEDED = 8
"""Below so few examples a dev score moves by luck alone."""


def compared(data: TrainingSet, negatives: int, *, taught: bool) -> list[Pair]:
    """The pairs that have something to be compared with: at most ``negatives``, the hardest first,
    no passage twice and none that answers the question too. With ``taught`` each keeps its
    teacher's logits.

    Raises TrainingError: fewer than PAIRS_NEEDED remain, a passage has no text, a logit is missing.
    """
    kept = []
    for pair in data.pairs:
        _refuse_incomplete(pair, data, taught)
        known = data.positives[pair.question_id]
        places = [
            at
            for at, name in enumerate(pair.negatives)
            if name not in known and name not in pair.negatives[:at]
        ][:negatives]
        logits = (pair.teacher[0], *(pair.teacher[1 + at] for at in places)) if taught else ()
        names = tuple(pair.negatives[at] for at in places)
        if names:
            kept.append(replace(pair, negatives=names, teacher=logits))
    if len(kept) < PAIRS_NEEDED:
        raise TrainingError(
            f"{len(kept)} of {len(data.pairs)} pairs have a negative, {PAIRS_NEEDED} are needed",
            remedy="judge more questions, or let more negatives pass the filter",
        )
    return kept


def refuse_shared(learnt: Iterable[Pair | RerankQuestion], dev: RerankDev) -> None:
    """Raises TrainingError where a dev question is learned: its score would say nothing."""
    learned = {(one.question_id, one.question) for one in learnt}
    for one in dev.questions:
        if (one.question_id, one.question) in learned:
            raise TrainingError(
                f"dev question {one.question_id!r} is a training question too",
                remedy="split the questions before training",
            )


def _refuse_incomplete(pair: Pair, data: TrainingSet, taught: bool) -> None:
    passages = (pair.passage_id, *pair.negatives)
    if taught and len(pair.teacher) != len(passages):
        raise TrainingError(
            f"question {pair.question_id!r} has {len(passages)} passages and "
            f"{len(pair.teacher)} logits of a teacher",
            remedy="let a teacher score the set first, or choose a loss that needs none",
        )
    for name in passages:
        if name not in data.texts:
            raise TrainingError(
                f"passage {name!r} of question {pair.question_id!r} has no text",
                remedy="give the text of every passage that a pair names",
            )
