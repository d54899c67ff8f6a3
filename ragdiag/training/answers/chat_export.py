"""Examples as chat JSONL, for fine-tuning where a model is hosted: one line a conversation.

The messages are those that serving sends and the reply that it wants back, so what is learned there
fits what is asked here.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ragdiag.generation.grounded_prompt import build_messages
from ragdiag.training.answers.located import AnswerExample, Refused, cited_reply, usable_examples
from ragdiag.training.files import replace_file


@dataclass(frozen=True)
class ChatExport:
    """``characters`` and ``tokens`` are of all messages together; no tokens without a tokenizer to
    count them by."""

    rows: int
    characters: int
    tokens: int | None
    refused: tuple[Refused, ...]


def export_chat(
    path: Path,
    examples: Sequence[AnswerExample],
    *,
    tokenizer: Any | None = None,
    max_tokens: int | None = None,
) -> ChatExport:
    """Write a line {"messages": [system, user, assistant]} for every example that can be used.

    ``tokenizer`` (of transformers) counts tokens, about what a host will bill; with it, what is
    longer than ``max_tokens`` is refused. Raises TrainingError where fewer than ten are left,
    StoreFull where they do not fit on the disk.
    """
    kept, refused = usable_examples(examples, "exported")
    lines, characters, tokens = [], 0, 0
    for one in kept:
        messages = [
            *build_messages(one.question, one.context),
            {"role": "assistant", "content": cited_reply(one)},
        ]
        texts = [str(message["content"]) for message in messages]
        counted = _count(tokenizer, texts)
        if max_tokens is not None and counted > max_tokens:
            refused.append(Refused(one.question_id, f"{counted} tokens are over {max_tokens}"))
            continue
        lines.append(json.dumps({"messages": messages}, ensure_ascii=False) + "\n")
        characters += sum(len(text) for text in texts)
        tokens += counted
    replace_file(path, lambda file: file.write("".join(lines).encode()))
    return ChatExport(
        rows=len(lines),
        characters=characters,
        tokens=None if tokenizer is None else tokens,
        refused=tuple(refused),
    )


def _count(tokenizer: Any | None, texts: Sequence[str]) -> int:
    if tokenizer is None:
        return 0
    return sum(len(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in texts)
