"""What stands beside every score: how far its grader agrees with people."""

from __future__ import annotations

import math

from ragdiag.grading.flips import CAUTION, flips_too_often
from ragdiag.records import DEFAULT_GRADER, Estimate
from ragdiag.store.authority import is_own, is_person
from ragdiag.store.calibrations import KNOWN_TRUTH, GraderCalibration, load_calibrations
from ragdiag.store.lake import Lake
from ragdiag.ui import terms
from ragdiag.ui.cached import fetch
from ragdiag.ui.story import Story
from ragdiag.ui.view import View
from ragdiag.ui.words import NBSP

COPIED = " Those answers are copied word for word: people's labels of your own are harder to meet."


def note(view: View, grader: str = DEFAULT_GRADER) -> str:
    """One sentence about ``grader``, for a caption below its score."""
    return told(fetch(view, _found, grader), grader)


def whose_word(view: View, story: Story) -> str:
    """Who says that the answer is right or wrong, by what rule, and what each grader is worth: the
    default one, whose score stands beside the answer, too."""
    said = "right" if story.y else "wrong"
    if story.y is None or is_own(story.decided_by):
        return f"{terms.CORRECT} {note(view)}"
    if is_person(story.decided_by):
        votes = story.reason.replace(" to ", f"{NBSP}to{NBSP}")
        rule = f"Reviewers say that it is {said}, {votes}; that goes before every grader's word."
    else:
        rule = (
            f"A judge says that it is {said}; that goes before the default grader's word. "
            f"{note(view, story.decided_by)}"
        )
    return f"{rule} {note(view)}"


def _found(lake: Lake, grader: str) -> GraderCalibration | None:
    return load_calibrations(lake).get(grader)


def told(found: GraderCalibration | None, grader: str) -> str:
    """The sentence; one that was never measured says how to.

    >>> told(None, "numeric-v1").replace(NBSP, " ")
    'The grader numeric-v1 was never held against people: ragdiag grade calibrate.'
    """
    if is_person(grader):
        return "A person's own label."
    if found is None:
        return (
            f"The grader {grader} was never held against people: ragdiag{NBSP}grade{NBSP}calibrate."
        )
    agrees, auroc, floor = (found.estimate(name) for name in ("accuracy", "auroc", "floor"))
    if agrees.value != agrees.value and agrees.n:
        return f"How far the grader {grader} agrees with people is not known: {agrees.reason}."
    if agrees.value != agrees.value:
        return f"The grader {grader} decided none of the labelled answers."
    unknown = int(found.found["unknown"])
    undecided = f", {unknown} undecided" if unknown else ""
    return (
        f"The grader {grader} agrees with {found.whose} on {_share(agrees)}{undecided}; "
        f"AUROC {_two_digits(auroc)}, plain word overlap {_two_digits(floor)}."
        f"{_flips(found.flips)}{COPIED * (found.labels == KNOWN_TRUTH)}"
    )


def _flips(rate: Estimate | None) -> str:
    """What a judge said when it was asked again; a warning where that was too often another."""
    if rate is None:
        return ""
    if math.isnan(rate.value):
        return f" Asked again, it decided nothing twice ({rate.reason})."
    share = f"{_share(rate)} of its verdicts changed when it was asked again"
    return f" Warning: {share}, {CAUTION}." if flips_too_often(rate) else f" {share}."


def _share(found: Estimate) -> str:
    """``75 % (53–89, n=20)``."""
    bounds = f"{100 * found.low:.0f}–{100 * found.high:.0f}"
    return f"{100 * found.value:.0f}{NBSP}% ({bounds}, n={found.n})"


def _two_digits(found: Estimate) -> str:
    """``.94 (.89–.97)``; a dash with its reason where it is not defined."""
    if math.isnan(found.value):
        return f"– ({found.reason})" if found.reason else "–"
    value, low, high = (
        f"{one:.2f}".removeprefix("0") for one in (found.value, found.low, found.high)
    )
    return value if math.isnan(found.low) else f"{value} ({low}–{high})"
