"""Many questions through one version, each request logged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ragdiag.generation.steadfast import SteadfastGenerator
from ragdiag.pipeline import PRODUCTION_LOG_DEPTH, Pipeline
from ragdiag.progress import Progress, report
from ragdiag.records import Request, Traffic
from ragdiag.retrieval.filters import STRANGER, PassageFilter
from ragdiag.settings import Workspace
from ragdiag.store.spool import SpoolWriter
from ragdiag.version import ExtractiveSpec


@dataclass(frozen=True, slots=True)
class Asking:
    """A question, and what its request is to carry; without ``request_id`` it gets a new one.
    ``only`` is who asks this one."""

    text: str
    question_id: str | None = None
    topic: str = ""
    user_key: str | None = None
    request_id: str | None = None
    only: PassageFilter | None = None


def ask_and_log(
    pipeline: Pipeline,
    workspace: Workspace,
    questions: Sequence[Asking],
    traffic: Traffic,
    progress: Progress | None = None,
    *,
    only: PassageFilter = STRANGER,
) -> tuple[Request, ...]:
    """Ask one after the other; shadows are logged as deep as production, evaluations whole.
    ``only`` is who asks where the question does not say.

    Failures in a row are held back until an answer follows them, so that a server which is down
    leaves no half evaluation of nothing but errors; then GeneratorDown is raised.
    """
    pipeline = pipeline.with_parts(generator=SteadfastGenerator(pipeline.generator))
    if questions:
        # The first question through a pipeline pays for lazy loading; p95 is not about that.
        pipeline.ask(questions[0].text)
    depth = None if traffic == "evaluation" else PRODUCTION_LOG_DEPTH
    # Evaluations are held against one another: which of two came first must not decide which had
    # to embed the sentences that both answer from.
    keeps_vectors = traffic == "evaluation" and isinstance(
        pipeline.version.spec.generator, ExtractiveSpec
    )
    requests: list[Request] = []
    logged = 0
    with SpoolWriter(workspace, writer=traffic) as spool:
        for number, asking in enumerate(questions, start=1):
            who = only if asking.only is None else asking.only
            prompted = pipeline.prompt(asking.text, only=who)
            if keeps_vectors:
                pipeline.generator.answer(asking.text, prompted.context)
            request = pipeline.answer(
                prompted,
                question_id=asking.question_id,
                topic=asking.topic,
                traffic=traffic,
                request_id=asking.request_id,
                log_depth=depth,
            )
            requests.append(replace(request, user_key=asking.user_key))
            if request.status != "error" or number == len(questions):
                for waiting in requests[logged:]:
                    spool.write(waiting)
                logged = number
            report(progress, number / len(questions), f"asked {number} of {len(questions)}")
    return tuple(requests)
