"""The openai generator against ``transformers serve``, with a tiny model made here."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ragdiag.errors import ProviderRefused
from ragdiag.generation.generator import load_generator
from ragdiag.records import ContextPassage
from ragdiag.version import OpenAISpec

pytestmark = pytest.mark.slow

START_UP_S = 120
CONTEXT = (
    ContextPassage("doc#0", "Aspirin thins the blood."),
    ContextPassage("doc#1", "Take two tablets daily."),
)


@pytest.fixture(autouse=True)
def _surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAGDIAG_TEST_KEY", raising=False)  # this server asks for none
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        # a proxy of this machine must not stand between the test and its own server
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def spec_for(base_url: str, **settings: object) -> OpenAISpec:
    values = {"timeout_s": 60.0, "api_key_env": "RAGDIAG_TEST_KEY", **settings}
    return OpenAISpec.model_validate({"kind": "openai", "base_url": base_url, **values})


def test_a_real_server_answers_and_its_citations_are_mapped(model_server: tuple[str, str]) -> None:
    base_url, model = model_server
    prices = {"prompt_price": 1.0, "completion_price": 3.0}
    spec = spec_for(base_url, model=model, max_output_tokens=20, **prices)
    generator = load_generator(spec)
    answer = generator.answer("How many tablets?", CONTEXT)
    assert answer.text == "Two tablets daily ."
    assert answer.citations == ("doc#1",)
    assert answer.status == "ok"
    assert answer.model == generator.name == f"openai:{model}"
    assert answer.prompt_tokens is not None
    assert answer.prompt_tokens > 50
    assert answer.completion_tokens == 6  # the five words and the end of the sentence
    assert answer.cost_usd == pytest.approx((answer.prompt_tokens + 3 * 6) / 1e6)
    assert generator.answer("How many tablets?", CONTEXT) == answer


def test_a_real_server_keeps_to_the_output_limit_and_refuses_another_model(
    model_server: tuple[str, str],
) -> None:
    base_url, model = model_server
    short = load_generator(spec_for(base_url, model=model, max_output_tokens=2))
    assert short.answer("How many?", CONTEXT).text == "Two tablets"


def test_a_real_server_refuses_another_model(model_server: tuple[str, str]) -> None:
    other = load_generator(spec_for(model_server[0], model="other"))
    with pytest.raises(ProviderRefused, match="refused model other with HTTP 400"):
        other.answer("How many?", CONTEXT)


@pytest.fixture(scope="session")
def model_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """``transformers serve`` with a tiny model made here: (base_url, model name)."""
    folder = tmp_path_factory.mktemp("model")
    teach_tiny_model(folder)
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = folder / "serve.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                Path(sys.executable).with_name("transformers"),
                *("serve", folder, "--device", "cpu"),
                *("--host", "127.0.0.1", "--port", str(port)),
            ],
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
        )
    try:
        wait_until_healthy(f"http://127.0.0.1:{port}/health", process, log)
        yield f"http://127.0.0.1:{port}/v1", str(folder)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def wait_until_healthy(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + START_UP_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with opener.open(url, timeout=2) as response:
                if response.status == 200:
                    return
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            time.sleep(0.2)
    pytest.fail(f"the model server did not start:\n{log.read_text(errors='replace')[-3000:]}")


SAID = "Two tablets daily [2] ."
"""What the tiny model has learnt to say, whatever it is asked."""


def teach_tiny_model(folder: Path) -> None:
    """A two-layer Llama and its word tokenizer, trained in seconds to say SAID."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    words = ["<s>", "</s>", "<unk>", "assistant:", *SAID.split()]
    inner = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, "<unk>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )
    tokenizer.chat_template = (
        "<s> {% for m in messages %}{{ m.role }} says {{ m.content }}\n{% endfor %}assistant:"
    )
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(words),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=1024,
            bos_token_id=0,
            eos_token_id=1,
            pad_token_id=1,
        )
    )
    answer = [*range(3, len(words)), 1]
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for step in range(80):
        prompt = [0] + [2] * (10 + 7 * (step % 20))
        ids = torch.tensor([prompt + answer])
        labels = ids.clone()
        labels[:, : len(prompt) + 1] = -100
        optimiser.zero_grad()
        model(input_ids=ids, labels=labels).loss.backward()
        optimiser.step()
    model.save_pretrained(folder)
