"""Settings tried on logged questions, each as a lever with its measured gain, time and money."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

from ragdiag.diagnosis.levers import Lever
from ragdiag.diagnosis.tried_settings import CHUNKS_MEND, Setting, settings_to_try
from ragdiag.errors import IndexFault, InputError
from ragdiag.progress import Progress, part, report
from ragdiag.records import Estimate
from ragdiag.settings import Workspace
from ragdiag.stats.paired import compare_paired
from ragdiag.workflows.diagnosing.learned_settings import learned_settings
from ragdiag.workflows.diagnosing.lever_costs import added_ms, added_usd
from ragdiag.workflows.diagnosing.recut import recut_what_if, sizes_to_try
from ragdiag.workflows.diagnosing.trials import Trial, Tried, untried
from ragdiag.workflows.diagnosing.what_if import Found, Outcome, WhatIf

SEARCHED, LEARNED = 0.3, 0.4
"""Of the progress: the rest is answering."""
OTHER_PASSAGES = Estimate.undefined("its passages are others than those that were judged")
SAME_CONTEXT = "same context, no difference"


def tried_levers(
    what_if: WhatIf,
    trial: Trial,
    workspace: Workspace,
    own: Setting | None = None,
    progress: Progress | None = None,
) -> list[Lever]:
    """The reader's ``own`` setting and every other, passages of other sizes, and what is learned
    (learned_settings.py). What cannot be tried says why; where ``own`` cannot, InputError does."""
    tried: list[Tried] = []
    sizes, found = _sizes(what_if, trial)
    settings = [*([] if own is None else [own]), *settings_to_try(trial.spec), *sizes]
    for number, setting in enumerate(settings, start=1):
        try:
            tried.append(_try(setting, what_if, trial, workspace))
        except IndexFault as error:  # too few passages of that size for its kind of index
            if setting is own:
                raise
            found.append(untried(setting.name, setting.mends, error, trial))
        report(progress, SEARCHED * number / len(settings), f"searched with {setting.name}")
    for one in learned_settings(what_if, trial, workspace, part(progress, SEARCHED, LEARNED)):
        if isinstance(one, Tried):
            tried.append(one)
        else:
            found.append(one)
    now = what_if.find(trial.spec, trial.requests, trial.to_answer)
    before, *after = what_if.answer(
        trial.requests, [now, *(one.found for one in tried)], part(progress, LEARNED, 1.0)
    )
    as_set = _AsSet(what_if, trial, now, before)
    return [*found, *(_lever(*pair, as_set, trial) for pair in zip(tried, after, strict=True))]


class _AsSet:
    """What the requests get as the version is set, and what finding it takes here and now."""

    def __init__(
        self, what_if: WhatIf, trial: Trial, found: Sequence[Found], outcomes: list[Outcome]
    ) -> None:
        self._what_if, self._trial = what_if, trial
        self._requests = [trial.requests[n] for n in trial.asked]
        self._found, self._outcomes = found, outcomes

    def prompts_like(self, tried: Tried) -> bool:
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


def _try(setting: Setting, what_if: WhatIf, trial: Trial, workspace: Workspace) -> Tried:
    if setting.chunk_tokens is None:
        return Tried(setting, what_if.find(setting.spec, trial.requests, trial.to_answer))
    with recut_what_if(what_if, trial.spec, workspace, setting.chunk_tokens) as recut:
        found = recut.what_if.find(setting.spec, trial.requests, trial.to_answer)
        return Tried(setting, found, recut.note)


def _lever(tried: Tried, after: Sequence[Outcome], as_set: _AsSet, trial: Trial) -> Lever:
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
        documents=answers.clusters,
    )


def _sizes(what_if: WhatIf, trial: Trial) -> tuple[list[Setting], list[Lever]]:
    """Sizes of passages to try; without any, the lever that says why."""
    try:
        return sizes_to_try(trial.spec, what_if.passages, trial.most_recut), []
    except InputError as error:
        return [], [untried("passages of another size", CHUNKS_MEND, error, trial)]
