"""A question asked on a page: who is asked in the address, and one answer drawn stage by stage."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape

import streamlit as st

from ragdiag.errors import HelperEnded
from ragdiag.records import Request
from ragdiag.store.judgments import find_question
from ragdiag.store.lake import Lake
from ragdiag.ui import charts, passages, stale, words
from ragdiag.ui.answerer import ask_each
from ragdiag.ui.palette import BLUE, RED
from ragdiag.ui.safe import draw, literal
from ragdiag.ui.story import Story, compose
from ragdiag.ui.view import View

NOBODY = "nobody"
LONGEST_QUESTION = 2000
_ANSWERS = "playground_answers"
_UNTYPED = ("Cc", "Cs")
"""Control characters and halves of surrogate pairs."""


@dataclass(frozen=True)
class Asked:
    """A question and the names of the versions that are to answer it: one or two."""

    question: str
    names: tuple[str, ...]


def form(names: Sequence[str]) -> Asked | None:
    """The form, filled from the address (``q``, ``a``, ``b``); None until something is asked.

    Asking puts question and versions into the address, so that a link asks again; one that names a
    version which is not here asks nobody by itself.
    """
    given = st.query_params
    others = [NOBODY, *names]
    with st.form("ask"):
        question = st.text_area(
            "Question",
            _typed(given.get("q", ""))[:LONGEST_QUESTION],
            max_chars=LONGEST_QUESTION,
            height=80,
            key="ask_q",
        )
        boxes = st.columns([1, 1, 1, 1], vertical_alignment="bottom")
        with boxes[0]:
            a = st.selectbox(
                "Asked", names, index=_place(names, given.get("a"), len(names) - 1), key="ask_a"
            )
        with boxes[1]:
            b = st.selectbox(
                "And beside it", others, index=_place(others, given.get("b"), 0), key="ask_b"
            )
        with boxes[2]:
            pressed = st.form_submit_button("Ask", type="primary")
    question = _typed(question).strip()
    if pressed:
        st.session_state.pop(_ANSWERS, None)
        st.query_params.from_dict({"q": question, "a": a, "b": b})
    else:
        chosen = {"a": (names, names[-1]), "b": (others, NOBODY)} if names else {}
        stale_links = [
            stale.tell_unknown(key, known, "version", f"chosen is {usual}")
            for key, (known, usual) in chosen.items()
        ]
        if not given.get("q") or any(stale_links):
            return None
    if not question:
        st.warning("The question is empty.")
        return None
    return Asked(question, (a,) if b in (NOBODY, a) else (a, b))


def _typed(text: str) -> str:
    """Without what nobody types, such as a NUL in an address, which no log can keep."""
    return "".join(
        sign for sign in text if sign.isspace() or unicodedata.category(sign) not in _UNTYPED
    )


def answers(view: View, asked: Asked, ids: Mapping[str, str]) -> list[Request | HelperEnded]:
    """One for each name; kept for the session, so that a look around the page asks nobody again."""
    key = (str(view.workspace.root), asked)
    kept = st.session_state.get(_ANSWERS)
    if kept is None or kept[0] != key:
        with st.spinner(
            "Asking … The first question to a version loads its model, which takes some seconds.",
            show_time=True,
        ):
            found = ask_each(view.workspace, [ids[name] for name in asked.names], asked.question)
        kept = (key, found)
        st.session_state[_ANSWERS] = kept
    return list(kept[1])


def tell_asked(lake: Lake, request: Request) -> Story:
    """The story of a request that is not in the log: gold is known where the question is."""
    return compose(lake, replace(request, question_id=find_question(lake, request.question)))


def side(story: Story, name: str, key: str) -> None:
    """One version's answer and the way to it."""
    request = story.request
    st.subheader(literal(name), anchor=False)
    kept = " Answered from the cache." if request.cache_hit else ""
    st.caption(literal(f"Build {request.build_id}.{kept}"))
    if request.degraded_reason:
        st.warning(literal(request.degraded_reason), title="Answered with less than all its parts")
    if request.status == "error" and request.error:
        st.error(literal(request.error), title="The generator failed")
    cited = ", ".join(request.citations)
    answer = request.answer or "(it declined to answer)"
    title = f"Answer{escape(f', citing {cited}' if cited else ', without a citation')}"
    draw(passages.answer_card(title, answer, RED if request.status == "error" else BLUE))
    charts.show(
        charts.stage_times(request.latency_ms), key=f"times-{key}", alt="Latency by stage, ms"
    )
    if story.gold:
        passages.waterfall(story, with_index=False)
    passages.stage_tabs(story)


def sentence(asked: Asked, stories: Sequence[Story]) -> str:
    """What tells two answers apart, or what one answer is."""
    times = [
        f"{name} {words.number(story.request.latency_ms['total'], 'ms')}"
        for name, story in zip(asked.names, stories, strict=True)
    ]
    gold = [_gold(name, story) for name, story in zip(asked.names, stories, strict=True)]
    told = [f"Took: {', '.join(times)}."]
    if any(story.gold for story in stories):
        told.append(f"Gold in the prompt: {', '.join(gold)}.")
    else:
        told.append("No gold passage is known for this question.")
    if len(stories) == 2:
        first, second = (story.request for story in stories)
        prompts = [{hit.passage_id for hit in one.context} for one in (first, second)]
        same = "The same answer" if first.answer == second.answer else "Different answers"
        shared, together = len(prompts[0] & prompts[1]), len(prompts[0] | prompts[1])
        share = f"The prompts share {shared} of {words.count(together, 'passage')}."
        told = [f"{same}.", share, *told]
    return " ".join(told)


def _gold(name: str, story: Story) -> str:
    rank = story.rank("context")
    return f"{name} {'does not have it' if rank is None else f'has it at rank {rank}'}"


def _place(options: Sequence[str], wanted: str | None, otherwise: int) -> int:
    return options.index(wanted) if wanted in options else otherwise
