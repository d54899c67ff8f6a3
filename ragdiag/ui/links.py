"""Links between pages, and the query parameters that more than one page reads."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode

import streamlit as st

OVERVIEW: Final = "pages/overview.py"
TRIAGE: Final = "pages/triage.py"
REQUEST: Final = "pages/request.py"
REVIEW: Final = "pages/review.py"
VERSIONS: Final = "pages/versions.py"
LATENCY: Final = "pages/latency.py"
DRIFT: Final = "pages/drift.py"
INDEXES: Final = "pages/indexes.py"
TRAINING: Final = "pages/training.py"
PLAYGROUND: Final = "pages/playground.py"

REQUEST_ID: Final = "request_id"
LONGEST_ID: Final = 200


def asked_request_id() -> str | None:
    """The ``request_id`` of the address; None where there is none.

    Ids are free text of the service that wrote them, so anything printable and short enough is
    looked up; the rest raises ValueError with what is wrong.
    """
    given = st.query_params.get(REQUEST_ID)
    if given is None or not given.strip():
        return None
    wanted = given.strip()
    if len(wanted) > LONGEST_ID:
        raise ValueError(f"a request id has at most {LONGEST_ID} characters, not {len(wanted)}")
    if not wanted.isprintable():
        raise ValueError("the request id in the address holds unprintable characters")
    return wanted


def open_request(request_id: str) -> None:
    """Leave this page for the one that tells a request's story."""
    st.switch_page(REQUEST, query_params={REQUEST_ID: request_id})


def request_url(request_id: str) -> str:
    """The address of a request's page, relative to the dashboard."""
    return f"/request?{urlencode({REQUEST_ID: request_id})}"
