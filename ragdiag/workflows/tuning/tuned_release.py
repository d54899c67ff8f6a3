"""From a tuned version to a verdict: its index, its change on every held-out set, the gate.

Nothing is promoted: a version whose gate passed is left ready to be tried on a share of production.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ragdiag.errors import UnknownName
from ragdiag.privacy.hiding import is_hidden
from ragdiag.progress import Progress, part
from ragdiag.question_clusters import load_clusters
from ragdiag.records import Question
from ragdiag.settings import Workspace
from ragdiag.store.corpus import load_judgments, load_questions
from ragdiag.store.lake import Lake
from ragdiag.store.regressions import load_regressions
from ragdiag.store.results import save_version
from ragdiag.training.data.examples import TrainingSet
from ragdiag.training.recording import Recording
from ragdiag.training.runs import Candidate, SetName
from ragdiag.version import Version
from ragdiag.workflows.comparing.evaluate import evaluate
from ragdiag.workflows.comparing.gate import gate_versions
from ragdiag.workflows.tuning.tuned_change import (
    HeldOut,
    Ranked,
    Ranker,
    find_overfit,
    judge_release,
    lost_regressions,
    measure_change,
    moved_questions,
    quality_of,
)
from ragdiag.workflows.tuning.tuned_version import same_passages

NEW_QUESTIONS: tuple[SetName, ...] = ("temporal", "synthetic")
"""What the gain on the test split is held against, each by itself: a few late questions must not
hide what many made ones show."""


def load_test(lake: Lake, test: str) -> HeldOut:
    """The judged questions of the split ``test``. Raises UnknownName where none of them can be
    asked."""
    judged = load_judgments(lake, test)
    asked = [
        one
        for one in load_questions(lake, test)
        if not is_hidden(one.text) and any(judged.get(one.question_id, {}).values())
    ]
    if not asked:
        raise UnknownName(
            f"no question of the split {test!r} has a relevant passage to be tested on",
            remedy="name another with --test",
        )
    return HeldOut("test", asked, judged)


def held_out_sets(
    lake: Lake, test: HeldOut, temporal: TrainingSet, synthetic: TrainingSet
) -> list[HeldOut]:
    """``test`` first, then those of the others that hold a question."""
    sets = [test]
    sets += [from_pairs("temporal", temporal), from_pairs("synthetic", synthetic)]
    sets.append(_regressions(lake))
    return [clustered(lake, one) for one in sets if one.questions]


def clustered(lake: Lake, held: HeldOut) -> HeldOut:
    """With the cluster of each question: those of one document are not independent."""
    words = {one.question_id: one.text for one in held.questions}
    return replace(held, clusters=load_clusters(lake, words, held.judgments))


def from_pairs(name: SetName, held: TrainingSet) -> HeldOut:
    """Each pair's passage is relevant to its question."""
    words = {pair.question_id: pair.question for pair in held.pairs}
    judgments = {q: dict.fromkeys(golds, 1) for q, golds in held.positives.items()}
    return HeldOut(name, [Question(q, text) for q, text in words.items()], judgments)


def release_tuned(
    lake: Lake,
    workspace: Workspace,
    recording: Recording,
    version: Version,
    tuned: Version,
    sets: Sequence[HeldOut],
    test: str,
    progress: Progress | None = None,
) -> None:
    """Measure ``tuned``, which has an index, beside ``version`` on ``sets``, judge it, and write
    all down. Raises TrainingError where their indexes hold other passages, and what asking
    questions raises."""
    save_version(lake, tuned)
    with same_passages(lake, workspace, version, tuned):
        before = _ranked(lake, workspace, version, sets, part(progress, 0.0, 0.15))
        after = _ranked(lake, workspace, tuned, sets, part(progress, 0.15, 0.3))
        # Both in one run, so that their times are of one machine in one mood.
        evaluate(lake, workspace, version, test, part(progress, 0.3, 0.65))
        evaluate(lake, workspace, tuned, test, part(progress, 0.65, 1.0))
    gained, lost = moved_questions(sets[0], before["test"], after["test"])
    by_name = {one.name: one for one in sets}
    overfit = tuple(
        find_overfit(by_name["test"], by_name[name], before, after)
        for name in NEW_QUESTIONS
        if name in by_name
    )
    recording.say(
        measured=tuple(measure_change(s, before[s.name], after[s.name]) for s in sets),
        gained=gained,
        lost=lost,
        overfit=overfit,
    )
    release = gate_versions(lake, version, tuned, test)
    held_out = {s.name: quality_of(s, before[s.name], after[s.name]) for s in sets[1:]}
    regressed = sum(
        len(lost_regressions(s, before[s.name], after[s.name]))
        for s in sets
        if s.name == "regressions"
    )
    gate = judge_release(release, held_out, overfit, regressed)
    recording.say(gate=gate, candidate=Candidate(tuned.name, tuned.version_id))


def _ranked(
    lake: Lake,
    workspace: Workspace,
    version: Version,
    sets: Sequence[HeldOut],
    progress: Progress | None,
) -> dict[str, Ranked]:
    ranker = Ranker(lake, workspace, version)
    share = 1 / len(sets)
    return {
        one.name: ranker.rank(one.questions, part(progress, at * share, (at + 1) * share))
        for at, one in enumerate(sets)
    }


def _regressions(lake: Lake) -> HeldOut:
    wanted = {one.question_id for one in load_regressions(lake)}
    judged = load_judgments(lake)
    asked = [
        one
        for one in load_questions(lake)
        if one.question_id in wanted and not is_hidden(one.text) and judged.get(one.question_id)
    ]
    return HeldOut("regressions", asked, judged)
