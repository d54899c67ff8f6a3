"""Files to plain text: what a reader of the page would read, without the markup."""

from __future__ import annotations

import re
from html.parser import HTMLParser

_SILENT = frozenset({"script", "style", "head", "template", "noscript", "svg", "nav"})
_BLOCK = re.compile(
    "address|article|aside|blockquote|br|caption|dd|div|dl|dt|fieldset|figcaption|figure|footer|"
    "form|h[1-6]|header|hr|li|main|ol|option|p|pre|section|table|td|th|title|tr|ul"
)
_MARKDOWN = (
    (re.compile(r"\A---\n.*?\n---\n", re.DOTALL), ""),  # front matter
    (re.compile(r"<!--.*?-->", re.DOTALL), ""),
    (re.compile(r"!\[([^\[\]\n]*)\]\([^)\n]*\)"), r"\1"),
    (re.compile(r"\[([^\[\]\n]+)\]\([^)\n]*\)"), r"\1"),
    (re.compile(r"\[([^\[\]\n]+)\]\[[^\[\]\n]*\]"), r"\1"),
    (re.compile(r"^\[[^\[\]\n]+\]:\s.*$", re.MULTILINE), ""),  # link definitions
    (re.compile(r"^[ \t]{0,3}#{1,6}[ \t]+(.*?)[ \t]*#*$", re.MULTILINE), r"\1\n"),
    (re.compile(r"^[ \t]{0,3}>[ \t]?", re.MULTILINE), ""),
    (re.compile(r"^[ \t]*([-*_])([ \t]*\1){2,}[ \t]*$", re.MULTILINE), ""),  # rules
    (re.compile(r"(?<!\w)(\*\*|__)(?=\S)(.+?)(?<=\S)\1(?!\w)"), r"\2"),
    (re.compile(r"(?<![\w*])([*_])(?=\S)([^*_\n]+?)(?<=\S)\1(?![\w*])"), r"\2"),
)
_CODE = re.compile(r"^(```|~~~)[^\n]*\n(.*?)^\1[^\n]*$|`([^`\n]+)`", re.DOTALL | re.MULTILINE)
_HELD = re.compile("\ue000(\\d+)\ue001")


def plain_text(raw: str, suffix: str) -> str:
    """The text of a .html/.htm, .md/.markdown or any other file's contents.

    Line ends become ``\\n``, NUL characters vanish, and no more than one blank line follows
    another. HTML keeps one line per block and drops scripts, styles and navigation; Markdown
    keeps list markers, tables and code.

    >>> plain_text("# Dose\\n\\nTake **two** [tablets](x.html).", ".md")
    'Dose\\n\\nTake two tablets.'
    >>> plain_text("<h1>Dose</h1><p>Take <b>two</b>.</p><script>x()</script>", ".html")
    'Dose\\n\\nTake two.'
    """
    text = raw.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "").removeprefix("\ufeff")
    if suffix.lower() in (".html", ".htm"):
        text = _html_text(text)
    elif suffix.lower() in (".md", ".markdown"):
        text = _markdown_text(text)
    return re.sub(r"\n[ \t]*(\n[ \t]*)+\n*", "\n\n", text).strip()


def _markdown_text(raw: str) -> str:
    """Code is held aside while the markup around it goes: ``__init__`` in code is no emphasis."""
    code: list[str] = []

    def hold(found: re.Match[str]) -> str:
        code.append(found.group(2) or found.group(3) or "")
        return f"\ue000{len(code) - 1}\ue001"

    text = _CODE.sub(hold, raw.translate({0xE000: None, 0xE001: None}))
    for pattern, replacement in _MARKDOWN:
        text = pattern.sub(replacement, text)
    return _HELD.sub(lambda found: code[int(found.group(1))], text)


def _html_text(raw: str) -> str:
    reader = _Reader()
    reader.feed(raw)
    reader.close()
    lines = (" ".join(line.split()) for line in "".join(reader.pieces).split("\n"))
    return "\n".join(lines)


class _Reader(HTMLParser):
    """Collects visible text; a block element starts and ends its own paragraph."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._silent: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _SILENT:
            self._silent.append(tag)
        if _BLOCK.fullmatch(tag):
            self.pieces.append("\n\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in self._silent:
            while self._silent.pop() != tag:
                pass
        if _BLOCK.fullmatch(tag):
            self.pieces.append("\n\n")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.pieces.append(re.sub(r"\s+", " ", data))
