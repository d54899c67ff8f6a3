"""The demo, built: real documents, real pipelines, real faults; only the dates are simulated.

Every step does what is not done yet, so a build that was stopped goes on where it stopped.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import partial

from ragdiag.demo.indexes import examine_indexes
from ragdiag.demo.known_truth import calibrate_on_known_truth
from ragdiag.demo.marker import DemoReport, planned_monday, read_marker, write_marker
from ragdiag.demo.material import EXTENTS, Material, Size, ingest_early, ingest_late, read_material
from ragdiag.demo.schedule import (
    FAULT_WORDS,
    LATE_WEEK,
    REBUILD_WEEK,
    TUNED_FROM,
    WEEKS,
    Week,
    demo_versions,
)
from ragdiag.demo.serving import open_serving
from ragdiag.demo.shipped import register_shipped
from ragdiag.demo.traffic import give_feedback, make_visit, plan_week
from ragdiag.deploy.publish import publish_build
from ragdiag.generation.extractive import load_extractive
from ragdiag.grading.graders import open_grader
from ragdiag.progress import Progress, part, report
from ragdiag.records import IndexBuild
from ragdiag.retrieval.builds import build_index
from ragdiag.retrieval.serving import read_publications
from ragdiag.settings import Workspace
from ragdiag.store.ingest import ingest
from ragdiag.store.lake import Lake, open_lake
from ragdiag.store.locks import locked
from ragdiag.store.prescriptions import latest_prescriptions
from ragdiag.store.queries import traffic_kinds
from ragdiag.store.results import load_requests, save_build, save_version
from ragdiag.store.signals import load_feedback
from ragdiag.store.spool import SpoolWriter
from ragdiag.store.tables import count_rows
from ragdiag.store.validations import load_validation
from ragdiag.version import ExtractiveSpec, Version
from ragdiag.workflows.comparing.evaluate import evaluate
from ragdiag.workflows.diagnosing.diagnose import Scope, open_diagnosis, requests_in_scope
from ragdiag.workflows.diagnosing.prescribe import prescribe
from ragdiag.workflows.diagnosing.validate import validate
from ragdiag.workflows.grading.grade import grade_requests

SENTENCE_GRADERS = ("grounded_lexical", "grounded_encoder")
BUILD_STRETCH = {"lexical": (0.0, 0.02), "dense": (0.02, 0.96)}
"""The part of the time for indexes that a version takes; the others find everything embedded."""


def build_demo(workspace: Workspace, size: Size, progress: Progress | None = None) -> DemoReport:
    """Build the demo in ``workspace``, or finish it; a finished one is only reported.

    Raises InputError where the workspace holds something else, StoreBusy where another process is
    building there.
    """
    started = time.monotonic()
    workspace.root.mkdir(parents=True, exist_ok=True)
    with locked(workspace.root / "demo.lock", started + 1.0):
        monday = planned_monday(workspace, size)
        finished = read_marker(workspace)
        if finished is not None:
            return finished
        lake = open_lake(workspace, create=True)
        material = read_material(size, part(progress, 0.0, 0.05))
        builder = _Builder(lake, workspace, size, monday, material)
        builder.run(part(progress, 0.05, 1.0))
        built = replace(builder.describe(), seconds=round(time.monotonic() - started, 1))
        write_marker(workspace, built)
        report(progress, 1.0, "the demo is ready")
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
        builds = self._build_indexes(versions, late=False, progress=part(progress, 0.0, 0.28))
        logged = {row["traffic"]: row["n"] for row in traffic_kinds(self.lake)}
        if logged.get("production", 0) < len(WEEKS) * self._weekly:
            self._warm(part(progress, 0.28, 0.55))
        for week in WEEKS:
            done = 0.55 + 0.28 * (week.number - 1) / len(WEEKS)
            if week.number == LATE_WEEK:
                ingest_late(self.lake, self.material)
            if week.number == REBUILD_WEEK:
                builds = self._build_indexes(
                    versions, late=True, progress=part(progress, done, done)
                )
            report(progress, done, f"week {week.number} of {len(WEEKS)}: asking")
            self._run_week(week, {v.name: v for v in versions}, builds)
        for number, version in enumerate(versions):
            done = 0.83 + 0.11 * number / len(versions)
            self._examine(version, part(progress, done, done + 0.11 / len(versions)))
        register_shipped(self.lake, self.workspace, versions[-1])
        stretch = part(progress, 0.94, 0.96)
        examine_indexes(self.lake, self.workspace, versions, self.size, stretch)
        serving = next(one for one in versions if one.name == TUNED_FROM)
        self._advise(serving, part(progress, 0.96, 0.98))
        self._hold_graders_to_the_truth(serving, part(progress, 0.98, 1.0))

    @property
    def _weekly(self) -> int:
        return EXTENTS[self.size].requests_per_week

    def _build_indexes(
        self, versions: tuple[Version, ...], *, late: bool, progress: Progress
    ) -> dict[str, str]:
        """Version → the build that serves it; versions with the same settings share one."""
        passages = self.material.early + (self.material.late if late else ())
        builds = {}
        for version in versions:
            stretch = part(progress, *BUILD_STRETCH.get(version.name, (0.96, 1.0)))
            build = build_index(passages, version.spec, self.workspace, stretch)
            save_build(self.lake, build)
            self._publish(build)
            builds[version.name] = build.build_id
        return builds

    def _publish(self, build: IndexBuild) -> None:
        """Let it serve, unless it did so before this build of the demo was stopped."""
        history = read_publications(self.workspace, build.index_key) or ()
        if all(one.build_id != build.build_id for one in history):
            publish_build(self.workspace, build.index_key, build.build_id, by="demo")

    def _warm(self, progress: Progress) -> None:
        """Read every sentence and question once, so that latencies tell of serving, not of a cold
        start."""
        texts = [passage.text for passage in (*self.material.early, *self.material.late)]
        texts += [one.question.text for one in (*self.material.train, *self.material.test)]
        load_extractive(ExtractiveSpec()).warm(texts, progress)

    def _run_week(
        self, week: Week, versions: Mapping[str, Version], builds: Mapping[str, str]
    ) -> None:
        """Ask what has not been asked yet; each user reacts to the answer at once."""
        visits = plan_week(
            week, self.monday, self._weekly, self.material.train, self.material.late_entries
        )
        done = load_requests(self.lake, request_ids=[visit.request_id for visit in visits])
        asked = {request.request_id for request in done}
        todo = [visit for visit in visits if visit.request_id not in asked]
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
        golds = self.material.golds
        given = {one.feedback_id for one in load_feedback(self.lake, sorted(asked))}
        with SpoolWriter(self.workspace, writer="demo") as spool:
            for feedback in give_feedback(done, golds):
                if feedback.feedback_id not in given:
                    spool.write(feedback)
            for visit in todo:
                request = make_visit(pipelines[visit.version], visit)
                spool.write(request)
                for feedback in give_feedback([request], golds):
                    spool.write(feedback)
        ingest(self.lake, self.workspace)

    def _examine(self, version: Version, progress: Progress) -> None:
        """Evaluate on the test split, then diagnose that and the production traffic.

        An evaluation that was cut short is run again; its latest answer to a question counts.
        A version that serves nobody has no traffic to diagnose.
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
        stretches: dict[str | None, tuple[float, float]] = {"test": (0.5, 0.7)}
        if any(version.name in week.versions for week in WEEKS):
            stretches[None] = (0.7, 1.0)
        for split, (start, end) in stretches.items():
            stretch = part(progress, start, end)
            run = open_diagnosis(self.lake, self.workspace, version, Scope(split))
            run.diagnose(_named(version, stretch))

    def _advise(self, version: Version, progress: Progress) -> None:
        """How far verdicts can be trusted, by known faults, and what would help most."""
        if load_validation(self.lake) is None:
            n, stretch = EXTENTS[self.size].faults, part(progress, 0.0, 0.6)
            validate(self.lake, self.workspace, version, "test", n=n, progress=stretch)
        if not latest_prescriptions(self.lake):
            stretch = part(progress, 0.6, 1.0)
            # Encoding every passage twice more would take longer than all the rest.
            prescribe(self.lake, self.workspace, version, "test", most_recut=100, progress=stretch)

    def _hold_graders_to_the_truth(self, version: Version, progress: Progress) -> None:
        """What graders are worth here; those of sentences say what they make of each answer."""
        asked = requests_in_scope(self.lake, version, Scope("test"))
        for name in SENTENCE_GRADERS:
            grade_requests(self.lake, asked, open_grader(self.workspace, name))
        calibrate_on_known_truth(self.lake, self.workspace, self.material, asked, progress)

    def describe(self) -> DemoReport:
        tables = ("current_passages", "questions", "judgments", "requests", "feedback")
        counts = self.lake.read(partial(count_rows, tables=tables))
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
