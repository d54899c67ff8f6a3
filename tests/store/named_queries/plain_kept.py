"""What jobs and people keep beside the log: versions, builds, checks, alerts, runs, documents."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from ragdiag.errors import UnknownName
from ragdiag.records import (
    Alert,
    ContextTrial,
    Deployment,
    DeploymentEvent,
    Finding,
    IndexBuild,
    IndexCheck,
)
from ragdiag.store import (
    alerts,
    calibrations,
    deployments,
    index_checks,
    influences,
    measurements,
    owed_checks,
    prescriptions,
    rejects,
    results,
    training_runs,
    tunings,
    validations,
)
from ragdiag.store.calibrations import GraderCalibration
from ragdiag.store.rejects import Noted, NotedLines
from ragdiag.store.training_runs import TrainingRun
from ragdiag.version import LoggedVersion, Spec, Version
from tests.store.named_queries.known import (
    Given,
    Known,
    Row,
    aware,
    given,
    in_order,
    latest,
    newest_first,
    plain,
)
from tests.store.named_queries.random_store import BUILDS, SETTINGS


def read(row: Row, document: str) -> Row:
    """The row with its JSON text as what it says."""
    return {**row, document: json.loads(row[document])}


@plain(alerts.open_alerts)
def open_alerts(known: Known) -> list[Alert]:
    last = latest(known["alerts"], "alert_id", "noted_at").values()
    rows = [row for row in last if row["resolved_at"] is None]
    ordered = newest_first(rows, "raised_at", "alert_id")
    return [
        Alert(
            **{name: row[name] for name in Alert.__dataclass_fields__}
            | {"raised_at": aware(row["raised_at"]), "details": json.loads(row["details"])}
        )
        for row in sorted(ordered, key=lambda row: row["severity"] != "critical")
    ]


@plain(calibrations.load_calibrations)
def load_calibrations(known: Known) -> dict[str, GraderCalibration]:
    """The last of each; of several of one moment the one whose text comes first."""
    found: dict[str, GraderCalibration] = {}
    for row in newest_first(known["grader_calibrations"], "calibrated_at", "found"):
        found.setdefault(row["grader"], GraderCalibration(**read(row, "found")))
    return found


@plain(deployments.load_deployments)
def load_deployments(known: Known) -> list[DeploymentEvent]:
    state = tuple(Deployment.__dataclass_fields__)
    return [
        DeploymentEvent(
            row["number"],
            row["happened_at"].replace(tzinfo=aware(row["happened_at"]).tzinfo),  # type: ignore[union-attr]
            row["kind"],
            Deployment(**{name: row[name] for name in state}),
            row["actor"],
            json.loads(row["evidence"]),
        )
        for row in sorted(known["deployments"], key=in_order("number"))
    ]


@plain(deployments.current_deployment)
def current_deployment(known: Known) -> Deployment | None:
    return load_deployments(known)[-1].deployment


def check_of(row: Row) -> IndexCheck:
    at = aware(row["checked_at"])
    assert at is not None
    findings = tuple(Finding(**one) for one in json.loads(row["findings"]))
    own = (row["build_id"], row["index_key"], row["version_id"])
    return IndexCheck(*own, at, row["checked_by"], findings, json.loads(row["details"]))


@plain(
    index_checks.load_checks,
    lambda known: [
        *(given(build) for build in (*BUILDS, "unknown")),
        given(BUILDS[0], known["versions"][0]["version_id"]),
    ],
)
def load_checks(known: Known, build_id: str, version_id: str | None = None) -> list[IndexCheck]:
    return [
        check_of(row)
        for row in sorted(known["index_checks"], key=in_order("checked_at"))
        if row["build_id"] == build_id and version_id in (None, row["version_id"])
    ]


def each_setting(_: Known) -> list[Given]:
    return [given(key) for key in (*SETTINGS, "unknown")]


@plain(index_checks.latest_checks, each_setting)
def latest_checks(known: Known, index_key: str) -> dict[str, IndexCheck]:
    rows = [row for row in known["index_checks"] if row["index_key"] == index_key]
    last = latest(rows, "build_id", "checked_at")
    return {build_id: check_of(row) for build_id, row in last.items()}


PAIRS = [given(name, setting) for name in ("r01", "r02", "?") for setting in ("s1", "s2")]


@plain(influences.load_trials, lambda _: PAIRS)
def load_context_trials(known: Known, request_id: str, setting: str) -> list[ContextTrial]:
    first: dict[tuple[Any, ...], Row] = {}
    for row in sorted(known["context_trials"], key=in_order("tried_at")):
        if (row["request_id"], row["setting"]) == (request_id, setting):
            key = row["draw"], len(row["removed"]), tuple(row["removed"])
            first.setdefault(key, row)
    return [
        ContextTrial(
            **{name: row[name] for name in ContextTrial.__dataclass_fields__}
            | {"removed": tuple(row["removed"]), "citations": tuple(row["citations"])}
        )
        for _, row in sorted(first.items())
    ]


@plain(influences.latest_influences, lambda _: [given("r01"), given("?")])
def latest_influences(known: Known, request_id: str) -> dict[str, Any]:
    rows = [row for row in known["influences"] if row["request_id"] == request_id]
    last = latest(rows, "method", "found_at")
    return {method: json.loads(row["found"]) for method, row in last.items()}


def last_of_each(rows: list[Row], time: str, document: str, *key: str) -> list[Row]:
    """The newest of each key, newest first; of several of one moment the one whose text comes
    first."""
    found: dict[tuple[Any, ...], Row] = {}
    for row in newest_first(rows, time, document):
        found.setdefault(tuple(row[name] for name in key), row)
    return [read(row, document) for row in newest_first(found.values(), time, *key)]


@plain(measurements.latest_measurements)
def latest_measurements(known: Known) -> list[Row]:
    rows = known["index_measurements"]
    return last_of_each(rows, "measured_at", "measured", "version_id", "build_id")


@plain(prescriptions.latest_prescriptions)
def latest_prescriptions(known: Known) -> list[Row]:
    rows = known["prescriptions"]
    return last_of_each(rows, "prescribed_at", "prescription", "version_id")


@plain(owed_checks.load_owed, lambda _: [given(), given(3600.0)])
def load_owed(known: Known, after_s: float = 0.0) -> dict[str, datetime | None]:
    """All were owed within the last hour."""
    rows = [] if after_s else known["owed_checks"]
    return {row["check_id"]: aware(row["owed_at"]) for row in rows}


@plain(rejects.known_rejects, lambda _: [given(["a.jsonl"]), given(["a.jsonl", "b.csv"])])
def known_rejects(known: Known, sources: list[str]) -> set[tuple[str, int, str]]:
    rows = [row for row in known["rejects"] if row["source"] in sources]
    return {(row["source"], row["line"], row["reason"]) for row in rows}


@plain(
    rejects.list_noted, lambda _: [given(), given(limit=3), given(source="b.c"), given(source="?")]
)
def list_noted(known: Known, *, source: str = "", limit: int = 50) -> NotedLines:
    rows = [{**row, "at": row["rejected_at"], "kind": "reject"} for row in known["rejects"]]
    rows += [{**row, "at": row["noted_at"], "kind": "remark"} for row in known["remarks"]]
    chosen = [row for row in rows if source in row["source"]]
    noted = [
        Noted(aware(row["at"]), *(row[n] for n in ("kind", "source", "line", "reason")))  # type: ignore[arg-type]
        for row in newest_first(chosen, "at", "source", "line", "reason")
    ]
    refused = sum(one.kind == "reject" for one in noted)
    return NotedLines(tuple(noted[:limit]), refused, len(noted) - refused)


def version_of(row: Row) -> Version:
    return Version.saved(row["name"], Spec.model_validate_json(row["spec"]), row["version_id"])


@plain(results.list_versions)
def list_versions(known: Known) -> list[Version]:
    return [version_of(row) for row in sorted(known["versions"], key=in_order("created_at"))]


def names(known: Known) -> list[Given]:
    by_id = known["versions"][1]["version_id"]
    return [given(name) for name in ("version 0", by_id, "foreign", "no such version")]


@plain(results.find_version, names)
def find_version(known: Known, name: str) -> Version:
    for row in known["versions"]:
        if name in (row["name"], row["version_id"]):
            return version_of(row)
    raise UnknownName("", remedy="")


@plain(results.find_served_version, names)
def find_served_version(known: Known, name: str) -> Version | LoggedVersion:
    try:
        return find_version(known, name)
    except UnknownName:
        if any(one.version_id == name for one in known.requests):
            return LoggedVersion(name)
        raise


def build_of(row: Row) -> IndexBuild:
    return IndexBuild(**read(row, "manifest") | {"built_at": aware(row["built_at"])})


@plain(results.find_build, lambda _: [given(name) for name in (*BUILDS, "unknown")])
def find_build(known: Known, build_id: str) -> IndexBuild:
    for row in known["index_builds"]:
        if row["build_id"] == build_id:
            return build_of(row)
    raise UnknownName("", remedy="")


@plain(results.list_builds, each_setting)
def list_builds(known: Known, index_key: str) -> list[IndexBuild]:
    rows = [row for row in known["index_builds"] if row["index_key"] == index_key]
    return [build_of(row) for row in newest_first(rows, "built_at")]


@plain(results.pruned_times)
def pruned_times(known: Known) -> dict[str, datetime | None]:
    return {row["build_id"]: aware(row["pruned_at"]) for row in known["pruned_builds"]}


@plain(results.latest_build, each_setting)
def latest_build(known: Known, index_key: str) -> IndexBuild | None:
    pruned = pruned_times(known)
    kept = [one for one in list_builds(known, index_key) if one.build_id not in pruned]
    return kept[0] if kept else None


@plain(training_runs.list_runs)
def list_runs(known: Known) -> list[TrainingRun]:
    last = latest(known["training_runs"], "run_id", "recorded_at").values()
    return [
        TrainingRun(
            *(row["run_id"], row["kind"], row["state"]), json.loads(row["run"]), row["recorded_at"]
        )
        for row in newest_first(last, "recorded_at")
    ]


@plain(training_runs.find_run, lambda _: [given("run1"), given("no such run")])
def find_run(known: Known, run_id: str) -> TrainingRun:
    found = [run for run in list_runs(known) if run.run_id == run_id]
    if not found:
        raise UnknownName("", remedy="")
    return found[0]


@plain(tunings.load_trials, lambda _: [given("t0"), given("?")])
def load_trials(known: Known, tuning_id: str) -> list[Row]:
    rows = [row for row in known["index_trials"] if row["tuning_id"] == tuning_id]
    return [json.loads(row["trial"]) for row in sorted(rows, key=in_order("tried_at", "trial"))]


@plain(tunings.list_tunings)
def list_tunings(known: Known) -> list[Row]:
    rows = newest_first(known["index_tunings"], "tuned_at", "tuning_id")
    return [read(row, "tuning") for row in rows]


def each_version(known: Known) -> list[Given]:
    return [*(given(row["version_id"]) for row in known["versions"]), given("unknown")]


@plain(tunings.latest_tuning, each_version)
def latest_tuning(known: Known, version_id: str) -> tuple[datetime, Row] | None:
    own = [row for row in list_tunings(known) if row["version_id"] == version_id]
    if not own:
        return None
    return own[0]["tuned_at"], {"tuning_id": own[0]["tuning_id"], **own[0]["tuning"]}


@plain(validations.load_validation, lambda known: [given(), *each_version(known)])
def load_validation(known: Known, version_id: str | None = None) -> Row | None:
    rows = [row for row in known["validations"] if version_id in (None, row["version_id"])]
    if not rows:
        return None
    row = max(rows, key=lambda one: one["validated_at"])
    own = {name: row[name] for name in ("version_id", "validated_at")}
    return {**json.loads(row["found"]), **own}


@plain(validations.load_validations)
def load_validations(known: Known) -> list[Row]:
    last = latest(known["validations"], "version_id", "validated_at").values()
    return [
        {**json.loads(row["found"]), **{n: row[n] for n in ("version_id", "validated_at")}}
        for row in newest_first(last, "validated_at")
    ]


@plain(validations.load_sufficiency)
def load_sufficiency(known: Known) -> Row | None:
    row = max(known["sufficiency_models"], key=lambda one: one["calibrated_at"])
    found: Row = json.loads(row["found"])
    return found
