"""Answers that decline in words: "I'm sorry, but the document does not say where it was filmed."

Services that have no status for it log such an answer as any other. By rules, for English; an
answer that declines and then tells something after all is no refusal.
"""

from __future__ import annotations

import re

from ragdiag.records import Status

LONGEST = 600
"""Characters of a refusal at most: who writes more says something."""

_PARTS = re.compile(
    r"(?<=[.!?])\s+|[;:\n]+\s*|,?\s+(?:although|but|however|though|yet)\b,?\s*|,\s+(?:and|so)\s+",
    re.IGNORECASE,
)
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
    r"""
      (?:hello|hi|i'm\ (?:very\ )?sorry|sorry|sure|thank\ you|unfortunately)
    | i\ apologi[sz]e(?:\ for\ .*)?
    | i'd\ be\ happy\ to\ help.*
    | is\ there\ anything\ else\b.*
    | let\ me\ know\ if\ .*
    | (?:if\ you|please)\ (?:can\ |could\ )?
        (?:ask|check|consult|have|let\ me\ know|need|provide|refer|rephrase|share|try)\b.*
    """,
    re.VERBOSE | re.IGNORECASE,
)


def declines(answer: str) -> bool:
    """Whether every part of ``answer`` says that it cannot tell, courtesies aside.

    >>> declines("I'm sorry, but the document does not say it. Is there anything else?")
    True
    >>> declines("The document does not mention Rome, but Paris has two airports.")
    False
    """
    if len(answer) > LONGEST:
        return False
    parts = [part for part in _PARTS.split(answer.replace("’", "'").strip()) if part]
    refusals = [_REFUSES.search(part) is not None for part in parts]
    return any(refusals) and all(
        refuses or _COURTESY.fullmatch(part.rstrip(" ,.!?"))
        for part, refuses in zip(parts, refusals, strict=True)
    )


def told_status(status: Status, answer: str) -> Status:
    """``status``, or ``no_answer`` where the answer declines in words.

    >>> told_status("ok", "I don't know."), told_status("ok", "Paris.")
    ('no_answer', 'ok')
    """
    return "no_answer" if status == "ok" and declines(answer) else status
