from __future__ import annotations

import html
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragdiag.store.upkeep import byte_search
from ragdiag.store.upkeep.byte_search import Wanted, files_with, search

TEXT = 'What\'s "Größe" & why?'


@pytest.mark.parametrize(
    "written",
    [
        TEXT,
        json.dumps(TEXT),
        json.dumps(TEXT, ensure_ascii=False),
        html.escape(TEXT),
        html.escape(TEXT, quote=False),
        "What&#39;s &#34;Größe&#34; &amp; why?",
    ],
)
def test_a_text_is_found_as_json_and_html_write_it(tmp_path: Path, written: str) -> None:
    (tmp_path / "other").write_text("What's small?")
    (tmp_path / "empty").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "report").write_text(f"<p>{written}</p>")
    assert files_with(tmp_path, [b"Nowhere at all", TEXT.encode()]) == ["folder/report"]
    assert files_with(tmp_path, []) == []


def test_none_of_many_texts_is_left_out(tmp_path: Path) -> None:
    texts = [f"What is owed on day {day}?" for day in range(300)]
    for day in (0, 51, 299):
        (tmp_path / f"{day}").write_text(texts[day])
    (tmp_path / "300").write_text("What is owed on day 300?")
    found = list(search(tmp_path, [text.encode() for text in texts]))
    assert found == ["0", "299", "51"]


BYTES = st.lists(st.sampled_from([b"a", b"b", b"abcdefgh", b"\0", b"xyz"]), max_size=12).map(
    b"".join
)


@settings(max_examples=60, deadline=None)
@given(BYTES, st.lists(BYTES.filter(bool), max_size=4))
def test_the_search_finds_what_the_plain_one_finds(content: bytes, texts: list[bytes]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(byte_search, "_PIECE", 16)
        assert Wanted(texts).is_in(content) == any(text in content for text in texts)
