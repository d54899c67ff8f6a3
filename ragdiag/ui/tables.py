"""Tables: plain cells, never Markdown; small ones whole, long ones by the page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import streamlit as st

from ragdiag.ui import filters
from ragdiag.ui.safe import literal

PAGE_ROWS = 25


def show(
    columns: Mapping[str, Sequence[Any]],
    key: str,
    config: Mapping[str, Any] | None = None,
    height: Literal["content", "auto"] = "content",
) -> None:
    """A table to read; ``columns`` are title → cells."""
    st.dataframe(
        dict(columns),
        hide_index=True,
        width="stretch",
        height=height,
        key=key,
        column_config=dict(config or {}),
        placeholder="–",
    )


def prose(columns: Mapping[str, Sequence[str]]) -> None:
    """A small table of sentences, which are wrapped where :func:`show` would cut them; its cells
    are shown as they are."""
    st.table(
        {title: [literal(cell) for cell in cells] for title, cells in columns.items()},
        border="horizontal",
        hide_index=True,
    )


def chosen_row(
    columns: Mapping[str, Sequence[Any]], key: str, config: Mapping[str, Any] | None = None
) -> int | None:
    """A table whose rows can be opened: the number of the row that was clicked, else None."""
    state = st.dataframe(
        dict(columns),
        hide_index=True,
        width="stretch",
        height="content",
        key=key,
        column_config=dict(config or {}),
        placeholder="–",
        on_select="rerun",
        selection_mode=("single-row", "single-cell"),
    )
    rows, cells = state.selection.rows, state.selection.cells
    if rows:
        return int(rows[0])
    return int(cells[0][0]) if cells else None


def page_offset(total: int, key: str = "page") -> int:
    """The first row of the page that is asked for; draws the chooser where there are several."""
    pages = max(math.ceil(total / PAGE_ROWS), 1)
    if pages == 1:
        return 0
    number = filters.whole_number(f"Page (of {pages})", key, most=pages, usual=1)
    return (number - 1) * PAGE_ROWS
