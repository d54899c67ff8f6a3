"""Thumbs as logs write them."""

from __future__ import annotations

import pytest

from ragdiag.importers.logs.opinions import read_thumb
from ragdiag.importers.logs.values import BadValue


@pytest.mark.parametrize("up", ["Thumbs up", "thumbs-up", "👍🏽", " 👍\ufe0f", True, 1.0])
def test_what_says_up(up: object) -> None:
    assert read_thumb(up) == 1.0


@pytest.mark.parametrize("down", ["Thumbs down", "thumbs-down", "👎🏿", "👎\ufe0f", 0, "-1.0"])
def test_what_says_down(down: object) -> None:
    assert read_thumb(down) == -1.0


@pytest.mark.parametrize("neither", ["so so", 4, "🏽"])
def test_what_says_neither(neither: object) -> None:
    with pytest.raises(BadValue):
        read_thumb(neither)
