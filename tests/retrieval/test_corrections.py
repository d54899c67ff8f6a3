"""Who may read two texts; what becomes of an index by it is in tests/test_open_pipeline.py."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ragdiag.records import PassageMetadata
from ragdiag.retrieval.corrections import for_both
from ragdiag.retrieval.filters import Metadata, PassageFilter

roles = st.frozensets(st.sampled_from("xyz"))
known = st.builds(
    PassageMetadata,
    tenant=st.sampled_from(["", "a", "b"]),
    roles=roles.map(lambda names: tuple(sorted(names))),
)


def reads(only: PassageFilter, one: PassageMetadata) -> bool:
    mask = Metadata([one]).mask(only)
    return mask is None or bool(mask[0])


@given(known, known, st.sampled_from([None, "a", "b"]), roles)
def test_who_reads_both_may_read_each(
    old: PassageMetadata, new: PassageMetadata, tenant: str | None, held: frozenset[str]
) -> None:
    only, shared = PassageFilter(tenant, held), for_both(old, new)
    each = reads(only, old) and reads(only, new)
    if shared is not None and reads(only, shared):
        assert each
    elif each:  # left out only for holding one role of either, and none of both
        assert not held & {*old.roles} & {*new.roles}


@given(known)
def test_what_is_the_same_still_is_nobody_else_s(one: PassageMetadata) -> None:
    assert for_both(one, one) == one
