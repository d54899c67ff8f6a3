"""Which passage moved the answer of one request: the trials run, kept as they are made, and told.

Resumable: a trial that was kept is not run again, whenever and by whom it was made.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ragdiag.diagnosis.ablation import (
    Part,
    Removed,
    fit_ablation,
    masks_to_score,
    parts_of,
    without,
)
from ragdiag.diagnosis.influence import (
    answers_needed,
    influences,
    is_deterministic,
    leave_one_out,
    passage_ids,
    trial_of,
)
from ragdiag.diagnosis.influence_words import ablation_rows, leave_one_out_rows
from ragdiag.diagnosis.influence_words import sentences as sentences
from ragdiag.errors import InputError, UnknownName
from ragdiag.generation.generator import load_generator
from ragdiag.generation.steadfast import SteadfastGenerator
from ragdiag.metrics.answers import grade_answer, normalise_answer
from ragdiag.privacy.hiding import is_hidden
from ragdiag.progress import Progress, report
from ragdiag.records import Answer, ContextPassage, ContextTrial, Request
from ragdiag.retrieval.text import sentence_spans
from ragdiag.store.contexts import load_contexts
from ragdiag.store.corpus import load_gold_answers
from ragdiag.store.influences import load_trials, save_influence, save_trials
from ragdiag.store.lake import Lake
from ragdiag.store.results import find_served_version, load_requests
from ragdiag.version import GeneratorSpec, TransformersSpec

By = Literal["passage", "sentence"]

SAVE_EVERY_S = 5.0


@dataclass(frozen=True)
class Subject:
    """A request whose answer can be asked for again: its context as the prompt had it."""

    request: Request
    generator: GeneratorSpec
    context: tuple[ContextPassage, ...]
    golds: tuple[str, ...]

    def setting(self, *more: str) -> str:
        """The hash of all that decides a trial but the passages removed."""
        decides = [
            self.request.question,
            [[passage.passage_id, passage.text] for passage in self.context],
            self.generator.model_dump(mode="json"),
            sorted(self.golds),
            *more,
        ]
        return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:16]

    def y(self, answer: Answer) -> int | None:
        return grade_answer(self.request.request_id, answer.text, answer.status, self.golds).y


def open_subject(lake: Lake, request_id: str) -> Subject:
    """Raises UnknownName; InputError where nobody can ask again: no generator is known, or not
    every text of the prompt is stored."""
    found = load_requests(lake, request_ids=[request_id])
    if not found:
        raise UnknownName(
            f"there is no request {request_id!r}", remedy="copy its id from the Request page"
        )
    request = found[0]
    spec = find_served_version(lake, request.version_id).spec
    if spec is None:
        raise InputError(
            f"request {request_id} was answered by a service whose generator is not known",
            remedy="name a request of a version that was added with a spec",
        )
    context = load_contexts(lake, found).get(request_id)
    if context is None or is_hidden(request.question):
        raise InputError(
            f"request {request_id} cannot be asked again: its prompt was empty, or a text of it is "
            "not stored",
            remedy="name a request whose question and passages are stored",
        )
    golds = load_gold_answers(lake).get(request.question_id or "", ())
    return Subject(request, spec.generator, context, tuple(golds))


def plan(lake: Lake, subject: Subject, k: int | None = None) -> dict[str, Any]:
    """What leaving passages out would ask for: the answers, fewest and most, and where the request
    tells of one, their price in US$ and their time in seconds."""
    request = subject.request
    passages = len(passage_ids(subject.context)[:k])
    kept = load_trials(lake, request.request_id, subject.setting())
    fewest, most = answers_needed(passages, len(kept))
    seconds, price = request.latency_ms.get("generation"), request.cost_usd
    return {
        "answers": [fewest, most],
        "cost_usd": None if price is None else [price * n for n in (fewest, most)],
        "seconds": None if seconds is None else [seconds / 1000 * n for n in (fewest, most)],
    }


def weigh_by_leaving_out(
    lake: Lake, subject: Subject, *, k: int | None = None, progress: Progress | None = None
) -> dict[str, Any]:
    """Leave out each of the prompt's first ``k`` passages (None: all) in turn, and keep what that
    tells. Raises ModelError, ProviderRefused or GeneratorDown."""
    request_id, setting = subject.request.request_id, subject.setting()
    known = load_trials(lake, request_id, setting)
    generator = SteadfastGenerator(load_generator(subject.generator))
    attempt = trial_of(request_id, setting, subject.request.question, generator, subject.y)
    most = answers_needed(len(passage_ids(subject.context)[:k]), len(known))[1]
    made = leave_one_out(subject.context, attempt, k=k, known=known)
    _keep(lake, made, most, f"{request_id}: answers without a passage", progress)
    wanted = set(passage_ids(subject.context)[:k])
    trials = [
        trial
        for trial in load_trials(lake, request_id, setting)
        if wanted.issuperset(trial.removed)
    ]
    whole = [trial for trial in trials if not trial.removed]
    said = {normalise_answer(trial.answer) for trial in whole}
    cited = whole[0].citations if whole else ()
    found = {
        "method": "leave-one-out",
        "request_id": request_id,
        "y": whole[0].y if whole else None,
        "deterministic": is_deterministic(trials),
        "reproduces": normalise_answer(subject.request.answer) in said if whole else None,
        "answers": len(trials),
        "parts": leave_one_out_rows(influences(subject.context, trials, cited, k=k)),
    }
    save_influence(lake, request_id, "leave-one-out", found)
    return found


def weigh_by_ablation(
    lake: Lake,
    subject: Subject,
    *,
    k: int = 3,
    by: By = "passage",
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Score the logged answer under random parts of its context, and keep what a sparse linear
    model of them tells. ``k``: of the fall in ln p without the strongest parts.

    Raises InputError for a generator that is no model of this process, or a request without an
    answer; ModelError, ProviderRefused, ProviderUnreachable.
    """
    request = subject.request
    parts = parts_of(subject.context, sentence_spans if by == "sentence" else None)
    setting = subject.setting("ablation", by, request.status, request.answer)
    score = _scorer(subject, parts, setting)

    def try_each(wanted: Sequence[Removed]) -> dict[Removed, float]:
        known = {trial.removed for trial in load_trials(lake, request.request_id, setting)}
        missing = [removed for removed in wanted if removed not in known]
        what = f"{request.request_id}: contexts without some {by}s"
        _keep(lake, map(score, missing), len(missing), what, progress)
        trials = load_trials(lake, request.request_id, setting)
        return {t.removed: t.log_probability for t in trials if t.log_probability is not None}

    scored = try_each(list(masks_to_score(parts)))
    ablation = fit_ablation(parts, scored, k, lambda removed: try_each([removed])[removed])
    found = {
        "method": "ablation",
        "request_id": request.request_id,
        "by": by,
        "log_probability": ablation.log_probability,
        "strongest": list(ablation.strongest),
        "drop": ablation.drop.to_json(),
        "datamodelling": ablation.datamodelling.to_json(),
        "masks": ablation.masks,
        "parts": ablation_rows(ablation, subject.context, request.citations),
    }
    save_influence(lake, request.request_id, "ablation", found)
    return found


def _scorer(
    subject: Subject, parts: Sequence[Part], setting: str
) -> Callable[[Removed], ContextTrial]:
    """Raises InputError where the logged answer's probability cannot be had, ModelError."""
    from ragdiag.generation.local import load_transformers

    request, spec = subject.request, subject.generator
    if not isinstance(spec, TransformersSpec):
        raise InputError(
            f"an answer's probability is not known of a generator of kind {spec.kind!r}",
            remedy="use --method leave-one-out, which asks any generator",
        )
    if request.status == "error" or is_hidden(request.answer):
        raise InputError(
            f"request {request.request_id} has no stored answer to score",
            remedy="name a request that was answered, or use --method leave-one-out",
        )
    generator = load_transformers(spec)

    def score(removed: Removed) -> ContextTrial:
        context = without(subject.context, parts, removed)
        value = generator.log_probability(request.question, context, subject.request.said)
        return ContextTrial(request.request_id, setting, removed, 0, log_probability=value)

    return score


def _keep(
    lake: Lake,
    made: Iterable[ContextTrial],
    most: int,
    what: str,
    progress: Progress | None,
) -> None:
    """Save trials as they are made, every SAVE_EVERY_S, and what there is when it breaks off."""
    waiting: list[ContextTrial] = []
    saved, done = time.monotonic(), 0
    report(progress, 0.0, what)
    try:
        for done, trial in enumerate(made, start=1):
            waiting.append(trial)
            report(progress, min(done / most, 1.0), f"{what}: {done} of at most {most}")
            if time.monotonic() - saved >= SAVE_EVERY_S:
                save_trials(lake, waiting)
                waiting, saved = [], time.monotonic()
    finally:
        save_trials(lake, waiting)
    report(progress, 1.0, f"{what}: {done} tried")
