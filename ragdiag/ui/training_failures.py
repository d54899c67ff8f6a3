"""Failures that retrieval owns, as something to learn from: how many, and the way to do so."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from ragdiag.store.lake import Lake
from ragdiag.store.signals import count_lost
from ragdiag.training.data.mined import FEWEST_PAIRS
from ragdiag.training.data.pairs import LOST_BY_RETRIEVAL
from ragdiag.ui import links, words
from ragdiag.ui.cached import fetch
from ragdiag.ui.view import View

KEY = "tune_failures"
"""The box that asks for them, and its query parameter."""


def usual_splits(splits: Mapping[str, int]) -> tuple[str | None, str]:
    """What is learnt from (None: nothing is left) and tested on, of ``splits``, unless chosen."""
    untrained = [name for name in splits if name != "train"]
    test = "test" if "test" in splits else next(iter(untrained), "train")
    others = [name for name in splits if name != test]
    learnt = "train" if "train" in others else next(iter(others), None)
    return learnt, test


def usable_failures(lake: Lake, split: str) -> tuple[int, int]:
    """Failed requests that a run learns from when ``split`` has their gold passages, and their
    pairs, at most: a run leaves out what regression questions ask, and what is like that."""
    return count_lost(lake, split, LOST_BY_RETRIEVAL)


def only_failures(view: View, split: str) -> bool:
    """A box that asks to learn from nothing else; closed where they are too few."""
    requests, pairs = fetch(view, usable_failures, split)
    return st.checkbox(
        f"From failures only ({words.count(requests, 'request')})",
        key=KEY if pairs >= FEWEST_PAIRS else f"{KEY}_closed",
        bind="query-params" if pairs >= FEWEST_PAIRS else None,
        disabled=pairs < FEWEST_PAIRS,
        help=f"Requests whose gold passage retrieval lost, and whose question no test asks: "
        f"{words.count(pairs, 'pair')} of question and passage. A run takes {FEWEST_PAIRS}.",
    )


def link_training(failed: int) -> None:
    """From ``failed`` requests that retrieval owns to the page that learns from them, where they
    are enough; how many of them a run can use is counted there."""
    if failed >= FEWEST_PAIRS:
        st.page_link(
            links.TRAINING,
            label=f"Train on {words.count(failed, 'failed request')} that retrieval owns →",
            query_params={KEY: "true"},
        )
