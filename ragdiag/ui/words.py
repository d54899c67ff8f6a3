"""Numbers, causes and verdicts in plain words; one place, so that every page says the same."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta

from ragdiag.diagnosis.verdicts import OWNERS
from ragdiag.drift.latency import Standing
from ragdiag.metrics.answers import F1_THRESHOLD
from ragdiag.metrics.question_slices import SliceKind
from ragdiag.records import Estimate
from ragdiag.store.queries import NOT_DIAGNOSED

NBSP = "\u00a0"
MINUS = "−"
MEASURED: Mapping[str, str] = {"ms": "ms", "usd": "USD", "hours": "h"}
"""Units that are written behind a number of three figures."""

VERDICTS: Mapping[str, str] = {
    "corpus": "no passage in the index can answer",
    "retrieval": "the retriever lost the gold passage",
    "packing": "the passage was cut on the way into the prompt",
    "distraction": "other passages in the prompt hid the gold one",
    "generator": "the generator fails even with the gold passage",
    "label_suspect": "the gold label itself looks wrong",
    "undetermined": "no replay decides it",
    NOT_DIAGNOSED: "waiting for a diagnosis",
    "ok": "the answer is right",
    "lucky": "right, although the gold passage never reached the prompt",
}

CAUSES: Mapping[str, str] = {
    "corpus_gap": "no gold passage is in the index build that served",
    "recall_miss": "indexed, but in neither candidate list",
    "fusion_loss": "found, then cut by fusion",
    "rerank_loss": "in the fused list, then cut by reranking or top-k",
    "packing": "in the top-k, then cut on the way into the prompt",
    "in_context": "gold reached the prompt",
    "beyond_logged_depth": "lost below the depth that was logged",
    "gold_unknown": "no gold passage is known for this question",
    NOT_DIAGNOSED: "waiting for a diagnosis",
}

OWNER_LABELS: Mapping[str, str] = {
    "corpus": "corpus owner",
    "labels": "label reviewer",
    "assembly": "prompt assembly",
    "retrieval": "retrieval",
    "generation": "generator",
    "review": "a reviewer",
}

STAGES: Mapping[str, str] = {
    "lexical": "Lexical candidates",
    "dense": "Dense candidates",
    "either": "Candidates of either path",
    "fused": "Fused list",
    "reranked": "Reranked list",
    "context": "Prompt context",
}

ARMS: Mapping[str, str] = {
    "r": "with the retrieved context",
    "g": "with the gold passages only",
    "s": "with what was found, in a perfect order",
    "g+": "with gold put in front of the retrieved context",
    "g-": "with only the gold passages that reached the prompt",
    "r-g": "with the retrieved context without gold",
    "r-m": "without the passage that misled",
    "none": "with no context",
    "G+": "of a stronger generator, with the gold passages only",
    "G+r": "of a stronger generator, with the retrieved context",
    "G2": "of a second other generator, with the gold passages only",
}

SECOND_LEVELS: Mapping[str, tuple[str, str]] = {
    "one_path_blind": (
        "one path finds the gold deeper down, the other does not",
        "weigh that path more, or give it more candidates",
    ),
    "vocabulary": (
        "neither path finds it: question and gold share few words",
        "fine-tune the embedder, or expand the question",
    ),
    "split_passage": ("the answer spans two passages", "cut the documents elsewhere"),
    "partial": (
        "some of the gold passages were missing",
        "hand on more passages, or ask in parts",
    ),
    "outvoted": ("one path had it among its first, and fusion cut it", "tune fusion's alpha"),
    "not_offered": ("it stood below the reranker's depth", "let the reranker read deeper"),
    "demoted": ("the reranker moved it down", "another reranker"),
    "not_lifted": ("the reranker did not move it up enough", "fine-tune the reranker"),
    "crowded": ("copies of other passages stood above it", "collapse duplicates"),
    "noise": ("without the passage that misled it is right", "filter what is handed on"),
    "position": ("with gold put first it is right", "reorder what is handed on"),
    "ungrounded": (
        "the gold passages do not say what it answers",
        "ask for citations, or fine-tune the generator",
    ),
    "numeric": ("its numbers are others than the gold answer's", "check numbers"),
    "incomplete": ("it states only some of the facts", "ask for all of them in the prompt"),
    "wrongful_abstention": (
        "it declined although the answer was there",
        "lower the threshold from which it answers",
    ),
    "missed_abstention": (
        "it answered although nothing in its prompt supports that",
        "raise the threshold from which it answers",
    ),
    "parametric": ("right without any context too", "ask for citations"),
    "missing": ("the gold passage never was in the corpus", "add the document"),
    "stale": ("the corpus has it, the build that served does not", "build the index again"),
    "gold_answer": (
        "two generators read another answer from the gold passages",
        "have the gold answer reviewed",
    ),
    "gold_passage": (
        "a passage that is not gold supports the gold answer",
        "have the gold passages reviewed",
    ),
}
"""What the test of each second level has shown, and the lever that it names."""

LEVERS: Mapping[str, str] = {
    "corpus_gap": "add the document, or build the index again",
    "recall_miss": "more candidates, or fine-tune the embedder",
    "fusion_loss": "tune fusion's alpha",
    "rerank_loss": "more passages, or another reranker",
    "packing": "longer context, or shorter passages",
    "beyond_logged_depth": "log longer lists, then diagnose again",
    "gold_unknown": "say which passage is gold",
}
"""Of the causes that name one before any closer test; in the context it depends on the test."""

BLAMED = frozenset({"corpus", "retrieval", "packing"})
"""Verdicts that blame where the gold was lost. Others do not: a generator that fails with the gold
too is not mended by finding it."""

FIXES: Mapping[str, str] = {
    "s": "a perfect order",
    "g+": "gold added",
    "g": "gold alone",
    "G+": "stronger generator",
    "no_fix": "nothing",
    "": "not replayed",
}
"""``verified_fix``: the first context that made the answer right."""

TIERS: Mapping[str, str] = {
    "A": "replayed with the gold passages",
    "B": "gold passages and answer are known, nothing was replayed",
    "C": "a gold answer is known, no gold passage",
    "D": "no gold answer is known: what people say, and other signs",
}
UNPROVEN = frozenset("BCD")
LIKELY = frozenset({"retrieval", "packing", "generator", "distraction"})
"""Verdicts that only a replay can prove; ``corpus`` and ``label_suspect`` are seen in the log."""

CORRECT = (
    "Correct means: reviewers say so, else a judge; where neither has spoken, a gold answer stands "
    f"in the answer or their token F1 is at least {F1_THRESHOLD:g}."
)

SLICES: Mapping[SliceKind, str] = {
    "topic": "topic",
    "length": "words in the question",
    "answerable": "in the corpus",
    "golds": "gold passages",
    "words": "rarity (mean idf)",
}
"""Kinds of questions, before the name of a slice."""

AXES: Mapping[str, str] = {"share": "share of requests", "score": "mean score", "ms": "ms"}

MOVEMENTS: Mapping[str, str] = {
    "better": "better",
    "worse": "worse",
    "no evidence": "within chance",
    "unknown": "too little data",
}


def owner(verdict: str) -> str:
    """Who fixes a failure with this verdict."""
    known = OWNERS.get(verdict)  # type: ignore[call-overload]
    return "run diagnose" if known is None else OWNER_LABELS.get(known, known)


def would_help(verdict: str, cause: str, closer: str) -> str:
    """The lever that a closer test names, else that of the cause where the verdict blames it; a
    dash where there is none.

    >>> would_help("retrieval", "fusion_loss", ""), would_help("generator", "fusion_loss", "")
    ("tune fusion's alpha", '–')
    >>> would_help("generator", "in_context", "numeric")
    'check numbers'
    """
    if closer in SECOND_LEVELS:
        return SECOND_LEVELS[closer][1]
    blamed = verdict in BLAMED or cause == "gold_unknown"
    return LEVERS.get(cause, "–") if blamed else "–"


def mender(fault: str) -> str:
    """Who fixes a fault named by its verdict, or by the stage that lost the gold passage."""
    if fault in OWNERS or fault not in CAUSES or fault == NOT_DIAGNOSED:
        return owner(fault)
    return OWNER_LABELS["corpus" if fault == "corpus_gap" else "retrieval"]


def spoken(name: str) -> str:
    """``not_diagnosed`` → ``not diagnosed`` for prose; names of methods stay as they are."""
    return "not diagnosed" if name == NOT_DIAGNOSED else name


def number(value: float, unit: str) -> str:
    """One value with its unit: ``61.3 %``, ``0.634``, ``182 ms``, ``1,250 USD``; a dash where
    undefined."""
    if math.isnan(value):
        return "–"
    sign = MINUS if value < 0 else ""
    size = abs(value)
    if unit == "share":
        return f"{sign}{100 * size:.1f}{NBSP}%"
    if unit in MEASURED:
        return f"{sign}{_three_figures(size)}{NBSP}{MEASURED[unit]}"
    return f"{sign}{size:.3f}"


def with_interval(found: Estimate, unit: str) -> str:
    """``61.3 % (57.0–65.4, n = 512)``; says why where there is no value or no interval."""
    if math.isnan(found.value):
        return f"– ({found.reason or 'undefined'}, n{NBSP}={NBSP}{found.n:,})"
    return f"{number(found.value, unit)} ({_bounds(found, unit)}n{NBSP}={NBSP}{found.n:,})"


def interval_only(found: Estimate, unit: str) -> str:
    """``95 % interval 57.0–65.4, n = 512``, for beside a number that stands alone."""
    n = f"n{NBSP}={NBSP}{found.n:,}"
    if math.isnan(found.low) or math.isnan(found.high):
        return f"{found.reason or 'no interval'}, {n}"
    return f"95{NBSP}% interval {bare(found.low, unit)}–{bare(found.high, unit)}, {n}"


def change(found: Estimate, unit: str) -> str:
    """A signed difference with its interval: ``−13.0 points (−19.2 to −7.1)``; says why where
    there is none."""
    if math.isnan(found.value):
        return f"– ({found.reason})" if found.reason else "–"
    value = signed(found.value, unit)
    if math.isnan(found.low) or math.isnan(found.high):
        why = found.reason or "no interval"
        return f"{value} ({why})" if "no interval" in why else f"{value} (no interval: {why})"
    low, high = (bare(bound, unit, plus=True) for bound in (found.low, found.high))
    return f"{value} ({low} to {high})"


def signed(value: float, unit: str) -> str:
    """``+2.1 points``, ``−0.031``, ``+45 ms``."""
    name = {"share": "points", **MEASURED}.get(unit, "")
    return bare(value, unit, plus=True) + (name and f"{NBSP}{name}")


def size(value: float, unit: str) -> str:
    """How large a difference is, whichever way: ``2.1 points``."""
    return "–" if math.isnan(value) else signed(abs(value), unit).lstrip("+")


def bare(value: float, unit: str, *, plus: bool = False) -> str:
    """A value in its unit's scale without the unit's name."""
    sign = MINUS if value < 0 else "+" if plus and value > 0 else ""
    size = abs(value)
    if unit == "share":
        return f"{sign}{100 * size:.1f}"
    return f"{sign}{_three_figures(size)}" if unit in MEASURED else f"{sign}{size:.3f}"


def megabytes(size: float) -> str:
    """``7.1 MB``; of less than a tenth of one, kilobytes.

    >>> megabytes(7_080_000), megabytes(2_400)
    ('7.1\\xa0MB', '2.4\\xa0kB')
    """
    return f"{size / 1e6:,.1f}{NBSP}MB" if size >= 1e6 else f"{size / 1e3:.1f}{NBSP}kB"


def against(standing: Standing, target_ms: int) -> str:
    """How a quantile stands against a target, in Markdown.

    >>> against("over", 200)
    '**over** the 200 ms target'
    """
    if standing == "unknown":
        return "**too few requests** to tell"
    where = "not clearly on one side" if standing == "undecided" else standing
    return f"**{where}** {'of ' if standing == 'undecided' else ''}the {target_ms} ms target"


def ungraded_bounds(ungraded: int, bounds: tuple[float, float]) -> str:
    """What a rate of right answers may be over all requests, where some are not graded.

    >>> ungraded_bounds(1, (0.5, 0.75))
    '1 request is not graded: of all, 50.0\xa0% are correct if it is wrong, 75.0\xa0% if right.'
    """
    low, high = (number(bound, "share") for bound in bounds)
    which = "is not graded: of all, {} are correct if it is wrong, {} if right."
    if ungraded != 1:
        which = "are not graded: of all, {} are correct if these are wrong, {} if right."
    return f"{count(ungraded, 'request')} {which.format(low, high)}"


def p_value(p: float) -> str:
    """``< .001``, ``.034``; a dash where undefined."""
    if math.isnan(p):
        return "–"
    return "< .001" if p < 0.001 else f"{p:.3f}".lstrip("0") if p < 1 else "1"


def week(monday: date) -> str:
    """``3–9 Nov 2025``: the days of the week that starts on ``monday``.

    >>> week(date(2025, 9, 29))
    '29 Sep – 5 Oct 2025'
    """
    sunday = monday + timedelta(days=6)
    if monday.month == sunday.month:
        return f"{monday.day}–{sunday.day} {sunday:%b %Y}"
    start = f"{monday.day} {monday:%b}" + ("" if monday.year == sunday.year else f" {monday.year}")
    return f"{start} – {sunday.day} {sunday:%b %Y}"


def weeks(mondays: Sequence[date]) -> str:
    """One week, or the stretch from the first to the last."""
    if len(mondays) == 1:
        return f"week of {week(mondays[0])}"
    return f"{len(mondays)} weeks, {week(mondays[0])} to {week(mondays[-1])}"


def moment(at: datetime) -> str:
    """``Tue 4 Nov 2025, 14:03 UTC``."""
    return f"{at:%a} {at.day} {at:%b %Y, %H:%M} UTC"


def feedback(kind: str, value: float) -> str:
    """What a user did, in words."""
    if kind == "click":
        return "clicked a citation"
    if kind == "thumbs":
        return "thumbs up" if value > 0 else "thumbs down"
    return "task succeeded" if value > 0 else "task failed"


def grade(y: int | None) -> str:
    """What a grader decided."""
    return "undecided" if y is None else "right" if y else "wrong"


def count(n: int, one: str, many: str | None = None) -> str:
    """``1 request``, ``1,204 requests``."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def _bounds(found: Estimate, unit: str) -> str:
    if math.isnan(found.low) or math.isnan(found.high):
        return "no interval, "
    return f"{bare(found.low, unit)}–{bare(found.high, unit)}, "


def _three_figures(size: float) -> str:
    """They are enough: 1,204 · 182 · 18.2 · 1.82 · 0.02."""
    return f"{size:,.0f}" if size >= 100 else f"{size:.1f}" if size >= 10 else f"{size:.2f}"
