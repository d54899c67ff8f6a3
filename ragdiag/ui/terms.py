"""What verdicts, causes, stages and arms are called on the pages, and who mends what."""

from __future__ import annotations

from collections.abc import Mapping

from ragdiag.diagnosis.verdicts import OWNERS
from ragdiag.metrics.answers import F1_THRESHOLD
from ragdiag.metrics.question_slices import SliceKind
from ragdiag.store.queries import NOT_DIAGNOSED

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
    "gold_withheld": "the gold passages may not be seen by who asked",
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
    "missing": ("the corpus lacks the gold passage: never there, or removed", "add the document"),
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

MOVEMENTS: Mapping[str, str] = {
    "better": "better",
    "worse": "worse",
    "no evidence": "within chance",
    "unknown": "too little data",
}


READ_TOGETHER = (
    "Correct answers are read by themselves: they moved where the interval excludes zero. The "
    "other measures are read together (Benjamini–Hochberg): of those that moved, at most one in "
    "twenty is expected to have done so by chance. Requests of one user count as belonging "
    "together, but for p95."
)
READ_BESIDE = (
    "All of these are read together (Benjamini–Hochberg): of those that moved, at most one in "
    "twenty is expected to have done so by chance."
)


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
