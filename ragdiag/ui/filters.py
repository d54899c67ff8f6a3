"""The filters of the pages, each bound to the query parameter of its key, so links keep them.

Options are plain strings because they are what stands in the address: a version's name, a
Monday as ``2025-11-03``. No two pages share a key: on the way from one to the other Streamlit 1.67
drops a bound parameter that both have. So Triage, which other pages link to, has the plain names
(``?week=…``) and the others put their own before it (``?latency_week=…``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Literal

import streamlit as st

from ragdiag.store.queries import topics, traffic_kinds, version_names, weeks
from ragdiag.ui import stale, words
from ragdiag.ui.cached import fetch
from ragdiag.ui.view import View

EVERY = "all"
_PREFERRED = ("production", "canary", "evaluation", "shadow", "replay")


def one_of(label: str, options: Sequence[str], key: str, what: str, index: int = 0) -> str:
    """One of ``options``, bound to the query parameter ``key``; an address that asks for a ``what``
    which is none of them is answered with ``options[index]``, and that is said."""
    if options:
        usual = options[index]
        stale.tell_once(
            key, options, what, "all are shown" if usual == EVERY else f"this is {usual}"
        )
    return st.selectbox(label, options, index=index, key=key, bind="query-params")


def traffic(view: View, page: str = "") -> str:
    """Which kind of traffic; production first where there is any."""
    kinds = [row["traffic"] for row in fetch(view, traffic_kinds)]
    options: list[str] = sorted(kinds, key=lambda kind: _PREFERRED.index(kind))
    return one_of("Traffic", options, f"{page}traffic", "traffic")


def offer_graded(view: View, kind: str, page: str = "") -> None:
    """Where no answer of this traffic is graded: other traffic, of which some are."""
    graded = {row["traffic"]: row["graded"] for row in fetch(view, traffic_kinds)}
    if graded.get(kind):
        return
    for other in sorted((one for one in graded if graded[one]), key=_PREFERRED.index):
        st.button(
            f"{words.count(graded[other], 'graded answer')} of {other} traffic →",
            key=f"{page}graded_{other}",
            type="tertiary",
            on_click=st.session_state.update,
            args=({f"{page}traffic": other},),
        )


def version(view: View, page: str = "") -> str | None:
    """A version's id, or None for all."""
    return _one_of("Version", f"{page}version", version_ids(view))


def topic(view: View, kind: str) -> str | None:
    """A topic of this traffic, or None for all."""
    return _one_of("Topic", "topic", {name: name for name in fetch(view, topics, kind)})


def week(view: View, kind: str, page: str = "") -> date:
    """The Monday of one week with this traffic; the newest unless another is chosen."""
    known = [row["week"].isoformat() for row in fetch(view, weeks, kind)]
    chosen = one_of("Week starting", known, f"{page}week", "week")
    return date.fromisoformat(chosen)


def any_week(view: View, kind: str, page: str = "", *, newest_first: bool = False) -> date | None:
    """As :func:`week`, with all weeks (None) as a choice: the first one, or the last."""
    known = [row["week"].isoformat() for row in fetch(view, weeks, kind)]
    options = [*known, EVERY] if newest_first else [EVERY, *known]
    chosen = one_of("Week starting", options, f"{page}week", "week")
    return None if chosen == EVERY else date.fromisoformat(chosen)


def version_ids(view: View) -> dict[str, str]:
    """Name → id. A name that two versions share gets the id added."""
    names = fetch(view, version_names)
    taken = list(names.values())
    return {
        name if taken.count(name) == 1 else f"{name} {version_id}": version_id
        for version_id, name in names.items()
    }


def choice(label: str, key: str, options: list[str]) -> str | None:
    """One of ``options``, or None for all."""
    return _one_of(label, key, {option: option for option in options})


def whole_number(label: str, key: str, *, most: int | None, usual: int, step: int = 1) -> int:
    """A number from 1 to ``most``; ``usual`` unless the address says another.

    Streamlit 1.67 makes an int of what the address says before it looks at the bounds, and fails
    where that is infinite (``?slo=1e999``): such an address is not read.
    """
    try:
        infinite = math.isinf(float(st.query_params.get(key, "")))
    except ValueError:
        infinite = False
    bind: Literal["query-params"] | None = None if infinite else "query-params"
    return st.number_input(label, 1, most, usual, step, key=key, bind=bind)


def _one_of(label: str, key: str, options: Mapping[str, str]) -> str | None:
    """What one of the names in ``options`` stands for, or None for all; a name that is itself the
    word for all stands in quotes, so that either can be chosen."""
    named = {
        f"“{name}”" if name.strip("“”") == EVERY else name: meant for name, meant in options.items()
    }
    return named.get(one_of(label, [EVERY, *named], key, label.lower()))
