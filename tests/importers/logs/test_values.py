"""Cells as values: what is read, and what stays as it is."""

from __future__ import annotations

import pytest

from ragdiag.importers.logs.values import read_json


@pytest.mark.parametrize("text", ["{{}}", "{[1]: 2}", "{{'a'}: 1}", "[" * 100_000 + "]"])
def test_what_looks_printed_and_is_none_stays_text(text: str) -> None:
    assert read_json(text) == text
