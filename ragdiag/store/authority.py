"""Whose word decides whether an answer is right; the one place that says so (METHODS.md §2).

1. People: the majority of their latest labels, one voice for each reviewer and one for a label
   without a name. A tie decides nothing, nor does "cannot tell" or a label that was withdrawn.
2. A judge that was had to grade the answer, the latest that decided.
3. The default grader; its first version where the present one has not graded the answer.

Canaries and releases compare two versions by one frozen grader, so they do not ask here.
"""

from __future__ import annotations

from ragdiag.records import DEFAULT_GRADER, HUMAN_GRADER

REVIEWER = "reviewer:"
"""Before a reviewer's name, in the name under which their labels are kept as grades."""

JUDGE = "judge:"

PEOPLE_SAY = f"(grader = '{HUMAN_GRADER}' or starts_with(grader, '{REVIEWER}'))"
JUDGE_SAYS = f"starts_with(grader, '{JUDGE}')"
OVERRULES = f"({PEOPLE_SAY} or {JUDGE_SAYS})"
"""Conditions on a row of grades."""

OWN_GRADERS = (DEFAULT_GRADER, "contains_or_f1")
"""The names of the default grader, the present one first. The first version took ASCII punctuation
alone for punctuation, and a decimal point and a sign too."""

OWN_SAYS = f"grader in {OWN_GRADERS}"
OWN_NEWEST = f"(grader = '{DEFAULT_GRADER}')"
"""Whether a row is the default grader's, and what orders those of an answer."""


def is_person(grader: str) -> bool:
    """Whether a grade is a person's own label, whatever it is about.

    >>> is_person("reviewer:ada"), is_person("human:grounded"), is_person("numeric-v1")
    (True, True, False)
    """
    return grader.partition(":")[0] == HUMAN_GRADER or grader.startswith(REVIEWER)


def is_own(grader: str) -> bool:
    """Whether a grade is the default grader's, of any version.

    >>> is_own("contains_or_f1"), is_own("numeric-v1")
    (True, False)
    """
    return grader in OWN_GRADERS


def decisions(where: str, subject: str = "select request_id from subject") -> str:
    """The common table ``opinions``, with those it is made of, over requests of ``subject``:
    ``request_id`` and ``found`` {y, score, grader, status, reason}. ``where`` is a condition on
    grades.

    ``score`` is always the default grader's, so that requests can be sorted by it.
    """
    return f"""
        voices as (
            select request_id, grader,
                   arg_max({{'y': y, 'score': score, 'status': status, 'reason': reason,
                             'at': graded_at}},
                           {{'at': graded_at, 'y': y, 'score': score, 'reason': reason}}) as latest
            from grades
            where {where} and ({OWN_SAYS} or {OVERRULES})
              and request_id in ({subject})
            group by request_id, grader),
        choices as (
            select request_id,
                   coalesce(sum(2 * latest.y - 1) filter ({PEOPLE_SAY}), 0)::int as lead,
                   count(latest.y) filter ({PEOPLE_SAY}) as people,
                   arg_max({{'y': latest.y, 'grader': grader, 'reason': latest.reason}},
                           {{'at': latest.at, 'grader': grader}})
                       filter ({JUDGE_SAYS} and latest.y is not null) as judge,
                   arg_max({{'y': latest.y, 'score': latest.score, 'grader': grader,
                             'status': latest.status, 'reason': latest.reason}},
                           {OWN_NEWEST}) filter ({OWN_SAYS}) as own
            from voices group by request_id),
        opinions as (
            select request_id, case
                when lead <> 0 then {{
                    'y': (lead > 0)::int, 'score': own.score, 'grader': '{HUMAN_GRADER}',
                    'status': 'ok',
                    'reason': format('{{}} to {{}}', (people + abs(lead)) // 2,
                                     (people - abs(lead)) // 2)}}
                when judge is not null then {{
                    'y': judge.y, 'score': own.score, 'grader': judge.grader, 'status': 'ok',
                    'reason': judge.reason}}
                else {{
                    'y': own.y, 'score': own.score, 'grader': own.grader,
                    'status': own.status, 'reason': own.reason}} end as found
            from choices where lead <> 0 or judge is not null or own is not null)"""
