"""What a worker hands back: the request as it is logged, and what its client is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ragdiag.records import RANKED_STAGES, Request
from ragdiag.serve.fleet import Served

DEFECT = 500
FAILED_UPSTREAM = 502
LATE = 504


@dataclass(frozen=True, slots=True)
class Outcome:
    """``code`` is the HTTP status of ``body``."""

    request: Request
    code: int
    body: dict[str, Any]


def answered(served: Served, request: Request) -> Outcome:
    """200, unless the generator failed and nothing stands for its answer."""
    code = 200
    if request.status == "error" and request.degraded_reason is None:
        code = FAILED_UPSTREAM
    context = served.pipeline.packer.read(request.context)
    body = {
        **_identity(served, request),
        "answer": request.answer,
        "citations": list(request.citations),
        "context": [
            {"passage_id": one.passage_id, "title": one.title, "text": one.text} for one in context
        ],
        "status": request.status,
        "error": request.error,
        "degraded_reason": request.degraded_reason,
        "cache_hit": request.cache_hit,
        "latency_ms": dict(request.latency_ms),
    }
    return Outcome(request, code, body)


def found(served: Served, request: Request) -> Outcome:
    stages = {
        stage: [{"passage_id": hit.passage_id, "score": hit.score} for hit in hits]
        for stage in RANKED_STAGES
        if stage != "context" and (hits := getattr(request, stage)) is not None
    }
    body = {
        **_identity(served, request),
        "stages": stages,
        "degraded_reason": request.degraded_reason,
        "latency_ms": dict(request.latency_ms),
    }
    return Outcome(request, 200, body)


def unanswered(request: Request, code: int, error: str) -> Outcome:
    return Outcome(request, code, {"error": error, "request_id": request.request_id})


def _identity(served: Served, request: Request) -> dict[str, Any]:
    return {
        "request_id": request.request_id,
        "version": served.version.name,
        "version_id": served.version.version_id,
        "build_id": request.build_id,
    }
