"""Reviewing: blind until answered, one click a label, undo, and what labels are worth."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import date

import pytest

from ragdiag.records import DEFAULT_GRADER
from ragdiag.settings import Workspace
from ragdiag.store.deciding import load_people
from ragdiag.store.lake import close_lakes, open_lake
from ragdiag.store.queries import Filters
from ragdiag.ui import words
from ragdiag.workflows.grading.reviews import draw_reviews, save_label
from tests.toy_lake import LAST_WEEK

SCOPE = {"reviewer": "Ada", "review_week": LAST_WEEK, "review_size": "20"}


@pytest.fixture
def reviewed(workspace: Workspace, toy_workspace: Workspace) -> Iterator[Workspace]:
    """The toy workspace, in which Bo has labelled two answers of the last week."""
    close_lakes(toy_workspace)  # what another test has open may not be copied
    shutil.copytree(toy_workspace.root, workspace.root)
    for name in sample(workspace)[:2]:
        save_label(open_lake(workspace), "Bo", name, "wrong")
    yield workspace
    close_lakes(workspace)


def sample(workspace: Workspace) -> list[str]:
    week = Filters(traffic="production", week=date.fromisoformat(LAST_WEEK))
    return draw_reviews(open_lake(workspace), week, 20, "at random")


def press(app, label: str):
    return next(button for button in app.button if button.label == label).click().run()


def test_an_answer_is_labelled_blind_and_the_label_taken_back(
    open_page, reviewed: Workspace, said
) -> None:
    first, second = sample(reviewed)[:2]
    app = open_page("review", reviewed, **SCOPE)
    assert not app.exception
    assert [button.label for button in app.button] == ["Correct", "Wrong", "Cannot tell"]
    before = said(app)
    assert "Gold answer" in before
    assert "What the answer was made from" in before
    assert "Bo said" not in before
    assert "default grader said" not in before
    assert "token F1 0" not in before
    assert "No Cohen's κ: only bo has labelled answers, and agreement needs two." in before
    app.text_input(key=f"review_note_{first}").set_value("right number, wrong unit")
    app = press(app, "Wrong")
    assert not app.exception
    after = said(app)
    assert "You last said wrong of “" in after
    assert "Bo said wrong; the default grader said" in after
    assert load_people(open_lake(reviewed), [first]) == {first: 0}
    assert "review_2_" + second in {button.key for button in app.button}
    notes = open_lake(reviewed).rows(
        "select reason from latest_grades where grader = 'reviewer:ada'"
    )
    assert [row["reason"] for row in notes] == ["right number, wrong unit"]
    app = press(app, "Undo")
    assert f"review_2_{first}" in {button.key for button in app.button}
    assert "You last" not in said(app)


def test_what_labels_are_worth_stands_beside(open_page, reviewed: Workspace, said) -> None:
    lake = open_lake(reviewed)
    for n, name in enumerate(sample(reviewed)):
        save_label(lake, "Ada", name, "correct" if n > 1 else "wrong")
        if n < 10:
            save_label(lake, "Bo", name, "correct" if n > 2 else "wrong")
    for name in ("Cy", "Di", "Ed"):
        save_label(lake, name, sample(reviewed)[0], "wrong")
    app = open_page("review", reviewed, **SCOPE)
    text = said(app)
    assert "4 more pairs of reviewers: `ragdiag grade agreement`" in text
    assert app.success[0].proto.title == "Done"
    assert "ada and bo" in text
    assert "the same label 9 times of 10" in text
    assert "n = 10" in text
    assert [metric.label for metric in app.metric] == [
        "Right, by the default grader",
        "Right, corrected",
    ]


def test_few_labels_are_worth_no_rate(open_page, reviewed: Workspace, said) -> None:
    app = open_page("review", reviewed, **SCOPE)
    assert app.metric[1].label == "Right, corrected"
    assert app.metric[1].value == "–"
    assert "a rate needs 20 labels, n = 2, by 2 labels of these answers" in said(app).replace(
        "\xa0", " "
    )


def test_the_rates_are_of_all_requests_as_on_overview(open_page, reviewed: Workspace, said) -> None:
    lake = open_lake(reviewed)
    graded = lake.rows(
        "select avg(y) as rate, count(*) filter (status <> 'ok') as silent from"
        " (select r.status, g.y from requests r join latest_grades g using (request_id)"
        f"  where g.grader = '{DEFAULT_GRADER}' and r.traffic = 'production'"
        "  and r.asked_at >= ?::timestamp and r.asked_at < ?::timestamp + interval 7 day)",
        [LAST_WEEK, LAST_WEEK],
    )[0]
    assert graded["silent"] > 0
    app = open_page("review", reviewed, **SCOPE)
    assert app.metric[0].value == words.number(graded["rate"], "share")
    told = said(app).replace("\xa0", " ")
    assert f"{words.count(graded['silent'], 'request')} without an answer" in told


def test_who_has_no_name_labels_nothing(open_page, reviewed: Workspace, said) -> None:
    app = open_page("review", reviewed, review_week=LAST_WEEK)
    assert not app.button
    assert "Say who you are" in said(app)
    app = open_page("review", reviewed, reviewer="x" * 41)
    assert "no reviewer's name" in said(app)
    assert not app.button


def test_a_read_only_dashboard_keeps_no_label(open_page, reviewed: Workspace, said) -> None:
    reviewed.configuration.write_text("[dashboard]\nread_only = true\n")
    app = open_page("review", reviewed, **SCOPE)
    assert not app.button
    assert "read-only" in said(app)
    assert "No reviewer has labelled" not in said(app)


def test_the_request_page_says_whose_word_it_is(open_page, reviewed: Workspace, said) -> None:
    name = sample(reviewed)[0]
    lake = open_lake(reviewed)
    own = lake.rows(
        "select y from latest_grades where grader = ? and request_id = ?", [DEFAULT_GRADER, name]
    )[0]["y"]
    save_label(lake, "Bo", name, "wrong" if own else "correct")
    save_label(lake, "Ada", name, "wrong" if own else "correct")
    text = said(open_page("request", reviewed, request_id=name))
    word = "wrong" if own else "right"
    assert f"Reviewers say that it is {word}, 2 to 0" in text
    assert "Its diagnosis is out of date" in text
    assert "ragdiag" in text
