"""A prompt's passages beside the question: judged, near, overlapping, said twice, found by whom."""

from __future__ import annotations

import math

import streamlit as st

from ragdiag.diagnosis.passage_facts import (
    ContextFacts,
    PassageFacts,
    context_facts,
    dense_scores_are_cosines,
)
from ragdiag.privacy.hiding import is_hidden
from ragdiag.store.queries import gold_of
from ragdiag.store.results import find_served_version
from ragdiag.ui import tables, words
from ragdiag.ui.cached import fetch
from ragdiag.ui.safe import literal
from ragdiag.ui.story import Story
from ragdiag.ui.view import View

COLUMNS = {
    "Cosine to the question": (
        "Of the embeddings",
        "the dense path did not return the passage, or its scores are no cosines",
    ),
    "Question's words in it": (
        "Share of the question's words, without stop words",
        "the passage's text is not stored, or the question has no such word",
    ),
    "Found by": ("Its rank in each path's list", "neither list was logged, or has it"),
    "Nearly the same as": ("An earlier passage of the prompt", "there is none"),
}
"""What a column tells, and what its dash means."""


def draw(view: View, story: Story) -> None:
    """What stands out, in words; then a row for each passage."""
    request = story.request
    if not request.context:
        st.caption("Nothing was in the prompt.")
        return
    judged = fetch(view, gold_of, request.question_id)["grades"] if request.question_id else {}
    known = {name: (row or {}).get("text") or "" for name, row in story.passages.items()}
    found = context_facts(
        request,
        {name: text for name, text in known.items() if text and not is_hidden(text)},
        judged,
        cosines=dense_scores_are_cosines(fetch(view, find_served_version, request.version_id).spec),
    )
    st.markdown("\n".join(f"- {literal(sentence)}" for sentence in sentences(found)))
    rows = found.passages
    tables.show(
        {
            "Rank": list(range(1, len(rows) + 1)),
            "Passage": [row.passage_id for row in rows],
            "Judged": [_judged(row) for row in rows],
            "Cosine to the question": [
                None if row.cosine is None else round(row.cosine, 3) for row in rows
            ],
            "Question's words in it": [
                None if math.isnan(row.overlap) else f"{row.overlap:.0%}" for row in rows
            ],
            "Found by": [_paths(row) for row in rows],
            "Nearly the same as": [row.repeats for row in rows],
        },
        key="passage_facts",
        config={
            title: st.column_config.Column(help=f"{meaning}; a dash: {unknown}")
            for title, (meaning, unknown) in COLUMNS.items()
        },
    )


def sentences(found: ContextFacts) -> list[str]:
    """What stands out among the passages of a prompt; the precision always."""
    told = []
    total = len(found.passages)
    if math.isnan(found.precision):
        told.append("No passage was judged for this question, so precision is not known.")
    else:
        right = sum((one.grade or 0) > 0 for one in found.passages)
        judged = sum(one.grade is not None for one in found.passages)
        bound = "" if judged == total else f"; only {judged} were judged, so it may be more"
        told.append(
            f"precision@{total} is {found.precision:.2f}: {right} of "
            f"{words.count(total, 'passage')} in the prompt {'is' if right == 1 else 'are'} "
            f"judged relevant{bound}."
        )
    for one in found.passages:
        if one.similar_but_irrelevant:
            told.append(
                f"{one.passage_id} is similar to the question (cosine {one.cosine:.2f}) but judged "
                "irrelevant."
            )
        if one.repeats is not None:
            told.append(f"{one.passage_id} says nearly the same as {one.repeats}.")
    return told


def _judged(row: PassageFacts) -> str:
    if row.grade is None:
        return "not judged"
    return f"relevant ({row.grade})" if row.grade > 0 else "irrelevant"


def _paths(row: PassageFacts) -> str:
    return ", ".join(f"{path} at {rank}" for path, rank in row.ranks.items()) or "–"
