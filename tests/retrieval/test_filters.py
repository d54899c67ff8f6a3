"""Masks equal their definition, passage by passage."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragdiag.records import PassageMetadata
from ragdiag.retrieval.filters import STRANGER, Metadata, PassageFilter, both

DAYS = [datetime(2026, 1, day, tzinfo=UTC) for day in range(1, 6)]
NAMES = ["a", "b", "c"]

passages = st.builds(
    PassageMetadata,
    tenant=st.sampled_from(["", *NAMES]),
    topic=st.sampled_from(["", *NAMES]),
    published_at=st.none() | st.sampled_from(DAYS),
    roles=st.lists(st.sampled_from(NAMES), unique=True).map(lambda roles: tuple(sorted(roles))),
)
filters = st.builds(
    PassageFilter,
    tenant=st.none() | st.sampled_from([*NAMES, "unknown"]),
    roles=st.frozensets(st.sampled_from(NAMES)),
    since=st.none() | st.sampled_from(DAYS),
    until=st.none() | st.sampled_from(DAYS),
    topics=st.frozensets(st.sampled_from(NAMES)),
)


def lets_through(only: PassageFilter, one: PassageMetadata) -> bool:
    if one.tenant and one.tenant != only.tenant:
        return False
    if one.roles and not set(one.roles) & only.roles:
        return False
    if only.topics and one.topic not in only.topics:
        return False
    if (only.since or only.until) and one.published_at is None:
        return False
    if only.since and one.published_at and one.published_at < only.since:
        return False
    return not (only.until and one.published_at and one.published_at >= only.until)


@given(st.lists(passages, min_size=1, max_size=30), filters)
def test_a_mask_is_its_definition(known: list[PassageMetadata], only: PassageFilter) -> None:
    expected = [lets_through(only, one) for one in known]
    mask = Metadata(known).mask(only)
    assert ([True] * len(known) if mask is None else mask.tolist()) == expected


def test_where_nobody_is_kept_out_there_is_no_mask() -> None:
    known = [PassageMetadata(topic="a", published_at=DAYS[0])] * 3
    assert Metadata(known).mask(STRANGER) is None
    assert both(None, None) is None


def test_a_microsecond_decides() -> None:
    known = Metadata([PassageMetadata(published_at=DAYS[0] + timedelta(microseconds=1))])
    late, early = (
        known.mask(PassageFilter(until=DAYS[0] + timedelta(microseconds=n))) for n in (1, 2)
    )
    assert late is not None
    assert early is not None
    assert (late.tolist(), early.tolist()) == ([False], [True])


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="since has no time zone"):
        PassageFilter(since=datetime(2026, 1, 1))
