"""What the demo serves in each of its twelve weeks, and what is broken on purpose.

| week | serves                     | broken on purpose                                          |
|------|----------------------------|------------------------------------------------------------|
| 1–2  | lexical                    |                                                            |
| 3    | lexical, dense             |                                                            |
| 4    | dense                      | topic_shift: torch is asked about far more often           |
| 5    | dense, rrf                 |                                                            |
| 6–7  | rrf                        | stale_index: documents come in, the index is not rebuilt   |
| 8    | rrf, convex                | (the index is rebuilt first)                               |
| 9    | convex                     | slow_lexical: a quarter of the lexical searches wait       |
| 10   | convex                     | blind_dense: only a question's first word is embedded      |
| 11   | convex, convex with k = 20 |                                                            |
| 12   | convex, convex with k = 20 | cut_context: the prompt takes tens of tokens, not hundreds |

Each fault is carried out while the requests run; nothing in the log names it. ``demo.json`` lists
the faults for a reader to compare with what the diagnosis found; no other code reads them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ragdiag.retrieval.models import DEMO_ADAPTER
from ragdiag.version import (
    ContextSpec,
    EmbedderSpec,
    ExtractiveSpec,
    FusionSpec,
    LexicalSpec,
    Spec,
    Version,
)

FaultKind = Literal["topic_shift", "stale_index", "slow_lexical", "blind_dense", "cut_context"]

SHIFTED_PACKAGE = "torch"
SHIFT = 5.0
"""How much more often questions about SHIFTED_PACKAGE are asked in a week with topic_shift."""

LATE_SHARE = 0.12
LATE_INTEREST = 2.0
"""The share of entries ingested late, and how much more often new documentation is asked about in
the weeks right after."""

SLOW_SHARE = 0.25
SLOW_MS = 150.0

CUT_TOKENS = 60

TUNED, TUNED_FROM = "hybrid-tuned", "hybrid-convex"
"""The version whose questions the shipped adapter encodes, and the one that it was tuned from. The
first is evaluated and serves nobody: its gate did not let it."""

TUNED_ALPHA = 0.9
"""The weight of the dense path that the run chose; nothing else is different."""


@dataclass(frozen=True, slots=True)
class Week:
    """``number`` counts from 1; ``versions`` maps a version's name to its share of the requests."""

    number: int
    versions: Mapping[str, float]
    fault: FaultKind | None = None


WEEKS = (
    Week(1, {"lexical": 1.0}),
    Week(2, {"lexical": 1.0}),
    Week(3, {"lexical": 0.4, "dense": 0.6}),
    Week(4, {"dense": 1.0}, "topic_shift"),
    Week(5, {"dense": 0.3, "hybrid-rrf": 0.7}),
    Week(6, {"hybrid-rrf": 1.0}, "stale_index"),
    Week(7, {"hybrid-rrf": 1.0}, "stale_index"),
    Week(8, {"hybrid-rrf": 0.4, "hybrid-convex": 0.6}),
    Week(9, {"hybrid-convex": 1.0}, "slow_lexical"),
    Week(10, {"hybrid-convex": 1.0}, "blind_dense"),
    Week(11, {"hybrid-convex": 0.6, "hybrid-convex-k20": 0.4}),
    Week(12, {"hybrid-convex": 0.5, "hybrid-convex-k20": 0.5}, "cut_context"),
)

LATE_WEEK = next(week.number for week in WEEKS if week.fault == "stale_index")
"""The documents held back so far are ingested before this week begins."""

REBUILD_WEEK = 1 + max(week.number for week in WEEKS if week.fault == "stale_index")
"""The indexes are rebuilt before this week begins; until then the first builds serve."""

FAULT_WORDS: Mapping[FaultKind, str] = {
    "topic_shift": f"questions about {SHIFTED_PACKAGE} are asked {SHIFT:g} times as often",
    "stale_index": "documents are ingested, but an index from before serves",
    "slow_lexical": f"{SLOW_SHARE:.0%} of the lexical searches take {SLOW_MS:g} ms longer",
    "blind_dense": "the embedder is given only the first word of the question",
    "cut_context": f"the prompt takes {CUT_TOKENS} tokens of context",
}


def demo_versions() -> tuple[Version, ...]:
    """The five versions in the order in which they were rolled out, then the tuned one."""
    embedder, lexical = EmbedderSpec(title=True), LexicalSpec(title=True)
    tuned = EmbedderSpec(title=True, question_adapter=DEMO_ADAPTER)
    generator = ExtractiveSpec(sentences=3)
    convex = FusionSpec(kind="convex", alpha=0.5)
    weighed = FusionSpec(kind="convex", alpha=TUNED_ALPHA)
    return (
        Version("lexical", Spec(lexical=lexical, generator=generator)),
        Version("dense", Spec(embedder=embedder, generator=generator)),
        Version("hybrid-rrf", Spec(embedder=embedder, lexical=lexical, generator=generator)),
        Version(
            TUNED_FROM,
            Spec(embedder=embedder, lexical=lexical, fusion=convex, generator=generator),
        ),
        Version(
            "hybrid-convex-k20",
            Spec(
                embedder=embedder,
                lexical=lexical,
                fusion=convex,
                context=ContextSpec(k=20, max_tokens=4000),
                generator=generator,
            ),
        ),
        Version(TUNED, Spec(embedder=tuned, lexical=lexical, fusion=weighed, generator=generator)),
    )
