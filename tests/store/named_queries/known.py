"""The random store as plain rows, and the register of what each named query means."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from ragdiag.records import Request
from ragdiag.store.lake import Lake
from ragdiag.store.queries import Filters
from ragdiag.store.results import load_requests
from tests.store.plain_counts import Fact, facts

Row = dict[str, Any]
Query = Callable[..., Any]

TABLES = (
    *("passages", "logged_passages", "questions", "judgments", "gold_answers", "versions"),
    *("requests", "feedback", "grades", "verdicts", "replays", "index_builds", "pruned_builds"),
    *("owed_checks", "index_checks", "index_trials", "index_tunings", "index_measurements"),
    *("alerts", "grader_calibrations", "prescriptions", "training_runs", "regression_questions"),
    *("validations", "sufficiency_models", "context_trials", "influences", "deployments"),
    *("rejects", "remarks", "question_splits"),
)


class Known:
    """Every row of a lake: ``known["grades"]`` are those of a table, as they were written."""

    def __init__(self, lake: Lake) -> None:
        self._rows = {name: lake.rows(f"select * from {name}") for name in TABLES}
        self.facts: list[Fact] = facts(lake)
        self.requests: list[Request] = load_requests(lake)
        self.workspace = lake.workspace

    def __getitem__(self, table: str) -> list[Row]:
        return self._rows[table]

    @cached_property
    def members(self) -> set[tuple[str, str]]:
        """Split and question of all that some split holds."""
        rows = [*self["judgments"], *(one for one in self["question_splits"] if one["named"])]
        meant = {(row["split"], row["question_id"]) for row in rows}
        taken = {question_id for _, question_id in meant}
        others = {(row["split"], row["question_id"]) for row in self["question_splits"]}
        return meant | {one for one in others if one[1] not in taken}

    @cached_property
    def fact(self) -> dict[str, Fact]:
        """By request id."""
        return {fact["request"].request_id: fact for fact in self.facts}

    @cached_property
    def request(self) -> dict[str, Request]:
        return {one.request_id: one for one in self.requests}

    @cached_property
    def row(self) -> dict[str, Row]:
        """Rows of ``requests``, by their id."""
        return {row["request_id"]: row for row in self["requests"]}

    @cached_property
    def current(self) -> list[Row]:
        """The rows of the corpus as it is now."""
        return [row for row in self["passages"] if row["removed_at"] is None]

    @cached_property
    def verdicts(self) -> dict[str, Row]:
        """The latest of each request."""
        order = ("diagnosed_at", "verdict", "cause", "verified_fix")
        return latest(self["verdicts"], "request_id", *order)

    @cached_property
    def grades(self) -> dict[tuple[str, str], Row]:
        """The latest of each request and grader."""
        found: dict[tuple[str, str], Row] = {}
        for row in sorted(self["grades"], key=in_order("graded_at", "y", "score", "reason")):
            found[row["request_id"], row["grader"]] = row
        return found

    def passing(self, filters: Filters) -> list[Fact]:
        """The requests that a filter lets through."""
        kept = []
        for fact in self.facts:
            request = fact["request"]
            verdict = self.verdicts.get(request.request_id, {})
            counts = fact["verdict"] != "not_diagnosed"
            wanted = [
                (filters.traffic, request.traffic),
                (filters.version_id, request.version_id),
                (filters.topic, request.topic),
                (filters.week, fact["week"]),
                (filters.verdict, fact["verdict"]),
                (filters.cause, fact["cause"]),
                (filters.second_level, verdict.get("second_level") if counts else None),
            ]
            named = filters.text is None or filters.text.lower() in request.question.lower()
            if named and all(value is None or value == found for value, found in wanted):
                kept.append(fact)
        return kept


def in_order(*names: str) -> Callable[[Row], list[tuple[bool, Any]]]:
    """A sorting key, the first name first; nulls come first."""
    return lambda row: [(row[name] is not None, row[name]) for name in names]


def latest(rows: Iterable[Row], key: str, *order: str) -> dict[Any, Row]:
    """By ``key``, the row that comes last in ``order``."""
    return {row[key]: row for row in sorted(rows, key=in_order(*order))}


def newest_first(rows: Iterable[Row], time: str, *ties: str) -> list[Row]:
    """Ties in their own order."""
    steady = sorted(rows, key=in_order(*ties)) if ties else list(rows)
    return sorted(steady, key=lambda row: row[time], reverse=True)


def aware(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Given:
    """What a query is asked with, beside the lake."""

    arguments: tuple[Any, ...]
    options: Mapping[str, Any]


def given(*arguments: Any, **options: Any) -> Given:
    return Given(arguments, options)


Asked = Callable[[Known], Iterable[Given]]


@dataclass(frozen=True)
class Definition:
    """A query in plain Python: takes the rows where the query takes the lake."""

    of: Query
    asked: Asked


DEFINITIONS: dict[Query, Definition] = {}


def plain(query: Query, asked: Asked = lambda _: [given()]) -> Callable[[Query], Query]:
    """The decorated function is the definition of ``query``; both are asked the same."""

    def register(definition: Query) -> Query:
        DEFINITIONS[query] = Definition(definition, asked)
        return definition

    return register
