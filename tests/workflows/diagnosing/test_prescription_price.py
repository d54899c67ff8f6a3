"""What a prescription may cost is told before a priced generator is asked."""

from __future__ import annotations

import pytest

from ragdiag.cli import main
from ragdiag.diagnosis.tried_settings import own_setting, settings_to_try
from ragdiag.settings import Workspace
from ragdiag.store.lake import Lake
from ragdiag.store.results import save_version
from ragdiag.version import Version, parse_spec
from ragdiag.workflows.diagnosing.prescription_price import prescription_price

PRICED = parse_spec(
    """
    [lexical]
    [context]
    max_tokens = 500
    [generator]
    kind = "openai"
    model = "m"
    base_url = "http://localhost:1/v1"
    max_output_tokens = 100
    prompt_price = 1.0
    completion_price = 2.0
    """,
    source="priced",
)


def test_a_price_is_of_all_settings_at_their_longest() -> None:
    settings = settings_to_try(PRICED)
    told = prescription_price(PRICED, 10)
    assert told is not None
    calls = 10 * (4 + len(settings))
    prompts = 10 * (4 * 1000 + sum(one.spec.context.max_tokens + 500 for one in settings))
    assert told == f"up to {calls} calls and {(prompts + 200 * calls) / 1e6:,.2f} USD"
    own = own_setting(PRICED, ["tokens=2000"])
    more = prescription_price(PRICED, 10, own)
    prompts += 10 * (2000 + 500)
    assert more == f"up to {calls + 10} calls and {(prompts + 200 * (calls + 10)) / 1e6:,.2f} USD"
    free = parse_spec("[lexical]\n[generator]\nkind = 'extractive'", source="free")
    assert prescription_price(free, 10) is None


def test_a_priced_generator_is_not_asked_without_yes(
    lake: Lake, workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    save_version(lake, Version("priced", PRICED))
    command = ["--workspace", str(workspace.root), "prescribe", "priced", "--split", "test"]
    assert main(command) == 0
    assert "Nothing was asked: add --yes" in capsys.readouterr().out
    assert main([*command, "--set", "k=10"]) == 0
    assert "Nothing was asked: add --yes" in capsys.readouterr().out
    assert main([*command, "--set", "k=0"]) == 2
    assert "k=0: k must be at least 1; see docs/" in capsys.readouterr().err
    assert main([*command, "--yes"]) == 2
    assert "priced" in capsys.readouterr().err
