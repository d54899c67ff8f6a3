"""Verdicts where nothing can be replayed: never more than the evidence carries (METHODS.md §7).

| tier | evidence                            | what it can say at most                        |
|------|-------------------------------------|------------------------------------------------|
| A    | gold passages, gold answer, replay  | what mends the request (verdicts.py)           |
| B    | gold passages and answer, as logged | the stage that lost the gold: likely its fault |
| C    | gold answer only                    | the same, of passages that hold the answer     |
| D    | feedback, groundedness, sufficiency | generator or retrieval, where the signs agree  |

Without a gold answer it is tier D even where gold passages are known: a person's word, a judge's or
a user's takes its place, and then the stage that lost the gold is likely to blame.

Gold in the prompt and a wrong answer is the generator's fault or that of the passages beside it:
only a replay tells them apart, so tiers B and C abstain there.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from ragdiag.metrics.answers import normalise_answer
from ragdiag.records import Cause, Status, Verdict

RETRIEVAL_CAUSES = frozenset({"recall_miss", "fusion_loss", "rerank_loss", "beyond_logged_depth"})

SUFFICIENT, INSUFFICIENT = 0.75, 0.25
"""Probabilities of sufficiency from which a context counts as enough, and as not enough."""

MOST_HOLDERS = 20
"""An answer that more passages hold stands there by chance: ``None``, ``2``."""

NO_FAILURE = "nothing says that the answer failed"


@dataclass(frozen=True, slots=True)
class Signs:
    """What stands in for gold and replay; None where it is not known.

    ``answer_at`` says, as a cause of the waterfall, how far the passages that hold a gold answer
    came; ``sufficient`` is the probability that the context holds what the question needs;
    ``reported`` whether its user called the answer bad.
    """

    answer_at: Cause | None = None
    grounded: bool | None = None
    sufficient: float | None = None
    reported: bool | None = None


NO_SIGNS = Signs()


def from_logged_gold(cause: Cause) -> tuple[Verdict, str]:
    """Tier B: the stage that lost the gold is likely to blame; nothing shows that it suffices."""
    if cause == "corpus_gap":
        return "corpus", "no gold passage is in the index build that served"
    if cause in RETRIEVAL_CAUSES:
        return "retrieval", "gold did not reach the prompt: likely, not replayed"
    if cause == "packing":
        return "packing", "gold was cut on the way into the prompt: likely, not replayed"
    return "undetermined", "gold was in the prompt: only a replay tells generator from distraction"


def from_gold_answer(answer_at: Cause | None) -> tuple[Verdict, str]:
    """Tier C: as tier B, of the passages that hold a gold answer word for word."""
    if answer_at in RETRIEVAL_CAUSES:
        return "retrieval", "no passage with the gold answer reached the prompt: likely"
    if answer_at == "packing":
        return "packing", "the passage with the gold answer was cut before it: likely"
    if answer_at == "in_context":
        return "undetermined", "the prompt held the gold answer: only a replay tells who failed"
    return "undetermined", "no passage can be told to hold the gold answer"


def from_gold_passages(cause: Cause, signs: Signs, status: Status) -> tuple[Verdict, str]:
    """Tier D with gold passages: as tier B, where somebody says that the answer failed, or there
    was none.

    >>> from_gold_passages("recall_miss", Signs(reported=True), "ok")[0]
    'retrieval'
    >>> from_gold_passages("recall_miss", Signs(), "ok")[1]
    'nothing says that the answer failed'
    """
    if not (signs.reported or status == "no_answer"):
        return "undetermined", NO_FAILURE
    verdict, rule = from_logged_gold(cause)
    failed = "somebody calls the answer wrong" if signs.reported else "no answer was given"
    return verdict, f"{failed}, no gold answer is known: {rule}"


def from_signs(signs: Signs, status: Status) -> tuple[Verdict, str]:
    """Tier D: without a sign of failure, and without an estimate of sufficiency, nothing is said.

    >>> from_signs(Signs(grounded=False, sufficient=0.9), "ok")[0]
    'generator'
    >>> from_signs(Signs(reported=True, sufficient=0.1), "ok")[0]
    'retrieval'
    >>> from_signs(Signs(grounded=True, sufficient=0.1), "ok")[1]
    'nothing says that the answer failed'
    """
    declined = status == "no_answer"
    if not (signs.reported or declined or signs.grounded is False):
        return "undetermined", NO_FAILURE
    if signs.sufficient is None:
        return "undetermined", "the sufficiency of its context is not known"
    if signs.sufficient <= INSUFFICIENT:
        return "retrieval", "the context hardly holds what the question needs: likely"
    if signs.sufficient >= SUFFICIENT and (declined or signs.grounded is False):
        return "generator", "the context seems to suffice and the answer leaves it: likely"
    return "undetermined", "groundedness and sufficiency do not agree on one part"


def holders(texts: Mapping[str, str], answers: Sequence[str]) -> Collection[str]:
    """The passages whose text holds an accepted answer at word boundaries; none where there are
    more than MOST_HOLDERS. ``texts`` are normalised (``normalise_answer``).

    >>> sorted(holders({"a": "it opened in 1889", "b": "18890 people"}, ["1889"]))
    ['a']
    """
    wanted = [f" {normal} " for answer in answers if (normal := normalise_answer(answer))]
    found = [
        passage_id
        for passage_id, text in texts.items()
        if any(answer in f" {text} " for answer in wanted)
    ]
    return found if len(found) <= MOST_HOLDERS else ()
