"""A language model as judge: structured output, temperature 0, each question asked once.

A reply that is no judgement is asked for once more, then the grade has the status ``judge_error``
and no Y. Several failures of the server in a row end the work: that is the server's fault and
would otherwise be counted against every answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any

from ragdiag.configuration import JudgeTable
from ragdiag.errors import GenerationError
from ragdiag.generation.chat import ChatClient, Completion
from ragdiag.generation.steadfast import Steadfastness
from ragdiag.grading.contract import Item, Subject, undecidable
from ragdiag.grading.judge_cache import JudgeCache, Kept, key_of
from ragdiag.grading.rubrics import Rubric, read_reply, response_format
from ragdiag.progress import Progress, report
from ragdiag.records import Grade, SentenceSupport
from ragdiag.version import OpenAISpec

SETTINGS = "[judge] of ragdiag.toml"
CHARS_PER_TOKEN = 4
"""Of English, roughly; the price shown before a run is a guess, and says so."""

REMINDER = "Reply again with one JSON object of the stated form, and nothing else."


@dataclass(frozen=True, slots=True)
class JudgePlan:
    """What grading will ask: ``calls`` new ones, of which ``again`` ask once more, past the cache;
    ``kept`` answers are known. Completion tokens are the most there can be; the cost is None
    without prices."""

    calls: int
    again: int
    kept: int
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float | None


class Judge:
    """One model with one rubric; its name holds both."""

    def __init__(self, model: str, rubric: Rubric, table: JudgeTable, cache: JudgeCache) -> None:
        """Raises SpecError or ProviderRefused as ChatClient does; asks nothing yet."""
        self.name = f"{rubric.prefix}:{model}/{rubric.name}"
        self.about: Subject = rubric.about
        self.rubric = rubric
        self.cache = cache
        settings = table.model_dump(exclude={"concurrency"})
        spec = OpenAISpec(kind="openai", model=model, temperature=0.0, **settings)
        self.client = ChatClient(spec, SETTINGS)
        self._concurrency = table.concurrency
        self._steadfast = Steadfastness("judgements")

    def request(self, item: Item) -> dict[str, Any]:
        """The request body that judges ``item``."""
        asked = self.client.request(self.rubric.messages(item))
        return {**asked, "response_format": response_format(self.rubric)}

    def key(self, request: Mapping[str, Any]) -> str:
        return key_of(self.client.spec.base_url, request)

    def unasked(self, items: Sequence[Item]) -> dict[str, Item]:
        """What must be asked, once each, by its key."""
        judged = (i for i in items if undecidable(i, self.name, self.about) is None)
        by_key = {self.key(self.request(item)): item for item in judged}
        return {key: item for key, item in by_key.items() if self.cache.get(key) is None}

    def plan(self, items: Sequence[Item], again: Sequence[Item] = ()) -> JudgePlan:
        """What ``grade``, and ``grade_again`` of ``again``, would ask and cost; asks nothing."""
        judged = sum(undecidable(i, self.name, self.about) is None for i in items)
        new = list(self.unasked(items).values())
        waiting = [*new, *again]
        asked = [self.request(item)["messages"] for item in waiting]
        chars = sum(len(message["content"]) for messages in asked for message in messages)
        prompt = chars // CHARS_PER_TOKEN
        most = len(waiting) * self.client.spec.max_output_tokens
        cost = self.client.cost(prompt, most)
        kept = judged - len(new)
        return JudgePlan(len(waiting), len(again), kept, prompt, most, cost)

    def grade(self, items: Sequence[Item], progress: Progress | None = None) -> list[Grade]:
        """Judge with at most ``concurrency`` questions under way. Raises GeneratorDown."""
        return self._each(items, self._judge, progress)

    def grade_again(self, items: Sequence[Item]) -> list[Grade]:
        """As ``grade``, past the cache: what it holds is neither read nor changed."""
        return self._each(items, self._judge_again, None)

    def _each(
        self, items: Sequence[Item], judge: Callable[[Item], Grade], progress: Progress | None
    ) -> list[Grade]:
        self._steadfast.succeeded()
        grades: dict[int, Grade] = {}
        with ThreadPoolExecutor(self._concurrency) as pool:
            running = {pool.submit(judge, item): n for n, item in enumerate(items)}
            try:
                for done in as_completed(running):
                    grades[running[done]] = done.result()
                    fraction = len(grades) / len(items)
                    report(progress, fraction, f"judged {len(grades)} of {len(items)}")
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        return [grades[number] for number in range(len(items))]

    def keep(self, key: str, completion: Completion, item: Item) -> Kept | None:
        """Keep the judgement in a completion; None where it holds none."""
        kept = self._read(completion, item)
        if kept is not None:
            self.cache.put(key, kept)
        return kept

    def _read(self, completion: Completion, item: Item) -> Kept | None:
        found = read_reply(self.rubric, completion.content, item)
        if found is None:
            return None
        tokens = (completion.prompt_tokens, completion.completion_tokens)
        return Kept(found.y, found.score, *tokens, completion.cost_usd, found.sentences)

    def _judge(self, item: Item) -> Grade:
        known = undecidable(item, self.name, self.about)
        if known is not None:
            return known
        request = self.request(item)
        key = self.key(request)
        if kept := self.cache.get(key):
            return self._grade(item, kept)
        return self._asked(item, lambda completion: self.keep(key, completion, item))

    def _judge_again(self, item: Item) -> Grade:
        known = undecidable(item, self.name, self.about)
        return known or self._asked(item, lambda completion: self._read(completion, item))

    def _asked(self, item: Item, read: Callable[[Completion], Kept | None]) -> Grade:
        """Ask, and once more where the reply was no judgement."""
        request = self.request(item)
        *head, last = request["messages"]
        # In the same message: many chat templates refuse two of one role in a row.
        again = [*head, {**last, "content": f"{last['content']}\n\n{REMINDER}"}]
        try:
            for messages in (request["messages"], again):
                if kept := read(self._complete(messages, request["response_format"])):
                    return self._grade(item, kept)
        except GenerationError as error:
            return self._error(item, error.message)
        return self._error(item, "two replies were no judgement")

    def _grade(self, item: Item, kept: Kept) -> Grade:
        sentences = tuple(
            SentenceSupport(held, None, item.context[number - 1].passage_id if number else None)
            for held, number in kept.sentences
        )
        name = self.rubric.name
        return Grade(item.item_id, self.name, kept.y, kept.score, "ok", name, sentences)

    def _complete(self, messages: Any, form: Mapping[str, Any]) -> Completion:
        try:
            completion = self.client.complete(messages, response_format=form)
        except GenerationError as error:
            self._steadfast.failed(error)
            raise
        self._steadfast.succeeded()
        return completion

    def _error(self, item: Item, reason: str) -> Grade:
        return Grade(item.item_id, self.name, None, None, "judge_error", reason)
