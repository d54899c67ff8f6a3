"""Links that ask for something which is not here, or no longer: said in one line, never silently
answered with something else."""

from __future__ import annotations

from collections.abc import Collection

import streamlit as st

from ragdiag.ui.safe import literal

LONGEST = 60
_PLACE = "_stale_links"


def make_room() -> None:
    """Where a page tells of its stale links: under its title, not in a filter's narrow column."""
    st.session_state[_PLACE] = st.container()


def tell_once(key: str, known: Collection[str], what: str, instead: str) -> bool:
    """As :func:`tell_unknown`, of a value that a link brought: as long as the widget of ``key`` has
    not been drawn. Later it is the page's own choices that leave such a value in the address, where
    one filter's options depend on another's."""
    return key not in st.session_state and tell_unknown(key, known, what, instead)


def tell_unknown(key: str, known: Collection[str], what: str, instead: str) -> bool:
    """Whether the address asks under ``key`` for a ``what`` that is none of ``known``, which is
    said then, with what is shown ``instead``. To be asked before the widget of that key is drawn,
    which takes such a value out of the address. What stands there is shown as it is, cut where it
    is long; nothing at all asks for nothing."""
    given = st.query_params.get(key)
    if not given or given in known:
        return False
    shown = "".join(sign if sign.isprintable() else "�" for sign in given)
    shown = shown if len(shown) <= LONGEST else f"{shown[:LONGEST]}…"
    place = st.session_state.get(_PLACE) or st.container()
    place.warning(literal(f"There is no {what} “{shown}” here; {instead}."))
    return True
