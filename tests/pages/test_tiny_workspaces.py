"""Every page on workspaces with next to nothing to count: no bare nan, no dash without a reason."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from streamlit.testing.v1.element_tree import Block, Dataframe, Element, Metric, Node

from ragdiag.importers.logs.import_logs import import_logs
from ragdiag.settings import Workspace
from ragdiag.store.lake import close_lakes, open_lake
from ragdiag.store.results import find_served_version
from tests.diagnosed import diagnose
from tests.pages.test_pages import PAGES

RIGHT, WRONG = "Fifteen hours a day.", "Two."
GOLD = {"gold_answer": "fifteen hours", "gold_passages": ["cats"]}
Row = tuple[str, dict[str, Any]]
ROWS: dict[str, list[Row]] = {
    "one right": [(RIGHT, GOLD)],
    "one wrong": [(WRONG, GOLD)],
    "all right": [(RIGHT, GOLD)] * 5,
    "all wrong": [(WRONG, GOLD)] * 5,
    "no gold answer": [(RIGHT, {"gold_passages": ["cats"]}), (WRONG, {"gold_passages": ["cats"]})],
    "unknown gold passage": [(WRONG, GOLD | {"gold_passages": ["?"]})] * 2,
    "half graded": [(RIGHT, GOLD), (WRONG, GOLD), (WRONG, {}), (WRONG, {})],
    "contradicting": [(WRONG, GOLD | {"gold_answer": ["12 hours", "15 hours"]})] * 2,
}
BARE = re.compile(r"\bnan\b|\bNaN\b|(?<![\w-])inf\b|\bNone\b(?! of)|\bNaT\b")


@pytest.fixture(scope="module")
def tiny(
    tmp_path_factory: pytest.TempPathFactory, empty_workspace: Workspace
) -> Iterator[dict[str, Workspace]]:
    """By name: one version's answers to as many questions, logged and diagnosed."""
    made = {}
    for name, logged in ROWS.items():
        folder = tmp_path_factory.mktemp("tiny")
        made[name] = workspace = Workspace(folder / "workspace")
        shutil.copytree(empty_workspace.root, workspace.root)
        rows = [
            {
                "id": f"r{n}",
                "time": f"2026-01-{5 + n:02d}T12:00:00Z",
                "version": "bot",
                "question": f"How long do cats sleep in room {n}?",
                "answer": said,
                "contexts": [{"id": "cats", "text": "Cats sleep fifteen hours a day."}],
                "fused": ["cats", "dogs"],
                **gold,
            }
            for n, (said, gold) in enumerate(logged)
        ]
        path = Path(folder, "log.jsonl")
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        lake = open_lake(workspace)
        import_logs(lake, workspace, path)
        diagnose(lake, workspace, find_served_version(lake, "bot"))
    yield made
    close_lakes()


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("name", ROWS)
def test_a_page_tells_the_reason_of_what_it_cannot_count(open_page, tiny, name, page) -> None:
    app = open_page(page, tiny[name], **({"request_id": "r0"} if page == "request" else {}))
    assert not app.exception
    assert [title.value for title in app.title] == [PAGES[page]]
    found = list(elements(app._tree))
    assert [text for one in found for text in texts(one) if BARE.search(text)] == []
    assert [one for at, one in enumerate(found) if not reasons_given(one, found[at + 1 :])] == []


def test_what_is_not_graded_bounds_the_rates(open_page, tiny, said) -> None:
    told = "2 requests are not graded: of all, 25.0 % are correct if these are wrong, 75.0 % if"
    assert told in said(open_page("overview", tiny["half graded"]))
    assert told in said(open_page("triage", tiny["half graded"]))
    assert "not graded:" not in said(open_page("overview", tiny["all wrong"]))


def test_labels_that_contradict_each_other_are_listed(open_page, tiny, said) -> None:
    app = open_page("triage", tiny["contradicting"])
    assert "2 questions with accepted answers that contradict each other" in said(app)
    assert "2 failures here may be the label's" in said(app)
    (table,) = [one.value for one in app.dataframe if "One answer" in one.value.columns]
    assert list(table["One answer"]) == ["12 hours"] * 2
    assert list(table["Another"]) == ["15 hours"] * 2
    assert set(app.dataframe[-1].value["Verdict"]) == {"label_suspect"}
    assert "contradict each other" not in said(open_page("triage", tiny["all wrong"]))


def elements(node: Node) -> Iterator[Element]:
    if isinstance(node, Block):
        for child in node.children.values():
            yield from elements(child)
    elif isinstance(node, Element):
        yield node


def texts(one: Element) -> Iterator[str]:
    """All that an element shows; of a table its titles and cells."""
    if isinstance(one, Dataframe):
        yield from (str(title) for title in one.value.columns)
        yield from (shown(cell) for row in one.value.itertuples(index=False) for cell in row)
    else:
        yield from re.findall(r'"((?:[^"\\]|\\.)*)"', str(one.proto))


def shown(cell: Any) -> str:
    """A cell as the page draws it: a missing one is the table's placeholder."""
    return "–" if not isinstance(cell, list) and pd.isna(cell) else str(cell)


def reasons_given(one: Element, after: list[Element]) -> bool:
    """Whether every dash that stands alone has words beside it: in its help, in its row, or in the
    caption that follows."""
    if isinstance(one, Metric):
        return one.value != "–" or "(" in one.help
    if not isinstance(one, Dataframe):
        return True
    columns = json.loads(one.proto.columns or "{}")
    following = next((str(e.value) for e in after if e.type == "caption"), "")
    return all(
        shown(cell) != "–" or (columns.get(title) or {}).get("help") or "–" in following
        for title in one.value.columns
        for cell in one.value[title]
    )
