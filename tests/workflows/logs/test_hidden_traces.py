"""Traces whose texts are not stored: what they lost is located all the same."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from ragdiag.diagnosis.waterfall import locate_loss
from ragdiag.privacy.hiding import is_hidden
from ragdiag.records import Cause, ContextHit, Request, Span
from ragdiag.spans.documents import LONGEST
from ragdiag.spans.stages import HIDDEN
from ragdiag.store.ingest import ingest
from ragdiag.store.lake import Lake
from ragdiag.store.results import load_requests
from ragdiag.store.spool import SpoolWriter
from ragdiag.workflows.logs.traces import assemble_traces

TEXTS = {"cats#0": "Cats sleep about fifteen hours a day.", "cats#1": "They hunt at dusk."}
PROMPT = "Answer from this:\n" + "\n".join(TEXTS.values())
DOCUMENTS = {
    f"retrieval.documents.{n}.document.{key}": value
    for n, (name, text) in enumerate(TEXTS.items())
    for key, value in (("id", name), ("content", text), ("score", 1 - n / 2))
}
PROMPTS: dict[str, dict[str, Any]] = {
    "a message": {"llm.input_messages.0.message.content": PROMPT},
    "an input of JSON": {"input.value": json.dumps({"messages": [{"content": PROMPT}]})},
    "parts": {
        "gen_ai.input.messages": json.dumps(
            [{"role": "user", "parts": [{"type": "text", "content": t} for t in TEXTS.values()]}]
        )
    },
    "none": {},
}


def logged(lake: Lake, prompt: dict[str, Any]) -> Request:
    """What ingest makes of a chain with a retriever and a model call."""
    at = datetime(2026, 1, 5, 12, tzinfo=UTC)
    said: tuple[dict[str, Any], ...] = (
        {"openinference.span.kind": "CHAIN", "input.value": "How long?", "output.value": "All."},
        {"openinference.span.kind": "RETRIEVER", **DOCUMENTS},
        {"openinference.span.kind": "LLM", "llm.model_name": "tiny", **prompt},
    )
    with SpoolWriter(lake.workspace) as spool:
        for number, attributes in enumerate(said, start=1):
            parent = f"{1:016x}" if number > 1 else None
            spool.write(Span("ab" * 16, f"{number:016x}", parent, "span", at, at, attributes))
    assert ingest(lake, lake.workspace).rejected == 0
    assemble_traces(lake, settle_s=0)
    (request,) = load_requests(lake)
    return request


def cause(request: Request, gold: str) -> Cause:
    texts = {**TEXTS, "cats#9": "Cats purr."}
    return locate_loss(
        request, gold=[gold], indexed=texts, texts=texts, answers=["fifteen hours"], k=2
    ).cause


@pytest.mark.parametrize("prompt", PROMPTS)
def test_gold_in_a_hidden_prompt_is_in_context(lake: Lake, prompt: str) -> None:
    lake.workspace.configuration.write_text("[privacy]\nredact = []\nstore_text = false\n")
    request = logged(lake, PROMPTS[prompt])
    assert is_hidden(request.question)
    assert request.context == (
        ContextHit("cats#0", 1.0, LONGEST),
        ContextHit("cats#1", 0.5, LONGEST),
    )
    assert request.degraded_reason == (None if prompt == "none" else HIDDEN)
    assert cause(request, "cats#0") == "in_context"
    assert cause(request, "cats#9") == "beyond_logged_depth"


@pytest.mark.parametrize("prompt", [name for name in PROMPTS if name != "none"])
def test_a_prompt_that_is_told_says_itself_what_it_held(lake: Lake, prompt: str) -> None:
    request = logged(lake, PROMPTS[prompt])
    assert request.context == (ContextHit("cats#0", 1.0, 37), ContextHit("cats#1", 0.5, 18))
    assert request.degraded_reason is None
