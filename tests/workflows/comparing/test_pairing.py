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
from tests.answered import NEW, OLD, answer, fill_corpus, log


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
