"""Noise or position: told apart by what flips a wrong answer, with readers of known weaknesses."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from ragdiag.diagnosis.distraction import Distraction, distraction_contexts, noise_or_position
from ragdiag.diagnosis.replay import ArmOutcome
from ragdiag.records import ContextPassage

LURE, PLAIN, GOLD = (ContextPassage(name, name) for name in ("lure", "plain", "gold"))
RIGHT, WRONG = (ArmOutcome(y, 1, deterministic=True) for y in (1, 0))
UNSURE = ArmOutcome(1, 3, deterministic=False)

Reader = Callable[[Sequence[str]], bool]


def lured(names: Sequence[str]) -> bool:
    return "gold" in names and "lure" not in names


def reads_the_first(names: Sequence[str]) -> bool:
    return names[0] == "gold"


def never_right(names: Sequence[str]) -> bool:
    return False


def told(reader: Reader, context: Sequence[ContextPassage]) -> Distraction:
    def outcome(given: Sequence[ContextPassage]) -> ArmOutcome:
        return RIGHT if reader([passage.passage_id for passage in given]) else WRONG

    contexts = distraction_contexts(context, {"gold"})
    return noise_or_position(
        outcome(context),
        {name: outcome(given) for name, given in contexts.without.items()},
        None if contexts.gold_first is None else outcome(contexts.gold_first),
    )


@pytest.mark.parametrize(
    ("reader", "context", "expected"),
    [
        (lured, (LURE, PLAIN, GOLD), Distraction("noise", ("lure",), False)),
        (lured, (GOLD, LURE), Distraction("noise", ("lure",), None)),
        (reads_the_first, (LURE, PLAIN, GOLD), Distraction("position", (), True)),
        # Without the only passage before it, gold is first: both levers mend, the first is named.
        (reads_the_first, (LURE, GOLD), Distraction("noise", ("lure",), True)),
        (never_right, (LURE, GOLD), Distraction(None, (), False)),
    ],
)
def test_the_intervention_that_flips_the_answer_names_the_kind(
    reader: Reader, context: tuple[ContextPassage, ...], expected: Distraction
) -> None:
    assert told(reader, context) == expected


def test_gold_keeps_its_own_order_and_its_cut_text() -> None:
    other = ContextPassage("gold-2", "cut he")
    contexts = distraction_contexts([LURE, other, PLAIN, GOLD], {"gold", "gold-2"})
    assert contexts.gold_first == (other, GOLD, LURE, PLAIN)
    assert list(contexts.without) == ["lure", "plain"]


def test_nothing_is_claimed_on_unsure_draws() -> None:
    assert noise_or_position(UNSURE, {"lure": RIGHT}, RIGHT) == Distraction(None, (), None)
    assert noise_or_position(WRONG, {"lure": UNSURE}, UNSURE) == Distraction(None, (), None)
