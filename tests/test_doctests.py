"""The examples in docstrings run, in every module that has any."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import ragdiag

MODEL_CODE = re.compile(r"^(?:import|from) (?:torch|transformers|peft|faiss|sentence_)", re.M)


def modules_with_examples() -> Iterator[tuple[str, bool]]:
    """(name, whether importing it imports model code) of every module whose source has a prompt."""
    root = Path(ragdiag.__file__).parent
    for path in sorted(root.rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        if ">>> " in source:
            parts = path.relative_to(root.parent).with_suffix("").parts
            name = ".".join(part for part in parts if part != "__init__")
            yield name, bool(MODEL_CODE.search(source))


MODULES = dict(modules_with_examples())


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow if slow else ()) for name, slow in MODULES.items()],
)
def test_examples_hold(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted > 0
    assert result.failed == 0


def test_every_module_with_examples_is_found() -> None:
    packages = {info.name for info in pkgutil.walk_packages(ragdiag.__path__, "ragdiag.")}
    assert {"ragdiag.errors", "ragdiag.metrics.ranking", "ragdiag.stats.paired"} <= MODULES.keys()
    assert MODULES.keys() <= packages | {"ragdiag"}
