"""Which passages a request may find: everybody's and its tenant's, for its roles, of its time.

Who names no tenant is a stranger and finds what is everybody's: nobody has to remember to protect
a passage, it is enough that the passage says whose it is. The same holds for roles. A passage of
unknown time or topic is in no stretch of time and of no topic.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import reduce
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from ragdiag.records import PassageMetadata, Request

Mask = npt.NDArray[np.bool_]
T = TypeVar("T", bound=Hashable)

_UNDATED = np.iinfo(np.int64).min
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class PassageFilter:
    """What a request is allowed and asks for. ``since`` is within, ``until`` is not; no ``topics``
    are all of them. Raises ValueError for a time without a zone."""

    tenant: str | None = None
    roles: frozenset[str] = frozenset()
    since: datetime | None = None
    until: datetime | None = None
    topics: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        for name in ("since", "until"):
            moment = getattr(self, name)
            if moment is not None and moment.tzinfo is None:
                raise ValueError(f"{name} has no time zone")


STRANGER = PassageFilter()


def logged_filter(only: PassageFilter) -> dict[str, Any]:
    """The fields of a request that tell ``only``, None where it says nothing."""
    return {
        "tenant": only.tenant,
        "roles": tuple(sorted(only.roles)) or None,
        "only_topics": tuple(sorted(only.topics)) or None,
        "only_since": only.since,
        "only_until": only.until,
    }


def filter_of(request: Request) -> PassageFilter:
    """Who asked ``request``, and for what; a stranger where its log does not say."""
    return PassageFilter(
        tenant=request.tenant,
        roles=frozenset(request.roles or ()),
        since=request.only_since,
        until=request.only_until,
        topics=frozenset(request.only_topics or ()),
    )


def lets_through(only: PassageFilter, known: PassageMetadata) -> bool:
    """Whether a passage with this metadata may be found.

    >>> lets_through(STRANGER, PassageMetadata("acme"))
    False
    >>> lets_through(PassageFilter(tenant="acme"), PassageMetadata("acme"))
    True
    """
    mask = Metadata([known]).mask(only)
    return mask is None or bool(mask[0])


class _Column(Generic[T]):
    """Values by position, each distinct one kept once."""

    def __init__(self, values: Iterable[T]) -> None:
        numbers: dict[T, int] = {}
        codes = [numbers.setdefault(value, len(numbers)) for value in values]
        self.distinct = list(numbers)
        self._codes = np.array(codes, dtype=np.int32)

    def where(self, accepts: Callable[[T], bool]) -> Mask | None:
        """Positions whose value is accepted; None where all are."""
        accepted = np.array([accepts(value) for value in self.distinct], dtype=bool)
        return None if accepted.all() else accepted[self._codes]


class Metadata:
    """The metadata of a build's passages by position, as columns."""

    def __init__(self, known: Sequence[PassageMetadata]) -> None:
        self._tenants = _Column(one.tenant for one in known)
        self._topics = _Column(one.topic for one in known)
        self._roles = _Column(one.roles for one in known)
        self._times = np.array([_microseconds(one.published_at) for one in known], dtype=np.int64)

    def mask(self, only: PassageFilter) -> Mask | None:
        """Which passages ``only`` lets through, (n,); None where it is all of them.

        >>> from ragdiag.records import NO_METADATA
        >>> known = Metadata([NO_METADATA, PassageMetadata("a"), PassageMetadata("b")])
        >>> known.mask(STRANGER).tolist(), known.mask(PassageFilter(tenant="b")).tolist()
        ([True, False, False], [True, False, True])
        """
        masks = [
            self._tenants.where(lambda tenant: tenant in ("", only.tenant)),
            self._roles.where(lambda roles: not roles or not only.roles.isdisjoint(roles)),
        ]
        if only.topics:
            masks.append(self._topics.where(lambda topic: topic in only.topics))
        if only.since is not None or only.until is not None:
            first = _UNDATED + 1 if only.since is None else _microseconds(only.since)
            masks.append(self._times >= first)
        if only.until is not None:
            masks.append(self._times < _microseconds(only.until))
        return both(*masks)


def both(*masks: Mask | None) -> Mask | None:
    """Where every mask is true; None is true everywhere."""
    given = [mask for mask in masks if mask is not None]
    return reduce(np.logical_and, given) if given else None


def _microseconds(moment: datetime | None) -> int:
    """Since 1970; whole, for a float has not the digits."""
    if moment is None:
        return int(_UNDATED)
    passed = moment - _EPOCH
    return (passed.days * 86_400 + passed.seconds) * 1_000_000 + passed.microseconds
