"""One request drawn: question and answers, the gold's way through the stages, the passages.

Everything here is escaped HTML in the page's own colours (``currentColor``), so that it reads on
light and dark alike and hostile text stays text.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import streamlit as st

from ragdiag.metrics.refusals import declines
from ragdiag.privacy.hiding import shown_text
from ragdiag.records import ContextHit, Hit
from ragdiag.ui import terms, words
from ragdiag.ui.palette import BLUE, GOLD, GREEN, RED
from ragdiag.ui.safe import draw
from ragdiag.ui.story import Story

SHOWN = 10
"""Passages drawn for each stage; evaluations log a hundred."""

LOST = RED
KEPT = GREEN
_EDGE = "rgba(128,128,128,.35)"
_LABEL = "font-size:.75rem;opacity:.7;margin-bottom:.15rem"
_CARD = f"border:1px solid {_EDGE};border-radius:.5rem;padding:.6rem .8rem"


def question_and_answers(story: Story, *, blind: bool = False) -> None:
    """The question, then answer and gold answer beside each other; ``blind`` does not tell what
    anybody makes of the answer."""
    request = story.request
    marks = {1: ("correct", KEPT), 0: ("wrong", LOST), None: ("not graded", "inherit")}
    mark = marks[story.y]
    status = {"no_answer": "declined to answer", "error": "failed to answer"}.get(request.status)
    if not (status or blind) and declines(request.answer):
        status = "declines in words"
    f1 = "" if blind or story.score is None else f", token F1 {story.score:.2f}"
    given = shown_text(request.answer or request.error or "") or f"({status or 'empty'})"
    opinion = "" if blind else f": <b style='color:{mark[1]}'>{mark[0]}</b>"
    edge = BLUE if blind else mark[1]
    gold = " · or · ".join(map(shown_text, story.gold_answers)) or "no gold answer is known"
    draw(
        f"<div style='font-size:1.25rem;font-weight:600;margin-bottom:.7rem'>"
        f"{escape(shown_text(request.question))}</div>"
        "<div style='display:grid;grid-template-columns:1fr 1fr;gap:1rem'>"
        + answer_card(
            f"Answer given{opinion}{escape(f1)}{escape(', ' + status if status else '')}",
            given,
            edge,
        )
        + answer_card("Gold answer", gold, GOLD)
        + "</div>"
    )


def waterfall(story: Story, *, with_index: bool = True) -> None:
    """A card for each stage in order: the best gold passage's rank, and where it was lost.
    ``with_index`` begins with whether the index has it, which a diagnosis tells."""
    if not story.gold:
        st.caption("No gold passage is known for this question, so its way cannot be followed.")
        return
    cards = [_index_card(story)] if with_index else []
    lost = story.verdict is not None and story.verdict["cause"] == "corpus_gap"
    for stage, hits in story.stages.items():
        cards.append(_stage_card(story, stage, hits, lost))
        lost = lost or (stage not in ("lexical", "dense") and story.rank(stage) is None)
    arrow = "<div style='align-self:center;opacity:.5'>→</div>"
    draw(
        "<div style='display:flex;flex-wrap:wrap;gap:.5rem'>" + arrow.join(cards) + "</div>"
        f"<div style='{_LABEL};margin-top:.4rem'>Rank of the best of "
        f"{words.count(len(story.gold), 'gold passage')}; 1 is the top.</div>"
    )


def stage_tabs(story: Story) -> None:
    """The passages of each stage, gold and cited ones marked; a click unfolds the whole text."""
    lists: dict[str, tuple[Sequence[Hit | ContextHit], str]] = {
        terms.STAGES[stage]: (story.stages[stage], "score")
        for stage in reversed(list(story.stages))
    }
    if story.gold:
        gold = [Hit(passage, float(grade)) for passage, grade in story.gold.items()]
        lists = {"Gold passages": (gold, "grade"), **lists}
    for tab, (hits, measure) in zip(st.tabs(list(lists)), lists.values(), strict=True):
        with tab:
            _list(story, hits, measure)


def prompt_passages(story: Story) -> None:
    """The passages that the answer was made from, unfolded; gold and cited ones marked."""
    _list(story, story.stages.get("context", ()), "score", unfolded=True)


def answer_card(title: str, text: str, colour: str) -> str:
    """A box with a coloured edge; ``title`` is HTML, ``text`` is escaped."""
    return (
        f"<div style='{_CARD};border-left:4px solid {colour}'>"
        f"<div style='{_LABEL}'>{title}</div>"
        f"<div style='white-space:pre-wrap;overflow-wrap:anywhere'>{escape(text)}</div></div>"
    )


def _index_card(story: Story) -> str:
    if story.verdict is None:
        return _card("Index", "not checked", "needs a diagnosis", "inherit")
    gap = story.verdict["cause"] == "corpus_gap"
    return (
        _card("Index", "missing", "not in the build that served", LOST)
        if gap
        else _card("Index", "present", "in the build that served", KEPT)
    )


def _stage_card(story: Story, stage: str, hits: Sequence[Hit | ContextHit], lost: bool) -> str:
    rank = story.rank(stage)
    depth = f"of {len(hits)} logged" if stage != "context" else f"of {len(hits)} in the prompt"
    if rank is not None:
        cut = _cut_note(story, stage, hits[rank - 1])
        harmed = bool(cut) and story.verdict is not None and story.verdict["cause"] == "packing"
        return _card(terms.STAGES[stage], f"rank {rank}", cut or depth, LOST if harmed else KEPT)
    if lost:
        return _card(terms.STAGES[stage], "–", "lost before", "inherit")
    if stage in ("lexical", "dense"):
        return _card(terms.STAGES[stage], "not found", depth, "inherit")
    return _card(terms.STAGES[stage], "lost here", depth, LOST)


def _cut_note(story: Story, stage: str, hit: Hit | ContextHit) -> str:
    """How much of the gold passage the prompt kept, where that is not all of it."""
    if stage != "context" or not isinstance(hit, ContextHit):
        return ""
    whole = len((story.passages.get(hit.passage_id) or {}).get("text") or "")
    return f"cut to {hit.chars:,} of {whole:,} characters" if hit.chars < whole else ""


def _card(title: str, value: str, note: str, colour: str) -> str:
    edge = _EDGE if colour == "inherit" else colour
    return (
        f"<div style='{_CARD};border-top:4px solid {edge};min-width:8.5rem;flex:1'>"
        f"<div style='{_LABEL}'>{escape(title)}</div>"
        f"<div style='font-weight:600;color:{colour}'>{escape(value)}</div>"
        f"<div style='font-size:.75rem;opacity:.7'>{escape(note)}</div></div>"
    )


def _list(
    story: Story, hits: Sequence[Hit | ContextHit], measure: str, *, unfolded: bool = False
) -> None:
    if not hits:
        st.caption("Nothing here.")
        return
    draw(
        "".join(
            _passage(story, n, hit, measure, unfolded)
            for n, hit in enumerate(hits[:SHOWN], start=1)
        )
    )
    hidden = [
        f"{n} ({hit.passage_id})"
        for n, hit in enumerate(hits[SHOWN:], start=SHOWN + 1)
        if hit.passage_id in story.gold
    ]
    if len(hits) > SHOWN:
        gold = f" Gold further down: rank {escape(', '.join(hidden))}." if hidden else ""
        draw(f"<div style='{_LABEL}'>{len(hits) - SHOWN} more were logged.{gold}</div>")


def _passage(story: Story, rank: int, hit: Hit | ContextHit, measure: str, unfolded: bool) -> str:
    found = story.passages.get(hit.passage_id)
    text = (found or {}).get("text") or "Its text is neither in the corpus nor in the log."
    kept = text[: hit.chars] if isinstance(hit, ContextHit) else text
    cut = text[len(kept) :]
    gold = hit.passage_id in story.gold
    badge = f"<b style='color:{GOLD}'>★ gold</b> " if gold else ""
    if hit.passage_id in story.request.citations:
        badge += f"<b style='color:{BLUE}'>cited</b> "
    title = (found or {}).get("title") or ""
    state, start = "open ", ""
    if not unfolded:
        state, start = "", f", {escape(' '.join(kept.split())[:150])} …"
    edge = f"border-left:4px solid {GOLD}" if gold else f"border-left:4px solid {_EDGE}"
    dropped = f"<span style='opacity:.45;text-decoration:line-through'>{escape(cut)}</span>"
    return (
        f"<details {state}style='{edge};padding:.25rem .7rem;margin-bottom:.3rem'>"
        f"<summary style='cursor:pointer'><b>{rank}</b> {badge}"
        f"<code style='font-size:.8rem'>{escape(hit.passage_id)}</code> {escape(title)} "
        f"<span style='opacity:.65'>{measure} {hit.score:.3g}{start}</span></summary>"
        f"<div style='white-space:pre-wrap;overflow-wrap:anywhere;padding:.4rem 0'>"
        f"{escape(kept)}{dropped if cut else ''}</div></details>"
    )
