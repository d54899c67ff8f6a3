"""Graders held against answers of which the demo knows the truth; nobody has labelled it by hand.

| about    | the answers                 | true where                                         |
|----------|-----------------------------|----------------------------------------------------|
| correct  | an evaluation's             | it states a gold answer, cited from a gold passage |
| grounded | an evaluation's, each twice | beside its own context, from which it was copied;  |
|          |                             | false beside that of another question, where none  |
|          |                             | of its sentences stands                            |

The demo copies its answers word for word, which graders that look for words find easy: what they
are worth on your own answers, only people's labels tell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ragdiag.demo.material import Material
from ragdiag.demo.questions import Asked
from ragdiag.grading.contract import Item, Subject
from ragdiag.grading.graders import BY_WORDS, DEFAULT, open_grader
from ragdiag.grading.rules import RULES
from ragdiag.metrics.answers import contains_answer
from ragdiag.progress import Progress, part
from ragdiag.records import Request
from ragdiag.retrieval.text import split_sentences
from ragdiag.settings import Workspace
from ragdiag.store.calibrations import KNOWN_TRUTH, load_calibrations
from ragdiag.store.lake import Lake
from ragdiag.workflows.grading.calibrate import calibrate_graders
from ragdiag.workflows.grading.grade import items_of
from ragdiag.workflows.grading.human_labels import HumanLabels

GRADERS: Mapping[Subject, Sequence[str]] = {
    "correct": (DEFAULT, *RULES, "semantic"),
    "grounded": (*BY_WORDS, "grounded_encoder"),
}
"""The graders that ask nobody. What a citation is worth, the demo does not know."""

HOLDS_THE_ANSWER = 2
"""The grade of a judgment whose passage holds a gold answer (questions.py)."""


def calibrate_on_known_truth(
    lake: Lake,
    workspace: Workspace,
    material: Material,
    evaluation: Sequence[Request],
    progress: Progress | None = None,
) -> None:
    """Measure the local graders on an evaluation of the demo, but those that have been already."""
    done = load_calibrations(lake)
    items = items_of(lake, evaluation)
    by_id = {one.question.question_id: one for one in material.test}
    about = {one.request_id: by_id[one.question_id or ""] for one in evaluation}
    truths: dict[Subject, HumanLabels] = {
        "correct": known_correct(items, about),
        "grounded": known_grounded(items),
    }
    for number, (subject, labels) in enumerate(truths.items()):
        opened = [open_grader(workspace, name) for name in GRADERS[subject]]
        graders = [one for one in opened if one.name not in done]
        stretch = part(progress, number / len(truths), (number + 1) / len(truths))
        calibrate_graders(lake, labels, graders, subject, stretch)


def known_correct(items: Sequence[Item], about: Mapping[str, Asked]) -> HumanLabels:
    """Right where a gold answer is stated and a passage that holds one is cited; ``about`` says
    what each item was asked."""
    labels = {}
    for item in items:
        asked = about[item.item_id]
        holding = {one.passage_id for one in asked.judgments if one.grade == HOLDS_THE_ANSWER}
        states = contains_answer(item.answer, asked.gold.answers) == 1
        labels[item.item_id] = int(states and not holding.isdisjoint(item.citations))
    return _labels(items, labels)


def known_grounded(items: Sequence[Item]) -> HumanLabels:
    """Every answer beside its own context, and beside the context of the answer half a round on."""
    answered = [item for item in items if item.answer and item.context]
    found, labels = [], {}
    for number, item in enumerate(answered):
        other = answered[(number + len(answered) // 2) % len(answered)]
        strange = " ".join(passage.text for passage in other.context)
        found.append(_renamed(item, "own", item))
        labels[found[-1].item_id] = 1
        if not any(sentence in strange for sentence in split_sentences(item.answer)):
            found.append(_renamed(item, "another", other))
            labels[found[-1].item_id] = 0
    return _labels(found, labels)


def _renamed(item: Item, whose: str, context_of: Item) -> Item:
    name = f"{item.item_id}/{whose}"
    return Item(name, item.question, item.answer, item.status, item.golds, context_of.context)


def _labels(items: Sequence[Item], labels: Mapping[str, int]) -> HumanLabels:
    return HumanLabels(KNOWN_TRUTH, labels, {item.item_id: item for item in items}, 0, ())
