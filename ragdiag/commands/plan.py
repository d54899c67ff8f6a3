"""``ragdiag plan``: how many questions do I need to see 2 %?"""

from __future__ import annotations

from typing import Annotated

import typer

from ragdiag.commands.options import Json, lake_of
from ragdiag.console import emit


def plan_command(
    context: typer.Context,
    version: Annotated[str, typer.Argument(help="The incumbent, evaluated.")],
    candidate: Annotated[
        str | None, typer.Argument(help="Evaluated too: the spread is then that of the pairs.")
    ] = None,
    effect: Annotated[
        str, typer.Option(help="Of the incumbent's mean, as 2%, or absolute, as 0.02.")
    ] = "2%",
    metric: Annotated[str, typer.Option(help="MRR@10, nDCG@10, correct …")] = "MRR@10",
    power: Annotated[float, typer.Option(help="Chance to see it if it is there.")] = 0.8,
    split: Annotated[str | None, typer.Option(help="Of these questions; else of all.")] = None,
    as_json: Json = False,
) -> None:
    """Say how many questions show a change, and how many let the gate pass an equal version."""
    from ragdiag.store.results import find_version
    from ragdiag.workflows.comparing.power_plan import plan_questions

    lake = lake_of(context)
    found = plan_questions(
        lake,
        find_version(lake, version),
        None if candidate is None else find_version(lake, candidate),
        split=split,
        effect=effect,
        metric=metric,
        power=power,
    )
    emit(found.to_json(), as_json, found.to_text)
