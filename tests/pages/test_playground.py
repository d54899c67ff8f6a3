"""A question asked on the page: answered by real processes, told stage by stage, never logged."""

from __future__ import annotations

import pytest

from ragdiag.settings import Workspace
from ragdiag.store.lake import Lake
from ragdiag.store.results import save_version
from ragdiag.version import Version, parse_spec
from ragdiag.workflows.indexing.build import release_index

QUESTION = "How long does the Moon take around the Earth?"
BRIEF = "[lexical]\n[context]\nk = 1\n[generator]\nkind = 'extractive'"


@pytest.fixture
def two(corpus: Lake, workspace: Workspace, version: Version) -> Workspace:
    """Two versions over one build: ``lexical``, and ``brief`` with one passage in its prompt."""
    save_version(corpus, Version("brief", parse_spec(BRIEF, source="toy")))
    release_index(corpus, workspace, version, by="test")
    return workspace


def test_a_link_asks_two_versions_side_by_side(open_page, two, corpus, said) -> None:
    app = open_page("playground", two, q=QUESTION, a="lexical", b="brief")
    assert not app.exception
    text = said(app)
    assert "The prompts share 1 of 2 passages." in text
    assert "Gold in the prompt: lexical has it at rank 1, brief has it at rank 1." in text
    assert "citing" in text
    assert "twenty-seven days" in text
    assert "★ gold" in text
    assert "cited" in text
    labels = [tab.label for tab in app.tabs]
    stages = ["Gold passages", "Prompt context", "Fused list", "Lexical candidates"]
    assert labels == 2 * stages
    assert len(app.get("plotly_chart")) == 2
    assert corpus.rows("select count(*) as n from requests") == [{"n": 0}]


def test_asking_puts_the_question_into_the_address(open_page, two, said) -> None:
    app = open_page("playground", two)
    assert "not logged" in said(app)
    app.text_area(key="ask_q").set_value("What is glass made of?")
    app.selectbox(key="ask_a").set_value("brief")
    app = app.button[0].click().run()
    assert not app.exception
    assert "sand, soda and lime" in said(app)
    assert app.query_params == {"q": "What is glass made of?", "a": "brief", "b": "nobody"}


def test_what_cannot_be_asked_says_why(open_page, two, corpus, said) -> None:
    unbuilt = BRIEF.replace("[lexical]", "[lexical]\nk1 = 2")
    save_version(corpus, Version("unbuilt", parse_spec(unbuilt, source="toy")))
    app = open_page("playground", two, q=QUESTION, a="unbuilt")
    assert not app.exception
    assert "version unbuilt has no index build" in said(app)


def test_an_empty_question_asks_nobody(open_page, two, said) -> None:
    app = open_page("playground", two, q="  ", a="lexical")
    assert not app.exception
    assert "The question is empty" in said(app)


def test_a_link_to_a_version_that_is_not_there_asks_nobody_by_itself(open_page, two, said) -> None:
    app = open_page("playground", two, q=QUESTION, a="<b>nobody</b>", b="gone")
    assert not app.exception
    text = said(app)
    assert "There is no version “<b>nobody</b>” here; chosen is brief." in text
    assert "There is no version “gone” here; chosen is nobody." in text
    assert "twenty-seven days" not in text
    assert app.text_area(key="ask_q").value == QUESTION
    assert app.selectbox(key="ask_a").value == "brief"
    app = app.button[0].click().run()
    assert not app.exception
    assert "twenty-seven days" in said(app)


def test_what_nobody_types_is_dropped_from_the_question(open_page, two, said) -> None:
    app = open_page("playground", two, q="\0")
    assert not app.exception
    assert "The question is empty" in said(app)
    app = open_page("playground", two, q=f"\0{QUESTION}\x1b", a="lexical")
    assert not app.exception
    assert app.text_area(key="ask_q").value == QUESTION
    assert "twenty-seven days" in said(app)
