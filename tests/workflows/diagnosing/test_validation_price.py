"""What validating would ask: a bound on what it does ask, told before a priced generator is."""

from __future__ import annotations

import json

import pytest

from ragdiag.cli import main
from ragdiag.settings import Workspace
from ragdiag.store.lake import Lake
from ragdiag.store.results import save_version
from ragdiag.version import Version, parse_spec
from ragdiag.workflows.comparing.evaluate import evaluate
from ragdiag.workflows.diagnosing.validation_price import plan_validation
from ragdiag.workflows.indexing.build import build_version_index
from tests.faulty_server import FaultyServer

SPEC = """[lexical]
[context]
max_tokens = 200
[generator]
kind = "openai"
model = "reader"
base_url = "{url}"
retries = 0
max_output_tokens = 100
prompt_price = 1.0
completion_price = 1.0
"""


@pytest.fixture
def reader(faulty_server: FaultyServer) -> FaultyServer:
    """It says what its first passage says."""
    faulty_server.says(lambda asked: asked[:400] + " [1]")
    return faulty_server


@pytest.fixture
def version(corpus: Lake, workspace: Workspace, reader: FaultyServer) -> Version:
    version = Version("served", parse_spec(SPEC.format(url=reader.base_url), source="toy"))
    save_version(corpus, version)
    build_version_index(corpus, workspace, version)
    evaluate(corpus, workspace, version, "test")
    reader.seen.clear()
    return version


def test_the_price_comes_first_and_bounds_what_is_asked(
    corpus: Lake,
    workspace: Workspace,
    version: Version,
    reader: FaultyServer,
    capsys: pytest.CaptureFixture[str],
) -> None:
    plan = plan_validation(corpus, workspace, version, "test", n=1)
    # 7 faults, one of which asks twice for an answer; 8 arms of 3 draws
    assert plan.most_calls == 9 * plan.requests + 8 * 8 * 3
    assert plan.cost_usd == pytest.approx((plan.prompt_tokens + plan.most_calls * 100) / 1e6)
    arguments = ["--workspace", str(workspace.root), "diagnose", "validate", "served"]
    arguments += ["--split", "test", "-n", "1"]
    assert main(arguments) == 0
    assert "Nothing was asked: add --yes" in capsys.readouterr().out
    assert main([*arguments, "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["most_calls"] == plan.most_calls
    assert reader.seen == []
    assert main([*arguments, "--yes", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["successes"] > 0
    assert plan.calls <= len(reader.seen) <= plan.most_calls
