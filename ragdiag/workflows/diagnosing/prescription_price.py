"""What trying settings asks of a generator that costs, at most."""

from __future__ import annotations

from ragdiag.diagnosis.budget import CHARS_PER_TOKEN, PROMPT_OVERHEAD_CHARS, Price
from ragdiag.diagnosis.tried_settings import Setting, settings_to_try
from ragdiag.version import Spec

SIZES = 2
"""Other sizes of passages that are tried at most."""


def prescription_price(spec: Spec, sample: int, own: Setting | None = None) -> str | None:
    """A line with the calls and US dollars at most; None where the generator has no prices.

    ``sample`` questions are answered as the version is set, under every setting and ``own``, with
    passages of other sizes, and under the learned weight of the paths.
    """
    price = Price.of(spec.generator)
    if price is None:
        return None
    settings = [*settings_to_try(spec), *([] if own is None else [own])]
    specs = [spec] * (2 + SIZES) + [setting.spec for setting in settings]
    overhead = PROMPT_OVERHEAD_CHARS // CHARS_PER_TOKEN
    tokens = sample * sum(one.context.max_tokens + overhead for one in specs)
    calls = sample * len(specs)
    return f"up to {calls:,} calls and {price.most_usd(tokens, calls):,.2f} USD"
