"""The fields that a row of a log may have, and the common names under which services write them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

STAGE_FIELDS = ("lexical", "dense", "fused", "reranked")
PASSAGE_FIELDS = (*STAGE_FIELDS, "contexts")
LIST_FIELDS = (*PASSAGE_FIELDS, "citations", "gold_answer", "gold_contexts", "feedback")
"""Fields whose value is a list; in a text cell JSON, or parts between separators."""

ALIASES: Mapping[str, Sequence[str]] = {
    "id": ("request_id", "trace_id", "log_id", "run_id", "uuid"),
    "time": ("asked_at", "timestamp", "created_at", "datetime", "date", "start_time", "ts"),
    "version": ("version_id", "system", "model_version", "pipeline", "model_name", "model", "app"),
    "traffic": ("environment", "env"),
    "question": ("query", "user_input", "prompt", "input", "user_query", "user_message"),
    "answer": ("response", "output", "completion", "generated_answer", "prediction", "result"),
    "question_id": ("query_id", "qid", "example_id"),
    "topic": ("category", "domain", "intent"),
    "user": ("user_id", "userid", "customer_id", "end_user"),
    "user_key": (),
    "status": ("state",),
    "error": ("error_message", "exception"),
    "degraded_reason": (),
    "build": ("build_id", "index_build", "index_version"),
    "cache_hit": ("cached", "from_cache"),
    "prompt_tokens": ("input_tokens", "tokens_in", "tokens_prompt"),
    "completion_tokens": ("output_tokens", "tokens_out", "tokens_completion"),
    "tokens": ("usage", "token_usage"),
    "cost": ("cost_usd", "total_cost", "price"),
    "latency": ("latency_ms", "latency_total", "duration_ms", "total_ms", "elapsed_ms", "duration"),
    "contexts": ("context", "retrieved_contexts", "passages", "documents", "retrieved_passages"),
    "citations": ("cited", "sources"),
    "lexical": ("bm25", "lexical_hits", "bm25_hits", "sparse"),
    "dense": ("dense_hits", "vector_hits", "embedding_hits"),
    "fused": ("fused_hits", "hits", "retrieved", "candidates", "hybrid"),
    "reranked": ("reranked_hits", "rerank_hits"),
    "searched_depth": (),
    "logged_depth": (),
    "keep_probability": ("sampling_probability",),
    "feedback": (),
    "thumbs": ("thumb", "user_feedback", "vote"),
    "gold_answer": (
        "gold_answers", "ground_truth", "ground_truths", "reference", "reference_answer",
        "expected_answer", "expected_output", "gt_answer", "answers", "target",
    ),
    "gold_contexts": ("reference_contexts", "gold_passages", "ground_truth_contexts"),
    "label": ("correct", "is_correct", "human_label", "correctness", "verdict", "grade"),
    "label_reason": ("label_comment", "explanation", "critique"),
}  # fmt: skip
"""Our field, then other names for it, the likeliest first. Case and punctuation do not count."""

_PLACES = {
    re.sub("[^a-z0-9]", "", name): (field, place)
    for field, names in ALIASES.items()
    for place, name in enumerate((field, *names))
}


@lru_cache(maxsize=4_096)
def guess_columns(columns: tuple[str, ...]) -> Mapping[str, str]:
    """Field → the column that carries it: of several candidates the likeliest name.

    >>> dict(guess_columns(("Query", "query_text", "response", "Retrieved Contexts")))
    {'question': 'Query', 'answer': 'response', 'contexts': 'Retrieved Contexts'}
    """
    best: dict[str, tuple[int, str]] = {}
    for column in columns:
        found = _PLACES.get(re.sub("[^a-z0-9]", "", column.lower()))
        if found is not None and found[1] < best.get(found[0], (len(columns) + 99, ""))[0]:
            best[found[0]] = (found[1], column)
    return {field: column for field, (_, column) in best.items()}
