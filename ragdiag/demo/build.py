"""The demo, built: real documents, real pipelines, real faults; only the dates are simulated.

Every step does what is not done yet, so a build that was stopped goes on where it stopped. The
size and the first Monday are kept in ``demo-plan.json`` when a build begins; ``demo.json`` is
written when it is finished, and marks the workspace as a demo.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from ragdiag.demo.material import EXTENTS, Material, Size, ingest_early, ingest_late, read_material
from ragdiag.demo.schedule import FAULT_WORDS, LATE_WEEK, REBUILD_WEEK, WEEKS, Week, demo_versions
from ragdiag.demo.serving import open_serving
from ragdiag.demo.traffic import first_monday, give_feedback, make_visit, plan_week
from ragdiag.errors import InputError
from ragdiag.generation.extractive import load_extractive
from ragdiag.progress import Progress, part, report
from ragdiag.retrieval.builds import build_index
from ragdiag.settings import Workspace
from ragdiag.store.corpus import load_gold_answers
from ragdiag.store.ingest import ingest
from ragdiag.store.lake import Lake, open_lake
from ragdiag.store.locks import locked
from ragdiag.store.results import load_requests, save_build, save_version
from ragdiag.store.spool import SpoolWriter
from ragdiag.version import ExtractiveSpec, Version
from ragdiag.workflows.diagnose import diagnose
from ragdiag.workflows.evaluate import evaluate

PLAN, MARKER = "demo-plan.json", "demo.json"


@dataclass(frozen=True)
class DemoReport:
    """What was built. ``weeks`` are their Mondays, versions and requests; ``faults`` name week,
    kind and what was broken."""

    size: Size
    simulated: str
    weeks: tuple[Mapping[str, Any], ...]
    faults: tuple[Mapping[str, Any], ...]
    counts: Mapping[str, int]
    seconds: float

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "weeks": list(self.weeks), "faults": list(self.faults)}


def build_demo(workspace: Workspace, size: Size, progress: Progress | None = None) -> DemoReport:
    """Build the demo in ``workspace``, or finish it; a finished one is only reported.

    Raises InputError where the workspace holds something else, StoreBusy where another process is
    building there.
    """
    started = time.monotonic()
    workspace.root.mkdir(parents=True, exist_ok=True)
    with locked(workspace.root / "demo.lock", started + 1.0):
        monday = _plan(workspace, size)
        marker = workspace.root / MARKER
        if marker.is_file():
            return DemoReport(**json.loads(marker.read_text(encoding="utf-8")))
        lake = open_lake(workspace, create=True)
        builder = _Builder(
            lake, workspace, size, monday, read_material(size, part(progress, 0, 0.03))
        )
        builder.run(part(progress, 0.03, 1.0))
        built = replace(builder.describe(), seconds=round(time.monotonic() - started, 1))
        _write_whole(marker, built.to_json())
        return built


@dataclass(frozen=True)
class _Builder:
    lake: Lake
    workspace: Workspace
    size: Size
    monday: date
    material: Material

    def run(self, progress: Progress) -> None:
        """The steps in the order in which they would have happened."""
        ingest(self.lake, self.workspace)
        report(progress, 0.0, "adding documents and questions")
        ingest_early(self.lake, self.material)
        versions = demo_versions()
        for version in versions:
            save_version(self.lake, version)
        builds = self._build_indexes(versions, late=False, progress=part(progress, 0.02, 0.27))
        self._warm(part(progress, 0.27, 0.52))
        for week in WEEKS:
            if week.number == LATE_WEEK:
                ingest_late(self.lake, self.material)
            if week.number == REBUILD_WEEK:
                stretch = part(progress, 0.62, 0.65)
                builds = self._build_indexes(versions, late=True, progress=stretch)
            done = 0.52 + 0.25 * (week.number - 1) / len(WEEKS)
            report(progress, done, f"week {week.number} of {len(WEEKS)}: asking")
            self._run_week(week, {v.name: v for v in versions}, builds)
        for number, version in enumerate(versions):
            done = 0.77 + 0.23 * number / len(versions)
            self._examine(version, part(progress, done, done + 0.23 / len(versions)))

    def _build_indexes(
        self, versions: tuple[Version, ...], *, late: bool, progress: Progress
    ) -> dict[str, str]:
        """Version → the build that serves it; versions with the same settings share one."""
        passages = self.material.early + (self.material.late if late else ())
        builds = {}
        for number, version in enumerate(versions):
            stretch = part(progress, number / len(versions), (number + 1) / len(versions))
            build = build_index(passages, version.spec, self.workspace, stretch)
            save_build(self.lake, build)
            builds[version.name] = build.build_id
        return builds

    def _warm(self, progress: Progress) -> None:
        """Read every sentence once, so that latencies tell serving and not a cold start."""
        passages = (*self.material.early, *self.material.late)
        load_extractive(ExtractiveSpec()).warm([passage.text for passage in passages], progress)

    def _run_week(
        self, week: Week, versions: Mapping[str, Version], builds: Mapping[str, str]
    ) -> None:
        """Ask what has not been asked yet, then let the users react."""
        visits = plan_week(
            week,
            self.monday,
            EXTENTS[self.size].requests_per_week,
            self.material.train,
            self.material.late_entries,
        )
        ids = [visit.request_id for visit in visits]
        done = {request.request_id for request in load_requests(self.lake, request_ids=ids)}
        todo = [visit for visit in visits if visit.request_id not in done]
        if todo:
            pipelines = {
                name: open_serving(
                    self.lake,
                    self.workspace,
                    versions[name],
                    builds[name],
                    fault=week.fault,
                    week=week.number,
                )
                for name in sorted({visit.version for visit in todo})
            }
            with SpoolWriter(self.workspace, writer="demo") as spool:
                for visit in todo:
                    spool.write(make_visit(pipelines[visit.version], visit))
            ingest(self.lake, self.workspace)
        self._react(ids)

    def _react(self, request_ids: list[str]) -> None:
        requests = load_requests(self.lake, request_ids=request_ids)
        given = {
            row["feedback_id"]
            for row in self.lake.rows(
                "select feedback_id from feedback"
                " where request_id in (select unnest(?::varchar[]))",
                [request_ids],
            )
        }
        golds = load_gold_answers(self.lake)
        missing = [f for f in give_feedback(requests, golds) if f.feedback_id not in given]
        if missing:
            with SpoolWriter(self.workspace, writer="demo") as spool:
                for feedback in missing:
                    spool.write(feedback)
            ingest(self.lake, self.workspace)

    def _examine(self, version: Version, progress: Progress) -> None:
        """Evaluate on the test split, then diagnose that and the production traffic.

        An evaluation that was cut short is run again; its latest answer to a question counts.
        """
        asked = {
            request.question_id
            for request in load_requests(
                self.lake, version_id=version.version_id, traffic="evaluation"
            )
        }
        if len(asked) < len(self.material.test):
            stretch = part(progress, 0.0, 0.5)
            evaluate(self.lake, self.workspace, version, "test", _named(version, stretch))
        for split, (start, end) in {"test": (0.5, 0.7), None: (0.7, 1.0)}.items():
            stretch = part(progress, start, end)
            diagnose(
                self.lake, self.workspace, version, split=split, progress=_named(version, stretch)
            )

    def describe(self) -> DemoReport:
        counts = {
            table: int(self.lake.rows(f"select count(*) as n from {table}")[0]["n"])
            for table in ("current_passages", "questions", "judgments", "requests", "feedback")
        }
        weeks = tuple(
            {
                "week": week.number,
                "monday": str(self.monday + timedelta(weeks=week.number - 1)),
                "versions": dict(week.versions),
            }
            for week in WEEKS
        )
        faults = tuple(
            {"week": week.number, "kind": week.fault, "what": FAULT_WORDS[week.fault]}
            for week in WEEKS
            if week.fault is not None
        )
        return DemoReport(self.size, "dates", weeks, faults, counts, 0.0)


def _named(version: Version, progress: Progress) -> Progress:
    return lambda fraction, message: progress(fraction, f"{version.name}: {message}")


def _plan(workspace: Workspace, size: Size) -> date:
    """The first Monday of the build in this workspace; a new build is noted down."""
    path = workspace.root / PLAN
    if path.is_file():
        plan = json.loads(path.read_text(encoding="utf-8"))
        if plan["size"] != size:
            raise InputError(
                f"{workspace.root} holds the {plan['size']} demo",
                remedy="remove that folder, or name another with --workspace",
            )
        return date.fromisoformat(plan["first_monday"])
    if workspace.exists:
        raise InputError(
            f"{workspace.root} holds a workspace that is no demo",
            remedy="name another folder with --workspace",
        )
    monday = first_monday(datetime.now(UTC).date())
    _write_whole(path, {"size": size, "first_monday": str(monday)})
    return monday


def _write_whole(path: os.PathLike[str], document: Mapping[str, Any]) -> None:
    """Appear with all of it or not at all."""
    working = f"{os.fspath(path)}.part"
    with open(working, "w", encoding="utf-8") as file:
        json.dump(document, file, indent=1)
    os.replace(working, path)
