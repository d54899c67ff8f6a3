"""How much of a text stands in a prompt, against the plain definition."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ragdiag.spans import stages

TEXT = st.text("ab ", min_size=1, max_size=stages.LEAST_MATCH + 6)
PROMPTS = st.lists(TEXT, max_size=6).map("".join)


def plain_place(text: str, prompts: str) -> tuple[int, int]:
    """The first place of the whole text, else of its first 40 characters, and of these the most
    that stand anywhere."""
    squeezed = " ".join(text.split())
    if squeezed and squeezed in prompts:
        return prompts.index(squeezed), len(text)
    if squeezed[: stages.LEAST_MATCH] not in prompts or not squeezed:
        return 0, 0
    most = max(n for n in range(len(squeezed)) if squeezed[:n] in prompts)
    return prompts.index(squeezed[: stages.LEAST_MATCH]), most


@given(TEXT, PROMPTS, st.integers(0, 50))
def test_a_text_is_found_as_far_as_it_stands_in_the_prompts(
    text: str, around: str, cut: int
) -> None:
    prompts = " ".join(f"{around}{text[:cut]}{around}{text}"[: len(text) + 3 * cut].split())
    assert stages._place_within(text, prompts) == plain_place(text, prompts)
