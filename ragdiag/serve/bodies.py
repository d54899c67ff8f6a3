"""The JSON bodies of the service, checked to the last key."""

from __future__ import annotations

from typing import Annotated, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from ragdiag.http.refusals import Refusal
from ragdiag.records import FeedbackKind
from ragdiag.user_ids import plain_user

MOST_QUESTION_CHARS = 20_000
"""Some 3,000 words, ten times what an embedder reads."""
MOST_ID_CHARS = 500
MOST_ROLES = 100

_VALUES: dict[FeedbackKind, tuple[float, ...]] = {
    "click": (1.0,),
    "task_success": (0.0, 1.0),
    "thumbs": (-1.0, 1.0),
}


def _without_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("holds a NUL character")
    return text


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("is blank")
    return text


def _with_words(text: str) -> str:
    if not any(character.isalnum() for character in text):
        raise ValueError("holds neither a letter nor a digit")
    return text


Identifier = Annotated[
    str,
    Field(min_length=1, max_length=MOST_ID_CHARS),
    AfterValidator(_without_nul),
    AfterValidator(_not_blank),
]
UserId = Annotated[Identifier, AfterValidator(plain_user)]
QuestionText = Annotated[
    str,
    Field(max_length=MOST_QUESTION_CHARS),
    AfterValidator(_without_nul),
    AfterValidator(_with_words),
]


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class SearchBody(_Body):
    """``user`` decides, where a canary runs, who answers; ``tenant`` and ``roles`` what may be
    found."""

    question: QuestionText
    user: UserId | None = None
    tenant: Identifier | None = None
    roles: Annotated[frozenset[Identifier], Field(max_length=MOST_ROLES)] = frozenset()


class AskBody(SearchBody):
    """``topic`` and ``question_id`` are for the log; the id is that of a question of the workspace,
    whose gold and judgments then judge the answer."""

    question_id: Identifier | None = None
    topic: Annotated[str, Field(max_length=MOST_ID_CHARS), AfterValidator(_without_nul)] = ""


class FeedbackBody(_Body):
    """As :class:`ragdiag.records.Feedback`; one with a ``feedback_id`` counts once, however often
    it is sent."""

    request_id: Identifier
    kind: Literal["click", "task_success", "thumbs"]
    value: Annotated[float, Field(allow_inf_nan=False)] = 1.0
    passage_id: Identifier | None = None
    feedback_id: Identifier | None = None

    @model_validator(mode="after")
    def _means_something(self) -> Self:
        if self.value not in _VALUES[self.kind]:
            known = " or ".join(f"{value:g}" for value in _VALUES[self.kind])
            raise ValueError(f"the value of {self.kind} is {known}")
        return self


BodyT = TypeVar("BodyT", bound=_Body)


def read_json(body: bytes, kind: type[BodyT]) -> BodyT:
    """Raises Refusal (400) with one line that names the field and what is wrong with it."""
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        what = first["msg"].removeprefix("Value error, ")
        raise Refusal(400, f"{where}: {what}" if where else what) from None
