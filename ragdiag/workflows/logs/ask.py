"""One question to one version, logged, with what each stage offered."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from ragdiag.deploy.follow import FollowingPipeline
from ragdiag.pipeline import open_pipeline
from ragdiag.records import RANKED_STAGES, Request
from ragdiag.retrieval.filters import STRANGER, PassageFilter
from ragdiag.settings import Workspace
from ragdiag.store.corpus import load_passages_by_id
from ragdiag.store.ingest import ingest
from ragdiag.store.lake import Lake
from ragdiag.store.results import find_version
from ragdiag.store.spool import SpoolWriter

SHOWN = 5


@dataclass(frozen=True)
class Asked:
    """A logged request with the texts of its context."""

    version: str
    request: Request
    context: dict[str, str]

    def to_json(self) -> dict[str, Any]:
        request = self.request
        return {
            "version": self.version,
            "request_id": request.request_id,
            "build_id": request.build_id,
            "question": request.question,
            "answer": request.answer,
            "citations": list(request.citations),
            "status": request.status,
            "error": request.error,
            "degraded_reason": request.degraded_reason,
            "cache_hit": request.cache_hit,
            "latency_ms": dict(request.latency_ms),
            "stages": {
                stage: [{"passage_id": hit.passage_id, "score": hit.score} for hit in hits]
                for stage in RANKED_STAGES
                if (hits := getattr(request, stage)) is not None
            },
            "context": [{"passage_id": key, "text": text} for key, text in self.context.items()],
        }

    def to_text(self) -> str:
        request = self.request
        lines = [request.answer or "(no answer)", ""]
        for stage in RANKED_STAGES:
            hits = getattr(request, stage)
            if hits is not None:
                found = ", ".join(f"{hit.passage_id} {hit.score:.3f}" for hit in hits[:SHOWN])
                lines.append(f"{stage:9} {found}")
        spent = ", ".join(f"{stage} {ms:.1f}" for stage, ms in request.latency_ms.items())
        return "\n".join([*lines, f"{'ms':9} {spent}", f"{'request':9} {request.request_id}"])


def ask_version(
    lake: Lake,
    workspace: Workspace,
    version: str,
    question: str,
    only: PassageFilter = STRANGER,
) -> Asked:
    """Ask, log and return; the request can be read when this returns."""
    pipeline = open_pipeline(lake, workspace, find_version(lake, version))
    request = pipeline.ask(question, only=only)
    with SpoolWriter(workspace, writer="ask") as spool:
        spool.write(request)
    ingest(lake, workspace)
    texts = load_passages_by_id(lake, [hit.passage_id for hit in request.context])
    shown = {
        hit.passage_id: texts[hit.passage_id].text[: hit.chars]
        for hit in request.context
        if hit.passage_id in texts
    }
    return Asked(version, request, shown)


def answer_each(
    lake: Lake,
    workspace: Workspace,
    version: str,
    questions: Iterable[str],
    only: PassageFilter = STRANGER,
) -> Iterator[Request]:
    """Answer questions as they come, each with the build that serves by then; blank ones are passed
    over, and nothing is logged."""
    following = FollowingPipeline(lake, workspace, find_version(lake, version))
    for question in questions:
        if question.strip():
            yield following.current().ask(question.strip(), only=only)
