"""Diagnosis on covidqa: what replaying 300 failures takes, and how known faults are told apart.

    python -m benchmarks.diagnosis SCRATCH ../shared/data [--only replay|validation]

The workspace is below SCRATCH and used again where it is there: BM25 and MiniLM with the weight
that the train split gave, extractive answers, both splits evaluated. The replay is that of a fresh
process on a copy of the workspace without kept answers: its seconds are from the start of the
process to its end, imports, models and saving included; processor seconds (of both cores) stand
beside them, for a machine that does something else too. The validation breaks successes of the
test split.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

from benchmarks.fusion import HYBRID
from ragdiag.diagnosis.injection import EXPECTED
from ragdiag.errors import UnknownName
from ragdiag.importers.beir import import_beir
from ragdiag.records import Estimate, Tier
from ragdiag.settings import Workspace
from ragdiag.store.corpus import load_judgments
from ragdiag.store.lake import Lake, close_lakes, open_lake
from ragdiag.store.results import find_version, load_requests, save_version
from ragdiag.version import Version
from ragdiag.workflows.comparing.evaluate import evaluate
from ragdiag.workflows.diagnosing.diagnose import Scope, open_diagnosis
from ragdiag.workflows.diagnosing.validate import Validation, validate
from ragdiag.workflows.indexing.build import build_version_index
from ragdiag.workflows.weighing.tune_fusion import tune_fusion

WEIGHED = "hybrid-weighed"
SPLITS = ("test", "train")
FAILURES = 300


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("scratch", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--only", choices=["replay", "validation"])
    parser.add_argument("--of-each", type=int, default=20, help="failures of each fault")
    parser.add_argument("--in-copy", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    workspace = Workspace(given.scratch / "covidqa")
    copy = Workspace(given.scratch / "covidqa-replayed")
    if given.in_copy:
        return replay(copy)
    prepare(workspace, given.data / "covidqa")
    if given.only != "validation":
        shutil.rmtree(copy.root, ignore_errors=True)
        shutil.copytree(workspace.root, copy.root)
        time_replay()
    if given.only != "replay":
        lake = open_lake(workspace)
        version = find_version(lake, WEIGHED)
        tell(validate(lake, workspace, version, "test", n=given.of_each))
    return None


def prepare(workspace: Workspace, folder: Path) -> None:
    """A workspace with both splits evaluated; what is there is kept."""
    lake = open_lake(workspace, create=True)
    version = _weighed(lake, workspace, folder)
    build_version_index(lake, workspace, version)
    logged = load_requests(lake, version_id=version.version_id, traffic="evaluation")
    asked = {request.question_id for request in logged}
    for split in SPLITS:
        if not asked & load_judgments(lake, split).keys():
            evaluate(lake, workspace, version, split)
    close_lakes()


def time_replay() -> None:
    """Run :func:`replay` in a process of its own, and say what it took."""
    began, load = time.perf_counter(), os.getloadavg()[0]
    subprocess.run(
        [sys.executable, "-m", "benchmarks.diagnosis", *sys.argv[1:], "--in-copy"], check=True
    )
    seconds, used = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    print(
        f"{seconds:.0f} s, {used.ru_utime + used.ru_stime:.0f} s of a processor; "
        f"load average {load:.1f} before, {os.getloadavg()[0]:.1f} after\n",
        flush=True,
    )


def replay(workspace: Workspace) -> None:
    """Diagnose the first failures of both splits, as ``ragdiag diagnose`` does."""
    lake = open_lake(workspace)
    run = open_diagnosis(lake, workspace, find_version(lake, WEIGHED), Scope(traffic="evaluation"))
    failures = [one for one in run.todo if run.is_failure(one)][:FAILURES]
    found = replace(run, requests=failures, todo=failures).diagnose()
    told = ", ".join(f"{name} {n}" for name, n in Counter(found.verdicts).most_common())
    print(f"{len(failures)} failures replayed, {found.calls} answers: {told}; ", end="", flush=True)


def tell(found: Validation) -> None:
    """The worth of each tier, and fault against verdict at A and B, as Markdown."""
    print(f"{found.successes} successes, {sum(found.failed.values())} failures\n")
    print("| tier | right | right when decided | abstained | retriever or generator right |")
    print("|---|---|---|---|---|")
    for tier, one in found.tiers.items():
        part, side = one.part, one.side
        cells = map(_share, (part.right, part.right_when_decided, part.abstained, side.right))
        print(f"| {tier} | {' | '.join(cells)} |")
    shown: tuple[Tier, ...] = ("A", "B")
    verdicts = sorted({v for t in shown for row in found.tiers[t].matrix.values() for v in row})
    print(f"\n| fault, A/B | {' | '.join(verdicts)} |\n|---{'|---' * len(verdicts)}|")
    for fault in found.tried:
        rows = [found.tiers[tier].matrix.get(fault, {}) for tier in shown]
        cells = (
            _cell([row.get(v, 0) for row in rows], v == EXPECTED[fault].verdict) for v in verdicts
        )
        print(f"| `{fault}` | {' | '.join(cells)} |")


def _weighed(lake: Lake, workspace: Workspace, folder: Path) -> Version:
    try:
        return find_version(lake, WEIGHED)
    except UnknownName:
        import_beir(lake, folder)
        save_version(lake, HYBRID)
        build_version_index(lake, workspace, HYBRID)
        tune_fusion(lake, workspace, HYBRID, "train", save_as=WEIGHED)
        return find_version(lake, WEIGHED)


def _cell(counts: list[int], expected: bool) -> str:
    text = "/".join(map(str, counts)) if any(counts) else ""
    return f"**{text}**" if text and expected else text


def _share(found: Estimate) -> str:
    if found.value != found.value:
        return "–"
    return f"{found.value:.0%} ({100 * found.low:.0f}–{100 * found.high:.0f}, n={found.n})"


if __name__ == "__main__":
    main()
