"""Reading a docstring into its parts: numpydoc's underlined sections and Google's ``Args:``.

Only what the demo asks about is kept: summary, description, parameters, return values, See Also.
Examples, notes, references and code are left out; reStructuredText markup becomes plain words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

SECTIONS = {
    "parameters": "parameters",
    "other parameters": "parameters",
    "args": "parameters",
    "arguments": "parameters",
    "keyword args": "parameters",
    "keyword arguments": "parameters",
    "returns": "returns",
    "return": "returns",
    "yields": "returns",
    "see also": "see_also",
}
"""Heading (lower case) → the part it fills; text under any other heading is left out."""

UNDERLINE = re.compile(r"[-=~]{3,}\s*")
GOOGLE_HEADING = re.compile(
    r"(Args|Arguments|Keyword [Aa]rg(?:ument)?s|Parameters|Returns?|Yields|Raises|Shape|Inputs?"
    r"|Outputs?|Attributes|Examples?|Note|Notes|Warning|References?|Members|Variables)::?\s*"
)
SIGNATURE = re.compile(r"[\w.]+ ?\(.*\)?[^.]*$")
OMITTED_DIRECTIVE = re.compile(
    r"\.\. (math|image|plot|code|code-block|figure|table|list-table|seealso|versionadded"
    r"|versionchanged|deprecated|function|method|class|autosummary|autoclass|index|testcode"
    r"|testsetup|highlight|csv-table|raw|only|\[|_)",
)
ADMONITION = re.compile(r"\.\. \w+::\s*")
SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z`\"'(])")
CODE_OR_TABLE = (">>>", "|", "+-")
LIST_ITEM = re.compile(r"(?:[-*•+]|\d+[.)]|\(\w\)) +(?=\S)")
SHORTENED = ("e.g.", "i.e.", "etc.", "cf.", "vs.", "a.k.a.", "resp.", "approx.", "Eq.", "Ref.")


@dataclass(frozen=True, slots=True)
class Field:
    """One parameter or return value, its description in sentences; any part may be empty."""

    name: str
    kind: str
    description: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Docstring:
    """``description`` are the sentences after the summary; ``see_also`` are names as written."""

    summary: str
    description: tuple[str, ...] = ()
    parameters: tuple[Field, ...] = ()
    returns: tuple[Field, ...] = ()
    see_also: tuple[str, ...] = ()


def parse_docstring(text: str) -> Docstring:
    """Parse a docstring cleaned by ``inspect.cleandoc``; parts that are not there are empty.

    >>> parsed = parse_docstring("Add numbers.\\n\\nArgs:\\n    x (int): The first number.")
    >>> parsed.summary, parsed.parameters[0].description
    ('Add numbers.', ('The first number.',))
    """
    parts: dict[str, list[str]] = {"": []}
    for heading, body in _sections(text.splitlines()):
        part = SECTIONS.get(heading.lower()) if heading else ""
        if part is not None:
            parts.setdefault(part, []).extend(["", *body])
    sentences = _sentences(_without_signature(parts[""]))
    return Docstring(
        summary=sentences[0] if sentences else "",
        description=tuple(sentences[1:]),
        parameters=tuple(_fields(parts.get("parameters", []))),
        returns=tuple(_fields(parts.get("returns", []), unnamed=True)),
        see_also=tuple(_see_also(parts.get("see_also", []))),
    )


def plain_words(markup: str) -> str:
    """Roles, quotes and escapes of reStructuredText turned into the words they hold.

    >>> plain_words("See :func:`~torch.add` and ``x`` [1]_.")
    'See torch.add and x.'
    """
    text = re.sub(r":[\w:+-]+:`~?\.?([^`<]*?)(?: ?<[^`>]*>)?`", r"\1", markup)
    text = re.sub(r"\s*\[[\w, ]+\]_", "", text)
    text = re.sub(r"`{1,2}~?([^`<]*)(?: <[^`>]*>)?`{1,2}_*", r"\1", text)
    text = re.sub(r"(?<!\w)\*{1,2}(\w[^*]*)\*{1,2}(?!\w)", r"\1", text)
    return " ".join(text.replace("\\*", "*").replace("::", ":").split())


def _sections(lines: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """(heading, body) pairs; the text before the first heading has the heading ''."""
    heading, google, body = "", False, list[str]()
    skip = False
    for number, line in enumerate(lines):
        following = lines[number + 1] if number + 1 < len(lines) else ""
        if skip:
            skip = False
            continue
        if line.strip() and not line[0].isspace() and UNDERLINE.fullmatch(following):
            yield heading, body
            heading, google, body, skip = line.strip(), False, [], True
        elif GOOGLE_HEADING.fullmatch(line):
            yield heading, body
            heading, google, body = line.strip().rstrip(":"), True, []
        elif google and line.strip() and not line[0].isspace():
            yield heading, body
            heading, google, body = "", False, ["", line]
        else:
            body.append(line)
    yield heading, body


def _without_signature(lines: Sequence[str]) -> list[str]:
    """Drop the call signatures that compiled functions carry as their first paragraphs."""
    rest = list(lines)
    while rest and (not rest[0].strip() or _is_signature(rest)):
        if rest[0].strip():
            while rest and rest[0].strip():
                rest.pop(0)
        else:
            rest.pop(0)
    return rest


def _is_signature(lines: Sequence[str]) -> bool:
    return bool(SIGNATURE.match(lines[0])) and "(" in lines[0].split(" ")[0] + lines[0][:60]


def _sentences(lines: Sequence[str]) -> list[str]:
    """Plain sentences. One that only announces what was left out (it ends in a colon) goes too."""
    sentences: list[str] = []
    for paragraph in _paragraphs(lines):
        pieces: list[str] = []
        for piece in SENTENCE_END.split(paragraph):
            if pieces and pieces[-1].endswith(SHORTENED):
                pieces[-1] += " " + piece
            else:
                pieces.append(piece)
        sentences += pieces
    kept = [s for s in sentences if not s.endswith(":") and re.search(r"[A-Za-z]{3}", s)]
    return [s if s.endswith((".", "!", "?")) else s.rstrip(" ,;") + "." for s in kept]


def _paragraphs(lines: Sequence[str]) -> list[str]:
    """Plain paragraphs and list items; math, code, doctests, figures and version notes are left
    out, and what goes on in lower case after them."""
    paragraphs: list[list[str]] = [[]]
    hidden_by: int | None = None
    skips_paragraph = after_hidden = False
    for line in lines:
        text = line.strip()
        indent = len(line) - len(line.lstrip())
        if not text:
            paragraphs.append([])
            skips_paragraph = False
            continue
        if skips_paragraph or (hidden_by is not None and indent > hidden_by):
            continue
        hidden_by = None
        continues = not paragraphs[-1] and after_hidden and text[0].islower()
        after_hidden = False
        if continues or text.startswith(CODE_OR_TABLE):
            skips_paragraph = after_hidden = True
            continue
        if OMITTED_DIRECTIVE.match(text):
            hidden_by, after_hidden = indent, True
            continue
        if text.endswith("::") and not text.startswith(".. "):
            hidden_by, after_hidden = indent, True
        if LIST_ITEM.match(text):
            paragraphs.append([])
        paragraphs[-1].append(ADMONITION.sub("", LIST_ITEM.sub("", text)))
    return [plain_words(" ".join(paragraph)) for paragraph in paragraphs if paragraph]


def _fields(lines: Sequence[str], *, unnamed: bool = False) -> Iterator[Field]:
    """Fields of a Parameters, Args or Returns section.

    ``unnamed``: a head without a colon is a kind (``ndarray``), and prose alone a description.
    """
    items = _items(lines)
    if unnamed and items and _starts_text(items[0][0]):
        yield Field("", "", tuple(_sentences([line.strip() for line in lines])))
        return
    for head, body in items:
        google = re.match(r"(\*{0,2}[\w, *]+?)\s*(?:\((.*?)\))?:\s+(\S.*)", head)
        numpy = re.match(r"(\*{0,2}[\w, .*]+?)\s+:\s*(.*)", head)
        if numpy:
            yield Field(plain_words(numpy[1]), plain_words(numpy[2]), tuple(_sentences(body)))
        elif google and not unnamed:
            told = [google[3], *(line.strip() for line in body)]
            kind = plain_words(google[2] or "")
            yield Field(plain_words(google[1]), kind, tuple(_sentences(told)))
        elif unnamed and not body:
            yield Field("", "", tuple(_sentences([head])))
        else:
            name = "" if unnamed else plain_words(head)
            yield Field(name, plain_words(head), tuple(_sentences(body)))


def _starts_text(head: str) -> bool:
    """Whether a return value is told in prose, not as ``name : kind``."""
    return " : " not in head and len(head.split()) > 3 and not re.match(r"[\w., \[\]]+: ", head)


def _items(lines: Sequence[str]) -> list[tuple[str, list[str]]]:
    """(head, indented body) of each entry, by the smallest indent in the section."""
    filled = [line for line in lines if line.strip()]
    if not filled:
        return []
    margin = min(len(line) - len(line.lstrip()) for line in filled)
    items: list[tuple[str, list[str]]] = []
    for line in lines:
        if line.strip() and len(line) - len(line.lstrip()) == margin:
            items.append((line.strip(), []))
        elif items:
            items[-1][1].append(line)
    return [(head, body if any(map(str.strip, body)) else []) for head, body in items]


def _see_also(lines: Sequence[str]) -> Iterator[str]:
    """The names of a See Also section, in order, as they are written there."""
    for head, _ in _items(lines):
        for name in plain_words(head.split(" : ")[0].split(": ")[0]).rstrip(":").split(","):
            if re.fullmatch(r"[A-Za-z_][\w.]*", name.strip()):
                yield name.strip()
