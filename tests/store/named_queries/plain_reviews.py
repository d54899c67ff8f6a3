"""What reviewers said, and the answers that they can be asked about: store/reviews.py."""

from __future__ import annotations

from ragdiag.privacy.hiding import is_hidden
from ragdiag.records import Grade
from ragdiag.store import reviews
from ragdiag.store.queries import Filters
from ragdiag.store.reviews import Answered, Asked
from tests.store.named_queries.known import Known, given, in_order, plain
from tests.store.named_queries.plain_pages import FILTERS, each
from tests.store.named_queries.plain_said import grade_of


@plain(
    reviews.load_reviews,
    lambda known: [given(), given([*known.request, "unknown"][::2]), given([])],
)
def load_reviews(known: Known, names: list[str] | None = None) -> dict[str, dict[str, Grade]]:
    found: dict[str, dict[str, Grade]] = {}
    for row in sorted(known.grades.values(), key=in_order("graded_at", "request_id")):
        label, _, reviewer = row["grader"].partition(":")
        stands = label == "reviewer" and row["status"] != "withdrawn"
        if stands and (names is None or row["request_id"] in names):
            found.setdefault(reviewer, {})[row["request_id"]] = grade_of(row)
    return found


@plain(reviews.load_answered, lambda _: each(*FILTERS))
def load_answered(known: Known, filters: Filters) -> list[Answered]:
    requests = [fact["request"] for fact in known.passing(filters)]
    return [
        Answered(one.request_id, one.topic)
        for one in sorted(requests, key=lambda one: one.request_id)
        if one.status == "ok"
        and one.answer
        and not is_hidden(one.question)
        and not is_hidden(one.answer)
    ]


@plain(reviews.load_asked, lambda _: each(*FILTERS))
def load_asked(known: Known, filters: Filters) -> list[Asked]:
    requests = [fact["request"] for fact in known.passing(filters)]
    return [
        Asked(one.request_id, one.topic, one.status == "ok" and one.answer != "")
        for one in sorted(requests, key=lambda one: one.request_id)
    ]
