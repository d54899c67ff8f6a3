"""From the name a person writes to the grader it means."""

from __future__ import annotations

from ragdiag.configuration import read_configuration
from ragdiag.errors import InputError, UnknownName
from ragdiag.grading.contract import Grader
from ragdiag.grading.judge import Judge
from ragdiag.grading.judge_cache import JudgeCache
from ragdiag.grading.new_words import GROUNDED, NewWordsSupport
from ragdiag.grading.rubrics import RUBRICS
from ragdiag.grading.rules import RULES, DefaultGrader, rule_grader
from ragdiag.settings import Workspace

BY_ENCODER = ("semantic", "grounded_encoder")
BY_CITATIONS = ("citation_recall", "citation_precision")
BY_WORDS = ("grounded_lexical", "grounded_new_words")
DEFAULT = "contains_or_f1"
"""What people write for the default grader, whatever its version."""

LOCAL = (DEFAULT, *RULES, *BY_WORDS, *BY_CITATIONS, *BY_ENCODER)
"""Graders that ask nobody."""

JUDGES = tuple(f"{rubric.prefix}:MODEL" for rubric in RUBRICS)


def open_grader(workspace: Workspace, name: str, threshold: float | None = None) -> Grader:
    """The grader that ``name`` (of LOCAL, or of JUDGES with a model) means.

    Raises UnknownName, InputError where it takes no such threshold, ModelError where the encoder is
    missing, and as ChatClient does for a judge.
    """
    kind, colon, model = name.partition(":")
    rubric = next((one for one in RUBRICS if colon and one.prefix == kind), None)
    if not (name in LOCAL or (rubric and model)):
        raise UnknownName(
            f"there is no grader {name!r}", remedy=f"name one of: {', '.join((*LOCAL, *JUDGES))}"
        )
    fixed = rubric or name == DEFAULT or (name in RULES and RULES[name][1] is None)
    if threshold is not None and (fixed or not 0 < threshold <= 1):
        what = "takes no threshold" if fixed else f"cannot have the threshold {threshold:g}"
        raise InputError(f"{name} {what}", remedy="leave it out, or give one above 0, at most 1")
    if rubric is not None:
        table = read_configuration(workspace).judge
        return Judge(model, rubric, table, JudgeCache(workspace.judge_cache))
    if name == DEFAULT:
        return DefaultGrader()
    return rule_grader(name, threshold) if name in RULES else _by_passages(name, threshold)


def _by_passages(name: str, threshold: float | None) -> Grader:
    from ragdiag.grading import groundedness as grounded

    if name in BY_CITATIONS:
        return grounded.CitationGrader(
            name.removeprefix("citation_"), threshold or grounded.LEXICAL
        )
    if name == "grounded_lexical":
        return grounded.GroundednessGrader(
            name, grounded.lexical_support, threshold or grounded.LEXICAL
        )
    if name == "grounded_new_words":
        return NewWordsSupport(threshold or GROUNDED)
    from ragdiag.grading.semantic import USUAL, SemanticGrader, packaged_vectors

    vectors = packaged_vectors()
    if name == "semantic":
        return SemanticGrader(vectors, threshold or USUAL)
    support = grounded.encoder_support(vectors)
    return grounded.GroundednessGrader(name, support, threshold or grounded.ENCODER)
