from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from ragdiag.errors import IndexFault
from ragdiag.retrieval.ann.index import Vectors
from ragdiag.retrieval.ann.reduction import fit_reduction, load_reduction
from ragdiag.version import AnnSpec


def flat_vectors(n: int = 200, d: int = 12, kept: int = 4) -> Vectors:
    """Unit vectors that lie in ``kept`` of ``d`` dimensions, turned at random."""
    chance = np.random.default_rng(1)
    turned, _ = np.linalg.qr(chance.normal(size=(d, d)))
    vectors = chance.normal(size=(n, kept)) @ turned[:kept]
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_principal_dimensions_keep_every_angle_where_there_are_no_others(tmp_path: Path) -> None:
    vectors = flat_vectors()
    reduction = fit_reduction(vectors, AnnSpec(reduce="pca", dimensions=4))
    assert reduction is not None
    reduced = reduction.apply(vectors)
    assert reduced.shape == (200, 4)
    assert reduced @ reduced.T == pytest.approx(vectors @ vectors.T, abs=1e-5)
    reduction.save(tmp_path / "reduction.vt")
    again = load_reduction(tmp_path / "reduction.vt")
    assert (again.source, again.dimension) == (12, 4)
    assert again.apply(vectors).tolist() == reduced.tolist()


def test_truncation_keeps_the_first_dimensions_as_unit_vectors(tmp_path: Path) -> None:
    vectors = flat_vectors()
    reduction = fit_reduction(vectors, AnnSpec(reduce="truncate", dimensions=5))
    assert reduction is not None
    reduction.save(tmp_path / "reduction.vt")
    cut = vectors[:, :5]
    wanted = cut / np.linalg.norm(cut, axis=1, keepdims=True)
    assert load_reduction(tmp_path / "reduction.vt").apply(vectors) == pytest.approx(wanted)


def test_a_vector_of_which_nothing_is_left_is_refused() -> None:
    vectors = np.eye(4, dtype=np.float32)
    reduction = fit_reduction(vectors, AnnSpec(reduce="truncate", dimensions=2))
    assert reduction is not None
    with pytest.raises(IndexFault, match="nothing in the 2 dimensions"):
        reduction.apply(vectors)


@pytest.mark.parametrize(("reduce", "size", "dimensions"), [("pca", 3, 4), ("truncate", 3, 13)])
def test_more_dimensions_than_there_are_is_refused(reduce: str, size: int, dimensions: int) -> None:
    spec = AnnSpec.model_validate({"reduce": reduce, "dimensions": dimensions})
    with pytest.raises(IndexFault, match=f"dimensions = {dimensions}"):
        fit_reduction(flat_vectors(size), spec)


def test_nothing_is_reduced_unless_asked_for() -> None:
    assert fit_reduction(flat_vectors(), AnnSpec()) is None
    for given in ({"reduce": "pca"}, {"dimensions": 8}):
        with pytest.raises(ValidationError, match="belong together"):
            AnnSpec.model_validate(given)
