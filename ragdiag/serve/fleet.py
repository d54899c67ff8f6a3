"""The versions that answer now, each over the index build that serves it.

One thread looks after them: it opens what is newly deployed or published, warms it, and then moves
to all of it in one assignment. Questions only read that, so none waits for a load, and one that is
under way finishes on what it was given.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ragdiag.caching.answers import AnswerCache
from ragdiag.deploy.follow import FollowingPipeline
from ragdiag.deploy.owed import PATIENCE_S, look_where_owed
from ragdiag.deploy.release import existing, route
from ragdiag.errors import RagdiagError
from ragdiag.pipeline import Pipeline
from ragdiag.records import Answer, ContextPassage, Deployment, Traffic
from ragdiag.retrieval.breaker import CircuitBreaker
from ragdiag.retrieval.hybrid import HybridRetriever
from ragdiag.settings import Workspace
from ragdiag.store.corpus import removal_mark
from ragdiag.store.deployments import current_deployment
from ragdiag.store.lake import Lake
from ragdiag.store.results import find_version
from ragdiag.store.upkeep.forgotten import ForgottenUsers
from ragdiag.version import OpenAISpec, Version

REOPEN_S = 60.0
"""How long at least between two openings for the sake of what has left the corpus."""
RETRY_S = 30.0
"""How long until a version that could not be opened is tried again."""
SIDES = ("production", "canary", "shadow")
WARM_UP = "What is known about this?"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Served:
    """A pipeline ready to answer, and the answers it has given: they go when it goes."""

    pipeline: Pipeline
    cache: AnswerCache | None

    @property
    def version(self) -> Version:
        return self.pipeline.version

    @property
    def breakers(self) -> dict[str, CircuitBreaker]:
        """By stage, of the stages that may fail without the answer failing."""
        guards = list(self.pipeline.guards.values())
        retriever = self.pipeline.retriever
        if isinstance(retriever, HybridRetriever):
            guards += [one for one in (retriever.embed_guard, retriever.guard) if one is not None]
        return {guard.name: guard.breaker for guard in guards}


@dataclass(frozen=True)
class _Line:
    """What the deployment says, and those of its versions that could be opened, by id."""

    deployment: Deployment
    served: Mapping[str, Served]


@dataclass
class _Kept:
    """What the thread that looks after them remembers."""

    followers: dict[str, FollowingPipeline] = field(default_factory=dict)
    retry_at: dict[str, float] = field(default_factory=dict)
    removals: tuple[int, str] | None = None
    reopen_at: float = 0.0
    owed_at: float = 0.0


class Fleet:
    """``version`` alone, or, where it is None, what has been deployed."""

    def __init__(self, lake: Lake, workspace: Workspace, version: Version | None) -> None:
        self._lake, self._workspace = lake, workspace
        self._fixed = None if version is None else Deployment(version.version_id)
        self._kept = _Kept()
        self._forgotten = ForgottenUsers(workspace)
        self._line: _Line | None = None

    @property
    def ready(self) -> bool:
        return self._line is not None

    @property
    def serving(self) -> dict[str, Served]:
        """By what they do: ``production``, and ``canary`` and ``shadow`` where there are such."""
        line = self._line
        if line is None:
            return {}
        named = ((side, getattr(line.deployment, side)) for side in SIDES)
        return {side: line.served[one] for side, one in named if one in line.served}

    def choose(self, key: str) -> tuple[Served, Traffic]:
        """Who answers ``key``, a user's id or a request's; production where the canary could not
        be opened."""
        line = self._line
        assert line is not None
        chosen = route(line.deployment, key)
        if chosen == line.deployment.canary and chosen in line.served:
            return line.served[chosen], "canary"
        return line.served[line.deployment.production], "production"

    def look(self) -> None:
        """Move to what serves now, if that is something else.

        Raises what keeps production from being opened; whatever served before goes on serving.
        """
        self._follow_forgetting()
        self._follow_removals()
        deployment = self._fixed or existing(current_deployment(self._lake))
        served = {deployment.production: self._served(deployment.production)}
        for version_id in (deployment.canary, deployment.shadow):
            beside = None if version_id is None else self._beside(version_id)
            if beside is not None:
                served[beside.version.version_id] = beside
        self._line = _Line(deployment, served)
        for gone in self._kept.followers.keys() - served.keys():
            del self._kept.followers[gone]
        self._look_where_owed()

    def _follow_forgetting(self) -> None:
        """Caches look before they answer; here they do where nobody asks, and hear of users who
        were forgotten on another machine of the lake."""
        self._forgotten.follow(self._lake)
        for served in self.serving.values():
            if served.cache is not None:
                served.cache.follow_forgetting()

    def _follow_removals(self) -> None:
        """Open again what was opened before documents were removed: an index holds them still, and
        so may the cache."""
        kept, mark = self._kept, removal_mark(self._lake)
        if mark == kept.removals or time.monotonic() < kept.reopen_at:
            return
        all_moved = True
        for follower in kept.followers.values():
            before = follower.current()
            follower.reopen()
            all_moved = all_moved and follower.current() is not before
            kept.reopen_at = time.monotonic() + REOPEN_S
        if all_moved:
            kept.removals = mark

    def _look_where_owed(self) -> None:
        if time.monotonic() >= self._kept.owed_at:
            self._kept.owed_at = time.monotonic() + PATIENCE_S
            look_where_owed(self._lake, self._workspace, by="serve", after_s=PATIENCE_S)

    def _beside(self, version_id: str) -> Served | None:
        """What stands beside production; as it was, or None, where it cannot be opened."""
        before = None if self._line is None else self._line.served.get(version_id)
        if time.monotonic() < self._kept.retry_at.get(version_id, 0.0):
            return before
        try:
            return self._served(version_id)
        except Exception as error:  # production must not stand still for it
            self._kept.retry_at[version_id] = time.monotonic() + RETRY_S
            _log.warning(
                "version %s cannot be opened: %s",
                version_id,
                error,
                exc_info=not isinstance(error, RagdiagError),
            )
            return before

    def _served(self, version_id: str) -> Served:
        before = None if self._line is None else self._line.served.get(version_id)
        followers = self._kept.followers
        if version_id not in followers:
            version = find_version(self._lake, version_id)
            followers[version_id] = FollowingPipeline(self._lake, self._workspace, version)
        pipeline = followers[version_id].current()
        if before is not None and before.pipeline is pipeline:
            return before
        _warm(pipeline)
        cache = pipeline.version.spec.cache
        kept = None if cache is None else AnswerCache(cache, forgotten=self._forgotten)
        return Served(pipeline, kept)


class _Silent:
    """Abstains: for who wants only what comes before an answer."""

    name = "silent"

    def answer(self, question: str, context: Sequence[ContextPassage]) -> Answer:
        return Answer("", status="no_answer", model=self.name)


def without_answers(pipeline: Pipeline) -> Pipeline:
    return pipeline.with_parts(generator=_Silent())


def _warm(pipeline: Pipeline) -> None:
    """The first question of a process pays for threads and caches; somebody else's language model
    is not asked for that."""
    own = not isinstance(pipeline.version.spec.generator, OpenAISpec)
    (pipeline if own else without_answers(pipeline)).ask(WARM_UP)
