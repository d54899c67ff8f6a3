"""A split's examples as chat JSONL, for fine-tuning a model where it is hosted."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ragdiag.generation.loading import load_tokenizer
from ragdiag.progress import Progress
from ragdiag.settings import Workspace
from ragdiag.store.lake import Lake
from ragdiag.training.answers.chat_export import ChatExport, export_chat
from ragdiag.training.answers.examples import AnswerOptions, with_some_declines
from ragdiag.version import Version
from ragdiag.workflows.tuning.answer_options import version_answers


@dataclass(frozen=True)
class AnswerExport:
    """What was written to ``path``, from ``split`` over the contexts of ``version``."""

    version: Version
    split: str
    path: Path
    chat: ChatExport

    def to_json(self) -> dict[str, Any]:
        return {
            "version": self.version.name,
            "split": self.split,
            "path": str(self.path),
            "rows": self.chat.rows,
            "characters": self.chat.characters,
            "tokens": self.chat.tokens,
            "refused": [asdict(one) for one in self.chat.refused],
        }

    def to_text(self) -> str:
        chat = self.chat
        tokens = "" if chat.tokens is None else f", {chat.tokens:,} tokens"
        reasons = Counter(one.reason for one in chat.refused)
        return "\n".join(
            [
                f"{chat.rows} rows of {self.split} to {self.path}: {chat.characters:,} "
                f"characters{tokens}",
                *(f"refused {count}: {reason}" for reason, count in reasons.most_common()),
            ]
        )


def export_answers(
    lake: Lake,
    workspace: Workspace,
    version: Version,
    path: Path,
    options: AnswerOptions,
    *,
    tokenizer: str | None = None,
    max_tokens: int | None = None,
    progress: Progress | None = None,
) -> AnswerExport:
    """Write the examples of ``options.split`` with their declines; all of them, none kept as dev.

    ``tokenizer`` names the folder of one to count and bound tokens by. Raises TrainingError,
    ModelError for no such tokenizer, StoreFull.
    """
    counter = None if tokenizer is None else load_tokenizer(Path(tokenizer).expanduser())
    data = version_answers(lake, workspace, version, options, progress)
    examples = with_some_declines(data.examples, options)
    chat = export_chat(path, examples, tokenizer=counter, max_tokens=max_tokens)
    refused = (*data.refused, *chat.refused)
    return AnswerExport(version, options.split, path, replace(chat, refused=refused))
