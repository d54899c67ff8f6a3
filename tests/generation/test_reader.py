"""A reader is loaded once, and again when its folder holds another."""

from __future__ import annotations

from pathlib import Path

from ragdiag.generation.loading import load_model
from ragdiag.generation.reader import load_reader
from ragdiag.version import ReaderSpec
from tests.retrained import retrain
from tests.training.toy_reading import make_encoder, things


def test_a_model_retrained_in_place_is_loaded_again(tmp_path: Path) -> None:
    folder = make_encoder(tmp_path / "reader")
    load_model(folder, "QuestionAnswering", headless=True).save_pretrained(str(folder))
    spec = ReaderSpec(kind="reader", model=str(folder), threshold=-1000)
    asked = things(5, 1)

    def said() -> list[str]:
        reader = load_reader(spec)
        return [reader.answer(one.question, one.context).text for one in asked]

    before = said()
    retrain(folder)
    assert said() != before
