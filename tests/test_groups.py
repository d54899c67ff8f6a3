"""Tests that share a costly fixture run in one process.

pytest-xdist 3.8.0 writes the group into the id of a test by a name that pytest 9.2.0 no longer
reads: groups then mean nothing, without a word, and each process makes every shared fixture anew.
"""

from __future__ import annotations

import os

import pytest


@pytest.mark.xdist_group("probe")
def test_a_group_reaches_whoever_sends_tests_to_processes(request: pytest.FixtureRequest) -> None:
    if "PYTEST_XDIST_WORKER" not in os.environ:
        pytest.skip("all tests run in one process")
    assert request.node.nodeid.endswith("@probe")
