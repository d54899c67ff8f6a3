"""What a shadow is charged with: its own failures, not the questions that it cannot look for."""

from __future__ import annotations

import time
from typing import Any

import pytest

from ragdiag.pipeline import Pipeline
from ragdiag.records import Request
from ragdiag.serve.answering import Asked
from ragdiag.serve.fleet import Served
from ragdiag.serve.shadows import Shadows
from ragdiag.version import Version, parse_spec

WORDS = Version("words", parse_spec("[lexical]\n[generator]\nkind = 'extractive'", source="toy"))


def test_a_question_that_a_shadow_would_refuse_is_no_failure_of_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    parts: Any = None  # it is refused before any of them is asked
    shadow = Served(Pipeline(WORDS, "b1", parts, parts, parts), None)
    done: list[Request] = []
    shadows = Shadows(lambda _, request, user: done.append(request))
    assert shadows.mirror(shadow, Asked("Is it C?"), 1.0)
    end = time.monotonic() + 30
    while not done and time.monotonic() < end:
        time.sleep(0.01)
    shadows.close(1.0)
    (request,) = done
    assert (request.traffic, request.status, request.answer) == ("shadow", "no_answer", "")
    assert "is one letter long" in (request.error or "")
    assert "the shadow failed" not in caplog.text
