"""How many spans a second the receiver takes, and whether every one it acknowledged is stored.

    python -m benchmarks.collector [--seconds 60] [--clients 2] [--gzip] [--end TERM|KILL]
                                   [--assemble]

One receiver process; each client process sends batches of 512 spans over one connection as fast
as it gets answers: traces of a chain, an embedding, a retriever with ten documents of 120 words
each, and a model call with the whole prompt. At the end the receiver gets the signal while the
clients still send; then the spool is ingested, and every acknowledged trace is looked for.
"""

from __future__ import annotations

import argparse
import gzip
import http.client
import json
import multiprocessing
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ragdiag.settings import Workspace
from ragdiag.store.ingest import ingest
from ragdiag.store.lake import Lake, open_lake
from ragdiag.workflows.logs.traces import assemble_traces

SPANS_OF_TRACE = 4
BATCH_SPANS = 512
SENTENCE = (
    "the retriever finds passages that answer a question about cats sleeping under warm roofs in "
    "winter while dogs keep watch over the yard and nobody counts the hours"
)
WORDS = SENTENCE.split()


def text(chance: random.Random, words: int) -> str:
    return " ".join(chance.choices(WORDS, k=words))


def attributes_of(kind: str, chance: random.Random, documents: list[str]) -> dict[str, Any]:
    question, answer = text(chance, 12), text(chance, 60)
    common = {"openinference.span.kind": kind, "session.id": f"{chance.getrandbits(64):x}"}
    if kind == "CHAIN":
        return {**common, "input.value": question, "output.value": answer}
    if kind == "EMBEDDING":
        return {**common, "embedding.embeddings.0.embedding.text": question}
    if kind == "RETRIEVER":
        found: dict[str, Any] = {"input.value": question}
        for rank, document in enumerate(documents):
            start = f"retrieval.documents.{rank}.document."
            found[f"{start}id"] = f"guide-{chance.randrange(5_000)}"
            found[f"{start}content"] = document
            found[f"{start}score"] = 1 / (rank + 1)
            found[f"{start}metadata"] = json.dumps({"source": "guide.md", "page": rank})
        return {**common, **found}
    return {
        **common,
        "llm.model_name": "tiny",
        "llm.input_messages.0.message.role": "user",
        "llm.input_messages.0.message.content": "\n\n".join([*documents, question]),
        "llm.output_messages.0.message.role": "assistant",
        "llm.output_messages.0.message.content": answer,
        "llm.token_count.prompt": 1_700,
        "llm.token_count.completion": 80,
    }


def build_batch(seed: int) -> ExportTraceServiceRequest:
    """A batch whose ids are still to be set."""
    chance = random.Random(seed)
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    for key, value in (("service.name", "helpdesk"), ("service.version", "2.1")):
        attribute = group.resource.attributes.add()
        attribute.key, attribute.value.string_value = key, value
    spans = group.scope_spans.add().spans
    now = time.time_ns()
    for _ in range(BATCH_SPANS // SPANS_OF_TRACE):
        documents = [text(chance, 120) for _ in range(10)]
        for place, kind in enumerate(("CHAIN", "EMBEDDING", "RETRIEVER", "LLM")):
            span = spans.add(name=kind.lower(), start_time_unix_nano=now + place * 10**6)
            span.end_time_unix_nano = now + (400 if kind == "CHAIN" else place * 90) * 10**6
            for key, value in attributes_of(kind, chance, documents).items():
                attribute = span.attributes.add()
                attribute.key = key
                if isinstance(value, str):
                    attribute.value.string_value = value
                elif isinstance(value, int):
                    attribute.value.int_value = value
                else:
                    attribute.value.double_value = value
    return request


def renew_ids(request: ExportTraceServiceRequest) -> list[str]:
    """Fresh ids for every trace of the batch; returns the traces'."""
    names = []
    for number, span in enumerate(request.resource_spans[0].scope_spans[0].spans):
        if number % SPANS_OF_TRACE == 0:
            trace_id, root = os.urandom(16), os.urandom(8)
            names.append(trace_id.hex())
            span.span_id = root
        else:
            span.span_id, span.parent_span_id = os.urandom(8), root
        span.trace_id = trace_id
    return names


def send(number: int, port: int, zipped: bool, acknowledged: Path, ready: Any) -> None:
    """Until the receiver is gone: one batch after the other, noting what was acknowledged."""
    batches = [build_batch(number * 100 + n) for n in range(4)]
    headers = {"Content-Type": "application/x-protobuf"}
    if zipped:
        headers["Content-Encoding"] = "gzip"
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    ready.wait()
    sent = 0
    with acknowledged.open("w") as out:
        try:
            while True:
                batch = batches[sent % len(batches)]
                names = renew_ids(batch)
                body = batch.SerializeToString()
                body = gzip.compress(body, 1) if zipped else body
                connection.request("POST", "/v1/traces", body, headers)
                answer = connection.getresponse()
                answer.read()
                sent += 1
                if answer.status == 200:
                    out.write("\n".join(names) + "\n")
                else:
                    time.sleep(float(answer.headers.get("Retry-After", 1)))
        except (OSError, http.client.HTTPException):
            return


def missing(lake: Lake, traces: list[str]) -> int:
    """How many of the spans of ``traces`` the lake does not have."""
    found = lake.rows(
        "select count(*) as n from spans where trace_id in (select unnest($ids::varchar[]))",
        {"ids": traces},
    )
    return SPANS_OF_TRACE * len(traces) - int(found[0]["n"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--clients", type=int, default=2)
    parser.add_argument("--gzip", action="store_true")
    parser.add_argument("--end", choices=("TERM", "KILL"), default="TERM")
    parser.add_argument("--assemble", action="store_true", help="read the traces as well")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Path(folder) / "workspace")
        command = [sys.executable, "-m", "ragdiag", "--workspace", str(workspace.root)]
        receiver = subprocess.Popen(
            [*command, "collect", "--port", "0", "--json"], stdout=subprocess.PIPE, text=True
        )
        assert receiver.stdout is not None
        port = int(
            json.loads("".join(iter(receiver.stdout.readline, "}\n")) + "}")["url"].rpartition(":")[
                2
            ]
        )
        ready = multiprocessing.Event()
        notes = [Path(folder) / f"acknowledged-{n}" for n in range(given.clients)]
        clients = [
            multiprocessing.Process(target=send, args=(n, port, given.gzip, note, ready))
            for n, note in enumerate(notes)
        ]
        for client in clients:
            client.start()
        time.sleep(3)
        ready.set()
        began = time.monotonic()
        time.sleep(given.seconds)
        receiver.send_signal(getattr(signal, f"SIG{given.end}"))
        told = time.monotonic()
        status = receiver.wait(60)
        ended = time.monotonic()
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        for client in clients:
            client.join(30)
        traces = [line for note in notes for line in note.read_text().split()]
        spans = SPANS_OF_TRACE * len(traces)
        spooled = sum(path.stat().st_size for path in workspace.spool.glob("*"))
        print(f"acknowledged {spans} spans, {spans / (told - began):.0f} a second")
        print(f"SIG{given.end}: status {status} after {ended - told:.2f} s")
        busy = (used.ru_utime + used.ru_stime) / (ended - began)
        print(f"receiver: {busy:.0%} of a core, {used.ru_maxrss / 1e3:.0f} MB at most")
        print(f"spool {spooled / 1e6:.0f} MB, {spooled / max(spans, 1):.0f} bytes a span")
        lake = open_lake(workspace, create=True)
        began = time.monotonic()
        report = ingest(lake, workspace)
        seconds = time.monotonic() - began
        print(f"ingest {report} in {seconds:.1f} s, {report.accepted / seconds:.0f} spans a second")
        print(f"acknowledged spans missing from the lake: {missing(lake, traces)}")
        if given.assemble:
            began = time.monotonic()
            assembled = assemble_traces(lake, settle_s=0)
            seconds = time.monotonic() - began
            rate = report.accepted / seconds
            print(f"assembled {assembled} in {seconds:.1f} s, {rate:.0f} spans a second")


if __name__ == "__main__":
    main()
