"""Readings as the workspace may keep them.

Ingest screens what a log says as it screens a service's own lines. Two things it cannot: an id that
was made from a question's text, and evaluations. Ragdiag's own keep their texts where texts are not
stored, since their questions are in the lake anyway; those of a log may be what users asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ragdiag.importers.gold import question_id_of, stored_ids
from ragdiag.importers.logs.reading import Reading
from ragdiag.privacy.screening import Screen
from ragdiag.records import Request
from ragdiag.store.intake.screening import screen_records
from ragdiag.store.kinds import Record


def screen_readings(screen: Screen, readings: Sequence[Reading]) -> list[Reading]:
    """The readings in their order; one that may stay is itself returned."""
    if screen.is_open:
        return list(readings)
    renamed = _renamed(screen, readings)
    return renamed if screen.hide is None else _concealed(screen, renamed)


def _renamed(screen: Screen, readings: Sequence[Reading]) -> list[Reading]:
    """With the ids that questions without their own have in this workspace."""
    given = [reading.question.text for reading in readings if reading.question]
    made = iter(stored_ids(screen, given))
    changed = []
    for reading in readings:
        question = reading.question
        own = None if question is None else next(made)
        if question is None or own is None or question.question_id != question_id_of(question.text):
            changed.append(reading)
        else:
            changed.append(reading if own == question.question_id else _with_id(reading, own))
    return changed


def _with_id(reading: Reading, question_id: str) -> Reading:
    def named(record: Any) -> Any:
        return record and replace(record, question_id=question_id)

    records = [named(one) if isinstance(one, Request) else one for one in reading.records]
    return replace(
        reading,
        records=tuple(records),
        question=named(reading.question),
        gold=named(reading.gold),
    )


def _concealed(screen: Screen, readings: Sequence[Reading]) -> list[Reading]:
    """Without the texts of records, questions and gold answers, whatever their traffic."""
    records = iter(
        screen_records(screen, [one for r in readings for one in r.records], foreign=True)
    )
    questions = iter(screen.conceal([r.question.text for r in readings if r.question]))
    answers = iter(screen.conceal([text for r in readings if r.gold for text in r.gold.answers]))
    changed = []
    for reading in readings:
        question, gold = reading.question, reading.gold
        if question is not None:
            question = replace(question, text=next(questions) or "")
        if gold is not None:
            gold = replace(gold, answers=tuple(next(answers) or "" for _ in gold.answers))
        own: list[Record] = [next(records) for _ in reading.records]
        changed.append(replace(reading, records=tuple(own), question=question, gold=gold))
    return changed
