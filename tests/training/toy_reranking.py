"""A rule that a cross-encoder can learn in a second: the passage that names the question's colour.

The base is a BERT of two layers with random weights, whose vocabulary is the toy's own words.
"""

from __future__ import annotations

import random
from pathlib import Path

from ragdiag.training.data.examples import Pair, TrainingSet
from ragdiag.training.reranker.dev import RerankDev, RerankQuestion

COLOURS = ["red", "blue", "green", "white"]
THINGS = ["door", "boat", "lamp", "coat", "bell", "cart"]
TEXTS = {f"{colour}-{thing}": f"a {colour} {thing}" for colour in COLOURS for thing in THINGS}
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "which", "is", *COLOURS, *THINGS]


def make_base(folder: Path, layers: int = 2, outputs: int = 1) -> str:
    """A plain checkpoint, with a head of ``outputs`` numbers."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]"}
    names |= {"sep_token": "[SEP]", "mask_token": "[MASK]"}
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
        **names,
    ).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=32,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=32,
        num_labels=outputs,
        initializer_range=0.2,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    BertForSequenceClassification(config).save_pretrained(folder)
    return str(folder)


def toy_data(n: int = 96, negatives: int = 4, seed: int = 0) -> TrainingSet:
    chance = random.Random(seed)
    pairs = []
    for at in range(n):
        colour = COLOURS[at % len(COLOURS)]
        wrong = [name for name in TEXTS if not name.startswith(colour)]
        pairs.append(
            Pair(
                question_id=f"q{at}",
                question=f"which is {colour}",
                passage_id=f"{colour}-{chance.choice(THINGS)}",
                negatives=tuple(chance.sample(wrong, negatives)),
            )
        )
    return TrainingSet(pairs, TEXTS)


def toy_dev(n: int = 24, candidates: int = 10, seed: int = 1) -> RerankDev:
    """The first stage puts the one right passage last."""
    chance = random.Random(seed)
    questions = []
    for at in range(n):
        colour = COLOURS[at % len(COLOURS)]
        wrong = [name for name in TEXTS if not name.startswith(colour)]
        right = f"{colour}-{chance.choice(THINGS)}"
        listed = (*chance.sample(wrong, candidates - 1), right)
        questions.append(RerankQuestion(f"dev{at}", f"which is {colour}", listed, {right: 1}))
    return RerankDev(questions, TEXTS)
