"""Answers of the lake, kept as long as the lake has not changed.

The key is the workspace, its snapshot and the parameters, never a frame: Streamlit hashes only a
sample of a large frame and would serve a stale answer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

import streamlit as st

from ragdiag.store.lake import Lake
from ragdiag.ui.view import View

P = ParamSpec("P")
T = TypeVar("T")


def fetch(
    view: View, query: Callable[Concatenate[Lake, P], T], *args: P.args, **kwargs: P.kwargs
) -> T:
    """``query(lake, …)``, from the cache where this snapshot has been asked before.

    ``query`` is a module-level function; the parameters' ``repr`` must name their values, as it
    does for strings, numbers, dates and frozen records.
    """
    name = f"{query.__module__}.{query.__qualname__}"
    asked = repr((args, sorted(kwargs.items())))
    root = str(view.workspace.root)
    return _fetch(root, view.snapshot, name, asked, lambda: query(view.lake, *args, **kwargs))


@st.cache_data(max_entries=500, show_spinner="Reading the lake …")
def _fetch(root: str, snapshot: int, name: str, asked: str, _read: Callable[[], T]) -> T:
    return _read()
