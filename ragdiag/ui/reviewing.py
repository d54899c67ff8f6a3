"""Reviewing drawn: one answer to label, blind; what the others say after; what labels are worth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

import streamlit as st

from ragdiag.errors import UnknownName
from ragdiag.privacy.hiding import shown_text
from ragdiag.records import DEFAULT_GRADER, Grade
from ragdiag.store.findings import load_grades
from ragdiag.store.lake import Lake
from ragdiag.store.queries import Filters
from ragdiag.store.reviews import load_answered, load_asked, load_reviews
from ragdiag.ui import links, passages, terms, words
from ragdiag.ui.cached import fetch
from ragdiag.ui.safe import literal
from ragdiag.ui.story import tell
from ragdiag.ui.view import View
from ragdiag.workflows.grading.corrected_rates import CorrectedRate, correct_rate
from ragdiag.workflows.grading.reviews import (
    LABELS,
    Draw,
    Label,
    reviewer_agreement,
    reviewer_grader,
    save_label,
    withdraw_label,
)

SIZES = ("50", "20", "100", "200", "500")
MOST_PAIRS = 6
Reviews = Mapping[str, Mapping[str, Grade]]
_WORDS: Mapping[int | None, Label] = {y: label for label, y in LABELS.items()}


def choose_draw() -> Draw:
    """How the sample is drawn."""
    draws: tuple[Draw, ...] = get_args(Draw)
    return st.selectbox(
        "Drawn",
        draws,
        key="review_draw",
        bind="query-params",
        help="At random: the plain rate of labels is that of all logged answers. As many right as "
        "wrong: by the default grader, so that its mistakes show with fewer labels.",
    )


def choose_size() -> int:
    """How many answers the sample has."""
    return int(st.selectbox("Sample", SIZES, key="review_size", bind="query-params"))


def known_as(name: str) -> str:
    """How the labels call this reviewer. Raises InputError."""
    return reviewer_grader(name).partition(":")[2]


def reviews_in(lake: Lake, scope: Filters) -> dict[str, dict[str, Grade]]:
    """Every label of the answers in scope, by reviewer and request."""
    return load_reviews(lake, [one.request_id for one in load_answered(lake, scope)])


def ask(view: View, request_id: str) -> Label | None:
    """Draw one answer without what anybody makes of it; the label that was clicked."""
    story = fetch(view, tell, request_id)
    if story is None:
        st.warning("This request has left the log. Load the page anew for the next one.")
        return None
    passages.question_and_answers(story, blind=True)
    clicked: Label | None = None
    with st.container(horizontal=True, vertical_alignment="bottom"):
        for number, label in enumerate(LABELS, start=1):
            # The id in the key: a second click meant for this answer must not label the next.
            if st.button(
                label.capitalize(), key=f"review_{number}_{request_id}", shortcut=str(number)
            ):
                clicked = label
        st.text_input(
            "Note (optional)",
            key=_note_key(request_id),
            max_chars=500,
            placeholder="Note (optional), kept with your label",
            label_visibility="collapsed",
        )
    return clicked


def draw_context(view: View, request_id: str) -> None:
    """The passages that the generator was given, unfolded."""
    story = fetch(view, tell, request_id)
    if story is not None:
        st.subheader("What the answer was made from", anchor=False)
        passages.prompt_passages(story)


def keep(view: View, reviewer: str, request_id: str, label: Label) -> None:
    """Keep the label with its note, and go on to the next answer."""
    note = st.session_state.get(_note_key(request_id)) or ""
    save_label(view.lake, reviewer, request_id, label, note)
    st.rerun()


def draw_last(view: View, reviewer: str, request_id: str, reviews: Reviews) -> None:
    """What was labelled last, what the others say of it, and the way back."""
    story = fetch(view, tell, request_id)
    own = reviews[reviewer][request_id]
    others = [
        f"{name} said {_WORDS[said[request_id].y]}"
        for name, said in reviews.items()
        if name != reviewer and request_id in said
    ]
    graded = fetch(view, load_grades, DEFAULT_GRADER, [request_id])
    if request_id in graded:
        others.append(f"the default grader said {terms.grade(graded[request_id].y)}")
    told = "; ".join(others) or "nobody else has said anything"
    question = " a lost request" if story is None else f" “{shown_text(story.request.question)}”"
    told_box, undo_box, story_box = st.columns([5, 1, 2], vertical_alignment="center")
    with told_box:
        st.caption(
            literal(f"You last said {_WORDS[own.y]} of{question}. {told[0].upper()}{told[1:]}.")
        )
    with undo_box:
        if st.button("Undo", key=f"review_undo_{request_id}"):
            withdraw_label(view.lake, reviewer, request_id)
            st.rerun()
    with story_box:
        st.page_link(
            links.REQUEST, label="Its whole story →", query_params={links.REQUEST_ID: request_id}
        )


def draw_worth(view: View, reviews: Reviews, scope: Filters) -> None:
    """The rate that people would find beside the grader's own, and κ of every two reviewers."""
    st.subheader("What the labels are worth", anchor=False)
    found = fetch(view, _rate, scope) if reviews else None
    if isinstance(found, CorrectedRate):
        st.metric("Right, by the default grader", words.number(found.graded.value, "share"))
        st.caption(words.interval_only(found.graded, "share"))
        st.metric("Right, corrected", words.number(found.corrected.value, "share"))
        st.caption(literal(f"{words.interval_only(found.corrected, 'share')}, by {found.by}"))
        if found.unanswered:
            what = words.count(found.unanswered, "request")
            st.caption(f"{what} without an answer: nothing to review, wrong in the corrected rate")
    else:
        st.caption(literal(found or "No reviewer has labelled an answer here yet."))
    agreement = reviewer_agreement(reviews)
    for pair in agreement.pairs[:MOST_PAIRS]:
        st.markdown(literal(f"{pair.first} and {pair.second}"))
        st.caption(
            f"Cohen's κ {words.with_interval(pair.kappa, 'score')}; the same label "
            f"{pair.same} times of {pair.kappa.n}"
        )
    if (more := len(agreement.pairs) - MOST_PAIRS) > 0:
        told = words.count(more, "more pair")
        st.caption(f"{told} of reviewers: `ragdiag grade agreement` lists every one.")
    if reviews and agreement.reason:
        st.caption(literal(f"No Cohen's κ: {agreement.reason}."))
    for name, count in agreement.labels.items():
        decided = agreement.decided[name]
        st.caption(literal(f"{name}: {words.count(count, 'label')}, {decided} decided"))


def _rate(lake: Lake, scope: Filters) -> CorrectedRate | str:
    """The corrected rate, or why there is none."""
    try:
        return correct_rate(lake, load_asked(lake, scope), DEFAULT_GRADER)
    except UnknownName as error:
        return f"{error.message}: {error.remedy}."


def _note_key(request_id: str) -> str:
    return f"review_note_{request_id}"
