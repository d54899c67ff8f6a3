"""Public objects of a module made for the test."""

from __future__ import annotations

import sys
import warnings
from types import ModuleType

import pytest

from ragdiag.demo import objects
from ragdiag.demo.objects import read_objects


class Shape:
    """A shape."""

    def area(self) -> float:
        """How large it is."""
        return 0.0

    @property
    def name(self) -> str:
        """What it is called."""
        return ""

    def _hidden(self) -> None:
        """Nobody's business."""


class Square(Shape):
    """A square shape."""


def area_of(shape: Shape) -> float:
    """The area."""
    return shape.area()


@pytest.fixture
def toys(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = ModuleType("toys")
    for name, value in {
        "Shape": Shape,
        "Square": Square,
        "area_of": area_of,
        "old_area": area_of,
        "pi": 3.14,
        "_private": area_of,
        "sys": sys,
    }.items():
        setattr(module, name, value)
    monkeypatch.setitem(sys.modules, "toys", module)
    monkeypatch.setattr(objects, "TOPICS", {"toys": ("toys",)})
    return module


def test_public_objects_and_their_own_methods_are_read_once_each(toys: ModuleType) -> None:
    assert [(found.name, found.docstring) for found in read_objects()] == [
        ("toys.Shape", "A shape."),
        ("toys.Shape.area", "How large it is."),
        ("toys.Shape.name", "What it is called."),
        ("toys.Square", "A square shape."),
        ("toys.area_of", "The area."),
    ]


def test_a_class_with_its_own_topic_brings_inherited_methods(
    toys: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "OWN_TOPICS", ("toys.Square",))

    found = {one.name: one.topic for one in read_objects()}

    assert found["toys.Square.area"] == "toys.Square"
    assert found["toys.Shape.area"] == "toys"


def test_what_the_module_lists_is_what_is_read(toys: ModuleType) -> None:
    toys.__all__ = ["area_of"]  # type: ignore[attr-defined]

    assert [found.name for found in read_objects()] == ["toys.area_of"]


def test_a_deprecated_name_stays_silent(toys: ModuleType) -> None:
    def complain(name: str) -> object:
        warnings.warn(f"{name} is deprecated", DeprecationWarning, stacklevel=2)
        return Square if name == "gone" else None

    del toys.Square
    toys.__all__ = ["gone"]  # type: ignore[attr-defined]
    toys.__getattr__ = complain  # type: ignore[method-assign]

    assert [found.docstring for found in read_objects()] == ["A square shape."]


def test_progress_names_what_is_read(toys: ModuleType) -> None:
    told: list[tuple[float, str]] = []

    read_objects(lambda fraction, message: told.append((fraction, message)))

    assert told == [(0.0, "reading the documentation of toys")]
