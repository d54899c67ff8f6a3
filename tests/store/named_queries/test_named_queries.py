"""Every query by which something is read from the lake equals its definition in plain Python, on a
small lake drawn at random."""

from __future__ import annotations

import inspect
import math
import pkgutil
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import astuple, is_dataclass
from importlib import import_module
from typing import Any

import pytest

import ragdiag.store
from ragdiag.errors import RagdiagError
from ragdiag.records import Request
from ragdiag.settings import PROJECT, Workspace
from ragdiag.store.lake import Lake, close_lakes
from ragdiag.store.signals import load_first_asked
from ragdiag.store.ungraded import load_ungraded
from tests.store.named_queries import plain_corpus as plain_corpus
from tests.store.named_queries import plain_kept as plain_kept
from tests.store.named_queries import plain_pages as plain_pages
from tests.store.named_queries import plain_reviews as plain_reviews
from tests.store.named_queries import plain_said as plain_said
from tests.store.named_queries import plain_trends as plain_trends
from tests.store.named_queries.known import DEFINITIONS, Known
from tests.store.named_queries.random_store import RandomStore

pytestmark = pytest.mark.slow

WRITES = (
    *("add", "append", "clear", "drop", "ingest", "mark"),
    *("raise", "remove", "resolve", "save", "take"),
)
"""First words of the names of functions that change the lake."""
IN_ANY_ORDER = (load_first_asked, load_ungraded)
Told = tuple[Lake, Known]


def named_queries() -> Iterator[Callable[..., Any]]:
    """Every public function beside the lake that reads from it: its first argument is one."""
    for module in pkgutil.iter_modules(ragdiag.store.__path__, "ragdiag.store."):
        if module.ispkg:
            continue
        for name, found in vars(import_module(module.name)).items():
            own = inspect.isfunction(found) and found.__module__ == module.name
            if own and not name.startswith("_") and reads(found):
                yield found


def reads(function: Callable[..., Any]) -> bool:
    first = next(iter(inspect.signature(function).parameters.values()), None)
    takes_lake = first is not None and first.annotation == "Lake"
    return takes_lake and function.__name__.split("_")[0] not in WRITES


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory, planned_as_anywhere: None) -> Iterator[Told]:
    workspace = Workspace(tmp_path_factory.mktemp("random") / "workspace")
    lake = RandomStore(workspace, seed=2).fill()
    yield lake, Known(lake)
    close_lakes()


def test_every_query_has_a_plain_definition() -> None:
    wanted = {f"{one.__module__}.{one.__qualname__}" for one in named_queries()}
    assert {f"{one.__module__}.{one.__qualname__}" for one in DEFINITIONS} == wanted
    assert len(wanted) > 60


@pytest.mark.parametrize("package", ["upkeep", "intake"])
def test_no_page_asks_upkeep_or_intake(package: str) -> None:
    """Their modules are no named queries, so none of what reads there is a page's to import."""
    imported = re.compile(
        rf"^ *from (ragdiag\.store\.{package}[\w.]*) import (\([^)]*\)|.*)$", re.MULTILINE
    )
    for path in (*PROJECT.glob("pages/*.py"), *PROJECT.glob("ragdiag/ui/**/*.py")):
        for module, names in imported.findall(path.read_text(encoding="utf-8")):
            for name in re.findall(r"\w+", names):
                found = getattr(import_module(module), name)
                assert not inspect.ismodule(found), (path, name)
                assert not (inspect.isfunction(found) and reads(found)), (path, name)


@pytest.mark.parametrize(
    "query", DEFINITIONS, ids=lambda one: f"{one.__module__.rpartition('.')[2]}.{one.__name__}"
)
def test_a_query_equals_its_plain_definition(drawn: Told, query: Callable[..., Any]) -> None:
    lake, known = drawn
    asked = list(DEFINITIONS[query].asked(known))
    told = 0
    for one in asked:
        definition = DEFINITIONS[query].of
        expected = outcome(definition, known, *one.arguments, **one.options)
        found = outcome(query, lake, *one.arguments, **one.options)
        if query in IN_ANY_ORDER:
            expected, found = (Counter(map(repr, map(plainly, rows))) for rows in (expected, found))
        assert same(found, expected), (one, found, expected)
        told += bool(expected)
    assert told > 0, "nothing was found, so nothing was compared"


def outcome(function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """What it returns; of what it raises the kind of error."""
    try:
        return function(*arguments, **options)
    except RagdiagError as error:
        return type(error)


def plainly(row: Any) -> Any:
    return sorted(row.items()) if isinstance(row, Mapping) else row


def same(found: Any, expected: Any) -> bool:
    """Equal, sums of floats up to their rounding, undefined numbers to one another."""
    if isinstance(expected, Request):
        return bool(found == expected)
    if is_dataclass(expected) and not isinstance(expected, type):
        return type(found) is type(expected) and same(astuple(found), astuple(expected))
    if isinstance(expected, Mapping):
        return found.keys() == expected.keys() and all(same(found[k], expected[k]) for k in found)
    if isinstance(expected, list | tuple):
        return len(found) == len(expected) and all(map(same, found, expected))
    if isinstance(expected, float) and isinstance(found, int | float):
        if math.isnan(expected):
            return math.isnan(found)
        return math.isclose(found, expected, rel_tol=1e-9, abs_tol=1e-9)
    return bool(found == expected)
