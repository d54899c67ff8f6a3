"""``ragdiag prescribe``: what to do next, by what it brings and costs."""

from __future__ import annotations

from typing import Annotated

import typer

from ragdiag.commands.options import DAY_MS, Json, JudgedSplit, ProgressOption, Yes, opened
from ragdiag.console import emit, progress_to


def prescribe_command(
    context: typer.Context,
    version: Annotated[str, typer.Argument(help="Evaluated and diagnosed.")],
    split: JudgedSplit,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="Try this too, all of them together: k, tokens, candidates, alpha, rrf_k, "
            "rerank_depth, rerank_weight, chunk_tokens.",
        ),
    ] = None,
    sample: Annotated[
        int, typer.Option(min=1, help="Questions answered again under each setting.")
    ] = 100,
    slo_ms: Annotated[
        float, typer.Option(min=1, max=DAY_MS, help="Budget for p95 of a request.")
    ] = 200.0,
    setting_minutes: Annotated[float, typer.Option(min=1, help="Work to change a setting.")] = 15,
    document_minutes: Annotated[
        float, typer.Option(min=1, help="Work to write a missing document.")
    ] = 20,
    label_minutes: Annotated[float, typer.Option(min=1, help="Work to mend a label.")] = 5,
    training_minutes: Annotated[
        float, typer.Option(min=1, help="Work to prepare a training run.")
    ] = 240,
    yes: Yes = False,
    as_json: Json = False,
    progress_file: ProgressOption = None,
) -> None:
    """Try settings on logged questions, yours (--set k=10 --set alpha=.6) among them, count what
    people could mend, and rank it by return. Of a generator with prices the cost is shown first,
    and nothing is asked without --yes."""
    from ragdiag.diagnosis.levers import WorkRates
    from ragdiag.diagnosis.tried_settings import own_setting
    from ragdiag.workflows.diagnosing.prescribe import prescribe
    from ragdiag.workflows.diagnosing.prescription_price import prescription_price

    lake, workspace, found = opened(context, version)
    own = own_setting(found.spec, settings) if settings else None
    price = prescription_price(found.spec, sample, own)
    if price is not None and not yes:
        emit({"price": price}, as_json, lambda: f"{price}. Nothing was asked: add --yes")
        return
    rates = WorkRates(setting_minutes, document_minutes, label_minutes, training_minutes)
    with progress_to(progress_file) as progress:
        told = prescribe(
            lake,
            workspace,
            found,
            split,
            sample=sample,
            rates=rates,
            own=own,
            slo_ms=slo_ms,
            progress=progress,
        )
    emit(told.to_json(), as_json, told.to_text)
