"""One open alert of a kind about a subject at a time, whoever raises it and how often."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ragdiag.records import Alert
from ragdiag.store.alerts import open_alerts, raise_alert, resolve_alerts
from ragdiag.store.lake import Lake


def alarm(lake: Lake, kind: str = "index_freshness", **changes: Any) -> Alert:
    told: dict[str, Any] = {
        "subject": "index k1",
        "severity": "warning",
        "message": "3 of 200 passages are missing",
        "runbook": "index_rebuild",
        "details": {"missing": 3},
    }
    return raise_alert(lake, kind=kind, **{**told, **changes})


def rows(lake: Lake) -> int:
    return int(lake.rows("select count(*) as n from alerts")[0]["n"])


def test_an_alert_is_open_until_it_is_resolved(lake: Lake) -> None:
    raised = alarm(lake)
    assert open_alerts(lake) == [raised]
    assert raised.details == {"missing": 3}
    assert resolve_alerts(lake, subject="index k2", kinds=["index_freshness"]) == 0
    assert resolve_alerts(lake, subject="index k1", kinds=["index_manifest"]) == 0
    assert open_alerts(lake) == [raised]
    assert resolve_alerts(lake, subject="index k1", kinds=["index_freshness", "other"]) == 1
    assert open_alerts(lake) == []
    (kept,) = lake.rows("select alert_id, resolved_at from latest_alerts")
    assert kept["alert_id"] == raised.alert_id
    assert kept["resolved_at"] is not None


def test_an_alert_that_is_raised_again_keeps_its_id_and_its_time(lake: Lake) -> None:
    first = alarm(lake)
    assert alarm(lake) == first
    assert rows(lake) == 1
    worse = alarm(lake, message="9 of 200 passages are missing")
    assert (worse.alert_id, worse.raised_at) == (first.alert_id, first.raised_at)
    assert open_alerts(lake) == [worse]
    resolve_alerts(lake, subject="index k1", kinds=["index_freshness"])
    assert alarm(lake).alert_id != first.alert_id
    assert len(open_alerts(lake)) == 1


def test_the_critical_come_first_then_the_newest(lake: Lake) -> None:
    old, new = alarm(lake, "a"), alarm(lake, "b")
    critical = alarm(lake, "c", severity="critical")
    other = alarm(lake, "a", subject="index k2")
    assert open_alerts(lake) == [critical, other, new, old]


def test_who_raise_the_same_at_once_raise_one(lake: Lake) -> None:
    with ThreadPoolExecutor(4) as pool:
        raised = list(pool.map(lambda _: alarm(lake), range(8)))
    assert len({one.alert_id for one in raised}) == 1
    assert rows(lake) == 1
