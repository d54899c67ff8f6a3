"""The public objects of numpy, scipy, pandas and torch, with their docstrings.

Reading means importing the packages and asking for names; nothing else runs.
"""

from __future__ import annotations

import importlib
import inspect
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from ragdiag.progress import Progress, report

TOPICS = {
    "numpy": ("numpy", "numpy.lib.stride_tricks", "numpy.strings"),
    "numpy.fft": ("numpy.fft",),
    "numpy.linalg": ("numpy.linalg",),
    "numpy.random": ("numpy.random",),
    "pandas": (
        "pandas",
        "pandas.api.extensions",
        "pandas.api.indexers",
        "pandas.api.types",
        "pandas.errors",
        "pandas.plotting",
        "pandas.testing",
        "pandas.tseries.frequencies",
        "pandas.tseries.offsets",
    ),
    "scipy.cluster": ("scipy.cluster.hierarchy", "scipy.cluster.vq"),
    "scipy.fft": ("scipy.fft",),
    "scipy.integrate": ("scipy.integrate", "scipy.differentiate"),
    "scipy.interpolate": ("scipy.interpolate",),
    "scipy.io": ("scipy.io",),
    "scipy.linalg": ("scipy.linalg",),
    "scipy.ndimage": ("scipy.ndimage",),
    "scipy.optimize": ("scipy.optimize",),
    "scipy.signal": ("scipy.signal", "scipy.signal.windows"),
    "scipy.sparse": ("scipy.sparse", "scipy.sparse.linalg", "scipy.sparse.csgraph"),
    "scipy.spatial": ("scipy.spatial", "scipy.spatial.distance", "scipy.spatial.transform"),
    "scipy.special": ("scipy.special",),
    "scipy.stats": (
        "scipy.stats",
        "scipy.stats.contingency",
        "scipy.stats.qmc",
        "scipy.stats.sampling",
    ),
    "torch": (
        "torch",
        "torch.amp",
        "torch.autograd",
        "torch.fft",
        "torch.func",
        "torch.jit",
        "torch.linalg",
        "torch.special",
    ),
    "torch.distributions": ("torch.distributions",),
    "torch.nn": (
        "torch.nn",
        "torch.nn.functional",
        "torch.nn.init",
        "torch.nn.utils",
        "torch.nn.utils.parametrizations",
        "torch.nn.utils.rnn",
    ),
    "torch.optim": ("torch.optim", "torch.optim.lr_scheduler"),
    "torch.utils": ("torch.utils.checkpoint", "torch.utils.data"),
}
"""Topic → the public modules whose objects belong to it, in the order they are read. Left out are
modules that say much the same as another (numpy.ma, numpy.polynomial) or need other machines."""

OWN_TOPICS = ("pandas.DataFrame", "pandas.Series", "torch.Tensor")
"""Classes whose methods, inherited ones too, are a topic of their own."""

ACCESSORS = ("str", "dt", "cat")
"""Namespaces of pandas.Series whose methods are documented as ``pandas.Series.str.split``."""


@dataclass(frozen=True, slots=True)
class DocumentedObject:
    """A public object, its topic, and its docstring as ``inspect.getdoc`` cleans it."""

    name: str
    topic: str
    docstring: str


def read_objects(progress: Progress | None = None) -> list[DocumentedObject]:
    """Every documented object, in a fixed order; one object may come under several names.

    Warnings of deprecated names stay silent: asking for a name is how they are found out.
    """
    found: list[DocumentedObject] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for done, (topic, modules) in enumerate(TOPICS.items()):
            report(progress, done / len(TOPICS), f"reading the documentation of {topic}")
            found += [
                DocumentedObject(name, _topic_of(name, topic), text)
                for name, text in _documented(modules)
            ]
    return found


def _documented(modules: Iterable[str]) -> Iterator[tuple[str, str]]:
    """(qualified name, docstring) of the modules' public objects and their public methods."""
    for module_name in modules:
        module = importlib.import_module(module_name)
        for name in _public_names(module):
            value = getattr(module, name, None)
            qualified = f"{module_name}.{name}"
            if _is_alias(module, name, value):
                continue
            yield from _own_text(qualified, value)
            if inspect.isclass(value):
                yield from _members(qualified, value)
            if qualified == "pandas.Series":
                for accessor in ACCESSORS:
                    yield from _members(f"{qualified}.{accessor}", getattr(value, accessor))


def _public_names(module: Any) -> list[str]:
    """By name, but the classes with their own topics first: of equal texts the first stays."""
    listed = getattr(module, "__all__", None)
    names = listed if listed is not None else [n for n in dir(module) if not n.startswith("_")]
    return sorted(
        set(names), key=lambda name: (f"{module.__name__}.{name}" not in OWN_TOPICS, name)
    )


def _is_alias(module: Any, name: str, value: Any) -> bool:
    """Whether the module exports the same object under the object's own name too."""
    own = getattr(value, "__name__", name)
    return own != name and isinstance(own, str) and getattr(module, own, None) is value


def _members(qualified: str, owner: Any) -> Iterator[tuple[str, str]]:
    names = dir(owner) if qualified in OWN_TOPICS else sorted(vars(owner))
    for name in names:
        if not name.startswith("_"):
            yield from _own_text(f"{qualified}.{name}", getattr(owner, name, None))


def _own_text(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """The docstring of an object that has one of its own, not the one of its type."""
    if value is None or inspect.ismodule(value):
        return
    text = inspect.getdoc(value)
    own = inspect.isclass(value) or callable(value) or isinstance(value, property)
    if text and (own or text != inspect.getdoc(type(value))):
        yield name, text


def _topic_of(name: str, topic: str) -> str:
    own = [prefix for prefix in OWN_TOPICS if name == prefix or name.startswith(prefix + ".")]
    return own[0] if own else topic
