from __future__ import annotations

import json
import math
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import bm25s
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragdiag.errors import IndexFault
from ragdiag.retrieval.lexical import (
    Lexical,
    build_lexical,
    has_marks,
    load_lexical,
    terms,
    tokenise,
)
from ragdiag.retrieval.paths import best_positions
from ragdiag.version import LexicalSpec

ENGINES: tuple[Literal["bm25s", "rank_bm25"], ...] = ("bm25s", "rank_bm25")
TEXTS = [
    "aspirin thins the blood",
    "the virus spreads where the virus is",
    "masks against the virus",
    "bread and salt",
    "rain in paris",
]
STEMS = LexicalSpec(stemmer="english")
WORDS = st.lists(st.sampled_from(["ab", "cd", "ef", "gh", "ij", "kl"]), max_size=12).map(" ".join)


def test_the_tokeniser_is_that_of_bm25s() -> None:
    texts = ["What is the R-0 of SARS-CoV-2?", "Größe, naïve; 3 mg", "", "a the of"]
    expected = bm25s.tokenize(texts, stopwords="en", return_ids=False, show_progress=False)
    assert [tokenise(text) for text in texts] == expected
    assert tokenise("To be or not", "none") == ["to", "be", "or", "not"]


def test_bm25s_gives_the_formula_of_the_docstring() -> None:
    spec = LexicalSpec(k1=1.2, b=0.6)
    words = [tokenise(text) for text in TEXTS]
    mean = sum(map(len, words)) / len(words)
    expected = [0.0] * len(words)
    for term in ("virus", "paris"):
        frequency = sum(term in passage for passage in words)
        idf = math.log(1 + (len(words) - frequency + 0.5) / (frequency + 0.5))
        for i, passage in enumerate(words):
            count = passage.count(term)
            expected[i] += idf * count / (count + 1.2 * (0.4 + 0.6 * len(passage) / mean))
    found = build_lexical(TEXTS, spec).scores("virus in Paris?")
    assert found.dtype == np.float32
    assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("engine", ENGINES)
def test_stems_stand_for_their_words(engine: str, tmp_path: Path) -> None:
    stems = LexicalSpec.model_validate({"engine": engine, "stemmer": "english"})
    built = build_lexical(TEXTS, stems)
    built.save(tmp_path / "lexical")
    found = load_lexical(tmp_path / "lexical", stems).scores("Do viruses spread?")
    assert found.argmax() == 1
    assert found.tolist() == built.scores("Does a virus spread?").tolist()
    whole = build_lexical(TEXTS, LexicalSpec.model_validate({"engine": engine}))
    assert not whole.scores("Do viruses spread?").any()


def test_threads_stem_apart() -> None:
    """A stemmer has a state: one in several threads at once gives broken stems."""
    words = ["vaccines", "tested", "running", "generalisations"] * 500
    expected = terms(" ".join(words), STEMS)
    with ThreadPoolExecutor(4) as pool:
        found = pool.map(lambda _: terms(" ".join(words), STEMS), range(40))
    assert all(one == expected for one in found)


@pytest.mark.parametrize("engine", ENGINES)
@settings(deadline=None, max_examples=50)
@given(texts=st.lists(WORDS, min_size=1, max_size=8), question=WORDS)
def test_no_score_passes_the_upper_bound(engine: str, texts: list[str], question: str) -> None:
    lexical = build_lexical([*texts, "xy"], LexicalSpec.model_validate({"engine": engine}))
    assert lexical.scores(question).max() <= lexical.upper_bound(question) + 1e-5


@pytest.mark.parametrize("engine", ENGINES)
def test_a_saved_index_scores_as_before(engine: str, tmp_path: Path) -> None:
    spec = LexicalSpec.model_validate({"engine": engine})
    built = build_lexical(TEXTS, spec)
    built.save(tmp_path / "lexical")
    loaded = load_lexical(tmp_path / "lexical", spec)
    for question in ("virus masks", "the", "unheard of", ""):
        assert loaded.scores(question).tolist() == built.scores(question).tolist()
        assert loaded.upper_bound(question) == built.upper_bound(question)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_question_without_known_words_scores_nothing(engine: str) -> None:
    lexical = build_lexical(TEXTS, LexicalSpec.model_validate({"engine": engine}))
    assert lexical.scores("the unheard-of").tolist() == [0.0] * len(TEXTS)
    assert lexical.upper_bound("the unheard-of") == 0.0


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_in_a_few_passages_too_who_shares_words_is_found(engine: str, n: int) -> None:
    lexical = build_lexical(TEXTS[:n], LexicalSpec.model_validate({"engine": engine}))
    for at, text in enumerate(TEXTS[:n]):
        assert lexical.scores(text).argmax() == at
        assert lexical.scores(text)[at] > 0


@pytest.mark.parametrize("engine", ENGINES)
def test_a_corpus_without_words_is_refused(engine: str) -> None:
    with pytest.raises(IndexFault, match="no word to index in 2 passages"):
        build_lexical(["a the", "?"], LexicalSpec.model_validate({"engine": engine}))


def top(lexical: Lexical, question: str) -> set[int]:
    return set(best_positions(lexical.scores(question), 10).tolist())


def mean_overlap(texts: list[str], questions: list[str]) -> float:
    """Mean share of rank-bm25's top ten that bm25s has in its own."""
    fast = build_lexical(texts, LexicalSpec())
    reference = build_lexical(texts, LexicalSpec(engine="rank_bm25"))
    pairs = [(top(fast, question), top(reference, question)) for question in questions]
    return float(np.mean([len(one & other) / len(other) for one, other in pairs if other]))


def test_the_engines_agree_on_a_toy() -> None:
    words = [f"word{i}" for i in range(60)]
    random = np.random.default_rng(0)
    texts = [" ".join(random.choice(words, size=random.integers(5, 30))) for _ in range(200)]
    assert mean_overlap(texts, [" ".join(random.choice(words, size=4)) for _ in range(30)]) >= 0.9


def test_the_engines_agree_on_real_questions(shared_data: Path) -> None:
    folder = shared_data / "covidqa"
    corpus = [json.loads(line) for line in (folder / "corpus.jsonl").read_text().splitlines()]
    questions = [json.loads(line) for line in (folder / "queries.jsonl").read_text().splitlines()]
    texts = [passage["text"] for passage in corpus]
    assert mean_overlap(texts, [question["text"] for question in questions[::10]]) >= 0.9


@settings(max_examples=200)
@given(st.text(st.characters(codec="latin-1")), st.text(st.characters(codec="latin-1")))
def test_words_are_the_same_composed_and_decomposed(one: str, other: str) -> None:
    text = unicodedata.normalize("NFC", f"{one} {other}")
    assert tokenise(unicodedata.normalize("NFD", text), "none") == tokenise(text, "none")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("कितनी छुट्टियाँ मिलती हैं?", ["कितनी", "छुट्टियाँ", "मिलती", "हैं"]),
        ("விடுமுறை", ["விடுமுறை"]),
        ("ลาพักร้อน 15", ["ลาพักร้อน", "15"]),
        ("I\u0307STANBUL", ["i\u0307stanbul"]),
    ],
)
def test_vowel_signs_are_part_of_the_word(text: str, words: list[str]) -> None:
    assert tokenise(text) == words
    assert has_marks(text)
    assert not has_marks("Größe, naïve 日本")
    lexical = build_lexical([text, "bread and salt", "rain"], LexicalSpec())
    assert lexical.scores(unicodedata.normalize("NFD", words[0])).argmax() == 0
