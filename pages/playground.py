"""Playground: one question, to one version or to two side by side."""

import streamlit as st

from ragdiag.errors import HelperEnded
from ragdiag.store.results import list_versions
from ragdiag.ui import filters, frame, playground
from ragdiag.ui.cached import fetch
from ragdiag.ui.safe import literal

view = frame.begin(
    "Playground",
    "Decide whether a version answers a question as it should, and at which stage it goes wrong.",
    needs="builds",
)

known = {version.version_id for version in fetch(view, list_versions)}
ids = {name: found for name, found in filters.version_ids(view).items() if found in known}
asked = playground.form(list(ids))
if asked is None:
    st.info("Ask something. Questions asked here are answered by what serves, and are not logged.")
    st.stop()

answers = playground.answers(view, asked, ids)
answered = [one for one in answers if not isinstance(one, HelperEnded)]
stories = [fetch(view, playground.tell_asked, request) for request in answered]
if len(stories) == len(asked.names):
    st.info(literal(playground.sentence(asked, stories)))

waiting = iter(stories)
for column, name, answer in zip(
    st.columns(len(answers), gap="large"), asked.names, answers, strict=True
):
    with column:
        if isinstance(answer, HelperEnded):
            st.subheader(literal(name), anchor=False)
            st.error(literal(str(answer)), title="It could not be asked")
        else:
            playground.side(next(waiting), name, key=name)
