from __future__ import annotations

import pytest

from ragdiag.configuration import Configuration, read_configuration
from ragdiag.errors import InputError
from ragdiag.settings import Workspace


def written(workspace: Workspace, text: str) -> Workspace:
    workspace.root.mkdir()
    workspace.configuration.write_text(text, encoding="utf-8")
    return workspace


def test_a_workspace_without_a_file_has_the_defaults(workspace: Workspace) -> None:
    assert read_configuration(workspace) == Configuration()


def test_what_the_file_says_is_read(workspace: Workspace) -> None:
    read = read_configuration(written(workspace, "[retention]\narchive_days = 7\n"))
    assert read.retention.archive_days == 7
    assert not read.dashboard.read_only


def test_a_dashboard_can_be_read_only(workspace: Workspace) -> None:
    read = read_configuration(written(workspace, "[dashboard]\nread_only = true\n"))
    assert read.dashboard.read_only


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[retention", "not TOML"),
        ("[retention]\narchive_days = -1\n", "retention.archive_days"),
        ("[retention]\nrequests_days = 1_000_000\n", "retention.requests_days"),
        ("[retention]\nsnapshots_days = inf\n", "retention.snapshots_days"),
        ("[retention]\narchive_day = 1\n", "retention.archive_day"),
        ("[replay.second]\nkind = 'extractive'\n", "without [replay.stronger]"),
        ("[costs]\nmachine_usd_per_hour = inf\n", "costs.machine_usd_per_hour"),
    ],
)
def test_a_mistake_names_the_file_and_the_key(workspace: Workspace, text: str, says: str) -> None:
    with pytest.raises(InputError) as caught:
        read_configuration(written(workspace, text))
    assert str(workspace.configuration) in str(caught.value)
    assert says in str(caught.value)
