"""The verdict on one request in plain sentences: what happened, what proves it, who mends it."""

from __future__ import annotations

from ragdiag.ui import terms
from ragdiag.ui.story import Story

_OUTDATED = {
    1: "The answer is right",
    0: "The answer is wrong, for a reason that is not known yet",
    None: "Nobody decides any more whether this answer is right",
}
_OUTCOMES = {1: "answers correctly", 0: "is still wrong", None: "could not be graded"}


def verdict_sentences(story: Story) -> list[str]:
    """The first sentence is the verdict; the others are its evidence. Plain text."""
    if story.verdict is None:
        return [_undiagnosed(story)]
    if story.outdated:
        return [_OUTDATED[story.y], f"{_counted(story)} Diagnose it anew."]
    verdict, cause = story.verdict["verdict"], story.verdict["cause"]
    opening = _verdict(verdict)
    if verdict == "undetermined" and story.failed_arms:
        opening = "Undetermined so far: the generator failed when it was asked again"
    if story.verdict["tier"] in terms.UNPROVEN and verdict in terms.LIKELY:
        opening = f"Likely, not proven by a replay: {opening[0].lower()}{opening[1:]}"
    sentences = [
        f"{opening}.",
        *_whereabouts(story, cause),
        *_replays(story),
        *_second_level(story),
    ]
    if verdict not in ("ok", "lucky"):
        tier = story.verdict["tier"]
        sentences.append(f"Evidence of tier {tier}: {terms.TIERS.get(tier, 'unknown')}.")
        sentences.append(f"To be mended by: {terms.owner(verdict)}.")
    return sentences


def _counted(story: Story) -> str:
    """What the verdict that is out of date explains, or rests on."""
    if story.outdated == "gold":
        return "Its diagnosis is out of date: it does not rest on the gold its question has now."
    then = terms.grade(story.evidence["y"]) if "y" in story.evidence else "otherwise"
    return f"Its diagnosis is out of date: it was made while the answer counted as {then}."


def _verdict(verdict: str) -> str:
    openings = {
        "ok": "The answer is right",
        "lucky": "Right by luck: no gold passage reached the prompt",
        "corpus": "The corpus is the cause: no gold passage is in the index that served",
        "label_suspect": "The label is in doubt: gold answer and gold passages do not fit",
        "packing": "Prompt packing is the cause: the gold passage was found, then cut",
        "retrieval": "The retriever is the cause: it lost the gold passage",
        "distraction": "Distraction is the cause: the gold passage was in the prompt, among others",
        "generator": "The generator is the cause: given the gold passage, it still fails",
        "undetermined": "Undetermined: no intervention decides what failed",
    }
    return openings.get(verdict, f"Verdict {verdict}")


def _whereabouts(story: Story, cause: str) -> list[str]:
    if not story.gold:
        return ["No gold passage is known for this question."]
    ranks = [
        f"{terms.STAGES[stage].lower()} at rank {rank}"
        for stage in story.stages
        if (rank := story.rank(stage)) is not None
    ]
    where = "seen in the " + ", the ".join(ranks) if ranks else "seen in none of the logged lists"
    return [f"Gold passage: {where}. Cause {cause}: {terms.CAUSES.get(cause, cause)}."]


def _second_level(story: Story) -> list[str]:
    name = (story.verdict or {}).get("second_level")
    if name is None or name not in terms.SECOND_LEVELS:
        return []
    shown, lever = terms.SECOND_LEVELS[name]
    return [f"More closely ({name}): {shown}. What would help: {lever}."]


def _replays(story: Story) -> list[str]:
    told = []
    for arm, given in (
        ("g", "given only the gold passages"),
        ("s", "with what was found in a perfect order"),
        ("g+", "with gold put first"),
    ):
        draws = story.draws(arm)
        if draws and arm not in story.failed_arms:
            right = sum(draw["y"] == 1 for draw in draws)
            outcome = (
                _OUTCOMES[draws[0]["y"]]
                if len({(draw["answer"], draw["y"]) for draw in draws}) == 1
                else f"answers correctly {right} times of {len(draws)}"
            )
            told.append(f"{given} it {outcome}")
    sentences = [f"Replayed with the same generator: {'; '.join(told)}."] if told else []
    if story.failed_arms:
        failed = ", ".join(story.failed_arms)
        sentences.append(f"The generator failed on {failed}; the next diagnosis asks it again.")
    if story.varied_arms:
        varied = ", ".join(story.varied_arms)
        sentences.append(
            f"The generator does not repeat itself: it gave {varied} different answers, so each "
            "context was answered several times."
        )
    return sentences


def _undiagnosed(story: Story) -> str:
    if story.y == 1:
        return "The answer is right. It has not been diagnosed."
    if story.y == 0:
        return "The answer is wrong, and has not been diagnosed yet."
    return "This answer has not been graded: its question has no gold answer, or waits for one."
