"""What a workspace's ``ragdiag.toml`` says: where its lake lives, what is kept, what is hidden,
what the dashboard may do, what machines cost.

The file is optional, and so is every table in it. Secrets are never in it: it names the
environment variables that hold them.
"""

from __future__ import annotations

import tomllib
from typing import Annotated, Literal, Self, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)

from ragdiag.backends import LakeTable
from ragdiag.errors import InputError
from ragdiag.generator_spec import GeneratorSpec
from ragdiag.settings import Workspace

RedactionRule = Literal["email", "phone", "card", "iban", "ip", "secret"]
Encrypted = Literal["archive", "backups", "embeddings", "training"]
PatternName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,30}$")]
Region = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]


DEAREST_MACHINE = 10_000.0
"""US dollars an hour that anybody may say."""

LONGEST_DAYS = 700_000
"""About as far back as dates go: whoever writes much in place of "for good" is understood."""


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RetentionTable(_Table):
    """How long things stay, in days; None keeps them for good."""

    requests_days: int | None = Field(default=None, ge=0, le=LONGEST_DAYS)
    archive_days: int | None = Field(default=30, ge=0, le=LONGEST_DAYS)
    snapshots_days: float = Field(default=7, ge=0, le=LONGEST_DAYS)
    """Of snapshots without a name; the newest always stays."""


class PrivacyTable(_Table):
    """What is hidden before it is stored, and what is encrypted.

    ``redact`` names rules of ragdiag, ``patterns`` adds own ones (name → RE2 pattern), and
    ``phone_regions`` (ISO 3166) says whose national way of writing telephone numbers is known.
    Without ``store_text`` the log keeps keyed hashes in place of texts. ``encrypt`` names what is
    written encrypted, under the key in the environment variable ``encryption_key_env``.
    """

    redact: tuple[RedactionRule, ...] = get_args(RedactionRule)
    patterns: dict[PatternName, str] = Field(default_factory=dict)
    phone_regions: tuple[Region, ...] = ("US",)
    store_text: bool = True
    encrypt: tuple[Encrypted, ...] = ()
    encryption_key_env: str = Field(default="RAGDIAG_KEY", pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")

    @field_validator("patterns")
    @classmethod
    def _names_are_free(cls, patterns: dict[str, str]) -> dict[str, str]:
        for name in patterns:
            if name in get_args(RedactionRule):
                raise ValueError(f"{name} is a rule of ragdiag already")
        return patterns


class DashboardTable(_Table):
    """What the dashboard lets those do who can open it."""

    read_only: bool = False
    """Nothing that would change what serves can be started from a page."""


class CostsTable(_Table):
    """What the dashboard reckons costs with."""

    machine_usd_per_hour: float = Field(default=0.0, ge=0, le=DEAREST_MACHINE)
    """Of a machine that answers one query at a time: its price divided by how many it answers side
    by side. At 0 only hours are shown."""


class JudgeTable(_Table):
    """The OpenAI-compatible server that judges answers. The model is named by the grader,
    ``judge:MODEL``; prices are US dollars per million tokens, without both the cost is unknown."""

    base_url: str = "https://api.openai.com/v1"
    api_key_env: str = "OPENAI_API_KEY"
    timeout_s: float = Field(default=60.0, gt=0, le=600)
    retries: int = Field(default=2, ge=0, le=10)
    concurrency: int = Field(default=4, ge=1, le=64)
    max_output_tokens: int = Field(default=500, ge=50, le=32_000)
    prompt_price: float | None = Field(default=None, ge=0)
    completion_price: float | None = Field(default=None, ge=0)


class ReplayTable(_Table):
    """How failures are answered again. ``stronger`` is a generator as in a version's spec, asked
    for what the version's own fails at, ``second`` another one beside it, whose agreement with it
    puts a gold answer in doubt; ``draws`` of every context are taken of a generator that
    does not repeat itself, ``concurrency`` questions are under way to a server."""

    draws: int = Field(default=3, ge=3, le=50)
    concurrency: int = Field(default=4, ge=1, le=64)
    stronger: GeneratorSpec | None = None
    second: GeneratorSpec | None = None

    @model_validator(mode="after")
    def _second_has_a_first(self) -> Self:
        if self.second is not None and self.stronger is None:
            raise ValueError("[replay.second] agrees with nobody without [replay.stronger]")
        return self


class Configuration(_Table):
    lake: LakeTable = LakeTable()
    retention: RetentionTable = RetentionTable()
    privacy: PrivacyTable = PrivacyTable()
    dashboard: DashboardTable = DashboardTable()
    costs: CostsTable = CostsTable()
    judge: JudgeTable = JudgeTable()
    replay: ReplayTable = ReplayTable()


def read_configuration(workspace: Workspace) -> Configuration:
    """The configuration of ``workspace``; the defaults where it has no file.

    Raises InputError that names the file, the key and what is wrong with it.
    """
    path = workspace.configuration
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return Configuration()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path} ({error})", remedy="mend or remove it") from None
    try:
        return Configuration.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path} is not TOML ({error})", remedy="mend that line") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        guide = "backends" if where.startswith("lake") else "configuration"
        raise InputError(
            f"{path}: {where}: {first['msg']}", remedy=f"see docs/{guide}.md"
        ) from None
