"""What the answer cache saves, where it answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from ragdiag.drift.latency import CacheEffect
from ragdiag.ui import tables, words


def show(
    effects: Sequence[CacheEffect], names: Mapping[str, str], quantile: str, when: str
) -> None:
    """A section of the page; nothing where there are no ``effects``."""
    if not effects:
        return
    st.subheader(f"What the answer cache saves, {when}", anchor=False)
    tables.show(
        {
            "Version": [names.get(row.segment, row.segment) for row in effects],
            "Answered from the cache": [
                words.with_interval(row.hit_rate, "share") for row in effects
            ],
            f"{quantile}, all requests": [words.with_interval(row.all, "ms") for row in effects],
            f"{quantile}, answered anew": [words.with_interval(row.anew, "ms") for row in effects],
        },
        key="cache",
    )
    st.caption("The rest of this page leaves answers from the cache out: no stage took its time.")
