"""What the judged questions teach, over a real index and with the packaged encoder."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from ragdiag.diagnosis.levers import Lever, WorkRates
from ragdiag.records import Passage, Request
from ragdiag.settings import Workspace
from ragdiag.store.corpus import add_documents
from ragdiag.store.lake import Lake
from ragdiag.store.results import save_version
from ragdiag.version import Version, parse_spec
from ragdiag.workflows.diagnosing import learned_settings
from ragdiag.workflows.diagnosing.lever_costs import Prices
from ragdiag.workflows.diagnosing.trials import Trial, Tried
from ragdiag.workflows.diagnosing.what_if import WhatIf
from ragdiag.workflows.indexing.build import build_version_index
from tests.answered import answer

N = 60
HYBRID = Version(
    "hybrid", parse_spec("[embedder]\n[lexical]\n[generator]\nkind = 'extractive'", source="toy")
)


def learn(lake: Lake, workspace: Workspace, judged: int = N) -> Sequence[Tried | Lever]:
    """Of questions whose gold passage was found and ranked third."""
    add_documents(lake, [Passage(f"p{n}", "d", f"Item {n} is set to {n}.") for n in range(N + 3)])
    save_version(lake, HYBRID)
    build = build_version_index(lake, workspace, HYBRID)
    requests: list[Request] = [answer(n, HYBRID, rank=3) for n in range(N)]
    judgments = {f"q{n}": {f"p{n}": 1} for n in range(judged)}
    golds = {f"q{n}": (f"set to {n}",) for n in range(N)}
    what_if = WhatIf(lake, workspace, HYBRID.spec, build.build_id, judgments, golds)
    owners = [one.request_id for one in requests]
    trial = Trial(HYBRID.spec, requests, owners, set(), judgments, WorkRates(), Prices())
    return list(learned_settings.learned_settings(what_if, trial, workspace))


def test_late_interaction_is_weighed_and_tried(lake: Lake, workspace: Workspace) -> None:
    paths, late = learn(lake, workspace)
    assert isinstance(paths, Tried)
    assert isinstance(late, Tried)
    assert paths.setting.name.startswith("weight of the dense path learned: ")
    assert late.setting.name == "reranking by late interaction, first 10"
    assert late.setting.mends == ("fusion_loss", "rerank_loss")
    reranker = late.setting.spec.reranker
    assert reranker is not None
    assert (reranker.kind, reranker.model) == ("late_interaction", "all-MiniLM-L6-v2")
    found = [one.metric for one in late.found]
    assert sum(found) / N > 0.9, "from a third of that"


def test_of_a_question_without_gold_no_rank_is_known(lake: Lake, workspace: Workspace) -> None:
    _, late = learn(lake, workspace, judged=N - 5)
    assert isinstance(late, Tried)
    assert [math.isnan(one.metric) for one in late.found] == [False] * (N - 5) + [True] * 5


def test_what_cannot_be_learned_says_why(
    lake: Lake, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths, late = learn(lake, workspace, judged=49)
    for lever in (paths, late):
        assert isinstance(lever, Lever)
        assert lever.gain.reason == "not tried: 49 judged questions are too few to learn it from"
    assert late.action == "judge 50"  # type: ignore[union-attr]
    monkeypatch.setattr(learned_settings, "EMBEDDED", 10)
    _, late = learn(lake, workspace)
    assert isinstance(late, Lever)
    assert late.gain.reason is not None
    assert late.gain.reason.startswith("not tried: 63 passages are more than 10, up to which")


def test_a_mix_that_orders_nothing_better_is_not_tried(
    lake: Lake, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(WhatIf, "logits", lambda *_: [0.0] * 4)
    _, late = learn(lake, workspace)
    assert isinstance(late, Lever)
    assert late.gain.reason == "not tried: no mix of it orders 60 judged questions better"
