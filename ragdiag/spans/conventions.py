"""The names under which instrumentation records a RAG request, old and new, in order of trust.

Sources, as installed: openinference-semantic-conventions 0.1.42 (``openinference.semconv.trace``),
opentelemetry-semantic-conventions 0.66b2 (``_incubating.attributes.gen_ai_attributes``, old names
included), opentelemetry-semantic-conventions-ai 0.5.1 (OpenLLMetry: ``opentelemetry.semconv_ai``);
the GenAI conventions' own repository for the JSON of messages and documents and for the event
``gen_ai.evaluation.result``; OpenInference's specification of annotations and evaluations.
Names that begin with ``ragdiag.`` are ours: a service sets them where nothing else says it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

SpanKind = Literal[
    "retriever", "reranker", "llm", "embedding", "chain", "agent", "tool", "evaluator", "other"
]

OPENINFERENCE_KIND = "openinference.span.kind"
TRACELOOP_KIND = "traceloop.span.kind"
OPERATION = "gen_ai.operation.name"
REQUEST_TYPE = "llm.request.type"

KINDS: Mapping[str, Mapping[str, SpanKind]] = {
    OPENINFERENCE_KIND: {
        "RETRIEVER": "retriever",
        "RERANKER": "reranker",
        "LLM": "llm",
        "EMBEDDING": "embedding",
        "CHAIN": "chain",
        "AGENT": "agent",
        "TOOL": "tool",
        "EVALUATOR": "evaluator",
    },
    OPERATION: {
        "chat": "llm",
        "generate_content": "llm",
        "text_completion": "llm",
        "llm_request": "llm",
        "retrieval": "retriever",
        "vector_db_retrieve": "retriever",
        "embeddings": "embedding",
        "execute_tool": "tool",
        "create_agent": "other",
        "invoke_agent": "agent",
        "invoke_workflow": "chain",
        "execute_task": "chain",
    },
    TRACELOOP_KIND: {"workflow": "chain", "task": "chain", "agent": "agent", "tool": "tool"},
    REQUEST_TYPE: {
        "chat": "llm",
        "completion": "llm",
        "rerank": "reranker",
        "embedding": "embedding",
    },
}
"""For each attribute that tells what a span does, its values. The first that is there decides."""

RETRIEVED_DOCUMENTS = "retrieval.documents"
INPUT_DOCUMENTS = "input.documents"
OUTPUT_DOCUMENTS = "output.documents"
RERANKER_INPUT = "reranker.input_documents"
RERANKER_OUTPUT = "reranker.output_documents"
GENAI_DOCUMENTS = "gen_ai.retrieval.documents"
RESULT_EVENTS = ("db.query.result", "db.search.result")
"""OpenLLMetry's vector stores: one event a document."""

QUERY_TEXTS = (
    "gen_ai.retrieval.query.text",
    "reranker.query",
    "input.value",
    "traceloop.entity.input",
)
INPUT_VALUES = ("input.value", "traceloop.entity.input", "gen_ai.task.input")
OUTPUT_VALUES = ("output.value", "traceloop.entity.output", "gen_ai.task.output")
INPUT_MESSAGES = ("gen_ai.input.messages", "llm.input_messages", "gen_ai.prompt", "llm.prompts")
OUTPUT_MESSAGES = (
    "gen_ai.output.messages",
    "llm.output_messages",
    "gen_ai.completion",
    "llm.choices",
)
MESSAGE_EVENTS: Mapping[str, Literal["input", "output"]] = {
    "gen_ai.system.message": "input",
    "gen_ai.user.message": "input",
    "gen_ai.assistant.message": "input",
    "gen_ai.content.prompt": "input",
    "gen_ai.choice": "output",
    "gen_ai.content.completion": "output",
}
"""Events that carried messages before they became attributes."""
DETAILS_EVENT = "gen_ai.client.inference.operation.details"
"""The event that may carry a model call's messages, both ways, beside its span."""

QUESTION_KEYS = ("question", "query", "user_input", "user_query", "input", "prompt", "text")
"""Where JSON inputs of chains keep the question, in order of trust."""
ANSWER_KEYS = ("answer", "response", "result", "output", "output_text", "content", "text")
"""Where JSON outputs of chains keep the answer."""

PROMPT_TOKENS = (
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.prompt_tokens",
    "llm.token_count.prompt",
    "llm.usage.prompt_tokens",
)
COMPLETION_TOKENS = (
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.completion_tokens",
    "llm.token_count.completion",
    "llm.usage.completion_tokens",
)
TOTAL_COST = ("llm.cost.total", "gen_ai.usage.cost", "gen_ai.usage.total_cost")
PART_COSTS = ("llm.cost.prompt", "llm.cost.completion")
"""US dollars."""

OWN = "ragdiag."
VERSIONS = ("ragdiag.version", "ragdiag.version_id")
SERVICE_VERSION = "service.version"
SERVICE_NAME = "service.name"
UNNAMED_SERVICE = "unknown_service"
"""How the OpenTelemetry SDKs begin the name of a service that nobody has named."""
MODELS = ("gen_ai.request.model", "llm.request.model", "llm.model_name", "gen_ai.response.model")
UNVERSIONED = "unversioned"
"""The version of a service that states neither version, name nor model."""

EVALUATION_EVENT = "gen_ai.evaluation.result"
EVALUATION = "gen_ai.evaluation."
FEEDBACK_LISTS = (
    ("annotations", "annotation"),
    ("evaluations", "evaluation"),
    ("trace.annotations", "annotation"),
    ("trace.evaluations", "evaluation"),
)
SESSION_LISTS = (("session.annotations", "annotation"), ("session.evaluations", "evaluation"))
