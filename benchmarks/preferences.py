"""Rules on words against people's preference between two answers, domain by domain.

    python -m benchmarks.preferences ../shared/data

RAGChecker's 280 pairs are of ten domains. What has something to learn (which rule to take, or how
to weigh several) learns it on nine of them and is scored on the tenth, ten times over, so that no
pair is scored by what it helped to choose. Pearson's r is over every single annotation of the
overall preference; differences to the floor, F1 of content words, are resampled by pair.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.graders import annotated_pearson, read_preferred, score_differences
from ragdiag.grading.rules import rule_grader
from ragdiag.records import Estimate

Floats = npt.NDArray[np.float64]

FLOOR = "content_f1"
RULES = (FLOOR, "token_f1", "new_words_f1", "numeric")
RESAMPLES = 2000
RIDGE = 1.0


def main(arguments: list[str]) -> None:
    pairs, people = read_preferred(Path(arguments[0]) / "ragchecker")
    said = np.array(people["overall"], dtype=np.float64)
    domains = np.array([str(pair["dataset"]) for pair in pairs])
    rules = {name: _differences(name, pairs) for name in RULES}
    taken = choose_by_domain(rules, said, domains)
    found = {
        "content_f1, the floor": rules[FLOOR],
        "new_words_f1": rules["new_words_f1"],
        "the rule that is best on the nine others": taken,
        "all four, weighed on the nine others": weigh_by_domain(rules, said, domains),
    }
    print(f"### {len(pairs)} pairs, {said.size} annotations, {len(set(domains))} domains\n")
    print("| score | Pearson's r | more than the floor | domains above it |\n|---|---|---|---|")
    for name, scores in found.items():
        r = annotated_pearson(scores.tolist(), people["overall"])
        cells = ["–", "–"]
        if scores is not rules[FLOOR]:
            cells = [
                _signed(more_than(scores, rules[FLOOR], said)),
                _above(scores, rules, said, domains),
            ]
        print(f"| {name} | {r.value:.3f} ({r.low:.3f}–{r.high:.3f}) | {' | '.join(cells)} |")
    print("\n| domain | pairs | content_f1 | new_words_f1 | difference |\n|---|---|---|---|---|")
    for domain in sorted(set(domains.tolist())):
        at = domains == domain
        floor, new = (rules[name][at] for name in (FLOOR, "new_words_f1"))
        more = more_than(new, floor, said[at])
        print(
            f"| {domain} | {at.sum()} | {correlate(floor, said[at]):.3f} | "
            f"{correlate(new, said[at]):.3f} | {_signed(more)} |"
        )


def correlate(scores: Floats, said: Floats) -> float:
    """Pearson's r of n scores with each column of ``said`` (n, annotators), as one long list."""
    with np.errstate(invalid="ignore"):
        return float(np.corrcoef(np.repeat(scores, said.shape[1]), said.ravel())[0, 1])


def choose_by_domain(
    rules: Mapping[str, Floats], said: Floats, domains: npt.NDArray[np.str_]
) -> Floats:
    """Of each domain's pairs the scores of the rule that correlates best over the others."""
    found = np.empty(len(domains))
    for domain in set(domains.tolist()):
        others = domains != domain
        best = max(rules, key=lambda name: correlate(rules[name][others], said[others]))
        found[~others] = rules[best][~others]
    return found


def weigh_by_domain(
    rules: Mapping[str, Floats], said: Floats, domains: npt.NDArray[np.str_]
) -> Floats:
    """Of each domain's pairs the sum of all rules with the weights of a ridge regression of the
    mean preference over the others.

    No offset: swapping the two answers of a pair turns the sign of all there is.
    """
    rows, wanted = np.column_stack(list(rules.values())), said.mean(axis=1)
    found = np.empty(len(domains))
    for domain in set(domains.tolist()):
        others = domains != domain
        scales = np.sqrt((rows[others] ** 2).mean(axis=0))
        z = rows / np.where(scales > 0, scales, 1.0)
        normal = z[others].T @ z[others] + RIDGE * np.eye(rows.shape[1])
        found[~others] = z[~others] @ np.linalg.solve(normal, z[others].T @ wanted[others])
    return found


def more_than(scores: Floats, floor: Floats, said: Floats, seed: int = 0) -> Estimate:
    """r of ``scores`` less r of ``floor``, its interval by resampling pairs."""
    chance, n = np.random.default_rng(seed), len(scores)

    def difference(at: npt.NDArray[np.intp]) -> float:
        return correlate(scores[at], said[at]) - correlate(floor[at], said[at])

    drawn = [difference(chance.integers(n, size=n)) for _ in range(RESAMPLES)]
    low, high = np.quantile([one for one in drawn if not math.isnan(one)], [0.025, 0.975])
    return Estimate(difference(np.arange(n)), float(low), float(high), n)


def _differences(name: str, pairs: Sequence[dict[str, Any]]) -> Floats:
    """Score of the second answer less that of the first; 0 where the rule does not tell."""
    return np.nan_to_num(np.array(score_differences(rule_grader(name, None), pairs)))


def _above(
    scores: Floats, rules: Mapping[str, Floats], said: Floats, domains: npt.NDArray[np.str_]
) -> str:
    names = sorted(set(domains.tolist()))
    won = sum(
        correlate(scores[domains == one], said[domains == one])
        > correlate(rules[FLOOR][domains == one], said[domains == one])
        for one in names
    )
    return f"{won} of {len(names)}"


def _signed(found: Estimate) -> str:
    return f"{found.value:+.3f} ({found.low:+.3f} to {found.high:+.3f})"


if __name__ == "__main__":
    main(sys.argv[1:])
