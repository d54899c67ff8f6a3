"""A judge behind a server on 127.0.0.1."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ragdiag.configuration import JudgeTable
from ragdiag.grading.judge import Judge
from ragdiag.grading.judge_cache import JudgeCache
from ragdiag.grading.rubrics import CorrectRubric, Rubric
from tests.faulty_server import FaultyServer

Judged = Callable[..., Judge]


@pytest.fixture
def judge(faulty_server: FaultyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Judged:
    """``judge(prompt_price=2)`` opens one with an empty cache; the same call, the same cache."""
    monkeypatch.setenv("RAGDIAG_TEST_KEY", "sk-test")
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        # a proxy of this machine must not stand between the test and its own server
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)

    def opened(rubric: Rubric | None = None, **settings: Any) -> Judge:
        table = JudgeTable(
            base_url=faulty_server.base_url,
            api_key_env="RAGDIAG_TEST_KEY",
            **{"retries": 0, "timeout_s": 5.0, **settings},
        )
        return Judge("m", rubric or CorrectRubric(), table, JudgeCache(tmp_path / "cache"))

    return opened


def completion(reply: object, **extra: object) -> dict[str, Any]:
    """A completion whose content is ``reply``: text as it is, else JSON."""
    content = reply if isinstance(reply, str) else json.dumps(reply)
    return {"choices": [{"message": {"content": content}}], **extra}


CORRECT = {"reason": "the same number", "verdict": "correct"}
