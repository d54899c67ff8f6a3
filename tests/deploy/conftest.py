"""Builds of a toy corpus, lexical ones and ones with a tiny real model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ragdiag.version import Version, parse_spec
from tests.retrieval.conftest import make_spec as make_spec
from tests.retrieval.conftest import tiny_model as tiny_model
from tests.retrieval.conftest import toy_encoder as toy_encoder
from tests.stocked import add as add
from tests.stocked import build as build
from tests.stocked import corpus as corpus
from tests.stocked import stocked_workspace as stocked_workspace
from tests.stocked import version as version

HYBRID = """
[embedder]
model = "{}"
[ann]
kind = "{}"
[lexical]
[generator]
kind = "extractive"
"""


@pytest.fixture
def hybrid(tiny_model: Path) -> Callable[..., Version]:
    """``hybrid()`` is a version of both paths over random weights, flat unless said otherwise."""

    def made(kind: str = "flat", model: Path = tiny_model) -> Version:
        return Version("hybrid", parse_spec(HYBRID.format(model, kind), source="toy"))

    return made
