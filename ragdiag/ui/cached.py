"""Answers of the lake, kept as long as the lake has not changed.

The key is the workspace, its snapshot and the parameters, never a frame: Streamlit hashes only a
sample of a large frame and would serve a stale answer. All answers go when a user is forgotten.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

import streamlit as st

from ragdiag.store.lake import Lake
from ragdiag.store.upkeep.forgotten import ForgottenUsers, Mark
from ragdiag.ui.view import View

P = ParamSpec("P")
T = TypeVar("T")

_marks: dict[str, Mark] = {}
"""By workspace: whom it had forgotten when its answers were last asked for."""


def fetch(
    view: View, query: Callable[Concatenate[Lake, P], T], *args: P.args, **kwargs: P.kwargs
) -> T:
    """``query(lake, …)``, from the cache where this snapshot has been asked before.

    ``query`` is a module-level function; the parameters' ``repr`` must name their values, as it
    does for strings, numbers, dates and frozen records.
    """
    _follow_forgetting(view)
    name = f"{query.__module__}.{query.__qualname__}"
    asked = repr((args, sorted(kwargs.items())))
    root = str(view.workspace.root)
    return _fetch(root, view.snapshot, name, asked, lambda: query(view.lake, *args, **kwargs))


@st.cache_data(max_entries=500, show_spinner="Reading the lake …")
def _fetch(root: str, snapshot: int, name: str, asked: str, _read: Callable[[], T]) -> T:
    return _read()


def _follow_forgetting(view: View) -> None:
    """Drop every answer where somebody was forgotten since the last look: no page shows those of
    older snapshots, but they would stay in memory."""
    root, mark = str(view.workspace.root), ForgottenUsers(view.workspace).mark()
    if _marks.setdefault(root, mark) != mark:
        _fetch.clear()
        _marks[root] = mark
