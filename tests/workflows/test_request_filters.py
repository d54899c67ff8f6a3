"""Who asked is logged, and whoever looks again looks for the same passages."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from ragdiag import QueryLogger
from ragdiag.pipeline import open_pipeline
from ragdiag.records import (
    FILTERS,
    Deployment,
    DeploymentEvent,
    Passage,
    PassageMetadata,
    Request,
)
from ragdiag.retrieval.filters import PassageFilter, filter_of
from ragdiag.settings import Workspace
from ragdiag.store.corpus import add_documents
from ragdiag.store.ingest import ingest
from ragdiag.store.intake.arrow_door import COLUMNS, ingest_table
from ragdiag.store.kinds import record_to_json
from ragdiag.store.lake import Lake
from ragdiag.store.results import load_requests, save_version
from ragdiag.store.spool import SpoolWriter
from ragdiag.version import Version, parse_spec
from ragdiag.workflows.releasing.shadow import replay_questions
from tests.stocked import Build

SECRET = PassageFilter(
    tenant="acme",
    roles=frozenset({"legal", "staff"}),
    since=datetime(2026, 1, 5, tzinfo=UTC),
    until=datetime(2026, 3, 5, 1, tzinfo=UTC),
    topics=frozenset({"contracts"}),
)
QUESTION = "What does the merger contract say?"


@pytest.fixture
def versions(corpus: Lake, build: Build) -> tuple[Version, Version]:
    """Two over a corpus with one passage that only SECRET finds."""
    known = PassageMetadata("acme", "contracts", datetime(2026, 2, 1, tzinfo=UTC), ("legal",))
    add_documents(corpus, [Passage("c", "c", "The merger contract says forty.", metadata=known)])
    made = []
    for name, k1 in (("old", 1.1), ("new", 1.3)):
        text = f"[lexical]\nk1 = {k1}\n[generator]\nkind = 'extractive'"
        made.append(Version(name, parse_spec(text, source="toy")))
        save_version(corpus, made[-1])
        build(of=made[-1])
    return made[0], made[1]


def test_a_shadow_finds_what_production_found_for_its_tenant(
    corpus: Lake, workspace: Workspace, versions: tuple[Version, Version]
) -> None:
    old, new = versions
    pipeline = open_pipeline(corpus, workspace, old)
    asked = [pipeline.ask(QUESTION, only=SECRET), pipeline.ask(QUESTION)]
    assert [[hit.passage_id for hit in one.fused[:1]] for one in asked] == [["c"], []]
    with SpoolWriter(workspace) as spool:
        for one in asked:
            spool.write(one)
    ingest(corpus, workspace)
    assert load_requests(corpus) == asked
    assert [filter_of(one) == SECRET for one in asked] == [True, False]
    deployed = Deployment(old.version_id, shadow=new.version_id)
    started = DeploymentEvent(2, asked[-1].asked_at, "shadow", deployed, "ada", {})
    assert replay_questions(corpus, workspace, started, new, 10).asked == 2
    shadows = load_requests(corpus, traffic="shadow")
    assert [[hit.passage_id for hit in one.fused[:1]] for one in shadows] == [["c"], []]
    assert filter_of(shadows[0]) == SECRET


def test_a_request_that_names_nobody_is_the_line_it_was(lake: Lake, workspace: Workspace) -> None:
    at = datetime(2026, 1, 5, tzinfo=UTC)
    request = Request("r", at, "v", "production", "Why?", tenant="acme")
    assert not set(FILTERS) & record_to_json(Request("r", at, "v", "production", "Why?")).keys()
    assert record_to_json(request)["tenant"] == "acme"
    columns = {
        "request_id": "r",
        "version_id": "v",
        "question": "Why?",
        "traffic": "production",
        "asked_at": at.replace(tzinfo=None),
        "status": "ok",
        "answer": "",
        "build_id": "",
        "topic": "",
        "citations": [],
        "cache_hit": False,
        "fused": [],
        "context": [],
        "searched_depth": 0,
        "keep_probability": 1.0,
    }
    rows = [columns, {**columns, "request_id": "s", "roles": ["legal", None]}]
    whole = {**columns, "request_id": "t", "roles": ["legal"], "only_since": columns["asked_at"]}
    report = ingest_table(lake, pa.Table.from_pylist([*rows, whole], schema=COLUMNS), "toy")
    assert (report.accepted, report.rejected) == (2, 1)
    assert lake.rows("select reason from rejects")[0]["reason"].startswith(
        "roles: an id is missing"
    )
    plain, told = load_requests(lake)
    assert filter_of(plain) == PassageFilter()
    assert (told.roles, told.only_since) == (("legal",), at)


def test_a_service_says_who_asked(lake: Lake, workspace: Workspace) -> None:
    logger = QueryLogger(workspace, version_id="v")
    east = datetime.fromisoformat("2026-01-05T01:00:00+01:00")
    with logger.request("Why?", request_id="a", tenant="acme", roles={"legal", "staff"}) as request:
        request.note(only_topics=["contracts"], only_since=east)
    with logger.request("Why?", request_id="b"):
        pass
    with logger.request("Why?", request_id="c", roles="legal"):
        pass
    with logger.request("Why?", request_id="d") as request:
        request.note(only_until=datetime(2026, 1, 5))
    logger.close()
    assert sum(logger.stats().refused.values()) == 2
    ingest(lake, workspace)
    told, plain = load_requests(lake)
    assert (told.tenant, told.roles, told.only_topics) == (
        "acme",
        ("legal", "staff"),
        ("contracts",),
    )
    assert told.only_since == east
    assert filter_of(plain) == PassageFilter()
