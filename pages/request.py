"""Request: the story of one question."""

import streamlit as st

from ragdiag.store.queries import version_names
from ragdiag.ui import (
    charts,
    frame,
    grader_note,
    identifiers,
    influence,
    links,
    passage_facts,
    passages,
    replays,
    sentences,
    tables,
    terms,
    words,
)
from ragdiag.ui.cached import fetch
from ragdiag.ui.commands import diagnose_command
from ragdiag.ui.safe import literal
from ragdiag.ui.story import tell
from ragdiag.ui.verdict_text import verdict_sentences

view = frame.begin("Request", "Decide whether the verdict on this one request is right.")


def find_another(message: str) -> None:
    """Say what is wrong with the address, and offer the ways on."""
    st.warning(literal(message))
    with st.form("find", border=False):
        given = st.text_input("Request id", max_chars=links.LONGEST_ID)
        if st.form_submit_button("Open") and (given or "").strip():
            links.open_request((given or "").strip())
    st.page_link(links.TRIAGE, label="Choose one in Triage →")
    st.stop()


try:
    request_id = links.asked_request_id()
except ValueError as error:
    find_another(f"{error}.".capitalize())
if request_id is None:
    find_another("No request is chosen yet. Open one from Triage, or by its id.")
story = fetch(view, tell, request_id)
if story is None:
    find_another(f"There is no request “{request_id}” in this workspace.")
request = story.request

name = fetch(view, version_names).get(request.version_id, request.version_id)
passages.question_and_answers(story)
st.caption(
    literal(
        f"Answered by {name}, {request.traffic}, {words.moment(request.asked_at)}. "
        f"{grader_note.whose_word(view, story)}"
    )
)
verdict = verdict_sentences(story)
box = st.success if story.y == 1 else st.error if story.y == 0 else st.info
box("  \n".join(literal(sentence) for sentence in verdict[1:]) or " ", title=literal(verdict[0]))
if story.outdated or story.failed_arms or (story.verdict is None and story.y != 1):
    st.code(diagnose_command(view, request.version_id, request.traffic), language="bash")

if story.opinions:
    st.subheader("Other graders", anchor=False)
    tables.show(
        {
            "Grader": [row["grader"] for row in story.opinions],
            "Says": [terms.grade(row["y"]) for row in story.opinions],
            "Score": [row["score"] for row in story.opinions],
            "Why": [row["reason"] or row["status"] for row in story.opinions],
            "Against people": [grader_note.note(view, row["grader"]) for row in story.opinions],
        },
        key="opinions",
    )

st.subheader("Sentence by sentence: does the context support it?", anchor=False)
sentences.draw(view, story)

st.subheader("Where the gold passage went", anchor=False)
passages.waterfall(story)

st.subheader("Retrieved context against gold context", anchor=False)
replays.side_by_side(story)

st.subheader("Which passage moved the answer", anchor=False)
influence.draw(view, story)

st.subheader("Passages at every stage", anchor=False)
passages.stage_tabs(story)

st.subheader("The prompt's passages and the question", anchor=False)
passage_facts.draw(view, story)

left, right = st.columns(2, gap="large")
with left:
    st.subheader("Latency by stage", anchor=False)
    if request.latency_ms:
        charts.show(charts.stage_times(request.latency_ms), key="times", alt="Latency by stage, ms")
    else:
        st.caption("No stage was timed.")
with right:
    st.subheader("Feedback", anchor=False)
    if story.feedback:
        tables.show(
            {
                "When (UTC)": [row["given_at"] for row in story.feedback],
                "What": [terms.feedback(row["kind"], row["value"]) for row in story.feedback],
                "Passage": [row["passage_id"] or "" for row in story.feedback],
            },
            key="feedback",
        )
    else:
        st.caption("No user said anything about this answer.")

with st.expander("Identifiers and settings"):
    identifiers.draw(story, name)
