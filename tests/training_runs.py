"""Made-up facts of runs for tests of what shows them: plausible, and nobody's results."""

from __future__ import annotations

import json
import math
from dataclasses import replace

from ragdiag.records import Estimate
from ragdiag.settings import Workspace
from ragdiag.store.lake import Lake
from ragdiag.store.training_runs import RunState, TrainingRun, save_run
from ragdiag.training.curves import Point, write_curve
from ragdiag.training.loop import CURVE
from ragdiag.training.run_folder import run_folder
from ragdiag.training.runs import (
    Base,
    Candidate,
    Change,
    Cost,
    Data,
    Gated,
    Measured,
    Moved,
    Overfit,
    RunFacts,
)


def change(metric: str, before: float, after: float, n: int, p: float) -> Change:
    wide = 0.9 / math.sqrt(n)
    values = [Estimate(x, x - wide, x + wide, n) for x in (before, after)]
    delta, half = after - before, wide / 2
    return Change(metric, *values, Estimate(delta, delta - half, delta + half, n), p, half)


BEGUN = RunFacts(
    base=Base("all-MiniLM-L6-v2", "53aa5117" + "0" * 56),
    method="query-lora",
    version="hybrid",
    split="test",
    options={"rank": 32, "epochs": 5, "learning_rate": 1e-3, "seed": 0},
    data=Data(
        "4f1c" * 16,
        602,
        {"judgment": 540, "failure": 41, "feedback": 21},
        {"test": 320, "temporal": 64, "synthetic": 120, "regressions": 12},
        {"kept for evaluation": 31, "somebody disliked the answer": 7},
    ),
)
DONE = replace(
    BEGUN,
    cost=Cost(212.0, 398.0, 1_900_000_000, 0.0, 3.3, "30 W a busy core", 70.0),
    measured=(
        Measured(
            "test",
            (
                change("MRR@10", 0.364, 0.431, 320, 0.0008),
                change("recall@10", 0.612, 0.655, 320, 0.02),
            ),
            {
                "animals": (change("MRR@10", 0.41, 0.50, 120, 0.004),),
                "drinks": (change("MRR@10", 0.33, 0.32, 96, 0.71),),
            },
        ),
        Measured("temporal", (change("MRR@10", 0.35, 0.39, 64, 0.11),)),
        Measured("synthetic", (change("MRR@10", 0.30, 0.37, 120, 0.01),)),
        Measured(
            "regressions", (change("MRR@10", 0.66, 0.71, 12, 0.4),), gained=(Moved("q11", 3, 1),)
        ),
    ),
    gained=(Moved("q01", None, 1), Moved("q04", 8, 2)),
    lost=(Moved("q07", 1, 4),),
    overfit=(Overfit("MRR@10", "test", "temporal", Estimate(0.027, -0.03, 0.08, 64), "none"),),
    gate=Gated("pass", ("MRR@10 loses less than 2 %: lower bound +0.041.",)),
    artefact="adapter",
    candidate=Candidate("hybrid-tuned", "c" * 12),
)


def save_toy_run(
    lake: Lake, workspace: Workspace, run_id: str, state: RunState, facts: RunFacts
) -> None:
    """A row of the registry and the folder with its curve; nobody works on it."""
    save_run(lake, TrainingRun(run_id, "retriever", state, facts.to_json()))
    folder = run_folder(workspace, run_id)
    folder.root.mkdir(parents=True, exist_ok=True)
    folder.config.write_text(json.dumps({"kind": "retriever"}))
    write_curve(folder.root / CURVE, CURVE_POINTS)


CURVE_POINTS = (
    Point(0, None, 0.364, 0.0, 0.0),
    *(
        Point(
            step,
            1.9 * math.exp(-step / 40) + 0.6,
            0.364 + 0.07 * (1 - math.exp(-step / 30)) if step % 20 == 0 else None,
            1e-3 * (1 - step / 100),
            2.1 * step,
        )
        for step in range(5, 101, 5)
    ),
)
