"""What validating verdicts would ask of generators, and what that costs at most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from ragdiag.diagnosis.arms import OTHERS
from ragdiag.diagnosis.budget import prompt_tokens
from ragdiag.diagnosis.injection import FAULTS, applies
from ragdiag.records import Arm, ContextPassage
from ragdiag.settings import Workspace
from ragdiag.store.lake import Lake
from ragdiag.version import Version
from ragdiag.workflows.diagnosing.bench import Bench
from ragdiag.workflows.diagnosing.diagnose import Scope, requests_in_scope
from ragdiag.workflows.diagnosing.replays import ReplayPlan, Replays

OWN_ARMS = len(get_args(Arm)) - len(OTHERS)


@dataclass(frozen=True, slots=True)
class ValidationPlan(ReplayPlan):
    """``requests`` are those with gold that is not in doubt. Each is asked once, which are the
    fewest ``calls``, and at most once for every fault; what is wrong then is replayed."""

    is_priced: bool

    def to_text(self) -> str:
        return (
            f"{self.requests} questions to try, to break and to replay: {self.calls} to "
            f"{self.most_calls} calls; up to about {self.prompt_tokens:,} prompt tokens; "
            f"{self.price_text}"
        )


def plan_validation(
    lake: Lake,
    workspace: Workspace,
    version: Version,
    split: str,
    n: int,
    generator_of: Version | None = None,
) -> ValidationPlan:
    """What :func:`~ragdiag.workflows.diagnosing.validate.validate` would ask; asks nothing.

    Raises UnknownName without an evaluation.
    """
    tried = version.answered_by(generator_of, workspace.root) if generator_of else version
    bench, replays = Bench(lake, workspace, version), Replays(lake, workspace, tried.spec, ())
    sizes = []
    for request in requests_in_scope(lake, version, Scope(split)):
        labels = bench.evidence(request)
        if labels.gold and labels.doubt is None:
            given = tuple(ContextPassage(p.passage_id, p.text, p.title) for p in labels.gold)
            packed = version.spec.context.max_tokens
            sizes.append(prompt_tokens(request.question, given) + packed)
    sizes.sort(reverse=True)
    paths = {"dense": version.spec.embedder, "lexical": version.spec.lexical}
    there = {path for path, table in paths.items() if table is not None}
    faults = sum(applies(fault, there) for fault in FAULTS)
    # the generator with the fault wrong_sentence asks twice for an answer
    answers, failures = faults + 1, sizes[:n]
    replayed = OWN_ARMS * replays.draws * answers
    compared = [len(arms) * replays.draws * faults for arms in replays.others]
    tokens = [(1 + answers) * sum(sizes) + replayed * sum(failures)]
    calls = [(1 + answers) * len(sizes) + replayed * len(failures)]
    tokens += [times * sum(failures) for times in compared]
    calls += [times * len(failures) for times in compared]
    return ValidationPlan(
        requests=len(sizes),
        calls=len(sizes),
        most_calls=sum(calls),
        prompt_tokens=sum(tokens),
        cost_usd=replays.most_usd(tokens, calls),
        is_priced=replays.is_priced,
    )
