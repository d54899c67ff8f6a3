"""Fine-tuning of a causal language model to answer from passages, with citations.

The prompt is the one that serving builds, to the token; the loss is the mean negative
log-likelihood of the reply's tokens alone, averaged over examples so that a long answer weighs no
more than a short one. The dev score is the mean token F1 of real greedy answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ragdiag.errors import GenerationError, TrainingError
from ragdiag.generation.chat_prompt import encode_prompt, encode_reply
from ragdiag.generation.loading import load_model, load_tokenizer, memory_faults, model_folder
from ragdiag.generation.local import LanguageModel, TransformersGenerator
from ragdiag.progress import Progress
from ragdiag.records import Answer
from ragdiag.retrieval.adapters import AdapterManifest, base_hash
from ragdiag.training.adapters import ANSWERING, LoraOptions, add_lora, check_task, save_adapter
from ragdiag.training.answers.located import (
    AnswerExample,
    Refused,
    cited_reply,
    examples_hash,
    score_answer,
    usable_examples,
    with_declines,
)
from ragdiag.training.files import replace_folder
from ragdiag.training.loop import LoopOptions, Trained, train
from ragdiag.training.processes import Processes
from ragdiag.training.quantisation import (
    Bits,
    prepare_quantised,
    quantisation,
    require_adapter,
)
from ragdiag.version import TransformersSpec

if TYPE_CHECKING:
    from torch import Tensor

IGNORED = -100
"""The label of a token that is read and not learned."""


@dataclass(frozen=True)
class CausalOptions:
    """``full`` trains every weight, ``lora`` an adapter beside them. A prompt and its reply have
    ``max_tokens`` together, and passages are dropped from the end of it as in serving. With
    ``declines`` each question is also learned over passages that do not tell. ``bits`` quantises
    the base under an adapter."""

    method: Literal["lora", "full"] = "lora"
    lora: LoraOptions = ANSWERING
    max_tokens: int = 2048
    max_output_tokens: int = 100
    declines: bool = True
    bits: Bits | None = None


@dataclass(frozen=True)
class TrainedGenerator:
    """``spec`` serves what was trained; ``answers`` are its own to the dev questions, by id, with
    their mean exact match and token F1."""

    trained: Trained
    spec: TransformersSpec
    answers: Mapping[str, Answer]
    exact_match: float
    token_f1: float
    refused: tuple[Refused, ...]


@dataclass(frozen=True, slots=True)
class _Sequence:
    """Tokens of a prompt and its reply, the last ``learned`` of which are the reply."""

    tokens: tuple[int, ...]
    learned: int


class CausalTask:
    """A language model, its training sequences and its dev examples (loop.Task)."""

    def __init__(
        self,
        language_model: LanguageModel,
        sequences: Sequence[_Sequence],
        dev: Sequence[AnswerExample],
        spec: TransformersSpec,
    ) -> None:
        self.model, self.tokenizer = language_model.model, language_model.tokenizer
        self.answers: dict[str, Answer] = {}
        self._sequences, self._dev = sequences, dev
        self._generator = TransformersGenerator(spec, language_model)

    @property
    def size(self) -> int:
        return len(self._sequences)

    def loss(self, chosen: Sequence[int]) -> Tensor:
        """Mean over the examples of the mean cost of their reply's tokens, in nats."""
        import torch

        self.model.train()
        batch = [self._sequences[at] for at in chosen]
        longest, kept = max(len(s.tokens) for s in batch), max(s.learned for s in batch)
        # Padded in front, replies end together: logits are made for that stretch alone.
        tokens = torch.zeros(len(batch), longest, dtype=torch.long)
        attended = torch.zeros_like(tokens)
        labels = torch.full((len(batch), kept), IGNORED)
        for row, one in enumerate(batch):
            tokens[row, -len(one.tokens) :] = torch.tensor(one.tokens)
            attended[row, -len(one.tokens) :] = 1
            labels[row, -one.learned :] = tokens[row, -one.learned :]
        place = self.model.device
        logits = self.model(
            input_ids=tokens.to(place),
            attention_mask=attended.to(place),
            position_ids=(attended.cumsum(1) - 1).clamp(min=0).to(place),
            logits_to_keep=kept + 1,
            use_cache=False,
        ).logits[:, :-1]
        costs = torch.nn.functional.cross_entropy(
            logits.transpose(1, 2).float(),
            labels.to(place),
            ignore_index=IGNORED,
            reduction="none",
        )
        learned = torch.tensor([one.learned for one in batch], device=place)
        return (costs.sum(1) / learned).mean()

    def score(self) -> float:
        """Mean token F1 of the answers to the dev examples, written as serving would write them."""
        self.model.eval()
        self.answers = {one.question_id: self._answer(one) for one in self._dev}
        return self.quality()[1]

    def quality(self) -> tuple[float, float]:
        """Mean exact match and mean token F1 of the last answers."""
        marks = [score_answer(self.answers[one.question_id], one) for one in self._dev]
        exact, f1 = zip(*marks, strict=True)
        return sum(exact) / len(marks), sum(f1) / len(marks)

    def _answer(self, example: AnswerExample) -> Answer:
        try:
            return self._generator.answer(example.question, example.context)
        except GenerationError as error:
            return Answer(text="", status="error", error=str(error), model=self._generator.name)


def train_generator(
    base: str,
    examples: Sequence[AnswerExample],
    dev: Sequence[AnswerExample],
    options: CausalOptions,
    loop: LoopOptions,
    folder: Path,
    progress: Progress | None = None,
) -> TrainedGenerator:
    """Train the model in the folder ``base`` and keep what was learned in ``folder``: ``adapter``,
    or ``model`` where every weight was trained.

    Raises TrainingError where fewer than ten examples can be used or loss is not a number,
    ModelError where there is no such model. A run that was killed goes on from ``folder``.
    """
    import torch

    shown, refused = usable_examples(examples, "training")
    judged, refused_dev = usable_examples(dev, "dev")
    if options.declines:
        shown, judged = with_declines(shown), with_declines(judged)
    torch.manual_seed(loop.seed)
    language_model = _prepare(base, options, loop.seed)
    most = options.max_output_tokens
    spec = TransformersSpec(
        kind="transformers", model=base, max_output_tokens=most, timeout_s=3600.0
    )
    room = min(options.max_tokens, language_model.window)
    sequences, too_long = encode_examples(language_model.tokenizer, shown, room, options)
    task = CausalTask(language_model, sequences, judged, spec)
    with memory_faults(TrainingError, "to train on", "lower micro or max_tokens"):
        if options.method == "lora":
            check_task(task)
        trained = train(task, loop, folder, progress)
    task.score()
    exact, f1 = task.quality()
    return TrainedGenerator(
        trained=trained,
        spec=_keep(task, spec, options, examples_hash(shown), folder),
        answers=task.answers,
        exact_match=exact,
        token_f1=f1,
        refused=(*refused, *refused_dev, *too_long),
    )


def encode_examples(
    tokenizer: Any, examples: Sequence[AnswerExample], room: int, options: CausalOptions
) -> tuple[list[_Sequence], list[Refused]]:
    """Sequences of at most ``room`` tokens; refused where an example's answer, or a passage that
    holds it, does not fit."""
    sequences, refused = [], []
    for one in examples:
        reply = cited_reply(one)
        written = encode_reply(tokenizer, one.question, one.context[:1], reply)
        try:
            prompt = encode_prompt(tokenizer, one.question, one.context, room - len(written))
        except GenerationError:
            refused.append(Refused(one.question_id, f"it is longer than {room} tokens"))
            continue
        short = replace(one, context=one.context[: prompt.kept])
        if len(written) > options.max_output_tokens:
            refused.append(Refused(one.question_id, "its answer is over max_output_tokens"))
        elif cited_reply(short) != reply:
            refused.append(Refused(one.question_id, f"its gold passage is beyond {room} tokens"))
        else:
            sequences.append(_Sequence(prompt.tokens + written, len(written)))
    return sequences, refused


def _prepare(base: str, options: CausalOptions, seed: int) -> LanguageModel:
    folder = model_folder(base)
    if options.bits is None:
        model = load_model(folder, "CausalLM", dtype="float32").to(Processes().device)
    else:
        require_adapter(options.method)
        model = load_model(folder, "CausalLM", dtype="auto", quantised=quantisation(options.bits))
        model = prepare_quantised(model)
    if options.method == "lora":
        model = add_lora(model, options.lora, seed=seed, task="CAUSAL_LM")
    held = LanguageModel(model, load_tokenizer(folder))
    if not held.ends:
        raise TrainingError(
            f"the tokenizer of {base} has no token that ends a reply",
            remedy="set eos_token in its tokenizer_config.json",
        )
    return held


def _keep(
    task: CausalTask, spec: TransformersSpec, options: CausalOptions, data_hash: str, folder: Path
) -> TransformersSpec:
    """Write what was trained (the first process does), and say how it is served."""
    place = folder / ("adapter" if options.method == "lora" else "model")

    def write(draft: Path) -> None:
        task.model.save_pretrained(str(draft))
        task.tokenizer.save_pretrained(str(draft))

    if Processes().is_first and options.method == "lora":
        base, weights = Path(spec.model).name, base_hash(spec.model)
        manifest = AdapterManifest(base, weights, "lora", data_hash, options=asdict(options))
        save_adapter(task.model, place, manifest)
    elif Processes().is_first:
        replace_folder(place, write)
    named = {"adapter": str(place)} if options.method == "lora" else {"model": str(place)}
    return spec.model_copy(update={**named, "timeout_s": 60.0})
