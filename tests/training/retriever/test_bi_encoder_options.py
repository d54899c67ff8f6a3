"""Options that contradict one another and data that do not fit are told before any work."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from ragdiag.errors import TrainingError
from ragdiag.training.data.examples import TrainingSet
from ragdiag.training.loop import LoopOptions
from ragdiag.training.retriever.bi_encoder import BiEncoderOptions, make_task
from ragdiag.training.retriever.bi_encoder_options import check_options, choose_pairs
from tests.training.toy_retrieval import DATA, DEV, PAIRS, TEXTS, toy_options


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"method": "lora", "base_adapter": "x"}, "both sides over another one"),
        ({"method": "full", "bits": 4}, "can neither be trained"),
        ({"bits": 8}, r"bits = 8 needs .*leave bits out"),
        ({"loop": LoopOptions(micro=4)}, "use cached instead"),
        (
            {"scale": 1e30},
            r"scale = 1e\+30 is no .*; give one above 0, of 1,000 at most",
        ),
        ({"scale": math.nan}, "scale = nan is no scale"),
        ({"general": 1.0}, r"general = 1\.0 is no share"),
    ],
)
def test_what_does_not_go_together(
    changes: dict[str, Any], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    check_options(BiEncoderOptions())
    with pytest.raises(TrainingError, match=told):
        check_options(BiEncoderOptions(**changes))


@pytest.mark.parametrize(
    ("pairs", "texts", "loss", "told"),
    [
        ([], TEXTS, "info_nce", "no pair to learn from"),
        (PAIRS, {"p0": "x", "p3": "x"}, "info_nce", "no text of passage p1"),
        (PAIRS, TEXTS, "kl", "10 of 10 pairs lack a teacher's scores"),
    ],
)
def test_what_cannot_be_learnt_from(
    pairs: list[Any], texts: dict[str, str], loss: Any, told: str
) -> None:
    with pytest.raises(TrainingError, match=told):
        choose_pairs(TrainingSet(pairs, texts), BiEncoderOptions(loss=loss))


def test_a_loss_over_negatives_needs_some(tiny_model: Path) -> None:
    options = toy_options(str(tiny_model), loss="triplet", negatives=0)
    with pytest.raises(TrainingError, match="10 of 10 pairs have no negatives, which triplet"):
        make_task(PAIRS, DATA, DEV, options)


@pytest.mark.parametrize(("share", "expected"), [(0.0, 0), (0.2, 2), (0.9, 5)])
def test_general_pairs_are_mixed_in_up_to_their_share(share: float, expected: int) -> None:
    general = [replace(PAIRS[at], question_id=f"g{at}", source="general") for at in range(5)]
    data = TrainingSet([*PAIRS[:8], *general], TEXTS)
    chosen = choose_pairs(data, BiEncoderOptions(general=share))
    assert chosen[:8] == PAIRS[:8]
    assert len(chosen) == 8 + expected
    assert choose_pairs(data, BiEncoderOptions(general=share)) == chosen
