"""One process of several that test_bi_encoder.py starts: trains the toy base in the folder given,
and says there what it ended with.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from ragdiag.training.retriever.bi_encoder import train_bi_encoder
from tests.training.toy_retrieval import DATA, DEV, toy_options

if __name__ == "__main__":
    base, folder = sys.argv[1], Path(sys.argv[2])
    tuned = train_bi_encoder(DATA, DEV, toy_options(base), folder)
    said = [tuned.trained.first_score, tuned.trained.best_score, tuned.trained.best_step]
    (folder / f"said-{os.environ['RANK']}.json").write_text(json.dumps(said))
