"""The second holdout of a model that answers: its dev questions as users type them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ragdiag.diagnosis.budget import Price
from ragdiag.generation.steadfast import SteadfastGenerator
from ragdiag.pipeline import open_pipeline
from ragdiag.privacy.screening import open_screen
from ragdiag.progress import Progress, report
from ragdiag.question_clusters import load_clusters
from ragdiag.retrieval.lexical import tokenise
from ragdiag.settings import Workspace
from ragdiag.store.lake import Lake
from ragdiag.training.answers.located import AnswerExample
from ragdiag.training.data.examples import Pair
from ragdiag.training.data.user_questions import vary_pairs
from ragdiag.version import Version
from ragdiag.workflows.comparing.compare import QuestionPair, score_request

VARIANTS = 2
"""Of each question at most."""


def made_questions(dev: Sequence[AnswerExample], seed: int) -> list[AnswerExample]:
    """Variants of the questions of ``dev`` that have an answer; the same under one seed. A variant
    keeps its question's id."""
    answered = {one.question_id: one for one in dev if one.answers}
    words = frozenset(
        word for one in answered.values() for p in one.context for word in tokenise(p.text)
    )
    pairs = [Pair(name, one.question, "") for name, one in answered.items()]
    made = vary_pairs(pairs, "holdout", per_question=VARIANTS, seed=seed, vocabulary=words)
    return [replace(answered[one.question_id], question=one.question) for one in made]


def unasked_reason(version: Version) -> str | None:
    """Why ``version`` is asked no made questions, in words; None where it is. Its prices are paid
    for the test split alone: that cannot be done without."""
    if Price.of(version.spec.generator) is None:
        return None
    return f"synthetic questions were not asked: the generator of {version.name} has prices"


def ask_made(
    lake: Lake,
    workspace: Workspace,
    version: Version,
    tuned: Version,
    made: Sequence[AnswerExample],
    progress: Progress | None = None,
) -> list[QuestionPair]:
    """Ask both versions ``made`` questions. Nothing is logged: nobody asked them. Raises
    GeneratorDown where a generator fails again and again."""
    screen = open_screen(workspace)
    opened = [open_pipeline(lake, workspace, one) for one in (version, tuned)]
    pipelines = [one.with_parts(generator=SteadfastGenerator(one.generator)) for one in opened]
    golds = {one.question_id: one.answers for one in made}
    owners = load_clusters(
        lake,
        {one.question_id: one.question for one in made},
        {one.question_id: dict.fromkeys(sorted(one.gold), 1) for one in made},
    )
    pairs = []
    for number, one in enumerate(made, start=1):
        name = one.question_id
        old, new = (pipeline.ask(one.question, question_id=name) for pipeline in pipelines)
        said = screen.redact([old.answer, new.answer])  # as the gold answers are stored
        old, new = (replace(r, answer=a or "") for r, a in zip((old, new), said, strict=True))
        scores = [score_request(each, {}, golds) for each in (old, new)]
        ids = old.request_id, new.request_id
        pairs.append(QuestionPair(name, one.question, owners[name], *ids, *scores))
        report(progress, number / len(made), f"asked {number} of {len(made)} made questions")
    return pairs
