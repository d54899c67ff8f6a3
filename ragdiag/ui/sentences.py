"""An answer sentence by sentence: which the context supports, by what, and who says so."""

from __future__ import annotations

import streamlit as st

from ragdiag.privacy.hiding import is_hidden
from ragdiag.records import SentenceSupport
from ragdiag.retrieval.text import split_sentences
from ragdiag.store.rows import sentences_from
from ragdiag.ui import grader_note, tables, words
from ragdiag.ui.safe import literal
from ragdiag.ui.story import Story
from ragdiag.ui.view import View

JUDGES_EACH = "grounded_"
"""Begins the names of graders that judge every sentence."""


def draw(view: View, story: Story) -> None:
    """A table with a column for each grader that judged the sentences; else how to have it done."""
    about = [row for row in story.opinions if row["grader"].startswith(JUDGES_EACH)]
    if not about:
        st.caption(
            "No grader has judged the sentences of this answer: `ragdiag grade run VERSION "
            "--grader grounded_lexical`, or `grounded_encoder`, or `grounded_judge:MODEL`."
        )
        return
    answer = story.request.answer
    sentences = [] if is_hidden(answer) else split_sentences(answer)
    columns, notes = {"Sentence": sentences}, []
    for row in about:
        told = sentences_from(row["sentences"])
        if told and len(told) == len(sentences):
            columns[row["grader"]] = [said_of(one) for one in told]
            held = sum(one.supported for one in told)
            said = f"{held} of {words.count(len(told), 'sentence')} supported"
            notes.append(f"{said}. {grader_note.note(view, row['grader'])}")
        else:
            notes.append(f"{row['grader']}: {_why_none(row['y'], row['reason'], len(told))}.")
    if len(columns) > 1:
        tables.show(columns, key="sentences")
    for note in notes:
        st.caption(literal(note))


def said_of(one: SentenceSupport) -> str:
    """One cell.

    >>> said_of(SentenceSupport(True, 0.834, "p1")), said_of(SentenceSupport(False, None, None))
    ('supported, 0.83, most by p1', 'not supported')
    """
    said = ["supported" if one.supported else "not supported"]
    said += [] if one.score is None else [f"{one.score:.2f}"]
    said += [] if one.passage_id is None else [f"most by {one.passage_id}"]
    return ", ".join(said)


def _why_none(y: int | None, reason: str, judged: int) -> str:
    """Why a grader has no column."""
    if y is None:
        return reason or "undecided"
    if judged:
        return f"judged {judged} sentences, and the answer is cut into others by now"
    return "graded the answer before sentences were kept; `grade run --again` grades it anew"
