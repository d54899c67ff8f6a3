"""LoRA reaches the attention of every known kind of model, and says where it does not."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import AutoConfig, AutoModel, AutoModelForQuestionAnswering

from ragdiag.errors import InputError, TrainingError
from ragdiag.retrieval.adapters import AdapterManifest, merge_adapter, read_manifest
from ragdiag.training import quantisation
from ragdiag.training.adapters import (
    ALL_LINEAR,
    LoraOptions,
    add_lora,
    check_gradients,
    heads_of,
    save_adapter,
)

SMALL = {
    "vocab_size": 40,
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 40,
}
DECODER = {**SMALL, "num_key_value_heads": 2, "pad_token_id": 0, "head_dim": 8}
KINDS = {
    "bert": (SMALL, 4),
    "mpnet": (SMALL, 4),
    "distilbert": (
        {"vocab_size": 40, "dim": 16, "n_layers": 1, "n_heads": 2, "hidden_dim": 32},
        4,
    ),
    "modernbert": ({**SMALL, "pad_token_id": 0, "cls_token_id": 1, "sep_token_id": 2}, 3),
    "llama": (DECODER, 4),
    "qwen3": (DECODER, 4),
}
IDS = torch.tensor([[5, 6, 7, 8], [9, 10, 11, 12]])


def toy_model(kind: str = "bert") -> Any:
    torch.manual_seed(0)
    return AutoModel.from_config(AutoConfig.for_model(kind, **KINDS[kind][0])).eval()


def output(model: Any) -> torch.Tensor:
    return model(input_ids=IDS).last_hidden_state


def adapted(model: Any) -> set[str]:
    return {name.split(".lora_")[0] for name, p in model.named_parameters() if p.requires_grad}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_model_is_adapted_at_its_attention(kind: str) -> None:
    model = toy_model(kind)
    before = output(model)
    lora = add_lora(model, LoraOptions(rank=2), seed=0)
    assert len(adapted(lora)) == KINDS[kind][1]
    torch.testing.assert_close(output(lora), before)
    output(lora).sum().backward()
    check_gradients(lora)


@pytest.mark.parametrize("alpha", [-1.0, 1e30, float("nan"), float("inf")])
def test_a_scale_that_leaves_the_numbers_is_refused(alpha: float) -> None:
    with pytest.raises(InputError, match="no scale of an adapter; choose one from 0 to 4,096"):
        LoraOptions(alpha=alpha)


@pytest.mark.parametrize("options", [LoraOptions(rank=2, rslora=True), LoraOptions(2, dora=True)])
def test_variants_are_saved_whole(options: LoraOptions, tmp_path: Path) -> None:
    lora = add_lora(toy_model(), options, seed=0)
    with torch.no_grad():
        for name, weight in lora.named_parameters():
            if "lora_B" in name:
                weight.fill_(0.3)
    expected = output(lora)
    manifest = AdapterManifest("toy", "b" * 64, "lora", "d" * 64)
    for _ in range(2):  # the second replaces the first
        save_adapter(lora, tmp_path / "adapter", manifest)
    assert {path.name for path in tmp_path.iterdir()} == {"adapter"}
    held = read_manifest(tmp_path / "adapter")
    assert held is not None
    assert (held.base, held.side) == ("toy", None)
    torch.testing.assert_close(
        output(merge_adapter(toy_model(), tmp_path / "adapter")), expected, atol=1e-4, rtol=1e-4
    )


def test_one_seed_gives_one_adapter() -> None:
    def drawn(seed: int) -> torch.Tensor:
        state = add_lora(toy_model(), LoraOptions(rank=2), seed=seed).state_dict()
        return next(weight for name, weight in state.items() if "lora_A" in name)

    assert torch.equal(drawn(1), drawn(1))
    assert not torch.equal(drawn(1), drawn(2))


def test_a_head_is_trained_beside_the_adapter() -> None:
    lora = add_lora(toy_model(), LoraOptions(rank=2), seed=0, modules_to_save=["pooler"])
    assert any("pooler.modules_to_save" in name for name in adapted(lora))


def test_every_linear_module_but_the_head_can_be_adapted() -> None:
    model = AutoModelForQuestionAnswering.from_config(AutoConfig.for_model("bert", **SMALL))
    model.config.model_type = "unheard-of"
    options = LoraOptions(rank=2, target_modules=ALL_LINEAR)
    lora = add_lora(model, options, seed=0, modules_to_save=heads_of(model))
    trained = adapted(lora)
    assert (
        sum(name.rsplit(".", 1)[-1] in ("query", "key", "value", "dense") for name in trained) == 6
    )
    heads = {name for name in trained if "qa_outputs" in name}
    assert all("modules_to_save" in name for name in heads)
    assert len(heads) == 2, "weight and bias, trained whole"


def test_a_kind_that_is_not_known_asks_for_its_modules() -> None:
    model = toy_model()
    model.config.model_type = "unheard-of"
    with pytest.raises(TrainingError, match=r"which modules of a unheard-of .*self\.query"):
        add_lora(model, LoraOptions(), seed=0)
    named = LoraOptions(rank=2, target_modules=("query",))
    assert isinstance(add_lora(model, named, seed=0), PeftModel)


def test_few_bits_need_a_library_and_an_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantisation, "find_spec", lambda name: None)
    with pytest.raises(TrainingError, match=r"bits = 4 needs bitsandbytes.*pip install"):
        quantisation.quantisation(4)
    monkeypatch.setattr(quantisation, "find_spec", lambda name: ModuleSpec(name, None))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(TrainingError, match=r"bits = 8 needs an accelerator"):
        quantisation.quantisation(8)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    four = quantisation.quantisation(4)
    assert (four.load_in_4bit, four.bnb_4bit_quant_type) == (True, "nf4")
    assert quantisation.quantisation(8).load_in_8bit


def test_a_prepared_model_is_frozen_under_its_adapter() -> None:
    model = quantisation.prepare_quantised(toy_model())
    assert not any(p.requires_grad for p in model.parameters())
    lora = add_lora(model, LoraOptions(rank=2), seed=0)
    output(lora).sum().backward()
    check_gradients(lora)
