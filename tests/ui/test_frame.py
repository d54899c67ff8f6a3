"""Where the pages of the dashboard are found."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest


def test_the_first_page_is_found_by_its_name_too() -> None:
    def addresses() -> None:
        import streamlit as st

        from ragdiag.ui.frame import _pages

        for page in _pages():
            st.text(f"{page.title} /{page.url_path} {page.visibility}")

    told = [text.value for text in AppTest.from_function(addresses).run(timeout=60).text]
    assert told[0] == "Overview / visible"
    assert told[1] == "Triage /triage visible"
    assert told[-1] == "Overview /overview hidden"
    assert sum("hidden" in one for one in told) == 1
