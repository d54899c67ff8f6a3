"""Parts that fail: the answer goes on without them and says so; what cannot start says why."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ragdiag.cli import main
from ragdiag.records import IndexBuild, Request
from ragdiag.settings import PROJECT, Workspace
from ragdiag.store.lake import Lake
from ragdiag.store.results import save_version
from ragdiag.version import Version
from tests.retrieval.conftest import tiny_model as tiny_model

from .conftest import Start, ToyModel, toy_version

Build = Callable[..., IndexBuild]
Logged = Callable[[], dict[str, Request]]


@pytest.mark.slow
def test_a_vector_index_that_fails_is_left_out_and_comes_back(
    start: Start,
    build: Build,
    corpus: Lake,
    model: ToyModel,
    tiny_model: Path,
    tmp_path: Path,
    logged: Logged,
) -> None:
    tables = f"[embedder]\nmodel = '{tiny_model}'\n[degradation]\nfailures = 2\nretry_s = 1.0"
    version = toy_version("hybrid", model, tables)
    save_version(corpus, version)
    build(of=version)
    fault = tmp_path / "fault"
    service = start("hybrid", module="tests.serve.faults", RAGDIAG_TEST_FAULT=str(fault))
    well = service.ask().body
    assert well["degraded_reason"] is None
    assert {"embed", "dense", "fusion"} <= well["latency_ms"].keys()
    fault.touch()
    told = [service.ask().body for _ in range(3)]
    assert [one["degraded_reason"] for one in told] == [
        *["dense: OSError"] * 2,
        "dense: left alone after failures in a row",
    ]
    assert {one["status"] for one in told} == {"ok"}
    assert {tuple(one["citations"]) for one in told} == {("cats",)}
    state = 'ragdiag_breaker_state{role="production",stage="dense",version="hybrid"}'
    assert f"{state} 2.0" in service.get("/metrics").body
    fault.unlink()
    service.wait_until(lambda: service.ask().body["degraded_reason"] is None)
    assert f"{state} 0.0" in service.get("/metrics").body
    service.end()
    requests = logged()
    for one in told:
        request = requests[one["request_id"]]
        assert (request.degraded_reason, request.dense) == (one["degraded_reason"], None)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nope"], "there is no version 'nope'"),
        ([], "no version serves production yet; name one: ragdiag deploy set VERSION"),
        (["plain", "--host", "0.0.0.0"], "set $RAGDIAG_SERVE_TOKEN or --token-file"),
        (["plain", "--host", "0.0.0.0", "--token-env", "MY_TOKEN"], "set $MY_TOKEN or"),
        (["plain", "--workers", "0"], "--workers"),
    ],
)
def test_what_it_will_not_serve_is_one_line(
    arguments: list[str],
    message: str,
    version: Version,
    workspace: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("RAGDIAG_SERVE_TOKEN", raising=False)
    assert main(["--workspace", str(workspace.root), "serve", *arguments]) == 2
    assert message in capsys.readouterr().err


def run_to_its_end(workspace: Workspace, name: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ragdiag", "--workspace", str(workspace.root)]
    return subprocess.run(
        [*command, "serve", name, "--port", "0"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_what_cannot_be_opened_ends_the_service_with_one_line(
    version: Version, build: Build, workspace: Workspace
) -> None:
    build_id = build(of=version).build_id
    shutil.rmtree(workspace.indexes / build_id)
    done = run_to_its_end(workspace, "plain")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert f"index build {build_id} is missing" in done.stderr


def test_a_key_that_is_not_set_ends_it_before_anybody_asks(
    corpus: Lake, build: Build, workspace: Workspace, version: Version
) -> None:
    hosted = {"base_url": "https://api.openai.com/v1", "api_key_env": "RAGDIAG_TEST_NO_KEY"}
    generator = version.spec.generator.model_copy(update=hosted)
    keyless = Version("keyless", version.spec.model_copy(update={"generator": generator}))
    save_version(corpus, keyless)
    build(of=keyless)
    done = run_to_its_end(workspace, "keyless")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "RAGDIAG_TEST_NO_KEY is not set" in done.stderr
