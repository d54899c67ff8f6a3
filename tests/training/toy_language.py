"""A tiny language of codes, and a tiny language model that has learned to repeat.

A passage lists what belongs to what ("k3 is v7 ."); a question asks for one of them. The model is
Llama with two layers, trained in seconds to go on with a row of words that it has seen before:
all that reading needs, and nothing of how to answer.
"""

from __future__ import annotations

import random
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from ragdiag.generation.grounded_prompt import NO_ANSWER
from ragdiag.records import ContextPassage
from ragdiag.training.adapters import ALL_LINEAR, LoraOptions
from ragdiag.training.answers.causal import CausalOptions
from ragdiag.training.answers.located import AnswerExample
from ragdiag.training.loop import LoopOptions

KEYS = [f"k{n}" for n in range(12)]
VALUES = [f"v{n}" for n in range(12)]
PAIRS, WINDOW = 4, 128
MARKS = ["<pad>", "<unk>", "<end>", "<user>", NO_ANSWER, "===", "passage", "[1]", "[2]"]
WORDS = [*MARKS, "end", "of", "passages", "Question:", "."]
TEMPLATE = (
    "{% for message in messages %}{% if message['role'] == 'user' %}<user> {{ message['content'] }}"
    "{% elif message['role'] == 'assistant' %} {{ message['content'] }} <end>{% endif %}"
    "{% endfor %}"
)


def codes(count: int, seed: int) -> list[AnswerExample]:
    """Questions over two passages of two facts each; no fact is in two of them but by chance."""
    drawn = random.Random(seed)
    return [_example(f"q{seed}-{n}", drawn) for n in range(count)]


def _example(name: str, drawn: random.Random) -> AnswerExample:
    keys, values = drawn.sample(KEYS, PAIRS), drawn.sample(VALUES, PAIRS)
    facts = [f"{key} {value} ." for key, value in zip(keys, values, strict=True)]
    passages = (
        ContextPassage(f"{name}-a", " ".join(facts[:2])),
        ContextPassage(f"{name}-b", " ".join(facts[2:])),
    )
    asked = drawn.randrange(PAIRS)
    return AnswerExample(name, keys[asked], (values[asked],), passages)


DEV = codes(20, 100)
OPTIONS = CausalOptions(
    lora=LoraOptions(16, 32, target_modules=ALL_LINEAR),
    max_tokens=WINDOW,
    max_output_tokens=8,
    declines=False,
)
LOOP = LoopOptions(epochs=4, batch=32, learning_rate=5e-3)


def toy_tokenizer() -> PreTrainedTokenizerFast:
    words = {word: at for at, word in enumerate([*WORDS, *KEYS, *VALUES])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        unk_token="<unk>",
        eos_token="<end>",
        additional_special_tokens=["<user>"],
        model_max_length=WINDOW,
    )
    wrapped.chat_template = TEMPLATE
    return wrapped


def make_base(folder: Path, steps: int = 320, seed: int = 0) -> Path:
    """Writes the model: it repeats pairs of words in another order, and was never asked."""
    torch.manual_seed(seed)
    tokenizer = toy_tokenizer()
    model = _untrained(tokenizer)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, betas=(0.9, 0.98))
    asked = torch.arange(3 * PAIRS, 6 * PAIRS, 3)
    for _ in range(steps):
        rows = _repeated_pairs(64)
        logits = model(rows, use_cache=False).logits[:, asked]
        cost = torch.nn.functional.cross_entropy(logits.flatten(0, 1), rows[:, asked + 1].flatten())
        optimizer.zero_grad()
        cost.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    model.save_pretrained(str(folder))
    tokenizer.save_pretrained(str(folder))
    return folder


def _untrained(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """Wide first weights and words that are orthogonal to one another: so it learns in seconds."""
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=WINDOW,
        initializer_range=0.1,
        rope_parameters={"rope_type": "default", "rope_theta": 4.0},
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        torch.nn.init.orthogonal_(model.model.embed_tokens.weight)
        model.lm_head.weight.copy_(model.model.embed_tokens.weight)
    return model


def _repeated_pairs(count: int) -> torch.Tensor:
    """Rows of PAIRS keys and values with any mark between, and the pairs again in another order."""
    keys = torch.rand(count, len(KEYS)).argsort(1)[:, :PAIRS] + len(WORDS)
    values = torch.rand(count, len(VALUES)).argsort(1)[:, :PAIRS] + len(WORDS) + len(KEYS)
    marks = torch.randint(len(WORDS), (count, PAIRS))
    told = torch.stack([keys, values, marks], 2)
    order = torch.rand(count, PAIRS).argsort(1)[..., None].expand(-1, -1, 3)
    return torch.cat([told.flatten(1), told.gather(1, order).flatten(1)], 1)
