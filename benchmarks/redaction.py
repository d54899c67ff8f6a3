"""Texts per second that redaction looks through, with all rules, as a Markdown table.

    python -m benchmarks.redaction ../shared/data/covidqa [MORE_FOLDERS…]

The texts are the questions and the first 600 characters of the passages (as long as an answer) of
a BEIR folder; one in twenty has something to hide put in its middle. Beside it the same rules
without the hints: every rule's own regular expressions and checks on every text.
"""

from __future__ import annotations

import json
import os
import platform
import random
import sys
import time
from pathlib import Path

import pyarrow as pa

from ragdiag.configuration import PrivacyTable
from ragdiag.privacy.redaction import Redactor, compile_redactor

TEXTS = 100_000
PLAIN_TEXTS = 2_000
ANSWER_CHARS = 600
PRIVATE_EVERY = 20
PRIVATE = (
    "ann@example.org",
    "(415) 555-2671",
    "4111 1111 1111 1111",
    "DE89 3704 0044 0532 0130 00",
    "203.0.113.9",
    "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
)


def main(folders: list[str]) -> None:
    redactor = compile_redactor(PrivacyTable())
    print(f"`python -m benchmarks.redaction {' '.join(folders)}`, {platform.machine()},", end=" ")
    print(f"{os.cpu_count()} cores, one thread used, all rules.\n")
    print("| texts | characters each | hidden | texts/s | without hints, texts/s |")
    print("|---|---|---|---|---|")
    for folder in map(Path, folders):
        texts = read_texts(folder)
        column = pa.array(texts, pa.large_string())
        started = time.perf_counter()
        _, found = redactor.redact_column(column)
        hinted = len(texts) / (time.perf_counter() - started)
        plain = plain_rate(redactor, texts[:PLAIN_TEXTS])
        length = sum(map(len, texts)) / len(texts)
        print(
            f"| {folder.name} × {len(texts):,} | {length:.0f} | {sum(found.values()):,} "
            f"| {hinted:,.0f} | {plain:,.0f} |"
        )


def plain_rate(redactor: Redactor, texts: list[str]) -> float:
    started = time.perf_counter()
    for text in texts:
        for rule in redactor.rules:
            text, _ = rule.replace(text)
    return len(texts) / (time.perf_counter() - started)


def read_texts(folder: Path) -> list[str]:
    """TEXTS texts, repeated where the folder has fewer, in a fixed order."""
    found = []
    for name in ("queries.jsonl", "corpus.jsonl"):
        for line in (folder / name).read_text(encoding="utf-8").splitlines():
            found.append(json.loads(line)["text"][:ANSWER_CHARS])
    chance = random.Random(0)
    texts = [found[i % len(found)] for i in range(TEXTS)]
    chance.shuffle(texts)
    for i in range(0, TEXTS, PRIVATE_EVERY):
        middle = len(texts[i]) // 2
        texts[i] = f"{texts[i][:middle]} {chance.choice(PRIVATE)} {texts[i][middle:]}"
    return texts


if __name__ == "__main__":
    main(sys.argv[1:])
