"""Numbers in answers, compared as quantities: "1,200 m" and "1.2 km" say the same.

A quantity is a closed range of values (a plain number is a range of one) with a unit and the step
to which it was written: 3.0 is told to 0.1, so 3.04 rounds to it and 3.06 does not. Thousands are
separated by commas, apostrophes or thin and no-break spaces; the decimal mark is the point. Units
of length, mass, time, volume and data are converted; of other words a number has no unit. Nor has
one behind a sign of currency, where k, m, b and t are scales: $5M is five million, 5m five metres.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

_SMALL = [
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    *("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen"),
    *("eighteen", "nineteen"),
]
_TENS = {
    "twenty": 20,
    "thirty": 30,
    "forty": 40,
    "fifty": 50,
    "sixty": 60,
    "seventy": 70,
    "eighty": 80,
    "ninety": 90,
}
_SCALES = {
    "hundred": 1e2,
    "thousand": 1e3,
    "million": 1e6,
    "billion": 1e9,
    "trillion": 1e12,
}
_MONEY_SCALES = {"k": 1e3, "m": 1e6, "mn": 1e6, "b": 1e9, "bn": 1e9, "t": 1e12, "tn": 1e12}
_UNITS: dict[str, tuple[str, float]] = {
    name: (dimension, size)
    for dimension, sizes in {
        "length": "nm 1e-9 µm 1e-6 mm 1e-3 millimetre 1e-3 cm .01 centimetre .01 m 1 metre 1 "
        "meter 1 km 1e3 kilometre 1e3 kilometer 1e3 inch .0254 foot .3048 feet .3048 mile 1609.344",
        "mass": "µg 1e-9 mcg 1e-9 mg 1e-6 milligram 1e-6 g 1e-3 gram 1e-3 kg 1 kilogram 1 "
        "kilo 1 tonne 1e3 pound .45359237 lb .45359237",
        "time": "ms 1e-3 millisecond 1e-3 s 1 sec 1 second 1 min 60 minute 60 h 3600 hr 3600 "
        "hour 3600 day 86400 week 604800",
        "volume": "ml 1e-3 millilitre 1e-3 milliliter 1e-3 l 1 litre 1 liter 1",
        "data": "byte 1 kb 1e3 mb 1e6 gb 1e9 tb 1e12",
    }.items()
    for name, size in zip(sizes.split()[::2], map(float, sizes.split()[1::2]), strict=True)
}
PERCENT = "%"

_WORD_NUMBER = rf"(?:(?:{'|'.join(_TENS)})(?:[- ](?:{'|'.join(_SMALL[1:10])}))?|{'|'.join(_SMALL)})"
_EXPONENT = r"(?:e[+-]?\d{1,2}(?!\w))?"  # 7e4521ab is no number, and no float holds 1e400
_DIGITS = (
    r"\d{1,3}(?:[,'\u2009\u202f\u00a0]\d{3})+(?:\.\d+)?"
    rf"|\d+(?:\.\d+)?{_EXPONENT}|\.\d+"
)
_NUMBER = rf"(?:(?<![\w.)])[-−+])?(?:(?<![\w.])(?<![a-z]-)(?:{_DIGITS})|\b(?ai:{_WORD_NUMBER})\b)"
_MONEY_SCALE = r"(?:\s?(?:mn|bn|tn|m)|[kbt])\b"  # "$5 b…" and "$5 t-shirts" are no scales
_SHORTHAND = re.compile(r"(?:mn|bn|tn|[kmbt])\b", re.IGNORECASE)
_SCALE = rf"(?:[\s-]*(?:{'|'.join(_SCALES)})s?\b|(?(money){_MONEY_SCALE}|(?!)))?"
_UNIT = r"(?:[\s-]*(?:%|percent\b|per cent\b|[°$€£a-zµ]+))?"
_QUANTITY = re.compile(
    rf"(?P<money>[$€£¥]\s?)?(?P<low>{_NUMBER})(?P<scale>{_SCALE})"
    rf"(?:\s*(?:–|-|to|and)\s*(?P<high>{_NUMBER})(?P<high_scale>{_SCALE}))?(?P<unit>{_UNIT})",
    re.IGNORECASE,
)
_BETWEEN = re.compile(r"between\s+$", re.IGNORECASE)
_LONGEST_BETWEEN = 20
"""Characters before a number in which that word is looked for."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """``low`` ≤ ``high`` in ``unit``, written to ``step``; no unit is the empty text. ``shorthand``
    is what the letters behind a number without a sign of currency make of it where it is
    ``money`` all the same: 5M is 5 metres, or five million."""

    low: float
    high: float
    unit: str = ""
    step: float = 1.0
    money: bool = False
    shorthand: float = 1.0


def read_quantities(text: str) -> list[Quantity]:
    """Every number of ``text`` with what follows it as its unit, in reading order.

    >>> [(q.low, q.high, q.unit, q.step) for q in read_quantities("10 to 20 mg, 1.5 million")]
    [(10.0, 20.0, 'mg', 1.0), (1500000.0, 1500000.0, '', 100000.0)]
    >>> [(q.low, q.high, q.unit) for q in read_quantities("$1.5M, €3–5bn, $20")]
    [(1500000.0, 1500000.0, ''), (3000000000.0, 5000000000.0, ''), (20.0, 20.0, '')]
    """
    found: list[Quantity] = []
    at = 0
    while match := _QUANTITY.search(text, at):
        joined = match["high"] is not None
        # "3 and 4" are two numbers; only "between 3 and 4" is a range.
        if joined and " and " in match[0].lower() and not _is_after_between(text, match):
            joined = False
        at = match.end() if joined else match.end("scale")
        unit = match["unit"] if joined or match["high"] is None else ""
        unit = "" if match["money"] else unit
        quantity = _quantity(match, joined, _unit(unit))
        found.append(
            replace(quantity, money=bool(match["money"]), shorthand=_shorthand(text, match))
        )
        if match["high"] is None:
            at = match.end("scale") + (len(match["unit"]) if found[-1].unit else 0)
    return found


def numeric_score(answer: str, gold: str) -> float:
    """Share of the gold answer's quantities that the answer states; NaN where gold has none.

    A plain gold number is stated by a plain number that rounds to it at the gold's own precision; a
    gold range by the same range or a number within it. A unit that only one side names is taken
    for the other's. 45 % and 0.45 are the same.

    >>> numeric_score("about 1.2 km", "1,200 m"), numeric_score("0.45", "45 %")
    (1.0, 1.0)
    >>> numeric_score("3.06", "3.0"), numeric_score("no idea", "3"), numeric_score("3", "three")
    (0.0, 0.0, 1.0)
    """
    wanted, said = read_quantities(gold), read_quantities(answer)
    if not wanted:
        return math.nan
    return sum(any(_states(one, quantity) for one in said) for quantity in wanted) / len(wanted)


def numeric_match(answer: str, golds: Sequence[str]) -> float:
    """The best ``numeric_score`` over the gold answers; NaN where none of them has a number."""
    scores = [numeric_score(answer, gold) for gold in golds]
    return max((score for score in scores if not math.isnan(score)), default=math.nan)


def _is_after_between(text: str, match: re.Match[str]) -> bool:
    start = match.start()
    return _BETWEEN.search(text, max(0, start - _LONGEST_BETWEEN), start) is not None


def _quantity(match: re.Match[str], joined: bool, unit: str) -> Quantity:
    scale = match["scale"] or (match["high_scale"] if joined else "") or ""
    low, step = _number(match["low"], scale)
    if not joined:
        return Quantity(low, low, unit, step)
    high, other = _number(match["high"], match["high_scale"] or scale)
    return Quantity(min(low, high), max(low, high), unit, max(step, other))


def _number(text: str, scale: str) -> tuple[float, float]:
    """The value and the step it is written to."""
    named = scale.strip(" \t\n-").lower().removesuffix("s")
    times = {**_SCALES, **_MONEY_SCALES}.get(named, 1.0)
    plain = re.sub(r"[,'\u2009\u202f\u00a0+]", "", text.lower()).replace("−", "-")
    words = plain.lstrip("-").replace("-", " ").split() if not any(map(str.isdigit, plain)) else []
    if words:
        value = float(sum(_TENS[w] if w in _TENS else _SMALL.index(w) for w in words))
        return (-value if plain.startswith("-") else value) * times, times
    digits, _, exponent = plain.partition("e")
    decimals = len(digits.partition(".")[2])
    return float(plain) * times, 10.0 ** (int(exponent or 0) - decimals) * times


def _unit(text: str) -> str:
    """The unit's own name; empty for a word that is none."""
    word = text.strip(" \t\n-").lower()
    if word in (PERCENT, "percent", "per cent"):
        return PERCENT
    if word in _UNITS:
        return word
    singular = {"inches": "inch"}.get(word, word.removesuffix("s"))
    return singular if singular in _UNITS or singular in ("month", "year") else ""


def _shorthand(text: str, match: re.Match[str]) -> float:
    letters = _SHORTHAND.match(text, match.end("low"))
    if match["money"] or match["scale"] or letters is None:
        return 1.0
    return _MONEY_SCALES[letters[0].lower()]


def _states(said: Quantity, gold: Quantity) -> bool:
    both = _readings(said, gold), _readings(gold, said)
    return any(_states_as(one, wanted) for one, wanted in product(*both))


def _readings(one: Quantity, other: Quantity) -> list[Quantity]:
    """As it is, and as money where the other is: "$5M" and "5M dollars" are the same."""
    if one.money or not other.money or one.shorthand == 1:
        return [one]
    times = one.shorthand
    return [one, Quantity(one.low * times, one.high * times, "", one.step * times)]


def _states_as(said: Quantity, gold: Quantity) -> bool:
    factor = _factor(said.unit, gold.unit)
    if factor is None:
        return False
    # A share and a percentage are told apart by their size alone, so both readings are tried.
    factors = {factor}
    if {said.unit, gold.unit} == {"", PERCENT}:
        factors.add(100.0 if gold.unit == PERCENT else 0.01)
    return any(_agrees(said.low * times, said.high * times, gold) for times in factors)


def _agrees(low: float, high: float, gold: Quantity) -> bool:
    half = gold.step / 2 + 1e-9 * max(abs(gold.low), abs(gold.high), gold.step)
    if gold.low == gold.high:
        return abs(low - gold.low) <= half and low == high
    if low == high:
        return gold.low - half <= low <= gold.high + half
    return abs(low - gold.low) <= half and abs(high - gold.high) <= half


def _factor(said: str, gold: str) -> float | None:
    """What turns a value in ``said`` into one in ``gold``; None where they are no such pair."""
    if said == gold or not said or not gold:
        return 1.0
    (kind, size), (wanted, gold_size) = _UNITS.get(said, (said, 1.0)), _UNITS.get(gold, (gold, 1.0))
    return size / gold_size if kind == wanted else None
