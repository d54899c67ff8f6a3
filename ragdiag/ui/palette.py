"""Colours that carry meaning, the same on every page, legible on light and on dark.

From the colour-blind-safe set of Okabe & Ito (2008), shifted to a middle lightness. A verdict and
its cause share a hue; a version or a topic keeps its colour whatever else is shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ragdiag.store.queries import NOT_DIAGNOSED

GREY = "#8b919b"
BLUE = "#2f86c8"
GREEN = "#1a9a77"
ORANGE = "#d98a1f"
PINK = "#b672a8"
RED = "#d0563f"
OLIVE = "#9a8b1e"
GOLD = "#c9a227"

SERIES = (BLUE, ORANGE, GREEN, PINK, RED, "#6aa9d8", OLIVE, GREY)

FAULT_COLOURS: Mapping[str, str] = {
    "corpus": GREEN,
    "corpus_gap": GREEN,
    "retrieval": BLUE,
    "recall_miss": BLUE,
    "fusion_loss": "#62a8dd",
    "rerank_loss": "#3f6fa3",
    "beyond_logged_depth": "#7c9cb8",
    "packing": OLIVE,
    "distraction": PINK,
    "generator": ORANGE,
    "in_context": ORANGE,
    "label_suspect": RED,
    "undetermined": GREY,
    "gold_unknown": GREY,
    "gold_withheld": GREY,
    NOT_DIAGNOSED: "#b3b8bf",
}


def colour_of(name: str, names: Sequence[str]) -> str:
    """The colour of a version or topic: by its place among all of them, so that filters on a
    page do not repaint what stays."""
    return SERIES[names.index(name) % len(SERIES)] if name in names else GREY


def faded(colour: str) -> str:
    """A ``#rrggbb`` colour, transparent enough to lie behind a line."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.16)"
