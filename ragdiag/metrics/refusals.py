"""Answers that decline in words: "I'm sorry, but the document does not say where it was filmed."

Services that have no status for it log such an answer as any other. By rules, for English; an
answer that declines and then tells something after all is no refusal.
"""

from __future__ import annotations

import re

from ragdiag.records import Status

LONGEST = 600
"""Characters of a refusal at most: who writes more says something."""

_ENDS = re.compile(r"(?<=[.!?])\s+")
_SOURCE = r"\b(?:answer|article|context|data|document|excerpt|information|passage|source|text)s?\b"
_REFUSES = re.compile(
    rf"""
      \bI\ (?:do\ not|don't|can(?:\ ?no|')t|could(?:\ not|n't)|am\ (?:unable|not\ able)\ to)
        \ (?:\w+\ )?(?:answer|determine|find|give|have|know|provide|see|tell)\b
    | \bI'm\ (?:unable|not\ able)\ to\b
    | {_SOURCE}(?:\ \w+){{0,3}}\ do(?:es)?(?:\ not|n't)
        \ (?:\w+\ )?(?:address|answer|contain|describe|discuss|give|include|mention|provide|say
                      |specify|state|tell)\b
    | \b(?:is|are|have|find)\ (?:no|not\ enough|insufficient)\ (?:\w+\ )?
        (?:answer|details?|information|mention)\b
    | \b(?:is|are|was|were|has|have)\ not\ (?:been\ )?(?:\w+ly\ )?
        (?:disclosed|mentioned|specified|stated)\b
    | \bunanswerable\b
    """,
    re.VERBOSE | re.IGNORECASE,
)
_COURTESY = re.compile(
    r"(?:hello|hi|i'd be happy|i'm sorry|i apologi[sz]e|if you|is there|let me know|please|sorry"
    r"|sure|unfortunately)\b",
    re.IGNORECASE,
)


def declines(answer: str) -> bool:
    """Whether every sentence of ``answer`` says that it cannot tell, courtesies aside.

    >>> declines("I'm sorry, but the document does not say it. Is there anything else?")
    True
    >>> declines("The document does not mention Rome. However, Paris has two airports.")
    False
    """
    if len(answer) > LONGEST:
        return False
    sentences = [one for one in _ENDS.split(answer.replace("’", "'").strip()) if one]
    refusals = [_REFUSES.search(one) is not None for one in sentences]
    return any(refusals) and all(
        refuses or _COURTESY.match(one) for one, refuses in zip(sentences, refusals, strict=True)
    )


def told_status(status: Status, answer: str) -> Status:
    """``status``, or ``no_answer`` where the answer declines in words.

    >>> told_status("ok", "I don't know."), told_status("ok", "Paris.")
    ('no_answer', 'ok')
    """
    return "no_answer" if status == "ok" and declines(answer) else status
