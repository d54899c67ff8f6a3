"""Questions with gold passages and gold answers, made from the structure of an entry.

| kind      | asks                          | gold answers                        | judged            |
|-----------|-------------------------------|-------------------------------------|-------------------|
| summary   | for the thing, in its summary | the name, sentences describing it   | the whole entry   |
| parameter | what a parameter is for       | first sentence of its description   | where that stands |
| default   | a parameter's default         | the words that give it              | where they stand  |
| returns   | what comes back               | first sentence of the return value  | where that stands |
| see_also  | what is related               | the See Also list                   | it, and the named |

Grade 2: the passage holds a gold answer. Grade 1: the rest of the entry (summary) or the first
passage of an entry that See Also names (see_also): related, but not an answer by itself.
A sentence that stands in more than one entry is nobody's gold answer, and a question that two
entries would answer is not asked, so that no right answer counts as wrong.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ragdiag.demo.corpus import Entry, stable_fraction
from ragdiag.demo.docstrings import Field
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
"""How often each kind is asked where an entry allows all of them; the order of preference."""

TEST_SHARE = 0.4

VERBS = frozenset(
    "access accumulate add adjust aggregate align alter analyze append apply approximate "
    "assemble assert assign attach bin broadcast build calculate call cast change check "
    "classify clip clone coerce combine compare compress compute concatenate conform "
    "construct convert convolve copy count create decay decode decompose deconvolve decorate "
    "decrease define delete describe design detach detect determine differentiate disable "
    "divide downsample draw drop dump embed enable encode estimate evaluate execute expand "
    "export extract fill filter find fit flatten flip force format fuse gather generate get "
    "give group hold identify implement import increase indicate infer initialize insert "
    "instantiate integrate interleave interpolate interpret invert invoke iterate join list "
    "load localize make map mark mask match maximize measure merge minimize mirror modify "
    "move multiply normalize obtain open pack pad parse partition pass perform permute pick "
    "pivot place plot print produce project provide prune put query raise randomly rank read "
    "rearrange record recover reduce register reindex remove rename render reorder repeat "
    "replace represent resample reset reshape resize retrieve return reverse roll rotate "
    "round run sample save scale scatter search select separate set shift show simulate slice "
    "smooth snap solve sort specify split squeeze stack store subtract sum suppress swap "
    "synchronize take tell test transform transpose trim truncate unpack unpivot unstack "
    "unwrap update upsample use validate view wait walk wrap write zoom".split()
)
"""First words that make a summary an instruction ("Compute the …", "Computes the …")."""

UNASKABLE = frozenset("this these see refer alias deprecated if for given unlike same note".split())
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
    entry's name alone, so that a larger corpus asks the same questions in the same splits.
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
    """The question of the kind that this entry's turn gives it, else of the next that it allows."""
    kinds = list(KIND_SHARES)
    turn, total = stable_fraction(entry.name, "kind"), 0.0
    first = 0
    for number, share in enumerate(KIND_SHARES.values()):
        total += share
        if turn < total:
            first = number
            break
    held = " \n ".join(f" {normalise_answer(passage.text)} " for passage in passages)
    for kind in [*kinds[first:], *kinds[:first]]:
        for draft in MAKERS[kind](entry, corpus):
            answers = tuple(a for a in draft.answers if f" {normalise_answer(a)} " in held)
            if answers:
                return _Draft(kind, draft.text, answers)
    return None


def _summary(entry: Entry, corpus: _Corpus) -> Iterator[_Draft]:
    summary = entry.docstring.summary.rstrip(".: ")
    first, _, rest = summary.partition(" ")
    word = first.lower()
    verb = None if rest.startswith("of ") else _as_instruction(word)
    if word in UNASKABLE or len(summary.split()) > 22:
        return
    if verb is not None:
        what = f"{'get' if verb == 'return' else verb} {rest}"
        wordings = [
            f"How do I {what} in {entry.package}?",
            f"How can I {what} with {entry.package}?",
            f"What lets me {what} in {entry.package}?",
        ]
    else:
        what = f"{word} {rest}" if word in corpus.ordinary else summary
        wordings = [
            f"Where in {entry.package} do I find {what}?",
            f"What does {entry.package} have for {what}?",
            f"Is there something in {entry.package} for {what}?",
        ]
    returned = [field.description[0] for field in entry.docstring.returns[:1] if field.description]
    sentences = [*entry.docstring.description, *returned]
    answers = [s for s in sentences if _says_something(s, corpus)]
    yield _Draft("summary", _wording(entry, wordings), (entry.name, *answers))


def _parameter(entry: Entry, corpus: _Corpus) -> Iterator[_Draft]:
    for field in _in_turn(entry, entry.docstring.parameters):
        answer = _first_sentence(field, corpus)
        if answer:
            wordings = [
                f"What does the parameter {field.name} of {entry.name} do?",
                f"What is {field.name} for in {entry.name}?",
                f"In {entry.name}, what does {field.name} control?",
            ]
            yield _Draft("parameter", _wording(entry, wordings), (answer,))


def _default(entry: Entry, corpus: _Corpus) -> Iterator[_Draft]:
    for field in _in_turn(entry, entry.docstring.parameters):
        found = DEFAULT.search(f"{field.kind} {' '.join(field.description)}")
        if found:
            wordings = [
                f"What is the default of {field.name} in {entry.name}?",
                f"Which value does {field.name} of {entry.name} take if I leave it out?",
            ]
            yield _Draft("default", _wording(entry, wordings), (found[0],))


def _returns(entry: Entry, corpus: _Corpus) -> Iterator[_Draft]:
    for field in entry.docstring.returns[:1]:
        answer = _first_sentence(field, corpus)
        if answer:
            wordings = [
                f"What does {entry.name} return?",
                f"What do I get back from {entry.name}?",
            ]
            yield _Draft("returns", _wording(entry, wordings), (answer,))


def _see_also(entry: Entry, corpus: _Corpus) -> Iterator[_Draft]:
    names = entry.docstring.see_also
    if len(names) > 1:
        wordings = [
            f"What else should I look at besides {entry.name}?",
            f"What is related to {entry.name}?",
        ]
        yield _Draft("see_also", _wording(entry, wordings), (", ".join(names),))


MAKERS: Mapping[Kind, Callable[[Entry, _Corpus], Iterator[_Draft]]] = {
    "summary": _summary,
    "parameter": _parameter,
    "default": _default,
    "returns": _returns,
    "see_also": _see_also,
}


def _asked(
    entry: Entry,
    draft: _Draft,
    passages: Mapping[str, Sequence[Passage]],
    corpus: _Corpus,
) -> Asked:
    question = Question(f"{entry.name}:{draft.kind}", draft.text, entry.topic)
    split = "test" if stable_fraction(entry.name, "split") < TEST_SHARE else "train"
    grades: dict[str, int] = {}
    if draft.kind == "see_also":
        for other in _related(entry, corpus):
            grades[passages[other.name][0].passage_id] = 1
    for passage in passages[entry.name]:
        text = f" {normalise_answer(passage.text)} "
        if any(f" {normalise_answer(answer)} " in text for answer in draft.answers):
            grades[passage.passage_id] = 2
        elif draft.kind == "summary":
            grades[passage.passage_id] = 1
    judgments = [Judgment(question.question_id, pid, grade, split) for pid, grade in grades.items()]
    gold = GoldAnswer(question.question_id, draft.answers)
    return Asked(question, draft.kind, entry.name, split, tuple(judgments), gold)


def _related(entry: Entry, corpus: _Corpus) -> list[Entry]:
    """Entries that See Also names: in the same package, and only one can be meant."""
    found = []
    for name in entry.docstring.see_also:
        meant = [
            other
            for other in corpus.named.get(name.split(".")[-1], ())
            if other.name == name or (other.package == entry.package and other.name.endswith(name))
        ]
        if len(meant) == 1 and meant[0] is not entry:
            found.append(meant[0])
    return found


def _read_corpus(entries: Sequence[Entry]) -> _Corpus:
    entries_with = Counter[str]()
    ordinary: set[str] = set()
    named = defaultdict[str, list[Entry]](list)
    for entry in entries:
        entries_with.update({normalise_answer(sentence) for sentence in _told(entry)})
        ordinary.update(w for s in (entry.docstring.summary, *_told(entry)) for w in s.split()[1:])
        named[entry.short_name].append(entry)
    unique = frozenset(said for said, count in entries_with.items() if count == 1)
    return _Corpus(unique, frozenset(w for w in ordinary if w.islower()), named)


def _told(entry: Entry) -> Iterator[str]:
    doc = entry.docstring
    yield from doc.description
    for field in (*doc.parameters, *doc.returns):
        yield from field.description


def _first_sentence(field: Field, corpus: _Corpus) -> str | None:
    first = field.description[0] if field.description else ""
    return first if _says_something(first, corpus) else None


def _says_something(sentence: str, corpus: _Corpus) -> bool:
    """Four words or more, and no other entry says it."""
    said = normalise_answer(sentence)
    return len(said.split()) >= 4 and said in corpus.unique


def _in_turn(entry: Entry, fields: Sequence[Field]) -> list[Field]:
    """Parameters with a name to ask for, from one that the entry's name decides."""
    askable = [field for field in fields if re.fullmatch(r"\w{2,}", field.name)]
    start = int(stable_fraction(entry.name, "field") * len(askable))
    return [*askable[start:], *askable[:start]]


def _wording(entry: Entry, wordings: Sequence[str]) -> str:
    return wordings[int(stable_fraction(entry.name, "wording") * len(wordings))]


def _as_instruction(word: str) -> str | None:
    """``compute`` for "compute" and "computes"; None where the word is no known verb."""
    forms = (word, word.removesuffix("s"), word.removesuffix("es"), word.removesuffix("ies") + "y")
    return next((form for form in forms if form in VERBS), None)
