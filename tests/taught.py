"""A language model and a reader, trained once for all tests that need one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ragdiag.training.answers.causal import TrainedGenerator
    from ragdiag.training.answers.reader import TrainedReader


@dataclass(frozen=True)
class TaughtLanguage:
    """``base`` is the folder of the model that it began with, ``run`` the run's."""

    base: Path
    run: Path
    trained: TrainedGenerator


@pytest.fixture(scope="session")
def language_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.training.toy_language import make_base

    return make_base(tmp_path_factory.mktemp("language") / "base")


@pytest.fixture(scope="session")
def taught_language(
    language_base: Path, tmp_path_factory: pytest.TempPathFactory
) -> TaughtLanguage:
    from ragdiag.training.answers.causal import train_generator
    from tests.training.toy_language import DEV, LOOP, OPTIONS, codes

    run = tmp_path_factory.mktemp("taught-language")
    trained = train_generator(str(language_base), codes(600, 1), DEV, OPTIONS, LOOP, run)
    return TaughtLanguage(language_base, run, trained)


@pytest.fixture(scope="session")
def taught_reader(tmp_path_factory: pytest.TempPathFactory) -> TrainedReader:
    from ragdiag.training.answers.reader import train_reader
    from tests.training.toy_reading import DEV, LOOP, OPTIONS, make_encoder, things

    folder = tmp_path_factory.mktemp("taught-reader")
    base = make_encoder(folder / "base")
    return train_reader(str(base), things(200, 1), DEV, OPTIONS, LOOP, folder / "run")
