"""One request as a story."""

from __future__ import annotations

import json

import pytest

from ragdiag.settings import Workspace
from ragdiag.store.lake import Lake
from ragdiag.ui import jobs
from ragdiag.version import Version
from ragdiag.workflows.diagnosing.influence import open_subject, weigh_by_leaving_out
from tests.toy_lake import HOSTILE_REQUEST
from tests.weighed import log_tea


@pytest.fixture
def asked(corpus: Lake, workspace: Workspace, version: Version) -> Workspace:
    """Holds the request ``weighed``, which nobody has weighed yet."""
    log_tea(corpus, workspace, version)
    return workspace


def test_a_packing_fault_is_told_with_its_proof(open_page, toy_workspace, said) -> None:
    text = said(open_page("request", toy_workspace, request_id="p-10-05"))
    assert "Prompt packing is the cause" in text
    assert "the fused list at rank 2" in text
    assert "given only the gold passages it answers correctly" in text
    assert "To be mended by: prompt assembly" in text
    assert "Evidence of tier A: replayed with the gold passages" in text
    assert text.count("lost here") == 1


def test_retrieved_and_gold_context_stand_side_by_side(open_page, toy_workspace, said) -> None:
    text = said(open_page("request", toy_workspace, request_id="p-10-13"))
    assert "with the retrieved context <code>r</code>" in text
    assert "with the gold passages only <code>g</code>" in text
    assert "given only the gold passages it is still wrong" in text


def test_a_corpus_gap_is_lost_at_the_index(open_page, toy_workspace, said) -> None:
    text = said(open_page("request", toy_workspace, request_id="p-11-02"))
    assert "not in the build that served" in text
    assert "To be mended by: corpus owner" in text


def test_an_undiagnosed_failure_names_the_command(open_page, toy_workspace, said) -> None:
    text = said(open_page("request", toy_workspace, request_id="p-09-01"))
    assert "has not been diagnosed" in text
    assert 'python -m ragdiag diagnose "hybrid"' in text


def test_what_splits_the_cause_is_told_with_its_lever(open_page, toy_workspace, said) -> None:
    text = said(open_page("request", toy_workspace, request_id="p-11-02"))
    assert "More closely (stale)" in text
    assert "build the index again" in text


def test_feedback_is_told_in_words(open_page, toy_workspace) -> None:
    app = open_page("request", toy_workspace, request_id="p-10-05")
    table = next(one.value for one in app.dataframe if "What" in one.value)
    assert "task failed" in list(table["What"])


def test_hostile_text_is_escaped_everywhere(open_page, toy_workspace, said) -> None:
    app = open_page("request", toy_workspace, request_id=HOSTILE_REQUEST)
    assert not app.exception
    html = "".join(element.proto.body for element in app.get("html"))
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    for element in (*app.markdown, *app.error, *app.caption):
        assert "<script>" not in element.value
        assert "![i](" not in element.value


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("nope", "There is no request “nope”"),
        ("<img src=x onerror=alert(1)>", "There is no request"),
        ("x" * 201, "at most 200 characters"),
        ("a\x00b", "unprintable"),
        ("'; drop table requests; --", "There is no request"),
    ],
)
def test_an_unusable_id_leaves_ways_on(open_page, toy_workspace, said, given, message) -> None:
    app = open_page("request", toy_workspace, request_id=given)
    assert not app.exception
    assert message in said(app)
    assert app.text_input[0].label == "Request id"


def test_without_an_id_one_can_be_typed(open_page, toy_workspace) -> None:
    app = open_page("request", toy_workspace)
    app.text_input[0].set_value("p-10-05")
    app.button[0].click().run()
    assert not app.exception
    assert app.query_params["request_id"] in ("p-10-05", ["p-10-05"])


def test_the_passages_of_a_prompt_are_told_with_what_judges_and_paths_say(
    open_page, toy_workspace, said
) -> None:
    app = open_page("request", toy_workspace, request_id="p-10-13")
    assert "precision@" in said(app)
    table = next(one.value for one in app.dataframe if "Found by" in one.value)
    assert any("relevant" in cell for cell in table["Judged"])
    assert any("lexical at" in cell for cell in table["Found by"])


def test_what_leaving_a_passage_out_told_comes_in_words_and_bars(
    open_page, corpus, asked, said
) -> None:
    weigh_by_leaving_out(corpus, open_subject(corpus, "weighed"))
    app = open_page("request", asked, request_id="weighed")
    assert "The answer rests on tea: without it the answer turns wrong." in said(app)
    bars = json.loads(app.get("plotly_chart")[0].proto.spec)["data"][0]
    assert bars["y"][0] == "2  tea: carried the answer, cited"
    assert bars["y"][1].startswith("1  moon: changed the wording (token F1 0.")
    assert not [one for one in app.button if one.key == "influence_start_leave-one-out"]


def test_a_button_weighs_the_passages_and_a_read_only_page_shows_the_command(
    open_page, asked, said, monkeypatch
) -> None:
    started: list[tuple[str, ...]] = []
    monkeypatch.setattr(jobs, "start_influence", lambda _, given: started.append(tuple(given)))
    app = open_page("request", asked, request_id="weighed")
    assert "4 answers, or up to 9" in said(app)
    app.button(key="influence_start_leave-one-out").click().run()
    assert started == [("weighed",)]
    asked.configuration.write_text("[dashboard]\nread_only = true\n")
    app = open_page("request", asked, request_id="weighed")
    assert "python -m ragdiag influence weighed" in said(app)
    assert not [one for one in app.button if (one.key or "").startswith("influence")]
