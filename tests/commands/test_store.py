"""The ``store`` commands: one JSON document, exit 1 with findings, exit 2 for a mistake."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ragdiag.cli import main
from ragdiag.errors import StoreBusy
from ragdiag.records import Request
from ragdiag.settings import Workspace
from ragdiag.store.ingest import ingest
from ragdiag.store.lake import close_lakes, open_lake
from ragdiag.store.spool import SpoolWriter
from ragdiag.workflows.logs import forget

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
Run = Callable[..., tuple[int, Any, str]]


@pytest.fixture
def run(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """Exit status, the document on stdout (None where there is none), stderr."""
    lake = open_lake(workspace, create=True)
    for part in range(2):
        with SpoolWriter(workspace) as spool:
            for n in range(30):
                name = f"r{part}-{n}"
                spool.write(
                    Request(name, datetime(2026, 1, 5, tzinfo=UTC), "v1", "production", "?")
                )
        ingest(lake, workspace)

    def command(*arguments: str) -> tuple[int, Any, str]:
        status = main(["--workspace", str(workspace.root), "store", *arguments, "--json"])
        printed = capsys.readouterr()
        return status, json.loads(printed.out) if printed.out else None, printed.err

    yield command
    close_lakes()


def test_sums_that_were_lost_are_counted_again(run: Run, workspace: Workspace) -> None:
    open_lake(workspace).write(lambda cursor: cursor.execute("delete from daily"))
    assert run("recount")[:2] == (0, {"requests": 60, "rows": 1})


def test_upkeep_from_the_command_line(run: Run, workspace: Workspace, tmp_path: Path) -> None:
    assert run("check")[1]["findings"] == []
    assert run("name", "week 1")[0] == 0
    assert [row["name"] for row in run("snapshots")[1]] == ["week 1"]
    status, packed, _ = run("compact", "--keep-days", "0")
    assert (status, packed["archive_compressed"]) == (0, 2)
    assert (packed["merged"], packed["orphans_deleted"]) == (2, 0)
    status, made, _ = run("backup", str(tmp_path / "backup"), "--spool")
    assert status == 0
    status, gone, _ = run("expire", "--older-than", "30", "--dry-run")
    assert (status, gone["rows"]["requests"], gone["held_by"]) == (0, 60, ["week 1"])
    assert run("expire", "--older-than", "30")[1]["rows"]["requests"] == 60
    assert run("unname", "week 1")[0] == 0
    assert run("check")[0] == 0
    assert run("restore", str(tmp_path / "backup"), "--force")[1]["snapshot"] == made["snapshot"]
    assert open_lake(workspace).rows("select count(*) as n from requests") == [{"n": 60}]
    assert run("replay")[1] == {"segments": []}


def test_compaction_is_told_in_sentences(
    run: Run, workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace.configuration.write_text("[retention]\narchive_days = 30\n")
    assert main(["--workspace", str(workspace.root), "store", "compact"]) == 0
    files, snapshots, archive, gone = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"\d+ files → \d+: 2 merged, 0 rewritten .*", files)
    assert snapshots == "0 old snapshots expired, 0 files of no catalog deleted"
    assert archive.startswith("2 archived segments compressed: ")
    assert gone == "0 archived segments were older than [retention] and went"


def test_a_restore_whose_forgetting_fails_says_that_it_is_restored_and_how_to_go_on(
    run: Run, workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("backup", str(tmp_path / "backup"))[0] == 0

    def busy(*_: object) -> None:
        raise StoreBusy("the dashboard reads it", remedy="run the same command again")

    monkeypatch.setattr(forget, "forget_again", busy)
    status, _, said = run("restore", str(tmp_path / "backup"), "--force")
    assert status == 2
    assert "the backup is restored, with whoever was forgotten since (the dashboard reads" in said
    assert "run: ragdiag privacy forget-again" in said


def test_rejects_and_remarks_are_listed_without_what_they_said(
    run: Run, workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    late = datetime.now(UTC) + timedelta(days=3, hours=1)
    with SpoolWriter(workspace) as spool:
        spool.write(Request("r0-1", MONDAY, "v1", "production", "another question"))
        spool.write(Request("early", late, "v1", "production", "?"))
    ingest(open_lake(workspace), workspace)
    status, found, _ = run("rejects", "--limit", "5")
    assert (status, found["rejects"], found["remarks"]) == (0, 1, 1)
    assert {(one["kind"], one["line"]) for one in found["newest"]} == {("reject", 1), ("remark", 2)}
    assert "another question" not in json.dumps(found)
    source = found["newest"][0]["source"]
    assert main(["--workspace", str(workspace.root), "store", "rejects", "--source", source]) == 0
    said = capsys.readouterr().out
    assert "another request has the id 'r0-1'; the first stays" in said
    assert "up to 3 days ahead" in said
    assert said.endswith("1 rejects, 1 remarks; shown: 2\n")
    assert run("rejects", "--source", "elsewhere")[1]["newest"] == []


def test_damage_is_exit_one_until_it_is_mended(run: Run, workspace: Workspace) -> None:
    victim = sorted((workspace.lake_data / "main" / "requests").glob("*.parquet"))[0]
    whole = victim.read_bytes()
    victim.unlink()
    status, found, _ = run("check")
    assert status == 1
    assert victim.name in found["findings"][0]["what"]
    status, found, _ = run("check", "--set-aside")
    assert (status, len(found["set_aside"])) == (1, 1)
    assert open_lake(workspace).rows("select count(question) as n from requests") == [{"n": 30}]
    victim.write_bytes(whole)
    status, found, _ = run("check", "--put-back")
    assert (status, len(found["put_back"]), found["findings"]) == (0, 1, [])
    assert open_lake(workspace).rows("select count(question) as n from requests") == [{"n": 60}]


def test_the_retention_is_read_from_the_configuration(run: Run, workspace: Workspace) -> None:
    status, document, said = run("expire")
    assert (status, document) == (2, None)
    assert "requests_days" in said
    workspace.configuration.write_text("[retention]\nrequests_days = 30\n")
    assert run("expire", "--dry-run")[1]["rows"]["requests"] == 60


@pytest.mark.parametrize(
    ("arguments", "culprit"),
    [
        (["restore", "/nowhere"], "there is a lake in"),
        (["restore", "/nowhere", "--force"], "there is no backup in /nowhere"),
        (["expire", "--older-than", "1000000"], "less than or equal to 36500"),
        (["compact", "--keep-days", "inf"], "less than or equal to 36500"),
        (["unname", "nothing"], "'nothing'"),
        (["name", "late", "--snapshot", "99999"], "snapshot 99999 has expired"),
    ],
)
def test_a_mistake_is_one_line(run: Run, arguments: list[str], culprit: str) -> None:
    status, document, said = run(*arguments)
    assert (status, document) == (2, None)
    assert culprit in said
    assert len(said.splitlines()) == 1
