"""Questions with gold passages and gold answers, made from the structure of an entry.

| kind      | asks                        | gold answers                      | judged            |
|-----------|-----------------------------|-----------------------------------|-------------------|
| summary   | for what the summary says   | the name, sentences describing it | the whole entry   |
| parameter | what a parameter is for     | first sentence of its description | where that stands |
| default   | a parameter's default       | the words that give it            | where they stand  |
| returns   | what comes back             | first sentence of the value       | where that stands |
| see_also  | what is related             | the See Also list                 | it, and the named |

Grade 2: the passage holds a gold answer. Grade 1: the rest of the entry (summary), or the first
passage of an entry that See Also names (see_also): related, but no answer by itself.
A sentence that stands in more than one entry is nobody's gold answer, and a question that two
entries would answer is not asked, so that no right answer counts as wrong.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ragdiag.demo.chance import pick, stable_fraction
from ragdiag.demo.corpus import Entry
from ragdiag.demo.docstrings import Field
from ragdiag.demo.wording import (
    ask_for_default,
    ask_for_parameter,
    ask_for_related,
    ask_for_returns,
    ask_for_summary,
)
from ragdiag.metrics.answers import normalise_answer
from ragdiag.records import GoldAnswer, Judgment, Passage, Question

Kind = Literal["summary", "parameter", "default", "returns", "see_also"]

KIND_SHARES: Mapping[Kind, float] = {
    "summary": 0.30,
    "parameter": 0.38,
    "returns": 0.14,
    "default": 0.10,
    "see_also": 0.08,
}
"""How often each kind has the first turn; what an entry does not allow goes to the next kind."""

TEST_SHARE = 0.4

DEFAULT = re.compile(
    r"[Dd]efaults?(?: value)?(?: is| to|:| =|=)? ?('[^']+'|\"[^\"]+\"|-?\d[\w.+*/-]*\w|[2-9])"
)
"""A default worth asking for: a quoted word, or a number other than 0 and 1."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with what is known about it. ``entry`` names the entry that it is about."""

    question: Question
    kind: Kind
    entry: str
    split: str
    judgments: tuple[Judgment, ...]
    gold: GoldAnswer


@dataclass(frozen=True, slots=True)
class _Corpus:
    """What only all entries together can tell: sentences that stand in one entry only (normalised),
    words that are written in lower case somewhere, and entries by the last part of their name."""

    unique: frozenset[str]
    ordinary: frozenset[str]
    named: Mapping[str, Sequence[Entry]]


@dataclass(frozen=True, slots=True)
class _Draft:
    kind: Kind
    text: str
    answers: tuple[str, ...]


def make_questions(
    entries: Sequence[Entry], passages: Mapping[str, Sequence[Passage]]
) -> list[Asked]:
    """One question for each entry that allows one, in the order of the entries.

    ``passages`` are those of each entry, by its name. Kind, wording and split depend on the
    entry's name, not on chance that another run would not repeat.
    """
    corpus = _read_corpus(entries)
    drafts = {entry.name: _draft(entry, corpus, passages[entry.name]) for entry in entries}
    texts = Counter(draft.text.lower() for draft in drafts.values() if draft)
    return [
        _asked(entry, draft, passages, corpus)
        for entry in entries
        if (draft := drafts[entry.name]) and texts[draft.text.lower()] == 1
    ]


def _draft(entry: Entry, corpus: _Corpus, passages: Sequence[Passage]) -> _Draft | None:
    kinds = list(KIND_SHARES)
    first = kinds.index(pick(KIND_SHARES, stable_fraction(entry.name, "kind")))
    texts = [passage.text for passage in passages]
    for kind in [*kinds[first:], *kinds[:first]]:
        for text, offered in MAKERS[kind](entry, corpus):
            answers = tuple(a for a in offered if any(_holds(passage, a) for passage in texts))
            if answers:
                return _Draft(kind, text, answers)
    return None


Offers = Iterator[tuple[str, Sequence[str]]]
"""(question, gold answers), the best first."""


def _summary(entry: Entry, corpus: _Corpus) -> Offers:
    text = ask_for_summary(entry, corpus.ordinary)
    if text is not None:
        returned = [field.description[0] for field in entry.docstring.returns if field.description]
        described = [*entry.docstring.description, *returned[:1]]
        yield text, [entry.name, *(s for s in described if _is_own(s, corpus))]


def _parameter(entry: Entry, corpus: _Corpus) -> Offers:
    for field in _in_turn(entry):
        answers = [sentence for sentence in field.description[:1] if _is_own(sentence, corpus)]
        yield ask_for_parameter(entry, field.name), answers


def _default(entry: Entry, corpus: _Corpus) -> Offers:
    for field in _in_turn(entry):
        found = DEFAULT.search(f"{field.kind} {' '.join(field.description)}")
        yield ask_for_default(entry, field.name), [found[0]] if found else []


def _returns(entry: Entry, corpus: _Corpus) -> Offers:
    for field in entry.docstring.returns[:1]:
        answers = [sentence for sentence in field.description[:1] if _is_own(sentence, corpus)]
        yield ask_for_returns(entry), answers


def _see_also(entry: Entry, corpus: _Corpus) -> Offers:
    names = entry.docstring.see_also
    if len(names) > 1:
        yield ask_for_related(entry), [", ".join(names)]


MAKERS: Mapping[Kind, Callable[[Entry, _Corpus], Offers]] = {
    "summary": _summary,
    "parameter": _parameter,
    "default": _default,
    "returns": _returns,
    "see_also": _see_also,
}


def _asked(
    entry: Entry, draft: _Draft, passages: Mapping[str, Sequence[Passage]], corpus: _Corpus
) -> Asked:
    question = Question(f"{entry.name}:{draft.kind}", draft.text, entry.topic)
    split = "test" if stable_fraction(entry.name, "split") < TEST_SHARE else "train"
    grades: dict[str, int] = {}
    if draft.kind == "see_also":
        for other in _related(entry, corpus):
            grades[passages[other.name][0].passage_id] = 1
    for passage in passages[entry.name]:
        if any(_holds(passage.text, answer) for answer in draft.answers):
            grades[passage.passage_id] = 2
        elif draft.kind == "summary":
            grades[passage.passage_id] = 1
    judgments = [Judgment(question.question_id, pid, grade, split) for pid, grade in grades.items()]
    gold = GoldAnswer(question.question_id, draft.answers)
    return Asked(question, draft.kind, entry.name, split, tuple(judgments), gold)


def _related(entry: Entry, corpus: _Corpus) -> list[Entry]:
    """Entries that See Also names: of the same topic, or by a dotted name of the same package; and
    only one can be meant."""
    found = []
    for name in entry.docstring.see_also:
        meant = [
            other
            for other in corpus.named.get(name.split(".")[-1], ())
            if other.name == name
            or (other.name.endswith(f".{name}") and _is_near(other, entry, dotted="." in name))
        ]
        if len(meant) == 1 and meant[0].name != entry.name:
            found.append(meant[0])
    return found


def _is_near(other: Entry, entry: Entry, *, dotted: bool) -> bool:
    return other.package == entry.package if dotted else other.topic == entry.topic


def _read_corpus(entries: Sequence[Entry]) -> _Corpus:
    entries_with = Counter[str]()
    ordinary: set[str] = set()
    named = defaultdict[str, list[Entry]](list)
    for entry in entries:
        entries_with.update({normalise_answer(sentence) for sentence in _told(entry)})
        ordinary.update(w for s in (entry.docstring.summary, *_told(entry)) for w in s.split()[1:])
        named[entry.short_name].append(entry)
    unique = frozenset(said for said, count in entries_with.items() if count == 1)
    return _Corpus(unique, frozenset(word for word in ordinary if word.islower()), named)


def _told(entry: Entry) -> Iterator[str]:
    doc = entry.docstring
    yield from doc.description
    for field in (*doc.parameters, *doc.returns):
        yield from field.description


def _is_own(sentence: str, corpus: _Corpus) -> bool:
    """Whether it says something (four words or more) that no other entry says."""
    said = normalise_answer(sentence)
    return len(said.split()) >= 4 and said in corpus.unique


def _holds(text: str, answer: str) -> bool:
    return f" {normalise_answer(answer)} " in f" {normalise_answer(text)} "


def _in_turn(entry: Entry) -> list[Field]:
    """Parameters with a name to ask for, from one that the entry's name decides."""
    fields = [f for f in entry.docstring.parameters if re.fullmatch(r"\w{2,}", f.name)]
    start = int(stable_fraction(entry.name, "field") * len(fields))
    return [*fields[start:], *fields[:start]]
