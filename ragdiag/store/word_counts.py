"""How many passages of the corpus hold a word."""

from __future__ import annotations

from collections.abc import Collection

from ragdiag.store.lake import Lake


def passages_holding(lake: Lake, words: Collection[str]) -> dict[str, int]:
    """Of each word (lower-case letters and digits) the number of current passages whose title or
    text holds it; a word that none holds is left out."""
    rows = lake.rows(
        r"""with held as (
               select unnest(list_distinct(regexp_extract_all(
                   lower(concat_ws(' ', title, text)), '[\pL\pN\pM_]+'))) as word
               from current_passages)
           select word, count(*) as n from held
           where word in (select unnest($words::varchar[])) group by word""",
        {"words": sorted(words)},
    )
    return {row["word"]: row["n"] for row in rows}


def count_passages(lake: Lake) -> int:
    """Of the current corpus."""
    found: int = lake.rows("select count(*) as n from current_passages")[0]["n"]
    return found
