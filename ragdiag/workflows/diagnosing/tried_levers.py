"""Settings tried on logged questions, each as a lever with its measured gain, time and money."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from ragdiag.diagnosis.levers import Lever, WorkRates
from ragdiag.diagnosis.tried_settings import CHUNKS_MEND, Setting, settings_to_try
from ragdiag.errors import IndexFault, InputError, RagdiagError
from ragdiag.progress import Progress, part, report
from ragdiag.records import Estimate, Request
from ragdiag.retrieval.fusion_tuning import LABELS_NEEDED, FusionChoice, choose_alpha
from ragdiag.settings import Workspace
from ragdiag.stats.paired import compare_paired
from ragdiag.version import FusionSpec, Spec
from ragdiag.workflows.diagnosing.lever_costs import Prices, added_ms, added_usd
from ragdiag.workflows.diagnosing.recut import recut_what_if, sizes_to_try
from ragdiag.workflows.diagnosing.what_if import Found, Outcome, WhatIf

SEARCHED = 0.3
"""Of the progress: the rest is answering."""
OTHER_PASSAGES = Estimate.undefined("its passages are others than those that were judged")
SAME_CONTEXT = "same context, no difference"


@dataclass(frozen=True)
class Trial:
    """A version's requests with their judgments; those whose id is in ``to_answer`` are answered
    anew under each setting. Requests of one owner (the document that answers them) belong together.
    ``most_recut`` is how many passages are cut anew unasked (recut.py)."""

    spec: Spec
    requests: Sequence[Request]
    owners: Sequence[str]
    to_answer: set[str]
    judgments: Mapping[str, Mapping[str, int]]
    rates: WorkRates
    prices: Prices
    most_recut: int | None = None

    @cached_property
    def asked(self) -> list[int]:
        """Which requests are answered anew, by their places."""
        return [n for n, one in enumerate(self.requests) if one.request_id in self.to_answer]


def tried_levers(
    what_if: WhatIf,
    trial: Trial,
    workspace: Workspace,
    own: Setting | None = None,
    progress: Progress | None = None,
) -> list[Lever]:
    """The reader's ``own`` setting and every other, passages of other sizes, and the learned weight
    of two paths. What cannot be tried says why; where ``own`` cannot, InputError does."""
    tried: list[_Tried] = []
    sizes, found = _sizes(what_if, trial)
    settings = [*([] if own is None else [own]), *settings_to_try(trial.spec), *sizes]
    for number, setting in enumerate(settings, start=1):
        try:
            tried.append(_try(setting, what_if, trial, workspace))
        except IndexFault as error:  # too few passages of that size for its kind of index
            if setting is own:
                raise
            found.append(_untried(setting.name, setting.mends, error, trial))
        report(progress, SEARCHED * number / len(settings), f"searched with {setting.name}")
    if trial.spec.embedder is not None and trial.spec.lexical is not None:
        try:
            tried.append(_weight_of_paths(what_if, trial))
        except InputError as error:
            found.append(
                _untried("weight of the dense path learned", ("fusion_loss",), error, trial)
            )
    now = what_if.find(trial.spec, trial.requests, trial.to_answer)
    before, *after = what_if.answer(
        trial.requests, [now, *(one.found for one in tried)], part(progress, SEARCHED, 1.0)
    )
    as_set = _AsSet(what_if, trial, now, before)
    return [*found, *(_lever(*pair, as_set, trial) for pair in zip(tried, after, strict=True))]


@dataclass(frozen=True, slots=True)
class _Tried:
    """A setting and what it finds, with a ``note`` where it is over passages of another size."""

    setting: Setting
    found: Sequence[Found]
    note: str = ""


class _AsSet:
    """What the requests get as the version is set, and what finding it takes here and now."""

    def __init__(
        self, what_if: WhatIf, trial: Trial, found: Sequence[Found], outcomes: list[Outcome]
    ) -> None:
        self._what_if, self._trial = what_if, trial
        self._requests = [trial.requests[n] for n in trial.asked]
        self._found, self._outcomes = found, outcomes

    def prompts_like(self, tried: _Tried) -> bool:
        """Whether every question has the same passages in its prompt under both."""
        return all(self._found[n].prompted == tried.found[n].prompted for n in self._trial.asked)

    def beside(self, setting: Setting) -> list[Outcome]:
        """Timed for the stages that ``setting`` does anew."""
        spec, other = self._trial.spec, setting.spec
        same = (other.candidates, other.fusion) == (spec.candidates, spec.fusion)
        if setting.chunk_tokens is not None or not same:
            times = self._searched
        elif other.reranker != spec.reranker:
            times = self._reranked
        else:
            return self._outcomes
        timed = list(self._outcomes)
        for n, ms in zip(self._trial.asked, times, strict=True):
            timed[n] = replace(timed[n], found_ms=ms)
        return timed

    @cached_property
    def _searched(self) -> list[float]:
        return self._what_if.searched_ms(self._requests)

    @cached_property
    def _reranked(self) -> list[float]:
        return self._what_if.reranked_ms(self._requests)


def _try(setting: Setting, what_if: WhatIf, trial: Trial, workspace: Workspace) -> _Tried:
    if setting.chunk_tokens is None:
        return _Tried(setting, what_if.find(setting.spec, trial.requests, trial.to_answer))
    with recut_what_if(what_if, trial.spec, workspace, setting.chunk_tokens) as recut:
        found = recut.what_if.find(setting.spec, trial.requests, trial.to_answer)
        return _Tried(setting, found, recut.note)


def _lever(tried: _Tried, after: Sequence[Outcome], as_set: _AsSet, trial: Trial) -> Lever:
    setting, before = tried.setting, as_set.beside(tried.setting)
    old, new = ([side[n] for n in trial.asked] for side in (before, after))
    owners = [trial.owners[n] for n in trial.asked]
    answers = compare_paired([one.y for one in old], [one.y for one in new], clusters=owners)
    gain = answers.difference
    if gain.n and as_set.prompts_like(tried):
        gain = replace(gain, reason=SAME_CONTEXT)
    ranking = compare_paired(
        [one.metric for one in before], [one.metric for one in after], clusters=trial.owners
    ).difference
    return Lever(
        setting.name,
        setting.mends,
        "measured",
        gain,
        trial.rates.setting,
        setting.toml,
        ranking_gain=ranking if setting.chunk_tokens is None else OTHER_PASSAGES,
        p=answers.p,
        slower=added_ms(old, new, owners),
        dearer=added_usd(old, new, owners, trial.prices),
        note=tried.note,
    )


def _sizes(what_if: WhatIf, trial: Trial) -> tuple[list[Setting], list[Lever]]:
    """Sizes of passages to try; without any, the lever that says why."""
    try:
        return sizes_to_try(trial.spec, what_if.passages, trial.most_recut), []
    except InputError as error:
        return [], [_untried("passages of another size", CHUNKS_MEND, error, trial)]


def _weight_of_paths(what_if: WhatIf, trial: Trial) -> _Tried:
    """Raises InputError where too few questions are judged to learn it from."""
    judged = [request for request in trial.requests if _relevant(trial, request)]
    if len(judged) < LABELS_NEEDED:
        raise InputError(
            f"{len(judged)} judged questions are too few to learn it from",
            remedy=f"judge {LABELS_NEEDED}, or name a weight: --set alpha=0.6",
        )
    choice = _learn_weight(what_if, trial, judged)
    setting = _weighed(trial.spec, choice)
    found = what_if.find(setting.spec, trial.requests, trial.to_answer)
    held_out = iter(choice.held_out)
    # The ranking gain is of weights chosen without the question; one weight serves answers.
    honest = [
        replace(one, metric=next(held_out) if _relevant(trial, request) else math.nan)
        for request, one in zip(trial.requests, found, strict=True)
    ]
    return _Tried(setting, honest)


def _learn_weight(what_if: WhatIf, trial: Trial, judged: Sequence[Request]) -> FusionChoice:
    fusion = FusionSpec(kind="convex", normalisation=trial.spec.fusion.normalisation)
    retriever = what_if.retriever(trial.spec.model_copy(update={"fusion": fusion}))
    return choose_alpha([retriever.evidence(r.question, _relevant(trial, r)) for r in judged])


def _untried(name: str, mends: tuple[str, ...], why: RagdiagError, trial: Trial) -> Lever:
    nothing = Estimate.undefined(f"not tried: {why.message}")
    return Lever(
        name,
        mends,
        "measured",
        nothing,
        trial.rates.setting,
        why.remedy,
        slower=Estimate.undefined("not tried"),
        dearer=Estimate.undefined("not tried"),
    )


def _weighed(spec: Spec, choice: FusionChoice) -> Setting:
    alpha = round(choice.alpha, 2)
    fusion = FusionSpec(kind="convex", alpha=alpha, normalisation=spec.fusion.normalisation)
    return Setting(
        f"weight of the dense path learned: {alpha:g}",
        spec.model_copy(update={"fusion": fusion}),
        ("fusion_loss",),
        f'[fusion] kind = "convex", alpha = {alpha:g}',
    )


def _relevant(trial: Trial, request: Request) -> set[str]:
    judged = trial.judgments.get(request.question_id or "", {})
    return {passage for passage, grade in judged.items() if grade > 0}
