from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragdiag.configuration import PrivacyTable
from ragdiag.errors import InputError
from ragdiag.privacy.redaction import Redactor, compile_redactor
from tests.privacy.labelled import HARD_HIDE, HARD_KEEP, HIDE, KEEP

ALL = compile_redactor(PrivacyTable())
EUROPE = compile_redactor(
    PrivacyTable(
        phone_regions=("DE", "FR", "GB"), patterns={"ticket": r"(?i)\bticket[ -]?\d+", "x": "x+"}
    )
)


@pytest.mark.parametrize(("text", "wanted"), HIDE)
def test_what_must_not_be_stored_is_replaced(text: str, wanted: str) -> None:
    assert ALL.redact(text) == wanted


@pytest.mark.parametrize("text", KEEP)
def test_what_only_looks_like_it_stays(text: str) -> None:
    assert ALL.redact(text) == text


def test_precision_and_recall_on_the_labelled_list_hard_ones_included() -> None:
    hidden = [ALL.redact(text) == wanted for text, wanted in HIDE + HARD_HIDE]
    kept = [ALL.redact(text) == text for text in KEEP + HARD_KEEP]
    found, missed, wrong = sum(hidden), hidden.count(False), kept.count(False)
    assert (found, missed, wrong) == (52, 3, 3)


def test_regions_decide_which_national_numbers_are_known() -> None:
    assert EUROPE.redact("Tel. 030 901820, 01 42 68 53 00") == "Tel. [phone], [phone]"
    assert EUROPE.redact("(415) 555-2671") == "(415) 555-2671"
    none = compile_redactor(PrivacyTable(phone_regions=()))
    assert none.redact("+1 415 555 2671, (415) 555-2671") == "[phone], (415) 555-2671"


def test_columns_keep_their_order_and_nulls_and_count_by_rule() -> None:
    done = ALL.redact_many(["ann@x.org", None, "", "plain", "bob@x.org and 203.0.113.9"])
    assert done.texts == ["[email]", None, "", "plain", "[email] and [ip]"]
    assert {name: n for name, n in done.found.items() if n} == {"email": 2, "ip": 1}


def test_a_column_in_chunks_comes_back_whole_and_an_untouched_one_as_it_was() -> None:
    column = pa.chunked_array([["plain"], ["ann@x.org", None], []], pa.string())
    redacted, _ = ALL.redact_column(column)
    assert redacted.to_pylist() == ["plain", "[email]", None]
    assert redacted.type == pa.string()
    plain = pa.array(["nothing", None])
    assert ALL.redact_column(plain)[0] is plain
    assert ALL.redact_column(pa.array([], pa.string()))[0].to_pylist() == []


def test_rules_that_are_not_chosen_do_nothing() -> None:
    only = compile_redactor(PrivacyTable(redact=("ip",)))
    assert only.redact("ann@x.org from 203.0.113.9") == "ann@x.org from [ip]"
    assert Redactor(()).redact("ann@x.org") == "ann@x.org"


def test_a_lone_surrogate_stops_nothing() -> None:
    assert ALL.redact("\ud800 ann@x.org") == "\ufffd\ufffd\ufffd [email]"


SAMPLES = [text for text, _ in HIDE + HARD_HIDE] + KEEP + HARD_KEEP
FRAGMENTS = st.one_of(
    st.sampled_from(SAMPLES),
    st.sampled_from([word for text in SAMPLES for word in text.split()]),
    st.sampled_from(["[email]", "[phone]", "[", "]", ":", ".", "@", "-", "+", " ", "\n", "1", "x"]),
    st.text(max_size=8),
)
TEXTS = st.lists(FRAGMENTS, max_size=8).flatmap(
    lambda parts: st.sampled_from(["", " "]).map(lambda glue: glue.join(parts))
)


@settings(max_examples=100, deadline=None)
@given(TEXTS)
def test_redacting_twice_is_redacting_once(text: str) -> None:
    for redactor in (ALL, EUROPE):
        once = redactor.redact(text)
        assert redactor.redact(once) == once


@settings(max_examples=100, deadline=None)
@given(TEXTS)
def test_a_hint_matches_whatever_its_rule_would_replace(text: str) -> None:
    sound = text.encode(errors="replace").decode()
    for redactor in (ALL, EUROPE):
        for rule in redactor.rules:
            if rule.replace(sound)[1]:
                hinted, _ = Redactor((rule,)).redact_column(pa.array([sound]))
                assert hinted[0].as_py() != sound, rule.name


@pytest.mark.parametrize(
    ("patterns", "says"),
    [
        ({"who": "(?=ann)ann"}, "privacy.patterns.who is no pattern for RE2"),
        ({"who": "(ann"}, "privacy.patterns.who is no pattern for RE2"),
        ({"who": "n*"}, "matches where there is nothing"),
        ({"who": r"\b"}, "matches where there is nothing"),
        ({"who": r"$"}, "matches where there is nothing"),
    ],
)
def test_a_pattern_that_cannot_be_used_is_named(patterns: dict[str, str], says: str) -> None:
    with pytest.raises(InputError, match=says):
        compile_redactor(PrivacyTable(patterns=patterns))


def test_own_patterns_never_look_into_labels() -> None:
    own = compile_redactor(PrivacyTable(patterns={"mail": "mail|e", "em": r"\[em"}))
    assert own.redact("e-mail ann@x.org") == "[mail]-[mail] [email]"
    assert own.redact(own.redact("e-mail ann@x.org")) == "[mail]-[mail] [email]"


@pytest.mark.parametrize(
    "text",
    [
        "a" * 100_000,
        "a." * 100_000,
        "a@" * 100_000,
        "a@" + "b." * 100_000,
        "1 " * 100_000,
        "1" * 100_000,
        "+1-" * 100_000,
        "(1" * 100_000,
        "1\u00a0" * 100_000,
        "4111  " * 50_000,
        "4111\u2013" * 50_000,
        "4111." * 100_000,
        "4111," * 100_000,
        "4" * 100_000 + "x",
        "4 " * 20_000 + "4x",
        "DE89 " * 100_000,
        "DE89\u00a0\u00a0" * 100_000,
        "_DE89370400440532013001" * 20_000,
        "a==1.2.3.4 " * 50_000,
        "1." * 100_000,
        "a:" * 100_000,
        "::" * 100_000,
        "://a:" * 100_000,
        "-----BEGIN PRIVATE KEY-----" * 20_000,
        "eyJaaaaaaaa." * 50_000,
        "sk-" * 100_000,
        "password" * 50_000,
        "password:" * 50_000,
        "token = " * 50_000,
        "bearer " * 50_000,
        "a'" * 400_000,
        "eyJ-" * 400_000,
        "1.2.3.4 " * 100_000,
    ],
    ids=lambda text: text[:12],
)
def test_no_text_makes_it_backtrack(text: str) -> None:
    """Quadratic work on these would take many minutes, if not hours."""
    assert "ann@" not in EUROPE.redact(f"{text} ann@example.org")


def test_what_stands_before_an_address_or_a_token_does_not_hide_it() -> None:
    quoted = "{'to': 'ann@x.org', 'cc': -bob@x.org}"
    assert ALL.redact(quoted) == "{'to': '[email]', 'cc': -[email]}"
    assert ALL.redact("x--eyJhbGciOiJI.eyJzdWIiOiIx.a-_!") == "x--[secret]!"


def test_a_text_with_too_many_candidates_loses_them_all() -> None:
    assert "12 345" not in ALL.redact("12 345 6789, " * 1001)
    assert ALL.redact("12 345 6789, " * 3) == "12 345 6789, " * 3
