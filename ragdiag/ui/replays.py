"""The same generator under other contexts, side by side: the proof behind a verdict."""

from __future__ import annotations

from html import escape

import streamlit as st

from ragdiag.store.queries import Row
from ragdiag.ui import terms, words
from ragdiag.ui.passages import KEPT, LOST
from ragdiag.ui.safe import draw
from ragdiag.ui.story import Story

_EDGE = "rgba(128,128,128,.35)"


def side_by_side(story: Story) -> None:
    """Arms r and g first, then the others; where nothing was replayed, says why."""
    if not story.replays:
        st.caption(_why_not(story))
        return
    cells = "".join(_arm(story, arm) for arm in terms.ARMS if story.draws(arm))
    draw(
        "<div style='display:grid;grid-template-columns:1fr 1fr;gap:1rem;align-items:stretch'>"
        f"{cells}</div>"
    )


def _why_not(story: Story) -> str:
    if story.y == 1:
        return "Only wrong answers are replayed."
    if story.verdict is None:
        return "Not replayed yet: this request waits for its diagnosis."
    if not story.gold:
        return "Nothing to replay: no gold passage is known for this question."
    return "This request was diagnosed without a replay."


def _arm(story: Story, arm: str) -> str:
    draws = story.draws(arm)
    right = sum(draw["y"] == 1 for draw in draws)
    graded = [draw for draw in draws if draw["y"] is not None]
    if not graded:
        word, colour = "not graded", "inherit"
    elif right == len(graded):
        word, colour = "correct", KEPT
    elif right == 0:
        word, colour = "wrong", LOST
    else:
        word, colour = f"correct {right} of {len(graded)} times", "inherit"
    answers = list(dict.fromkeys(draw["answer"] or "(no answer)" for draw in draws))
    body = "<hr style='margin:.4rem 0;opacity:.3'>".join(
        f"<div style='white-space:pre-wrap;overflow-wrap:anywhere'>{escape(answer)}</div>"
        for answer in answers
    )
    return (
        f"<div style='border:1px solid {_EDGE};border-left:4px solid "
        f"{_EDGE if colour == 'inherit' else colour};border-radius:.5rem;padding:.6rem .8rem'>"
        f"<div style='font-size:.75rem;opacity:.7;margin-bottom:.15rem'>Answer "
        f"{escape(terms.ARMS[arm])} <code>{escape(arm)}</code>: "
        f"<b style='color:{colour}'>{word}</b>{_score(graded)}</div>{body}"
        f"<div style='font-size:.75rem;opacity:.6;margin-top:.35rem'>{_context(story, draws[0])}"
        "</div></div>"
    )


def _score(graded: list[Row]) -> str:
    scores = [draw["score"] for draw in graded if draw["score"] is not None]
    return f", token F1 {max(scores):.2f}" if scores else ""


def _context(story: Story, draw: Row) -> str:
    given = draw["passage_ids"] or ()
    gold = sum(passage in story.gold for passage in given)
    return f"{words.count(len(given), 'passage')} in the prompt, {gold} of them gold"
