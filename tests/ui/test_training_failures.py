"""Which split is learnt from and which is tested on, unless somebody chooses."""

from __future__ import annotations

import pytest

from ragdiag.ui.training_failures import usual_splits


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("test", "train"), ("train", "test")),
        (("train", "val"), ("train", "val")),
        (("a", "b"), ("b", "a")),
        (("test",), (None, "test")),
        (("train",), (None, "train")),
    ],
)
def test_what_is_learnt_from_is_never_what_is_tested_on(
    names: tuple[str, ...], expected: tuple[str | None, str]
) -> None:
    assert usual_splits(dict.fromkeys(names, 1)) == expected
