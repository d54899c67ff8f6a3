"""How questions are put into words; an entry's name decides which wording it gets."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ragdiag.demo.chance import stable_fraction
from ragdiag.demo.corpus import Entry

INSTRUCTIONS = """
access accumulate add adjust aggregate align alter analyze append apply approximate assemble
assert assign attach bin broadcast build calculate call cast change check classify clip clone
coerce combine compare compress compute concatenate conform construct convert convolve copy
count create decay decode decompose deconvolve decorate decrease define delete describe design
detach detect determine differentiate disable divide downsample draw drop dump embed enable
encode estimate evaluate execute expand export extract fill filter find fit flatten flip force
format fuse gather generate get give group hold identify implement import increase indicate
infer initialize insert instantiate integrate interleave interpolate interpret invert invoke
iterate join list load localize make map mark mask match maximize measure merge minimize mirror
modify move multiply normalize obtain open pack pad parse partition pass perform permute pick
pivot place plot print produce project provide prune put query raise randomly rank read
rearrange record recover reduce register reindex remove rename render reorder repeat replace
represent resample reset reshape resize retrieve return reverse roll rotate round run sample
save scale scatter search select separate set shift show simulate slice smooth snap solve sort
specify split squeeze stack store subtract sum suppress swap synchronize take tell test
transform transpose trim truncate unpack unpivot unstack unwrap update upsample use validate
view wait walk wrap write zoom
"""
VERBS = frozenset(INSTRUCTIONS.split())
"""First words that make a summary an instruction ("Compute the …", "Computes the …")."""

NO_OPENING = frozenset(
    ("this", "these", "see", "refer", "alias", "deprecated", "if", "for", "given", "unlike", "same")
)
LONGEST_SUMMARY = 22
"""Words; a longer summary, or one that opens with a word of NO_OPENING, makes no question."""


def ask_for_summary(entry: Entry, ordinary: Collection[str]) -> str | None:
    """The summary line as a question; None where it does not make one.

    ``ordinary`` are words that are written in lower case: a summary may open with one.
    """
    summary = entry.docstring.summary.rstrip(".: ")
    first, _, rest = summary.partition(" ")
    word = first.lower()
    if word in NO_OPENING or len(summary.split()) > LONGEST_SUMMARY:
        return None
    verb = None if rest.startswith("of ") else as_instruction(word)
    if verb is not None:
        what = f"{'get' if verb == 'return' else verb} {rest}"
        return _choose(
            entry,
            [
                f"How do I {what} in {entry.package}?",
                f"How can I {what} with {entry.package}?",
                f"What lets me {what} in {entry.package}?",
            ],
        )
    what = f"{word} {rest}" if word in ordinary else summary
    return _choose(
        entry,
        [
            f"Where in {entry.package} do I find {what}?",
            f"What does {entry.package} have for {what}?",
            f"Is there something in {entry.package} for {what}?",
        ],
    )


def ask_for_parameter(entry: Entry, parameter: str) -> str:
    return _choose(
        entry,
        [
            f"What does the parameter {parameter} of {entry.name} do?",
            f"What is {parameter} for in {entry.name}?",
            f"In {entry.name}, what does {parameter} control?",
        ],
    )


def ask_for_default(entry: Entry, parameter: str) -> str:
    return _choose(
        entry,
        [
            f"What is the default of {parameter} in {entry.name}?",
            f"Which value does {parameter} of {entry.name} take if I leave it out?",
        ],
    )


def ask_for_returns(entry: Entry) -> str:
    return _choose(
        entry, [f"What does {entry.name} return?", f"What is the return value of {entry.name}?"]
    )


def ask_for_related(entry: Entry) -> str:
    return _choose(
        entry,
        [
            f"What is related to {entry.name}?",
            f"Besides {entry.name}, what is related and worth a look?",
        ],
    )


def as_instruction(word: str) -> str | None:
    """The verb in its plain form, None where the word is no known verb.

    >>> as_instruction("computes"), as_instruction("applies"), as_instruction("gamma")
    ('compute', 'apply', None)
    """
    forms = (word, word.removesuffix("s"), word.removesuffix("es"), word.removesuffix("ies") + "y")
    return next((form for form in forms if form in VERBS), None)


def _choose(entry: Entry, wordings: Sequence[str]) -> str:
    return wordings[int(stable_fraction(entry.name, "wording") * len(wordings))]
