"""A logged request whose answer rests on one of two passages, for tests of influence."""

from __future__ import annotations

from dataclasses import replace

from ragdiag.pipeline import open_pipeline
from ragdiag.records import ContextHit, Request
from ragdiag.settings import Workspace
from ragdiag.store.lake import Lake
from ragdiag.version import Version
from ragdiag.workflows.indexing.build import build_version_index
from tests.answered import log


def log_tea(lake: Lake, workspace: Workspace, version: Version) -> Request:
    """The request ``weighed``, which BM25 answers from ``tea``, logged as if ``moon`` had stood
    before it; the answer cites only ``moon``."""
    build_version_index(lake, workspace, version)
    request = replace(
        open_pipeline(lake, workspace, version).ask("How hot is the water for green tea?"),
        request_id="weighed",
        question_id="q-tea",
        citations=("moon",),
        context=(ContextHit("moon", 0.5, 200), ContextHit("tea", 0.4, 200)),
    )
    log(lake, workspace, [request])
    return request
