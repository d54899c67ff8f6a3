"""Passages of things of four kinds, and questions for one of them; a tiny BERT to be trained."""

from __future__ import annotations

import random
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from ragdiag.records import ContextPassage
from ragdiag.training.answers.located import AnswerExample
from ragdiag.training.answers.reader import ReaderOptions
from ragdiag.training.loop import LoopOptions

THINGS = {
    "colour": ["red", "green", "blue", "dark red", "dark green", "pale blue"],
    "number": ["one", "two", "three", "one hundred", "two hundred", "three dozen"],
    "city": ["oslo", "rome", "lima", "new york", "new delhi", "san juan"],
    "animal": ["cat", "dog", "owl", "brown bear", "sea lion", "snow owl"],
}
FILLERS = ["the", "there", "was", "it", "and", "then", ".", "which", "?"]
MARKS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]


def things(count: int, seed: int) -> list[AnswerExample]:
    """Questions over two passages, each with one thing of another kind."""
    drawn = random.Random(seed)
    return [_example(f"q{seed}-{n}", drawn) for n in range(count)]


def _example(name: str, drawn: random.Random) -> AnswerExample:
    kinds = drawn.sample(list(THINGS), 2)
    told = [drawn.choice(THINGS[kind]) for kind in kinds]
    passages = tuple(
        ContextPassage(f"{name}-{n}", f"{_filler(drawn)} {thing} {_filler(drawn)} .")
        for n, thing in enumerate(told)
    )
    return AnswerExample(name, f"which {kinds[1]} was it ?", (told[1],), passages)


def _filler(drawn: random.Random) -> str:
    return " ".join(drawn.choices(FILLERS[:6], k=drawn.randint(1, 4)))


DEV = things(20, 100)
OPTIONS = ReaderOptions(max_tokens=48)
LOOP = LoopOptions(epochs=10, batch=64, learning_rate=3e-3, patience=9)


def make_encoder(folder: Path) -> Path:
    """An encoder without a head, as a pretrained one would come: it knows which words are of one
    kind, and nothing else."""
    torch.manual_seed(0)
    spoken = {w for kind in THINGS.values() for thing in kind for w in thing.split()}
    words = [*MARKS, *FILLERS, *THINGS, *sorted(spoken)]
    tokenizer = Tokenizer(
        models.WordLevel({word: at for at, word in enumerate(words)}, unk_token="[UNK]")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=64,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=48,
        initializer_range=0.15,
    )
    model = BertModel(config)
    with torch.no_grad():
        vectors = model.embeddings.word_embeddings.weight
        for kind, named in THINGS.items():
            for word in {word for thing in named for word in thing.split()}:
                vectors[words.index(word)].mul_(0.15).add_(vectors[words.index(kind)])
    model.save_pretrained(str(folder))
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=48,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    ).save_pretrained(str(folder))
    return folder
