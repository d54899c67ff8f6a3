"""Questions that nobody asked, made of the corpus's own sentences: whoever says what a passage says
is led to it.

They know no label, so they adapt an encoder to the words of the whole corpus, that of held-out
documents too, as an index does (the inverse cloze task of Lee et al. 2019, whose sentence stays in
its passage here: what is to be learnt is to find the words again).
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from ragdiag.records import Passage
from ragdiag.retrieval.text import split_sentences
from ragdiag.training.data.examples import Pair
from ragdiag.training.data.mined import Mined
from ragdiag.training.data.user_questions import telling_words

LEAST, MOST = 40, 300
"""Characters of a sentence: shorter ones are headings, longer ones lists."""

_KEYWORDS, _SPAN = (3, 9), (5, 14)
_OPENINGS = ("What is", "What are", "How does", "Which", "Why", "Where", "How many", "When", "")


def pairs_from_sentences(passages: Sequence[Passage], *, most: int, seed: int = 0) -> Mined:
    """At most ``most`` sentences of the corpus, drawn at random, each as a question to its passage:
    as it stands, by some of its words that tell, or a part of it behind a question word.

    A sentence that two passages hold leads to neither. Ids are "sentence:PASSAGE:NUMBER".
    """
    if not most:
        return Mined()
    found: dict[str, tuple[str, str] | None] = {}
    for passage in passages:
        for number, sentence in enumerate(split_sentences(passage.text)):
            if LEAST <= len(sentence) <= MOST:
                name = f"sentence:{passage.passage_id}:{number}"
                found[sentence] = (name, passage.passage_id) if sentence not in found else None
    alone = [(sentence, *one) for sentence, one in found.items() if one is not None]
    drawn = Random(seed).sample(alone, min(most, len(alone)))
    return Mined(
        tuple(
            Pair(name, _asked(sentence, Random(f"{seed} {name}")), passage_id, "sentence")
            for sentence, name, passage_id in drawn
        )
    )


def _asked(sentence: str, chance: Random) -> str:
    form = chance.randrange(3)
    if form == 0:
        return sentence
    if form == 1:
        words = telling_words(sentence)
        count = min(chance.randint(*_KEYWORDS), len(words))
        kept = sorted(chance.sample(range(len(words)), count))
        return " ".join(words[at] for at in kept)
    words = sentence.rstrip(".!?").split()
    length = chance.randint(*_SPAN)
    start = chance.randint(0, max(0, len(words) - length))
    return " ".join([chance.choice(_OPENINGS), *words[start : start + length]]).strip() + "?"
