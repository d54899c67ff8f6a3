"""Two versions' evaluations, question by question: the latest of each, of what both were asked."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from ragdiag.errors import UnknownName
from ragdiag.settings import Workspace
from ragdiag.store.corpus import load_questions
from ragdiag.store.lake import close_lakes
from ragdiag.workflows.comparing.pairing import pair_evaluations
from tests.answered import MONDAY, NEW, OLD, answer, fill_corpus, log

EVENING = MONDAY + timedelta(hours=10)


def test_the_latest_requests_of_the_questions_asked_of_both_are_paired(
    workspace: Workspace,
) -> None:
    lake = fill_corpus(workspace)
    with pytest.raises(UnknownName, match=f"{OLD.name} has no evaluation of split 'test'"):
        pair_evaluations(lake, OLD, NEW, "test")
    early, late = answer(7, NEW, rank=1, right=True), answer(7, NEW, rank=2, right=False)
    late = replace(late, request_id="late", asked_at=early.asked_at + timedelta(days=1))
    alone = answer(9, OLD, rank=1, right=True)
    others = [answer(n, one, rank=1, right=True) for n in (5, 3) for one in (OLD, NEW)]
    log(lake, workspace, [answer(7, OLD, rank=1, right=True), late, early, alone, *others])
    paired = pair_evaluations(lake, OLD, NEW, "test")
    assert list(paired.questions) == ["q3", "q5", "q7"]
    assert paired.second["q7"].request_id == "late"
    assert paired.size == len(load_questions(lake, "test")) > 3
    assert set(paired.first) == {*paired.questions, "q9"}
    assert paired.first["q9"] == alone
    assert len(set(paired.owners)) == len(paired.owners) == 3
    close_lakes()


def test_only_requests_for_the_same_asker_are_paired(workspace: Workspace) -> None:
    lake = fill_corpus(workspace)
    asked = [
        answer(1, OLD),
        answer(1, OLD, tenant="acme"),
        answer(1, NEW),
        answer(2, OLD, roles=("b", "a"), only_topics=("x",)),
        answer(2, NEW, roles=("a", "b"), only_topics=("x",)),
        answer(3, OLD),
        answer(3, NEW, only_since=MONDAY),
    ]
    later = [
        replace(one, request_id=f"r{n}", asked_at=MONDAY + timedelta(hours=n))
        for n, one in enumerate(asked)
    ]
    log(lake, workspace, later)
    paired = pair_evaluations(lake, OLD, NEW, "test")
    assert list(paired.questions) == ["q1", "q2"]
    assert (paired.first["q1"].request_id, paired.second["q1"].request_id) == ("r0", "r2")
    assert paired.unpaired == 1
    log(lake, workspace, [answer(1, NEW, request_id="r9", tenant="acme", asked_at=EVENING)])
    paired = pair_evaluations(lake, OLD, NEW, "test")
    assert (paired.first["q1"].request_id, paired.second["q1"].request_id) == ("r1", "r9")
    close_lakes()


def test_versions_evaluated_for_different_askers_only_are_not_compared(
    workspace: Workspace,
) -> None:
    lake = fill_corpus(workspace)
    log(lake, workspace, [answer(1, OLD), answer(1, NEW, tenant="acme")])
    with pytest.raises(UnknownName, match="for different tenants, roles or filters") as raised:
        pair_evaluations(lake, OLD, NEW, "test")
    assert "ragdiag evaluate VERSION --split test with the same --tenant" in str(
        raised.value.remedy
    )
    close_lakes()
