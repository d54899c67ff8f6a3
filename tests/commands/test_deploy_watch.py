"""``ragdiag deploy watch`` once, and as the process that it is in operation."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from ragdiag.cli import main
from ragdiag.errors import RagdiagError, StoreBusy
from ragdiag.records import Deployment, Request
from ragdiag.settings import Workspace
from ragdiag.store.deployments import current_deployment
from ragdiag.store.lake import Lake, close_lakes, open_lake
from ragdiag.store.spool import SpoolWriter
from ragdiag.workflows.releasing import watching
from ragdiag.workflows.releasing.deployment import Terms, set_production, start_canary
from ragdiag.workflows.releasing.watching import watch_deployment
from tests.answered import NEW, OLD, answer, fill_corpus, log
from tests.command_process import running


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A canary beside a version that has answered 300 questions rightly."""
    workspace = Workspace(tmp_path_factory.mktemp("tried") / "workspace")
    lake = fill_corpus(workspace)
    set_production(lake, "old", actor="ada")
    log(lake, workspace, [answer(n, OLD, traffic="production") for n in range(300)])
    start_canary(lake, workspace, "new", 0.5, Terms(planned_n=1_000), actor="ada")
    close_lakes()
    return workspace


@pytest.fixture
def lake(copied: Callable[[Workspace], Lake], tried: Workspace) -> Iterator[Lake]:
    yield copied(tried)
    close_lakes()


def canary_requests(n: int, *, right: bool) -> list[Request]:
    now = datetime.now(UTC)
    return [
        answer(
            number,
            NEW,
            traffic="canary",
            right=right,
            asked_at=now + timedelta(milliseconds=number),
            request_id=f"{right}-{number}",
        )
        for number in range(n)
    ]


def spool(workspace: Workspace, requests: list[Request]) -> None:
    with SpoolWriter(workspace) as writer:
        writer.write_all(requests)


def test_one_look_loads_what_waits_and_rolls_back_on_an_alarm(
    lake: Lake, workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--workspace", str(workspace.root), "deploy", "watch", "--once"]
    spool(workspace, canary_requests(30, right=True))
    assert main([*given, "--json"]) == 0
    (look,) = json.loads(capsys.readouterr().out)["looks"]
    assert (look["action"], look["judged"], look["applied"]) == ("hold", 30, False)
    spool(workspace, canary_requests(40, right=False))
    assert main(given) == 1
    said = capsys.readouterr().out
    assert said.startswith("rollback: canary new against old since ")
    assert "risen since" in said
    assert said.endswith("now: production old\n")
    assert main(given) == 0
    assert capsys.readouterr().out.startswith("nothing is watched")


def test_a_process_watches_until_it_is_stopped(lake: Lake, workspace: Workspace) -> None:
    close_lakes()
    with running(workspace, "deploy", "watch", "--every", "0.2s") as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("hold: canary new")
        spool(workspace, canary_requests(40, right=False))
        deadline = time.monotonic() + 60
        while current_deployment(open_lake(workspace)) != Deployment(OLD.version_id):
            assert time.monotonic() < deadline
            time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 130


class Stop:
    """Waits for nothing, and stops after so many looks."""

    def __init__(self, looks: int) -> None:
        self.left = looks

    def wait(self, _: float) -> bool:
        self.left -= 1
        return self.left == 0


def test_a_look_that_fails_is_told_and_the_next_one_comes(
    lake: Lake, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = watching.watch_once, iter(range(10))

    def sometimes(*arguments: object, **options: object) -> object:
        if next(calls) == 1:
            raise StoreBusy("others write", remedy="wait")
        return real(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(watching, "watch_once", sometimes)
    seen: list[int] = []
    failed: list[RagdiagError] = []
    watch_deployment(
        workspace,
        60,
        actor="ada",
        seen=lambda found: seen.append(len(found)),
        failed=failed.append,
        stop=Stop(3),  # type: ignore[arg-type]
    )
    assert seen == [1, 1]
    assert [str(error) for error in failed] == ["others write; wait"]


def test_a_mistake_ends_it_at_once(
    copied: Callable[[Workspace], Lake],
    empty_workspace: Workspace,
    workspace: Workspace,
    capsys: pytest.CaptureFixture[str],
) -> None:
    copied(empty_workspace)
    for arguments, told in (
        ([], "ragdiag deploy set VERSION"),
        (["--once"], "ragdiag deploy set VERSION"),
        (["--every", "often"], "'often' is no length of time"),
        (["--json"], "give --once"),
    ):
        assert main(["--workspace", str(workspace.root), "deploy", "watch", *arguments]) == 2
        assert told in capsys.readouterr().err
