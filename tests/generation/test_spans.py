"""The best span, against its definition; windows and where their tokens stand."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from ragdiag.errors import ModelError
from ragdiag.generation.loading import load_tokenizer
from ragdiag.generation.spans import (
    ReaderSettings,
    SpanModel,
    Window,
    best_span,
    read_settings,
)
from ragdiag.records import ContextPassage
from tests.training.toy_reading import make_encoder


@pytest.fixture(scope="module")
def span_model(tmp_path_factory: pytest.TempPathFactory) -> SpanModel:
    folder = make_encoder(tmp_path_factory.mktemp("encoder"))
    model = SimpleNamespace(config=SimpleNamespace(max_position_embeddings=48))
    settings = ReaderSettings(max_tokens=16, stride=4)
    return SpanModel(model, load_tokenizer(folder), settings)


def test_the_best_span_is_the_one_of_the_definition() -> None:
    drawn = np.random.default_rng(0)
    for _ in range(50):
        length, longest = int(drawn.integers(4, 12)), int(drawn.integers(1, 5))
        inside = [None, *((n, n + 1) if drawn.random() < 0.7 else None for n in range(1, length))]
        start, end = drawn.normal(size=(2, length)).astype(np.float32)
        plain = [
            (start[i] + end[j], i, j)
            for i in range(length)
            for j in range(i, min(i + longest, length))
            if inside[i] and inside[j]
        ]
        found = best_span(Window(3, {}, inside), start, end, longest)
        if not plain:
            assert found is None
            continue
        score, i, j = max(plain)
        assert found is not None
        assert (found.passage, found.start, found.end) == (3, i, j + 1)
        assert found.margin == pytest.approx(score - start[0] - end[0], abs=1e-5)


def test_windows_overlap_and_know_where_their_tokens_stand(span_model: SpanModel) -> None:
    text = "there was it then and the red cat , new york and then snow owl ."
    windows = span_model.windows("which city ?", [ContextPassage("p", text, title="the cat")])
    assert len(windows) > 1
    seen = [text[s:e] for w in windows for s, e in (span for span in w.spans if span)]
    assert set(seen) == set(text.split())
    assert all(len(w.spans) == len(w.encoded["input_ids"]) <= 16 for w in windows)
    first = windows[0]
    words = span_model.tokenizer.convert_ids_to_tokens(first.encoded["input_ids"])
    title = [w for w, span in zip(words, first.spans, strict=True) if span is None]
    assert title == ["[CLS]", "which", "city", "?", "[SEP]", "the", "cat", "[SEP]"]


def test_a_question_longer_than_the_window_is_cut(span_model: SpanModel) -> None:
    windows = span_model.windows("which city ? " * 40, [ContextPassage("p", "it was oslo .")])
    assert any(span for w in windows for span in w.spans)
    assert all(len(w.spans) <= 16 for w in windows)


def test_settings_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    assert read_settings(tmp_path) == ReaderSettings()
    (tmp_path / "reader.json").write_text('{"threshold": 1.5}')
    assert read_settings(tmp_path).threshold == 1.5
    (tmp_path / "reader.json").write_text('{"thresh')
    with pytest.raises(ModelError, match=r"cannot read .*reader\.json"):
        read_settings(tmp_path)
