"""The demo's corpus: reference documentation read from the docstrings of installed packages.

An entry is one public object of numpy, scipy, pandas or torch. Its passages hold everything but
the summary line, which is what questions are made of; so no question's words stand in the corpus
by construction. Objects exported under several names, and entries with the same text, count once.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import random
import re
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ragdiag.demo.docstrings import Docstring, Field, parse_docstring
from ragdiag.progress import Progress, report
from ragdiag.records import Passage
from ragdiag.retrieval.text import TokenCounter, chunk_document

TOPICS = {
    "numpy": ("numpy", "numpy.lib.stride_tricks", "numpy.strings"),
    "numpy.fft": ("numpy.fft",),
    "numpy.linalg": ("numpy.linalg",),
    "numpy.ma": ("numpy.ma",),
    "numpy.polynomial": ("numpy.polynomial", "numpy.polynomial.polynomial",
                         "numpy.polynomial.chebyshev", "numpy.polynomial.legendre"),
    "numpy.random": ("numpy.random",),
    "pandas": ("pandas", "pandas.api.extensions", "pandas.api.indexers", "pandas.api.types",
               "pandas.errors", "pandas.plotting", "pandas.testing",
               "pandas.tseries.frequencies", "pandas.tseries.offsets"),
    "scipy.cluster": ("scipy.cluster.hierarchy", "scipy.cluster.vq"),
    "scipy.fft": ("scipy.fft",),
    "scipy.integrate": ("scipy.integrate", "scipy.differentiate"),
    "scipy.interpolate": ("scipy.interpolate",),
    "scipy.io": ("scipy.io",),
    "scipy.linalg": ("scipy.linalg",),
    "scipy.ndimage": ("scipy.ndimage",),
    "scipy.optimize": ("scipy.optimize",),
    "scipy.signal": ("scipy.signal", "scipy.signal.windows"),
    "scipy.sparse": ("scipy.sparse", "scipy.sparse.linalg", "scipy.sparse.csgraph"),
    "scipy.spatial": ("scipy.spatial", "scipy.spatial.distance", "scipy.spatial.transform"),
    "scipy.special": ("scipy.special",),
    "scipy.stats": ("scipy.stats", "scipy.stats.contingency", "scipy.stats.qmc",
                    "scipy.stats.sampling"),
    "torch": ("torch", "torch.amp", "torch.autograd", "torch.fft", "torch.func", "torch.jit",
              "torch.linalg", "torch.special"),
    "torch.cuda": ("torch.cuda",),
    "torch.distributions": ("torch.distributions",),
    "torch.nn": ("torch.nn", "torch.nn.functional", "torch.nn.init", "torch.nn.utils",
                 "torch.nn.utils.rnn", "torch.nn.utils.parametrizations"),
    "torch.optim": ("torch.optim", "torch.optim.lr_scheduler"),
    "torch.utils": ("torch.utils.data", "torch.utils.checkpoint"),
}  # fmt: skip
"""Topic → the public modules whose objects belong to it, in the order they are read."""

OWN_TOPICS = ("pandas.DataFrame", "pandas.Series", "torch.Tensor")
"""Classes whose methods are a topic of their own; inherited methods count as theirs."""

ACCESSORS = ("str", "dt", "cat")
"""Namespaces of pandas.Series whose methods are documented as ``pandas.Series.str.split``."""

SENTENCES = {"description": 3, "parameter": 2, "returns": 2}
WORDS = {"description": 50, "parameter": 35, "parameters": 70, "returns": 35}
SEE_ALSO = 6
"""What is kept of an entry, so that the whole corpus embeds in minutes without an accelerator."""

REPEATED = 6
"""A parameter's description that stands in this many entries (``out``, ``dtype``) is left out, and
so is an entry whose whole text does."""


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
        """The entry without its summary line; a paragraph for each section and parameter."""
        doc = self.docstring
        lines = [f"{self.name}: {' '.join(doc.description)}"] if doc.description else []
        lines += [self._line(f"Parameter {f.name} of", f) for f in doc.parameters if f.description]
        lines += [self._line("Returned by", f) for f in doc.returns if f.description]
        if doc.see_also:
            lines.append(f"See also, for {self.short_name}: {', '.join(doc.see_also)}.")
        return "\n\n".join(lines)

    def _line(self, what: str, field: Field) -> str:
        kind = f" ({field.kind})" if field.kind and field.kind != field.name else ""
        return f"{what} {self.short_name}{kind}: {' '.join(field.description)}"


def read_entries(progress: Progress | None = None) -> list[Entry]:
    """Every entry with enough text, in a fixed order; the packages are imported, nothing else.

    Warnings of deprecated names stay silent: asking for a name is how they are found out.
    """
    found: dict[str, tuple[str, Docstring]] = {}
    bodies = Counter[str]()
    seen: set[str] = set()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for done, (topic, modules) in enumerate(TOPICS.items()):
            report(progress, done / len(TOPICS), f"reading {topic}")
            for name, text in _documented(modules):
                docstring = parse_docstring(text)
                key = _letters(docstring.summary) + _body_key(name, docstring)
                if key not in seen and _is_worth_asking(docstring):
                    seen.add(key)
                    bodies[_body_key(name, docstring)] += 1
                    found[name] = (_topic_of(name, topic), docstring)
    repeated = _repeated_descriptions(docstring for _, docstring in found.values())
    return [
        Entry(name, topic, _shortened(docstring, repeated))
        for name, (topic, docstring) in found.items()
        if bodies[_body_key(name, docstring)] < REPEATED
    ]


def sample_entries(entries: Sequence[Entry], n: int, seed: int = 0) -> list[Entry]:
    """``n`` entries, every topic in proportion but with 4 at least, in the order given."""
    by_topic = defaultdict[str, list[Entry]](list)
    for entry in entries:
        by_topic[entry.topic].append(entry)
    rng = random.Random(seed)
    share = n / len(entries)
    chosen: list[Entry] = []
    for members in by_topic.values():
        chosen += rng.sample(members, min(len(members), max(4, round(share * len(members)))))
    names = {entry.name for entry in rng.sample(chosen, min(n, len(chosen)))}
    return [entry for entry in entries if entry.name in names]


def entry_passages(entry: Entry, max_tokens: int, tokens: TokenCounter) -> list[Passage]:
    """The passages of one entry; its name is both document id and title."""
    return chunk_document(entry.name, entry.text, entry.name, max_tokens, tokens)


def stable_fraction(*names: str) -> float:
    """A number in [0, 1) that depends on the names alone: the same in every process."""
    digest = hashlib.sha256("\0".join(names).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def _documented(modules: Iterable[str]) -> Iterator[tuple[str, str]]:
    """(qualified name, cleaned docstring) of the public objects and their public methods."""
    for module_name in modules:
        module = importlib.import_module(module_name)
        for name in _public_names(module):
            value = getattr(module, name, None)
            qualified = f"{module_name}.{name}"
            if _is_alias(module, name, value):
                continue
            yield from _text_of(qualified, value)
            if inspect.isclass(value):
                yield from _members(qualified, value)
    if "pandas" in modules:
        series = importlib.import_module("pandas").Series
        for accessor in ACCESSORS:
            yield from _members(f"pandas.Series.{accessor}", getattr(series, accessor))


def _members(qualified: str, owner: Any) -> Iterator[tuple[str, str]]:
    names = dir(owner) if qualified in OWN_TOPICS else sorted(vars(owner))
    for name in names:
        if not name.startswith("_"):
            yield from _text_of(f"{qualified}.{name}", getattr(owner, name, None))


def _text_of(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """The docstring of an object that has its own, not the one of its type."""
    if value is None or inspect.ismodule(value):
        return
    own = inspect.isclass(value) or callable(value) or isinstance(value, property)
    text = inspect.getdoc(value)
    if text and (own or text != inspect.getdoc(type(value))):
        yield name, text


def _public_names(module: Any) -> list[str]:
    listed = getattr(module, "__all__", None)
    names = listed if listed is not None else [n for n in dir(module) if not n.startswith("_")]
    return sorted(set(names), key=lambda n: (f"{module.__name__}.{n}" not in OWN_TOPICS, n))


def _is_alias(module: Any, name: str, value: Any) -> bool:
    """Whether the module exports the same object under the object's own name too."""
    own = getattr(value, "__name__", name)
    return own != name and isinstance(own, str) and getattr(module, own, None) is value


def _topic_of(name: str, topic: str) -> str:
    own = [prefix for prefix in OWN_TOPICS if name == prefix or name.startswith(prefix + ".")]
    return own[0] if own else topic


def _body_key(name: str, docstring: Docstring) -> str:
    """Equal for entries whose texts differ in their own name, digits or punctuation only."""
    body = " ".join(
        [*docstring.description]
        + [
            f"{f.name} {' '.join(f.description)}"
            for f in (*docstring.parameters, *docstring.returns)
        ]
    )
    return _letters(body.replace(name.split(".")[-1], ""))


def _letters(text: str) -> str:
    return re.sub(r"[^a-z]+", " ", text.lower()).strip()


def _is_worth_asking(docstring: Docstring) -> bool:
    fields = (*docstring.parameters, *docstring.returns)
    body = " ".join([*docstring.description, *(s for field in fields for s in field.description)])
    return 4 <= len(docstring.summary.split()) <= 30 and len(body.split()) >= 15


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
