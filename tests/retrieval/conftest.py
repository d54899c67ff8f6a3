"""Toys for retrieval: a few passages, an encoder without weights, a tiny real model."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from ragdiag.progress import Progress, report
from ragdiag.records import Passage
from ragdiag.retrieval import builds
from ragdiag.retrieval.embed import Vectors
from ragdiag.version import EmbedderSpec, Spec

DIMENSION = 64


class ToyEncoder:
    """Counts of hashed words, at norm 1: shared words make near vectors."""

    model_hash = "toy"
    dimension = DIMENSION
    title = False

    def __init__(self) -> None:
        self.encoded: list[str] = []

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        self.encoded += texts
        vectors = np.zeros((len(texts), DIMENSION), dtype=np.float32)
        for row, text in enumerate(texts):
            for word in text.lower().split():
                vectors[row, hashlib.sha256(word.encode()).digest()[0] % DIMENSION] += 1
        report(progress, 1.0, "encoded")
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture
def toy_encoder(monkeypatch: pytest.MonkeyPatch) -> ToyEncoder:
    """A toy encoder, which builds use too in place of the spec's model."""
    encoder = ToyEncoder()

    def identity(spec: EmbedderSpec) -> str:
        return encoder.model_hash

    def load(spec: EmbedderSpec) -> ToyEncoder:
        return encoder

    monkeypatch.setattr(builds, "model_identity", identity)
    monkeypatch.setattr(builds, "load_embedder", load)
    return encoder


@pytest.fixture
def passages() -> list[Passage]:
    texts = [
        "aspirin thins the blood and eases pain",
        "a mask lowers the spread of the virus",
        "the virus spreads in closed rooms",
        "vaccines train the immune system against the virus",
        "bread needs flour water salt and yeast",
        "paris is the capital of france",
    ]
    return [Passage(f"p{i}", f"d{i // 2}", text, f"title {i}") for i, text in enumerate(texts)]


@pytest.fixture
def make_spec() -> Callable[..., Spec]:
    def make(**tables: object) -> Spec:
        return Spec.model_validate({"generator": {"kind": "extractive"}, **tables})

    return make


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sentence-transformers folder with random weights: 1 layer, 16 dimensions, 32 tokens."""
    return make_tiny_model(tmp_path_factory.mktemp("tiny"), 16)


def make_tiny_model(folder: Path, width: int) -> Path:
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    letters = [*"abcdefghijklmnopqrstuvwxyz0123456789.?,"]
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = [*special, *letters, *(f"##{letter}" for letter in letters)]
    tokenizer = Tokenizer(
        models.WordPiece({word: i for i, word in enumerate(words)}, unk_token="[UNK]")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_max_length=32,
    )
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=width,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=2 * width,
        max_position_embeddings=32,
    )
    BertModel(config).save_pretrained(folder / "bert")
    fast.save_pretrained(folder / "bert")
    transformer = Transformer(str(folder / "bert"), max_seq_length=32)
    pooling = Pooling(transformer.get_embedding_dimension())
    model = SentenceTransformer(modules=[transformer, pooling, Normalize()], device="cpu")
    model.save(str(folder / "model"))
    return folder / "model"


@pytest.fixture(scope="session")
def plain_adapter(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LoRA adapter of the tiny model, PEFT's files alone, with weights that are
    not the identity."""
    import torch
    from peft import LoraConfig, get_peft_model
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(tiny_model), local_files_only=True)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*")
        lora = get_peft_model(model[0].model, LoraConfig(r=2, target_modules=["query", "value"]))
    with torch.no_grad():
        for name, weight in lora.named_parameters():
            if "lora_B" in name:
                weight.fill_(0.5)
    folder = tmp_path_factory.mktemp("adapter")
    lora.save_pretrained(str(folder))
    return folder
