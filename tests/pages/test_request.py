"""One request as a story."""

from __future__ import annotations

import pytest

from tests.toy_lake import HOSTILE_REQUEST


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


def test_feedback_is_told_in_words(open_page, toy_workspace) -> None:
    app = open_page("request", toy_workspace, request_id="p-10-05")
    assert "task failed" in list(app.dataframe[0].value["What"])


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
