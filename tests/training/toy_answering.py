"""Tiny untaught models that read the words of ``tests/workflows/aliases.py``."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from ragdiag.generation.grounded_prompt import NO_ANSWER
from tests.training.toy_language import TEMPLATE
from tests.workflows.aliases import COLOURS, THINGS

READ, WINDOW = 48, 256
NUMBERS = [str(10 + n) for n in range(len(THINGS))]
KINDS = {"blorf": [*NUMBERS, "euros"], "quimp": list(COLOURS)}
SPOKEN = ["What", "is", "the", "of", "?", "About", ".", "It", "costs", "dyed"]
WORDS = [*SPOKEN, *KINDS, *THINGS, *KINDS["blorf"], *KINDS["quimp"]]


def make_encoder(folder: Path) -> Path:
    """An encoder that knows which words are of one kind, and what each kind is called."""
    torch.manual_seed(0)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS]
    tokenizer = _word_level(words, "[UNK]")
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=64,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=READ,
        initializer_range=0.15,
    )
    model = BertModel(config)
    with torch.no_grad():
        vectors = model.embeddings.word_embeddings.weight
        for kind, named in KINDS.items():
            for word in named:
                vectors[words.index(word)].mul_(0.15).add_(vectors[words.index(kind)])
    model.save_pretrained(str(folder))
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=READ,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    ).save_pretrained(str(folder))
    return folder


def make_language(folder: Path) -> Path:
    """A causal model that has learned nothing; of the prompt it knows the words of the corpus."""
    torch.manual_seed(0)
    words = ["<pad>", "<unk>", "<end>", "<user>", NO_ANSWER, "[1]", "[2]", *WORDS]
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=_word_level(words, "<unk>"),
        pad_token="<pad>",
        unk_token="<unk>",
        eos_token="<end>",
        additional_special_tokens=["<user>"],
        model_max_length=WINDOW,
    )
    wrapped.chat_template = TEMPLATE
    config = LlamaConfig(
        vocab_size=len(words),
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=WINDOW,
        bos_token_id=None,
        eos_token_id=wrapped.eos_token_id,
        pad_token_id=wrapped.pad_token_id,
    )
    LlamaForCausalLM(config).save_pretrained(str(folder))
    wrapped.save_pretrained(str(folder))
    return folder


def _word_level(words: list[str], unknown: str) -> Tokenizer:
    known = {word: at for at, word in enumerate(words)}
    tokenizer = Tokenizer(models.WordLevel(known, unk_token=unknown))
    marks = [pre_tokenizers.Split(mark, "isolated") for mark in ".?"]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), *marks])
    return tokenizer
