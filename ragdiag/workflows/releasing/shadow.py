"""Production's last questions through another version, logged as its shadow."""

from __future__ import annotations

from dataclasses import dataclass

from ragdiag.identifiers import replayed_id, shadow_id
from ragdiag.pipeline import open_pipeline
from ragdiag.privacy.hiding import is_hidden
from ragdiag.progress import Progress
from ragdiag.records import DeploymentEvent
from ragdiag.retrieval.filters import filter_of
from ragdiag.settings import Workspace
from ragdiag.store.ingest import ingest
from ragdiag.store.lake import Lake
from ragdiag.store.shadows import load_last_answered, shadowed_ids
from ragdiag.version import Version
from ragdiag.workflows.grading.running import grade_new_answers
from ragdiag.workflows.logs.asking import Asking, ask_and_log


@dataclass(frozen=True, slots=True)
class Replayed:
    """Of the questions looked at: ``asked`` now, ``known`` already, ``hidden`` because their texts
    are not stored."""

    asked: int
    known: int
    hidden: int


def replay_questions(
    lake: Lake,
    workspace: Workspace,
    started: DeploymentEvent,
    version: Version,
    n: int,
    progress: Progress | None = None,
) -> Replayed:
    """Ask ``version``, the shadow that ``started`` began, the last ``n`` questions that production
    answered, oldest first.

    Each is asked once, however often this is called; another start asks it anew, since a look pairs
    only what was answered since the start. Returns when what was logged can be read, and
    production's own answers to them are graded as far as they can be. Raises UnknownName where the
    version has no index build, GeneratorDown.
    """
    production_id, version_id = started.deployment.production, version.version_id
    asked = load_last_answered(lake, production_id, n)
    shadows = {replayed_id(one.request_id, version_id, started.number): one for one in asked}
    served = {shadow_id(one.request_id, version_id): key for key, one in shadows.items()}
    logged = shadowed_ids(lake, version_id, [*shadows, *served], started.happened_at)
    known = {served.get(name, name) for name in logged}
    hidden = {key for key, one in shadows.items() if is_hidden(one.question)} - known
    todo = [
        Asking(
            one.question,
            question_id=one.question_id,
            topic=one.topic,
            user_key=one.user_key,
            request_id=key,
            only=filter_of(one),
        )
        for key, one in shadows.items()
        if key not in known | hidden
    ]
    if todo:
        ask_and_log(open_pipeline(lake, workspace, version), workspace, todo, "shadow", progress)
        ingest(lake, workspace)
        grade_new_answers(lake, production_id, asked[0].asked_at)
    return Replayed(len(todo), len(known), len(hidden))
