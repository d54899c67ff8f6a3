"""A request's identifiers, settings and costs, and the evidence behind its verdict."""

from __future__ import annotations

import streamlit as st

from ragdiag.ui import tables, words
from ragdiag.ui.story import Story


def draw(story: Story, version_name: str) -> None:
    request = story.request
    facts = {
        "request_id": request.request_id,
        "asked": words.moment(request.asked_at),
        "version": f"{version_name} ({request.version_id})",
        "index build": request.build_id or "not logged",
        "traffic": request.traffic,
        "topic": request.topic or "none",
        "question_id": request.question_id or "no question of the workspace",
        "logged depth": "whole lists"
        if request.logged_depth is None
        else str(request.logged_depth),
        "searched depth": str(request.searched_depth),
        "tokens (prompt, completion)": ", ".join(
            "not counted" if n is None else f"{n:,}"
            for n in (request.prompt_tokens, request.completion_tokens)
        ),
        "cost": "not known" if request.cost_usd is None else f"{request.cost_usd:.6f} US$",
    }
    tables.show({"Name": list(facts), "Value": list(facts.values())}, key="facts")
    if story.evidence:
        st.json(dict(story.evidence), expanded=False)
