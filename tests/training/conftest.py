"""A tiny real encoder."""

from __future__ import annotations

from tests.retrieval.conftest import tiny_model as tiny_model
