"""Text from outside is shown, not interpreted."""

from __future__ import annotations

from ragdiag.ui.links import request_url
from ragdiag.ui.safe import literal, span


def test_markdown_is_escaped_and_lines_are_joined() -> None:
    assert literal("# a\n![i](http://x/y.png)") == r"\# a \!\[i\]\(http\:\/\/x\/y\.png\)"
    assert literal("$x$ :red[y] `z`") == r"\$x\$ \:red\[y\] \`z\`"


def test_html_is_escaped() -> None:
    assert span("<img src=x onerror=alert(1)>") == (
        "<span style=''>&lt;img src=x onerror=alert(1)&gt;</span>"
    )


def test_any_id_makes_a_safe_address() -> None:
    assert request_url("a&b=c/d?<>") == "/request?request_id=a%26b%3Dc%2Fd%3F%3C%3E"
