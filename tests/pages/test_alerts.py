"""Open alerts stand in the sidebar of every page, with what to do."""

from __future__ import annotations

from ragdiag.settings import Workspace
from ragdiag.store.alerts import raise_alert, resolve_alerts
from ragdiag.store.lake import open_lake

TOLD = "2 of 200 passages of <b>cats</b> are missing; run: ragdiag index build v1"


def test_an_open_alert_is_shown_until_it_is_resolved(
    open_page, empty_lake: Workspace, said
) -> None:
    lake = open_lake(empty_lake)
    assert "open alert" not in said(open_page("overview", empty_lake))
    alert = {"subject": "index k", "details": {}}
    raise_alert(lake, kind="a", severity="warning", message=TOLD, runbook="index_rebuild", **alert)
    app = open_page("overview", empty_lake)
    assert not app.exception
    text = said(app)
    assert "1 open alert" in text
    assert TOLD in text
    assert "An index is older than the corpus" in text
    raise_alert(lake, kind="b", severity="critical", message="worse", runbook="none", **alert)
    app = open_page("triage", empty_lake)
    assert [box.value for box in app.error] == ["worse"]
    assert "2 open alerts" in said(app)
    assert "ragdiag doctor" in said(app)
    resolve_alerts(lake, subject="index k", kinds=["a", "b"])
    assert "open alert" not in said(open_page("overview", empty_lake))
