"""A teacher says what its model says, remembers it across kills, and a student can learn it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragdiag.errors import ModelError, TrainingError
from ragdiag.retrieval.cross_encoder import load_cross_encoder
from ragdiag.training.data.examples import Pair, TrainingSet
from ragdiag.training.reranker import teacher as teaching
from ragdiag.training.reranker.cross_encoder_model import TrainableCrossEncoder
from ragdiag.training.reranker.logit_cache import LogitCache, pair_key
from ragdiag.training.reranker.teacher import Teacher
from tests.training.toy_reranking import TEXTS, make_base, toy_data


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("teacher")
    TrainableCrossEncoder(make_base(folder / "base"), 16, seed=0).save(folder / "model")
    return str(folder / "model")


class Killed(Exception):
    """Stands for SIGKILL."""


def test_it_says_what_its_model_says_of_every_passage(model: str, tmp_path: Path) -> None:
    data = toy_data(12)
    taught = Teacher(model, tmp_path).teach(data)
    scorer = load_cross_encoder(model)
    for pair in taught.pairs:
        texts = [TEXTS[name] for name in (pair.passage_id, *pair.negatives)]
        own = scorer.logits(pair.question, texts, 8).tolist()
        assert list(pair.teacher) == pytest.approx(own, abs=1e-5)
    assert taught.data_hash != data.data_hash


def test_what_it_said_is_kept_through_a_kill(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(teaching, "STRETCH", 8)
    told: list[str] = []

    def kill(fraction: float, message: str) -> None:
        told.append(message)
        if len(told) == 2:
            raise Killed

    with pytest.raises(Killed):
        Teacher(model, tmp_path).teach(toy_data(12), kill)
    (kept,) = tmp_path.iterdir()
    assert kept.stat().st_size == 16 * 40
    kept.write_bytes(kept.read_bytes() + b"half a record")
    again: list[str] = []
    found = Teacher(model, tmp_path).teach(toy_data(12), lambda _, message: again.append(message))
    total = int(told[0].split()[3])
    assert told[0].startswith(f"taught 8 of {total} passages, about")
    assert again[0].startswith(f"taught 8 of {total - 16} passages")
    monkeypatch.setattr(
        load_cross_encoder(model), "pair_logits", lambda pairs, batch: pytest.fail("asked again")
    )
    remembered = Teacher(model, tmp_path)
    assert remembered.teach(toy_data(12)) == found
    pair = found.pairs[0]
    assert remembered(pair.question, [TEXTS[pair.passage_id]]) == [pair.teacher[0]]


def test_teachers_do_not_speak_for_one_another(model: str, tmp_path: Path) -> None:
    Teacher(model, tmp_path)("which is red", ["a red boat"])
    Teacher(model, tmp_path, max_tokens=8)("which is red", ["a red boat"])
    assert len(list(tmp_path.iterdir())) == 2
    assert pair_key("a b", "c") != pair_key("a", "b c")


def test_records_come_back_as_they_went(tmp_path: Path) -> None:
    keys = {pair_key("q", str(n)): n / 7 for n in range(300)}
    LogitCache(tmp_path / "l").add(keys)
    found = LogitCache(tmp_path / "l")
    assert {key: found[key] for key in keys} == keys
    assert pair_key("q", "300") not in found


def test_what_it_cannot_read_is_named(model: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no cross-encoder at /nowhere"):
        Teacher("/nowhere", tmp_path)
    with pytest.raises(TrainingError, match="passage 'p' of question 'q' has no text"):
        Teacher(model, tmp_path).teach(TrainingSet([Pair("q", "Why?", "p")], {}))
