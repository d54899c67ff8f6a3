"""What a reader or a generator learns from: a question, its accepted answers and the passages.

An answer is located in a passage word by word as graders normalise it, so that case, punctuation
and articles do not hide it.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from ragdiag.errors import TrainingError
from ragdiag.generation.grounded_prompt import NO_ANSWER
from ragdiag.metrics.answers import WORD, exact_match, normalise_answer, punctuation, token_f1
from ragdiag.records import Answer, ContextPassage

LEAST = 10
"""Fewer examples teach nothing that a dev score could tell from chance."""

DECLINED = "-declined"
"""What the id of an example to decline has after that of its question."""


@dataclass(frozen=True, slots=True)
class AnswerExample:
    """``answers`` are the accepted ones, the best first; none where the passages do not tell.

    ``gold`` names the passages that are known to hold the answer; where none is named, any passage
    of ``context`` may.
    """

    question_id: str
    question: str
    answers: tuple[str, ...]
    context: tuple[ContextPassage, ...]
    gold: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True)
class Refused:
    """An example that cannot be learned from, and why."""

    question_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where an answer stands: characters ``start`` to ``end`` of passage number ``passage``, from
    0."""

    passage: int
    start: int
    end: int
    answer: str


def locate_answer(answer: str, text: str) -> tuple[int, int] | None:
    """The first place in ``text`` that reads as ``answer``: its start and end, in characters.

    >>> text = "It opened in 1889, near the river Seine."
    >>> [text[slice(*locate_answer(a, text))] for a in ("1889", "River Seine")]
    ['1889', 'river Seine']
    >>> locate_answer("188", text) is None
    True
    """
    wanted = normalise_answer(answer).split()
    words = [(normalise_answer(m.group()), *m.span()) for m in WORD.finditer(text)]
    words = [word for word in words if word[0]]
    for at in range(len(words) - len(wanted) + 1 if wanted else 0):
        run = words[at : at + len(wanted)]
        if [word[0] for word in run] == wanted:
            start, end = run[0][1], run[-1][2]
            found = text[start:end]
            start += len(found) - len(found.lstrip(punctuation()))
            while normalise_answer(text[start : run[0][2]]) != wanted[0]:
                start -= 1  # the sign of a number
            return start, end - len(found) + len(found.rstrip(punctuation()))
    return None


def find_places(example: AnswerExample) -> tuple[Place, ...]:
    """In each gold passage the first place of the first accepted answer that stands in it."""
    found = []
    for number, passage in enumerate(example.context):
        if example.gold and passage.passage_id not in example.gold:
            continue
        spans = ((answer, locate_answer(answer, passage.text)) for answer in example.answers)
        place = next(((answer, *span) for answer, span in spans if span), None)
        if place is not None:
            found.append(Place(number, place[1], place[2], place[0]))
    return tuple(found)


def holds_answer(example: AnswerExample, passage: ContextPassage) -> bool:
    """Whether any accepted answer stands in ``passage``, gold or not."""
    return any(locate_answer(answer, passage.text) for answer in example.answers)


def usable_examples(
    examples: Sequence[AnswerExample], what: str
) -> tuple[list[AnswerExample], list[Refused]]:
    """Those that can be learned from, and the others with their reasons.

    Raises TrainingError where fewer than LEAST are left; ``what`` names the set.
    """
    reasons = [(one, _fault(one)) for one in examples]
    kept = [one for one, reason in reasons if not reason]
    refused = [Refused(one.question_id, reason) for one, reason in reasons if reason]
    if len(kept) < LEAST:
        first = f" (the first refused: {refused[0].reason})" if refused else ""
        raise TrainingError(
            f"{len(kept)} of {len(examples)} {what} examples can be used, and {LEAST} are the "
            f"least{first}",
            remedy="import questions with gold answers that stand in their gold passages",
        )
    return kept, refused


def with_declines(
    examples: Sequence[AnswerExample], share: float = 1.0, seed: int = 0
) -> list[AnswerExample]:
    """Every example, and beside a ``share`` of the answerable ones, drawn under ``seed``, the same
    question over passages without its answer, where to decline is right.

    The passages are its own less the gold ones and those that hold an answer; where none is left,
    the next example's.
    """
    answerable = [at for at, one in enumerate(examples) if one.answers]
    chosen = set(random.Random(seed).sample(answerable, round(share * len(answerable))))
    found: list[AnswerExample] = []
    for at, one in enumerate(examples):
        found.append(one)
        if at not in chosen:
            continue
        after = (examples[(at + step) % len(examples)].context for step in range(len(examples)))
        without = (tuple(p for p in context if not _tells(one, p)) for context in after)
        context = next((passages for passages in without if passages), ())
        if context:
            name = f"{one.question_id}{DECLINED}"
            found.append(replace(one, question_id=name, answers=(), context=context))
    return found


def cited_reply(example: AnswerExample) -> str:
    """What a model is to write: the answer and the numbers of the passages it stands in.

    >>> passages = (ContextPassage("a", "It is red."), ContextPassage("b", "Red: a colour."))
    >>> cited_reply(AnswerExample("q", "Which colour?", ("red",), passages))
    'red [1][2]'
    """
    places = find_places(example)
    if not places:
        return NO_ANSWER
    return f"{places[0].answer} {''.join(f'[{place.passage + 1}]' for place in places)}"


def score_answer(answer: Answer, example: AnswerExample) -> tuple[float, float]:
    """Exact match and token F1; to decline is right (1) where there is no answer, else 0."""
    if not example.answers or answer.status != "ok":
        right = float(not example.answers and answer.status == "no_answer")
        return right, right
    return exact_match(answer.text, example.answers), token_f1(answer.text, example.answers)


def examples_hash(examples: Sequence[AnswerExample]) -> str:
    """SHA-256 over the examples, in their order."""
    digest = hashlib.sha256()
    for one in examples:
        passages = [[p.passage_id, p.title, p.text] for p in one.context]
        held = [one.question_id, one.question, one.answers, passages, sorted(one.gold)]
        digest.update(json.dumps(held).encode())
    return digest.hexdigest()


def _tells(example: AnswerExample, passage: ContextPassage) -> bool:
    return passage.passage_id in example.gold or holds_answer(example, passage)


def _fault(example: AnswerExample) -> str:
    if not example.question.strip():
        return "the question is empty"
    if not any(passage.text.strip() for passage in example.context):
        return "it has no passage"
    if example.answers and not find_places(example):
        return "its answer stands in no gold passage"
    return ""
