"""Metadata of both corpus formats: read as written, and never lost by a slip."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ragdiag.importers.beir import import_beir
from ragdiag.importers.corpus import import_corpus
from ragdiag.importers.report import ImportReport
from ragdiag.records import NO_METADATA, PassageMetadata
from ragdiag.store.corpus import load_passages
from ragdiag.store.lake import Lake

WriteLines = Callable[..., Path]
Load = Callable[..., ImportReport]
LONG = " ".join(f"Sentence number {n} says something short." for n in range(80))


@pytest.fixture(params=["jsonl", "beir"])
def load(request: pytest.FixtureRequest, lake: Lake, write_lines: WriteLines) -> Load:
    """``load({"_id", …}, …)`` imports these lines in one of the two formats."""

    def load(*rows: object) -> ImportReport:
        if request.param == "jsonl":
            return import_corpus(lake, write_lines("docs.jsonl", *rows))
        write_lines("beir/queries.jsonl")
        return import_beir(lake, write_lines("beir/corpus.jsonl", *rows).parent)

    return load


def test_what_is_known_of_a_document_is_known_of_its_passages(lake: Lake, load: Load) -> None:
    metadata = {
        "tenant": "acme",
        "topic": "sleep",
        "published_at": "2026-01-05T12:00:00+02:00",
        "roles": ["vet", "staff", "vet"],
        "url": "ignored",
    }
    load({"_id": "a", "text": LONG, "metadata": metadata}, {"_id": "b", "text": "Plain."})
    at = datetime(2026, 1, 5, 10, tzinfo=UTC)
    known = PassageMetadata("acme", "sleep", at, ("staff", "vet"))
    passages = load_passages(lake)
    assert {one.metadata for one in passages if one.document_id == "a"} == {known}
    assert {one.metadata for one in passages if one.document_id == "b"} == {NO_METADATA}


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2026-01-05", datetime(2026, 1, 5, tzinfo=UTC)),
        ("2026-01-05T12:00:00", datetime(2026, 1, 5, 12, tzinfo=UTC)),
        ("2026-01-05T12:00:00Z", datetime(2026, 1, 5, 12, tzinfo=UTC)),
    ],
)
def test_a_time_without_an_offset_is_utc(
    lake: Lake, load: Load, written: str, read: datetime
) -> None:
    load({"_id": "a", "text": "A.", "metadata": {"published_at": written}})
    assert [one.metadata.published_at for one in load_passages(lake)] == [read]


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ({"tenant": ""}, "metadata.tenant: empty"),
        ({"tenant": ["acme"]}, "metadata.tenant: Input should be a valid string"),
        ({"roles": "staff"}, "metadata.roles: Input should be a valid array"),
        ({"roles": []}, "metadata.roles: an empty list"),
        ({"roles": [" staff"]}, "metadata.roles.0: has white space"),
        ({"published_at": "yesterday"}, "'yesterday' is not an ISO 8601 time"),
        ({"published_at": 1767571200}, "not an ISO 8601 time"),
        ({"published_at": "0001-01-01T00:00:00+10:00"}, "beyond the years"),
    ],
)
def test_what_cannot_be_used_is_a_reject_not_everybodys(
    lake: Lake, load: Load, metadata: object, reason: str
) -> None:
    report = load({"_id": "a", "text": "A.", "metadata": metadata})
    assert [reason in reject.reason for reject in report.rejects] == [True]
    assert load_passages(lake) == []
