"""What the guides list is all there is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import get_args

import pytest
from pydantic import BaseModel

from ragdiag.configuration import Configuration
from ragdiag.settings import PROJECT
from ragdiag.version import Spec


def fields(model: type[BaseModel]) -> Iterator[str]:
    """The names of all fields of a table and of the tables in it, but for those that have a guide
    of their own."""
    for name, field in model.model_fields.items():
        tables = [] if name in ("lake", "stronger", "second") else tables_of(field.annotation)
        if not tables:
            yield name
        for table in tables:
            yield from fields(table)


def tables_of(annotation: object) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [table for one in get_args(annotation) for table in tables_of(one)]


@pytest.mark.parametrize(
    ("guide", "model"), [("versions", Spec), ("configuration", Configuration)], ids=str
)
def test_a_guide_names_every_field(guide: str, model: type[BaseModel]) -> None:
    text = (PROJECT / "docs" / f"{guide}.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z_0-9]+)`", text)) | set(re.findall(r"`\[([a-z]+)\]`", text))
    missing = sorted(set(fields(model)) - named)
    assert len(set(fields(model))) > 15
    assert missing == []


def test_links_of_guides_lead_somewhere() -> None:
    for guide in (PROJECT / "docs").glob("*.md"):
        for path in re.findall(r"\]\(([^)#:]+)\)", guide.read_text(encoding="utf-8")):
            assert (guide.parent / path).exists(), f"{guide.name}: {path}"
