"""The dashboard of a workspace whose lake is on a server and in a bucket."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from streamlit.testing.v1 import AppTest

from ragdiag.demo.marker import planned_monday
from ragdiag.errors import InputError
from ragdiag.settings import Workspace
from ragdiag.store.lake import close_lakes, open_lake
from tests.servers import PASSWORD_VARIABLE, ObjectStore, Postgres, configure
from tests.toy_lake import build_toy_lake

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("credentials")]

Open = Callable[..., AppTest]
Said = Callable[[AppTest], str]


@pytest.fixture
def remote(
    workspace: Workspace, postgres: Postgres, object_store: ObjectStore
) -> Iterator[Workspace]:
    yield configure(
        workspace, postgres=postgres, schema="pages", store=object_store,
        data_path="s3://lake/pages",
    )  # fmt: skip
    close_lakes()


def test_from_the_empty_state_to_the_pages(
    remote: Workspace, open_page: Open, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = open_page("overview", remote)
    assert "There is no workspace yet" in said(app)
    assert planned_monday(remote, "small").weekday() == 0
    build_toy_lake(remote)
    for page in ("overview", "triage"):
        app = open_page(page, remote)
        assert not app.exception
        assert "Cannot be opened" not in said(app)
    assert "468 requests" in said(app)

    (remote.root / "demo-plan.json").unlink()
    with pytest.raises(InputError, match="no demo"):
        planned_monday(remote, "small")

    close_lakes()
    monkeypatch.setenv(PASSWORD_VARIABLE, "wrong")
    app = open_page("overview", remote)
    assert "refuses this login" in said(app)
    assert not app.exception


def test_a_configured_workspace_without_a_lake_is_welcomed(
    workspace: Workspace, open_page: Open, said: Said
) -> None:
    configure(workspace)
    assert "There is no workspace yet" in said(open_page("overview", workspace))
    open_lake(workspace, create=True)
    assert "This workspace is empty" in said(open_page("overview", workspace))
    close_lakes()
