"""The one-way flow, read from the imports themselves."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from ragdiag.settings import PROJECT

COMMANDS = ("cli", "commands", "console", "demo", "__main__")
FLOORS = (
    (
        "errors",
        "records",
        "settings",
        "backends",
        "configuration",
        "version",
        "ann_spec",
        "generator_spec",
        "model_folders",
        "progress",
        "jobs",
        "timing",
        "identifiers",
        "user_ids",
        "interrupts",
        "runbooks",
        "markdown",
        "unicode_forms",
    ),
    ("privacy", "spans", "http"),
    ("metrics", "stats", "store"),
    ("retrieval",),
    ("generation",),  # reads with the encoder and the sentences of retrieval
    ("pipeline", "question_clusters", "instrumentation", "caching"),
    ("importers", "collect", "training", "diagnosis", "grading", "drift", "deploy"),
    ("workflows", "serve"),
    ("ui",),
    ("reports",),  # say what the pages say, in the same words
    COMMANDS,
)
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
ENGINES = {
    "accelerate",
    "torch",
    "transformers",
    "peft",
    "faiss",
    "sentence_transformers",
    "pymilvus",
    "milvus_lite",
}
SCREENS = {"streamlit", "plotly"}
SQL = re.compile(
    r"(?is)\bselect\b.+\bfrom\b|\binsert\s+into\b|\bdelete\s+from\b|\bupdate\s+\w+\s+set\b"
)
OTHER_SQL = ("metrics/trec_files.py",)
"""It reads files with a DuckDB of its own, and no lake."""
SOURCES = sorted((PROJECT / "ragdiag").rglob("*.py"))
PAGES = [PROJECT / "app.py", *sorted((PROJECT / "pages").glob("*.py"))]


def imports(path: Path, *, everywhere: bool = True) -> Iterator[str]:
    """Modules that a file imports; without ``everywhere``, when it is itself imported."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = ast.walk(tree) if everywhere else iter(tree.body)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@cache
def imported(path: Path) -> tuple[str, ...]:
    return tuple(imports(path))


def room(path: Path) -> str:
    return path.relative_to(PROJECT / "ragdiag").parts[0].removesuffix(".py")


def climbs(here: str, module: str) -> bool:
    """Whether what is in the room ``here`` may not import ``module``."""
    parts = module.split(".")
    if parts[0] != "ragdiag" or len(parts) < 2 or parts[1] == here:
        return False
    same_screen = {here, parts[1]} <= set(COMMANDS)
    low = FLOOR[here] == FLOOR[parts[1]] == 0
    return not (FLOOR[parts[1]] < FLOOR[here] or same_screen or low)


def test_a_file_imports_only_from_floors_below_its_own() -> None:
    wrong = [
        f"{path.relative_to(PROJECT)} imports {module}"
        for path in SOURCES
        if room(path) != "__init__"
        for module in imported(path)
        if climbs(room(path), module)
    ]
    assert wrong == []
    assert climbs("store", "ragdiag.pipeline")
    assert climbs("drift", "ragdiag.deploy.release")
    assert not climbs("pipeline", "ragdiag.store.lake")


def test_screens_stay_in_the_ui_and_engines_stay_below() -> None:
    wrong = []
    for path in SOURCES:
        tops = {module.split(".")[0] for module in imported(path)}
        barred = set() if room(path) in ("ui", "reports") else SCREENS
        if room(path) not in ("retrieval", "generation", "training"):
            barred = barred | ENGINES
        wrong += [f"{path.relative_to(PROJECT)} imports {name}" for name in sorted(tops & barred)]
    assert wrong == []


def texts(path: Path) -> Iterator[str]:
    """Every string of a file that is no docstring, f-strings with their gaps."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    told = {
        node.body[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = [one.value for one in node.values if isinstance(one, ast.Constant)]
            yield " ".join(map(str, parts))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in told:
            yield node.value


def test_sql_is_written_in_the_store_alone() -> None:
    wrong = [
        f"{path.relative_to(PROJECT)}: {text.strip()[:60]}"
        for path in (*SOURCES, *PAGES)
        if not path.is_relative_to(PROJECT / "ragdiag" / "store")
        and not path.as_posix().endswith(OTHER_SQL)
        for text in texts(path)
        if SQL.search(text)
    ]
    assert wrong == []
    assert any(SQL.search(text) for text in texts(PROJECT / "ragdiag" / "store" / "queries.py"))


def test_pages_import_no_engine() -> None:
    assert len(PAGES) > 1
    for path in PAGES:
        assert not {module.split(".")[0] for module in imports(path)} & ENGINES, path


def test_every_room_of_the_house_stands_on_a_floor() -> None:
    rooms = {room(path) for path in SOURCES} - {"__init__"}
    assert rooms <= FLOOR.keys()
