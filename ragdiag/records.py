"""The frozen records that flow through ragdiag; nothing mutates them.

One file, although a long one: this is the whole vocabulary, and it is read as one.
Times are timezone-aware UTC, latencies milliseconds, costs US dollars. A list of hits is ordered:
rank 1 first. Sources: METHODS.md §1 (one request), §3 (causes), §4 (verdicts).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Literal

Traffic = Literal["production", "canary", "shadow", "evaluation", "replay"]
Status = Literal["ok", "no_answer", "error"]
FeedbackKind = Literal["click", "task_success", "thumbs"]
GradeStatus = Literal["ok", "error", "judge_error", "no_gold", "undefined", "withdrawn"]
SpanStatus = Literal["unset", "ok", "error"]
FindingStatus = Literal["good", "warn", "bad"]
Severity = Literal["warning", "critical"]
DeploymentKind = Literal["set", "canary", "shadow", "promote", "hold", "rollback"]

Cause = Literal[
    "corpus_gap",
    "recall_miss",
    "fusion_loss",
    "rerank_loss",
    "packing",
    "in_context",
    "beyond_logged_depth",
    "gold_unknown",
    "gold_withheld",
]
Verdict = Literal[
    "ok",
    "lucky",
    "corpus",
    "label_suspect",
    "packing",
    "retrieval",
    "distraction",
    "generator",
    "undetermined",
]
Arm = Literal["r", "s", "g", "g+", "g-", "r-g", "r-m", "none", "G+", "G+r", "G2"]
SecondLevel = Literal[
    "one_path_blind",
    "vocabulary",
    "split_passage",
    "partial",
    "outvoted",
    "not_offered",
    "demoted",
    "not_lifted",
    "crowded",
    "noise",
    "position",
    "ungrounded",
    "numeric",
    "incomplete",
    "wrongful_abstention",
    "missed_abstention",
    "parametric",
    "missing",
    "stale",
    "gold_answer",
    "gold_passage",
]
Tier = Literal["A", "B", "C", "D"]

LATENCY_STAGES = (
    "embed",
    "lexical",
    "dense",
    "fusion",
    "rerank",
    "packing",
    "generation",
    "total",
)
"""Names of the measured stages, in the order in which a request meets them."""

LARGEST_COST = 1e9
"""In US$: sums of larger ones would not be right to the cent, nor after they were taken off again.
"""

DEFAULT_GRADER = "contains_or_f1-v2"
"""The grader whose Y decides what failed, where nobody says otherwise (METHODS.md §2)."""

FILTERS = ("tenant", "roles", "only_topics", "only_since", "only_until")
"""Fields of a request that say for whom and for what passages were looked for."""

HUMAN_GRADER = "human"
"""The name under which people's own labels are kept as grades."""

RANKED_STAGES = ("lexical", "dense", "fused", "reranked", "context")
"""Stages that keep a ranked list with the request."""


@dataclass(frozen=True, slots=True)
class PassageMetadata:
    """Who may find a passage, and by what it is filtered and sharded.

    A passage without ``tenant`` is everybody's; one with ``roles`` belongs to those who have one of
    them. ``published_at`` is the document's own time, not that of its import.
    """

    tenant: str = ""
    topic: str = ""
    published_at: datetime | None = None
    roles: tuple[str, ...] = ()


NO_METADATA = PassageMetadata()


@dataclass(frozen=True, slots=True)
class Passage:
    """One unit of retrieval: a piece of a document, with its place in it."""

    passage_id: str
    document_id: str
    text: str
    title: str = ""
    position: int = 0
    metadata: PassageMetadata = NO_METADATA

    @property
    def content_hash(self) -> str:
        """SHA-256 of title and text: equal content embeds to the same vector."""
        return hashlib.sha256(f"{self.title}\0{self.text}".encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Question:
    question_id: str
    text: str
    topic: str = ""


@dataclass(frozen=True, slots=True)
class Judgment:
    """How relevant a passage is to a question: 0 is judged irrelevant, higher is better."""

    question_id: str
    passage_id: str
    grade: int
    split: str


@dataclass(frozen=True, slots=True)
class GoldAnswer:
    """Every accepted answer to a question; matching one is enough."""

    question_id: str
    answers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Hit:
    passage_id: str
    score: float


@dataclass(frozen=True, slots=True)
class ContextHit:
    """A passage as it went into the prompt: its first ``chars`` characters."""

    passage_id: str
    score: float
    chars: int


@dataclass(frozen=True, slots=True)
class ContextPassage:
    """What a generator reads: ``text`` is what was packed, possibly cut at a sentence end."""

    passage_id: str
    text: str
    title: str = ""
    score: float = 0.0


@dataclass(frozen=True, slots=True)
class Retrieval:
    """Every list one retrieval produced, with its time. An absent path has ``None``.

    ``fused`` always exists: with one path it is that path's list. ``degraded_reason`` says which
    path was left out, and why.
    """

    fused: tuple[Hit, ...]
    lexical: tuple[Hit, ...] | None = None
    dense: tuple[Hit, ...] | None = None
    latency_ms: Mapping[str, float] = field(default_factory=dict)
    searched_depth: int = 0
    degraded_reason: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a generator said. ``no_answer`` is a decision to abstain, not a failure.

    ``degraded_reason`` says what of the context it could not read.
    """

    text: str
    citations: tuple[str, ...] = ()
    status: Status = "ok"
    error: str | None = None
    model: str = ""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost_usd: float | None = None
    degraded_reason: str | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """One question through one version: what every stage offered, said and cost.

    ``searched_depth`` is how many candidates each path looked at. ``logged_depth`` is where the
    logged lists were cut (production: 10; None: whole lists); a gold passage may hide between
    the two.
    ``latency_ms`` has keys from LATENCY_STAGES; an absent stage has no key.
    ``keep_probability`` is the chance that a request like this one was logged at all, 1 where
    everything is: a total over all traffic weighs each request 1 / ``keep_probability``, and 1
    where feedback has made it certain.
    ``tenant``, ``roles`` and the rest say for whom, and for what topics and times, passages were
    looked for (retrieval/filters.py); None where nothing was said.
    """

    request_id: str
    asked_at: datetime
    version_id: str
    traffic: Traffic
    question: str
    build_id: str = ""
    question_id: str | None = None
    topic: str = ""
    user_key: str | None = None
    answer: str = ""
    citations: tuple[str, ...] = ()
    status: Status = "ok"
    error: str | None = None
    degraded_reason: str | None = None
    cache_hit: bool = False
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost_usd: float | None = None
    latency_ms: Mapping[str, float] = field(default_factory=dict)
    lexical: tuple[Hit, ...] | None = None
    dense: tuple[Hit, ...] | None = None
    fused: tuple[Hit, ...] = ()
    reranked: tuple[Hit, ...] | None = None
    context: tuple[ContextHit, ...] = ()
    searched_depth: int = 0
    logged_depth: int | None = None
    keep_probability: float = 1.0
    tenant: str | None = None
    roles: tuple[str, ...] | None = None
    only_topics: tuple[str, ...] | None = None
    only_since: datetime | None = None
    only_until: datetime | None = None

    @property
    def ranking(self) -> tuple[Hit, ...]:
        """The list that ranking metrics judge: the last one before packing."""
        return self.fused if self.reranked is None else self.reranked

    @property
    def answered(self) -> bool:
        """Whether anything was said: neither declined nor failed nor empty."""
        return self.status == "ok" and self.answer != ""

    @property
    def said(self) -> Answer:
        """What the generator said, as far as the log tells."""
        return Answer(self.answer, self.citations, self.status)


@dataclass(frozen=True, slots=True)
class Feedback:
    """What a user did with an answer.

    ``click``: value 1, ``passage_id`` names the citation. ``task_success``: 1 or 0.
    ``thumbs``: 1 up, −1 down. ``certain``: its request is in the log for certain, whatever chance
    the request states, since the logger would have kept it for this.
    """

    feedback_id: str
    request_id: str
    given_at: datetime
    kind: FeedbackKind
    value: float
    passage_id: str | None = None
    certain: bool = False


@dataclass(frozen=True, slots=True)
class SpanEvent:
    """Something that happened within a span: an exception, an evaluation result."""

    name: str
    at: datetime
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Span:
    """One operation of a trace as a service exported it (OpenTelemetry), before the trace is read
    as a request.

    ``attributes`` and ``resource`` are plain JSON by their exported names. A root span has no
    ``parent_id``.
    """

    trace_id: str
    span_id: str
    parent_id: str | None
    name: str
    started_at: datetime
    ended_at: datetime
    attributes: Mapping[str, Any] = field(default_factory=dict)
    events: tuple[SpanEvent, ...] = ()
    status: SpanStatus = "unset"
    error: str | None = None
    resource: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SentenceSupport:
    """Whether the context supports one sentence of an answer. ``score``, at most 1, is None of a
    grader that gives none; ``passage_id`` names what supports it most, None where nothing does."""

    supported: bool
    score: float | None
    passage_id: str | None


@dataclass(frozen=True, slots=True)
class Grade:
    """One grader's opinion of one answer. ``y`` is None where it could not be decided.
    ``sentences`` are those of the answer, in order, of a grader that judges each."""

    request_id: str
    grader: str
    y: int | None
    score: float | None = None
    status: GradeStatus = "ok"
    reason: str = ""
    sentences: tuple[SentenceSupport, ...] = ()


@dataclass(frozen=True, slots=True)
class Replay:
    """One answer to one question under one context arm (METHODS.md §4).

    ``draw_key`` hashes what was asked of whom: an answer that is known is not asked for again.
    """

    request_id: str
    arm: Arm
    draw: int
    answer: str
    y: int | None
    score: float | None
    passage_ids: tuple[str, ...]
    status: Status = "ok"
    draw_key: str = ""


@dataclass(frozen=True, slots=True)
class ContextTrial:
    """What came of a request's context without ``removed`` (passage ids in prompt order; none: the
    whole context): an answer with its Y, or the ``log_probability`` of the answer that was given.

    ``setting`` hashes all else that decides it: question, texts, generator, what Y is held against.
    """

    request_id: str
    setting: str
    removed: tuple[str, ...]
    draw: int
    answer: str = ""
    citations: tuple[str, ...] = ()
    y: int | None = None
    log_probability: float | None = None


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Where the gold was lost, what the interventions showed, and what mends the request.

    ``evidence`` is plain JSON: probabilities by arm, gold ranks by stage, and the rule that held.
    ``second_level`` is None where no test decides it.
    """

    request_id: str
    cause: Cause
    verdict: Verdict
    verified_fix: str
    tier: Tier
    evidence: Mapping[str, Any]
    second_level: SecondLevel | None = None


@dataclass(frozen=True, slots=True)
class IndexBuild:
    """An immutable index on disk. ``index_key`` hashes the settings, ``corpus_hash`` the content;
    together they are the ``build_id``, so building the same thing twice is one build."""

    build_id: str
    index_key: str
    corpus_hash: str
    passages: int
    dimension: int | None
    ann_kind: str | None
    bytes: int
    seconds: float
    built_at: datetime
    manifest: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: what was found (naming the culprit) and what mends it.

    ``name`` says which look it was, for those who compare one time with another.
    """

    what: str
    status: FindingStatus
    remedy: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class IndexCheck:
    """One look at an index build as a version uses it.

    ``by`` is the command or page that looked; ``details`` is plain JSON: what was measured, by the
    name of the finding.
    """

    build_id: str
    index_key: str
    version_id: str
    checked_at: datetime
    by: str
    findings: tuple[Finding, ...]
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def status(self) -> FindingStatus:
        """The worst of its findings.

        >>> at = datetime(2026, 1, 5)
        >>> IndexCheck("b", "k", "v", at, "test", (Finding("", "warn"), Finding("", "good"))).status
        'warn'
        """
        found = {finding.status for finding in self.findings}
        return "bad" if "bad" in found else "warn" if "warn" in found else "good"

    def to_json(self) -> dict[str, Any]:
        return {
            "build_id": self.build_id,
            "version_id": self.version_id,
            "checked_at": self.checked_at.isoformat(),
            "status": self.status,
            "findings": [asdict(finding) for finding in self.findings],
            "details": dict(self.details),
        }


@dataclass(frozen=True, slots=True)
class Alert:
    """Something that a person should look at until ``resolved_at``.

    ``kind`` and ``subject`` tell one alert from another: there is one open alert of a kind about a
    subject at a time. ``runbook`` names a file of data/runbooks; ``details`` is plain JSON.
    """

    alert_id: str
    raised_at: datetime
    kind: str
    severity: Severity
    subject: str
    message: str
    runbook: str
    details: Mapping[str, Any] = field(default_factory=dict)
    resolved_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Deployment:
    """Which version answers whom, by version ids.

    ``canary`` answers a ``share`` (0 … 1) of the keys in place of ``production``; ``shadow`` is
    asked the same questions and nobody sees its answers. ``previous`` is what production was
    before, and what it can go back to.
    """

    production: str
    previous: str | None = None
    canary: str | None = None
    share: float = 0.0
    shadow: str | None = None


@dataclass(frozen=True, slots=True)
class DeploymentEvent:
    """A change of the deployment, or the decision to leave it (``hold``), with its grounds.

    ``number`` counts from 1, ``deployment`` is the state since then, ``evidence`` plain JSON.
    """

    number: int
    happened_at: datetime
    kind: DeploymentKind
    deployment: Deployment
    actor: str
    evidence: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Reject:
    """A row from outside that was not loaded, with the reason."""

    source: str
    line: int
    reason: str
    body: str = ""


@dataclass(frozen=True, slots=True)
class Weighed:
    """A sum over logged requests, of each as it is, times its weight, and times its weight squared.

    A request that was logged with chance p stands for w = 1/p of them. Where everything was
    logged the three sums are equal.

    >>> Weighed.of(3) + Weighed(2, 20.0, 200.0)
    Weighed(plain=5, weighted=23.0, squared=203.0)
    """

    plain: float
    weighted: float
    squared: float

    @classmethod
    def of(cls, value: float) -> Weighed:
        """A sum over requests that were certain to be logged."""
        return cls(value, value, value)

    @classmethod
    def counted(cls, weights: Collection[float]) -> Weighed:
        """How many requests there are that weigh so.

        >>> Weighed.counted([1.0, 10.0])
        Weighed(plain=2, weighted=11.0, squared=101.0)
        """
        return cls(len(weights), math.fsum(weights), math.fsum(w * w for w in weights))

    def __add__(self, other: Weighed) -> Weighed:
        return Weighed(
            self.plain + other.plain, self.weighted + other.weighted, self.squared + other.squared
        )

    @property
    def is_plain(self) -> bool:
        return self.plain == self.weighted == self.squared


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its 95 % interval and the n it rests on; NaN where undefined, with a reason.

    >>> Estimate.undefined("no judged questions").to_json()
    {'value': None, 'low': None, 'high': None, 'n': 0, 'reason': 'no judged questions'}
    """

    value: float
    low: float
    high: float
    n: int
    reason: str | None = None

    @classmethod
    def undefined(cls, reason: str, *, n: int = 0) -> Estimate:
        return cls(math.nan, math.nan, math.nan, n, reason)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Estimate:
        """What :meth:`to_json` wrote."""

        def number(name: str) -> float:
            return math.nan if document[name] is None else float(document[name])

        return cls(
            number("value"), number("low"), number("high"), document["n"], document.get("reason")
        )

    def to_json(self) -> dict[str, Any]:
        """``{"value", "low", "high", "n"}``, null where undefined, and the ``reason`` if any."""
        number = {
            name: None if math.isnan(value) else value
            for name, value in (("value", self.value), ("low", self.low), ("high", self.high))
        }
        reason = {} if self.reason is None else {"reason": self.reason}
        return {**number, "n": self.n, **reason}
