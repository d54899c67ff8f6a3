"""What only an accelerator can show; skipped where there is none.

Beside these, whatever of this folder's tests trains does so on the accelerator where one is.
"""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from ragdiag.generation.local import load_transformers
from ragdiag.retrieval.embed import load_embedder, load_question_encoder
from ragdiag.training.adapters import LoraOptions
from ragdiag.training.answers import causal
from ragdiag.training.answers.causal import train_generator
from ragdiag.training.retriever import bi_encoder
from ragdiag.training.retriever.bi_encoder import train_bi_encoder
from ragdiag.version import EmbedderSpec
from tests.retrieval.conftest import make_tiny_model
from tests.training import toy_language
from tests.training.toy_retrieval import DATA, DEV, LOOP, TEXTS, toy_options

pytestmark = [
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
    pytest.mark.slow,
]
few_bits = pytest.mark.skipif(find_spec("bitsandbytes") is None, reason="bitsandbytes is missing")


def watch_models(patch: pytest.MonkeyPatch, module: ModuleType, maker: str) -> list[Any]:
    """The ``model`` of whatever ``maker`` makes from now on."""
    made: list[Any] = []
    make = getattr(module, maker)

    def watched(*given: Any, **named: Any) -> Any:
        one = make(*given, **named)
        made.append(one.model)
        return one

    patch.setattr(module, maker, watched)
    return made


def quantised_weights(model: Any) -> set[str]:
    kinds = {type(part).__name__ for part in model.modules()}
    return kinds & {"Linear4bit", "Linear8bitLt"}


def test_a_run_says_on_how_many_accelerators_it_was(tiny_model: Path, tmp_path: Path) -> None:
    trained = train_bi_encoder(DATA, DEV, toy_options(str(tiny_model)), tmp_path / "run").trained
    assert trained.accelerators == 1
    assert trained.best_score > trained.first_score + 0.03


@few_bits
@pytest.mark.parametrize("method", ["query-lora", "lora"])
@pytest.mark.parametrize(("bits", "kind"), [(4, "Linear4bit"), (8, "Linear8bitLt")])
def test_a_base_in_few_bits_learns_and_its_adapter_serves_over_the_whole_one(
    bits: int, kind: str, method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained_on = watch_models(monkeypatch, bi_encoder, "make_task")
    base = str(make_tiny_model(tmp_path, 64))  # kernels of eight bits take no narrower one
    loop, lora = replace(LOOP, learning_rate=0.005), LoraOptions(rank=4, alpha=64)
    options = toy_options(base, method=method, bits=bits, loop=loop, lora=lora)
    tuned = train_bi_encoder(DATA, DEV, options, tmp_path / "run")
    assert quantised_weights(trained_on[0]) == {kind}
    assert tuned.trained.best_score > tuned.trained.first_score + 0.03
    after = EmbedderSpec(model=base).model_copy(update=dict(tuned.embedder))
    questions = load_question_encoder(after).encode([DEV.questions[name] for name in DEV.asked()])
    passages = load_embedder(after).encode(list(TEXTS.values()))
    served = DEV.ndcg(list(TEXTS), torch.from_numpy(questions), torch.from_numpy(passages))
    assert served > tuned.trained.first_score
    assert served == pytest.approx(tuned.trained.best_score, abs=0.2)


@few_bits
@pytest.mark.parametrize(("bits", "kind"), [(4, "Linear4bit"), (8, "Linear8bitLt")])
def test_a_generator_in_few_bits_learns_and_is_served_whole(
    bits: int, kind: str, language_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained_on = watch_models(monkeypatch, causal, "_prepare")
    options = replace(toy_language.OPTIONS, bits=bits)
    tuned = train_generator(
        str(language_base), toy_language.codes(600, 1), toy_language.DEV, options,
        toy_language.LOOP, tmp_path / "run",
    )  # fmt: skip
    assert quantised_weights(trained_on[0]) == {kind}
    assert tuned.exact_match > 0.8
    assert tuned.trained.accelerators == 1
    served = load_transformers(tuned.spec)
    said = [served.answer(one.question, one.context).text for one in toy_language.DEV]
    right = sum(
        text == one.answers[0] for text, one in zip(said, toy_language.DEV, strict=True)
    ) / len(said)
    assert right > 0.6
