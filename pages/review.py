"""Review: people say whether answers are right, without knowing what anybody else says."""

import streamlit as st

from ragdiag.errors import InputError
from ragdiag.store.queries import Filters
from ragdiag.store.reviews import load_answered
from ragdiag.ui import filters, frame, reviewing, words
from ragdiag.ui.cached import fetch
from ragdiag.ui.safe import literal
from ragdiag.workflows.grading.reviews import draw_reviews

view = frame.begin(
    "Review", "Decide whether these answers are right: a person's label goes before every grader's."
)

boxes = st.columns(6)
with boxes[0]:
    given = st.text_input(
        "Your name", key="reviewer", bind="query-params", placeholder="as the others know you"
    )
with boxes[1]:
    kind = filters.traffic(view, "review_")
with boxes[2]:
    week = filters.any_week(view, kind, "review_", newest_first=True)
with boxes[3]:
    version = filters.version(view, "review_")
with boxes[4]:
    draw = reviewing.choose_draw()
with boxes[5]:
    size = reviewing.choose_size()

scope = Filters(traffic=kind, version_id=version, week=week)
answered = fetch(view, load_answered, scope)
if not answered:
    st.info(
        "No answer here can be reviewed: nothing was answered, or its text is not stored. Choose "
        "other traffic, another week or version."
    )
    st.stop()
sample = fetch(view, draw_reviews, scope, size, draw)
reviews = fetch(view, reviewing.reviews_in, scope)

main, side = st.columns([5, 2], gap="large")
with side:
    reviewing.draw_worth(view, reviews, scope)
with main:
    if view.read_only:
        st.caption("This dashboard is read-only: labels are kept by `ragdiag grade calibrate`.")
        st.stop()
    if not (given or "").strip():
        st.info(
            f"Say who you are, and you get the first of {words.count(len(sample), 'answer')}. "
            "The address keeps your name and these choices: save it to come back."
        )
        st.stop()
    try:
        reviewer = reviewing.known_as(given)
    except InputError as error:
        st.error(literal(f"{error.message}. To mend it: {error.remedy}."))
        st.stop()
    own = reviews.get(reviewer, {})
    waiting = [name for name in sample if name not in own]
    done = [name for name in own if name in set(sample)]
    st.progress(len(done) / len(sample), text=f"{len(done)} of {len(sample)}")
    if not waiting:
        st.success(
            "Every answer of this sample has your label. A larger sample goes on from here.",
            title="Done",
        )
    else:
        said = reviewing.ask(view, waiting[0])
        if said is not None:
            reviewing.keep(view, reviewer, waiting[0], said)
    if done:
        reviewing.draw_last(view, reviewer, done[-1], reviews)
    if waiting:
        reviewing.draw_context(view, waiting[0])
