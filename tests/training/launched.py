"""One process of several that test_loop.py starts: trains the toy in the folder given, and says
there what it holds at the end.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from ragdiag.training.loop import LoopOptions, train
from ragdiag.training.processes import Processes
from tests.training.toy_task import ToyTask

if __name__ == "__main__":
    task = ToyTask()
    processes = Processes()
    trained = train(task, LoopOptions(epochs=4, batch=8, learning_rate=0.05), Path(sys.argv[1]))
    said = {
        "weights": task.weights(),
        "step": trained.best_step,
        "of": processes.count,
        "ranks": processes.summed(processes.rank),
    }
    Path(sys.argv[1], f"said-{os.environ['RANK']}.json").write_text(json.dumps(said))
