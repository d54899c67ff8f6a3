from __future__ import annotations

import pytest

from ragdiag.retrieval.markup import plain_text


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("## Dose ##\nTake *one*, not __two__.", "Dose\n\nTake one, not two."),
        ("See [the *guide*](http://x.y/z) and ![a chart](c.png).", "See the guide and a chart."),
        ("a [ref][1]\n\n[1]: http://x.y", "a ref"),
        ("---\ntitle: x\n---\nText", "Text"),
        ("Call `__init__` of `a*b*c`.", "Call __init__ of a*b*c."),
        ("```python\n# no heading\nx = __all__\n```\nEnd", "# no heading\nx = __all__\n\nEnd"),
        ("> quoted\n\n***\n\n- item", "quoted\n\n- item"),
        ("snake_case_name and 2*3*4", "snake_case_name and 2*3*4"),
        ("seen<!-- hidden -->", "seen"),
    ],
)
def test_markdown_reads_as_its_page_does(raw: str, text: str) -> None:
    assert plain_text(raw, ".MD") == text


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("<p>One &amp; two</p><p>three</p>", "One & two\n\nthree"),
        ("<html><head><title>t</title></head><body>x<br>y</body></html>", "x\n\ny"),
        ("a<script>if (1<2) {}</script><style>p{}</style>b", "ab"),
        ("<nav><ul><li>menu</li></ul></nav><p>text</p>", "text"),
        ("<p>split\n  over\n lines with <b>bold</b>ness</p>", "split over lines with boldness"),
        ("<p>never closed <i>at all", "never closed at all"),
        ("</script>stray", "stray"),
    ],
)
def test_html_keeps_what_is_visible(raw: str, text: str) -> None:
    assert plain_text(raw, ".html") == text


def test_other_files_keep_their_characters() -> None:
    assert plain_text("\ufeffa\r\nb\0 # *c*\r\n\r\n\n\nd\n", ".txt") == "a\nb # *c*\n\nd"
