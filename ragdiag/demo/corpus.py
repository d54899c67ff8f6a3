"""The demo's corpus: reference documentation, one entry for each object that says something.

An entry's passages hold everything but the summary line, which is what questions are made of; so
no question stands in the corpus word for word. Objects exported under several names, and entries
with the same text, count once.
"""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ragdiag.demo.docstrings import Docstring, Field, parse_docstring
from ragdiag.demo.objects import DocumentedObject
from ragdiag.records import Passage
from ragdiag.retrieval.text import TokenCounter, chunk_document

PASSAGE_TOKENS = 128

SENTENCES = {"description": 3, "parameter": 2, "returns": 1}
WORDS = {"description": 28, "parameter": 18, "parameters": 30, "returns": 18}
SEE_ALSO = 3
"""What is kept of an entry, in whole sentences, at least one: the whole corpus must embed within
two minutes on two cores."""

REPEATED = 6
"""A parameter's description that stands in this many entries (``out``, ``dtype``) is left out, and
so is an entry whose whole text does."""

SUMMARY_WORDS = range(4, 31)
FEWEST_WORDS = 15
"""An entry with a shorter text, or with another summary, is left out."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One documented object: what its passages hold (``text``) and what questions are made of."""

    name: str
    topic: str
    docstring: Docstring

    @property
    def package(self) -> str:
        return self.name.split(".")[0]

    @property
    def short_name(self) -> str:
        return self.name.split(".")[-1]

    @property
    def text(self) -> str:
        """The entry without its summary line; a paragraph for each part, parameter and value."""
        doc = self.docstring
        parts = [("", Field("", "", doc.description))]
        parts += [(f"Parameter {field.name} of ", field) for field in doc.parameters]
        parts += [("Return value of ", field) for field in doc.returns]
        parts += [("See also, related to ", Field("", "", (", ".join(doc.see_also) + ".",)))]
        told = [(what, field) for what, field in parts if "".join(field.description).strip(".")]
        # The full name once, where the entry begins: its title is not part of its text.
        names = [self.name, *[self.short_name] * len(told)]
        return "\n\n".join(
            _line(what, name, f) for (what, f), name in zip(told, names, strict=False)
        )


def _line(what: str, name: str, field: Field) -> str:
    kind = f" ({field.kind})" if field.kind and field.kind != field.name else ""
    return f"{what}{name}{kind}: {' '.join(field.description)}"


def make_entries(objects: Iterable[DocumentedObject]) -> list[Entry]:
    """The entries worth asking about, in the order of ``objects``."""
    found: dict[str, tuple[str, Docstring]] = {}
    bodies = Counter[str]()
    seen: set[str] = set()
    texts: set[str] = set()
    for documented in objects:
        if documented.docstring in texts:
            continue
        texts.add(documented.docstring)
        docstring = parse_docstring(documented.docstring)
        body = _body_key(documented.name, docstring)
        key = f"{_letters(docstring.summary)} {body}"
        if key not in seen and _says_enough(docstring):
            seen.add(key)
            bodies[body] += 1
            found[documented.name] = (documented.topic, docstring)
    repeated = _repeated_descriptions(docstring for _, docstring in found.values())
    return [
        Entry(name, topic, _shortened(docstring, repeated))
        for name, (topic, docstring) in found.items()
        if bodies[_body_key(name, docstring)] < REPEATED
    ]


def sample_entries(entries: Sequence[Entry], n: int, seed: int = 0) -> list[Entry]:
    """``n`` entries in the order given, every topic in proportion to its size."""
    by_topic = defaultdict[str, list[Entry]](list)
    for entry in entries:
        by_topic[entry.topic].append(entry)
    rng = random.Random(seed)
    shuffled = {topic: rng.sample(members, len(members)) for topic, members in by_topic.items()}
    # Sorted by place within the topic (0 … 1), the first n hold an equal share of each topic.
    placed = sorted(
        ((place + 0.5) / len(members), topic, place)
        for topic, members in shuffled.items()
        for place in range(len(members))
    )
    chosen = {shuffled[topic][place].name for _, topic, place in placed[:n]}
    return [entry for entry in entries if entry.name in chosen]


def entry_passages(entry: Entry, tokens: TokenCounter) -> list[Passage]:
    """The passages of one entry; its name is both document id and title."""
    return chunk_document(entry.name, entry.text, entry.name, PASSAGE_TOKENS, tokens)


def _body_key(name: str, docstring: Docstring) -> str:
    """Equal for entries whose texts differ in their own name, digits or punctuation only."""
    fields = (*docstring.parameters, *docstring.returns)
    told = [f"{field.name} {' '.join(field.description)}" for field in fields]
    return _letters(" ".join([*docstring.description, *told]).replace(name.split(".")[-1], ""))


def _letters(text: str) -> str:
    return re.sub(r"[^a-z]+", " ", text.lower()).strip()


def _says_enough(docstring: Docstring) -> bool:
    fields = (*docstring.parameters, *docstring.returns)
    body = " ".join([*docstring.description, *(s for field in fields for s in field.description)])
    return len(docstring.summary.split()) in SUMMARY_WORDS and len(body.split()) >= FEWEST_WORDS


def _repeated_descriptions(docstrings: Iterable[Docstring]) -> set[tuple[str, ...]]:
    counts = Counter(
        description
        for docstring in docstrings
        for description in {field.description for field in docstring.parameters}
    )
    return {description for description, count in counts.items() if count >= REPEATED}


def _shortened(docstring: Docstring, repeated: set[tuple[str, ...]]) -> Docstring:
    kept: list[Field] = []
    words = 0
    for field in docstring.parameters:
        if field.description not in repeated:
            short = _short_field(field, "parameter")
            words += sum(len(sentence.split()) for sentence in short.description) + 4
            if kept and words > WORDS["parameters"]:
                break
            kept.append(short)
    summary = _letters(docstring.summary)
    told = [s for s in docstring.description if summary not in _letters(s)]
    return Docstring(
        summary=docstring.summary,
        description=_first_sentences(told, "description"),
        parameters=tuple(kept),
        returns=tuple(_short_field(field, "returns") for field in docstring.returns[:2]),
        see_also=docstring.see_also[:SEE_ALSO],
    )


def _short_field(field: Field, part: str) -> Field:
    return Field(field.name, field.kind, _first_sentences(field.description, part))


def _first_sentences(sentences: Sequence[str], part: str) -> tuple[str, ...]:
    """The sentences from the start that the part's limits allow, and at least the first."""
    kept: list[str] = []
    words = 0
    for sentence in sentences[: SENTENCES[part]]:
        words += len(sentence.split())
        if kept and words > WORDS[part]:
            break
        kept.append(sentence)
    return tuple(kept)
