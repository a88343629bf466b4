"""What memory does for a request that passes: a block before its question, the exchange kept at its end."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from remanence.engine import messages as m
from remanence.engine.verbs import EngineError, Handler
from remanence.memory.prompt import strip_memory
from remanence.proxy.answers import Answered
from remanence.proxy.prompts import Prompt
from remanence.sources.cleaning import drop_thinking

log = logging.getLogger(__name__)

_TURNS = 256  # an agent asks many times in one turn, and each time gets the same block
_LONGEST_QUERY = 6000  # characters; of a longer question its beginning and its end are asked with
_CHARACTERS_PER_TOKEN = 4
_SUBSTANTIAL = 400  # characters; an answer that was cut off before says too little to be kept
_PARTIAL = "partial"


@dataclass(frozen=True, slots=True)
class Block:
    """Memories as they go before a question, and their ids; empty where there are none."""

    text: str = ""
    memories: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asked, and in which project, where it says so; when, in epoch ms, and on the event loop's clock."""

    tool: str
    workspace: str | None
    asked_at: int
    arrived: float


class Memory(Protocol):
    """What the endpoint needs of a memory."""

    async def block(self, prompt: Prompt, asker: Asker) -> Block: ...

    def keep(self, prompt: Prompt, asker: Asker, answered: Answered) -> None: ...


class Remembering:
    """Memory by the engine's own verbs. A block that is not there `patience` seconds after the request was is
    done without; `token_budget` is for the block alone."""

    def __init__(
        self,
        handlers: dict[str, Handler],
        *,
        enrich: bool,
        capture: bool,
        token_budget: int,
        patience: float,
    ) -> None:
        self._handlers = handlers
        self._enrich = enrich
        self._capture = capture
        self._token_budget = token_budget
        self._patience = patience
        self._blocks: OrderedDict[tuple[str, str, str], Block] = OrderedDict()
        self._threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="proxy recall")
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="proxy capture")
        self._kept: set[asyncio.Future[None]] = set()

    async def block(self, prompt: Prompt, asker: Asker) -> Block:
        """The block for this turn; the same at each of its requests, so that the server's cache holds."""
        if not self._enrich or not prompt.takes_block:
            return Block()
        turn = (asker.tool, prompt.conversation_id, prompt.turn_key)
        if turn not in self._blocks:
            self._blocks[turn] = await self._found(prompt, asker)
            while len(self._blocks) > _TURNS:
                self._blocks.popitem(last=False)
        self._blocks.move_to_end(turn)
        return self._blocks[turn]

    def keep(self, prompt: Prompt, asker: Asker, answered: Answered) -> None:
        """Capture the exchange in the background, if it is one: the last step of a turn, or most of it."""
        if not self._capture or answered.calls_tools:
            return
        answer = strip_memory(drop_thinking("\n\n".join([*prompt.said, answered.text]))).strip()
        if not answered.text.strip() or not answer:
            return
        if not answered.is_finished and len(answer) < _SUBSTANTIAL:
            return
        request = m.CaptureRequest(
            question=prompt.question,
            answer=answer,
            asked_at=asker.asked_at,
            model=answered.model or prompt.model or None,
            tool=asker.tool,
            conversation_id=prompt.conversation_id,
            turn_key=prompt.turn_key,
            workspace=asker.workspace,
            tags=[] if answered.is_finished else [_PARTIAL],
        )
        loop = asyncio.get_running_loop()
        writing = loop.run_in_executor(self._writer, self._captured, request)
        self._kept.add(writing)
        writing.add_done_callback(self._kept.discard)

    async def finish(self) -> None:
        """Once everything that was to be kept is."""
        while self._kept:
            await asyncio.wait(set(self._kept))
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._writer.shutdown(wait=False)

    async def _found(self, prompt: Prompt, asker: Asker) -> Block:
        cancelled = threading.Event()
        loop = asyncio.get_running_loop()
        work = loop.run_in_executor(self._threads, self._looked_up, prompt, asker, cancelled)
        left = asker.arrived + self._patience - loop.time()
        done, _ = await asyncio.wait({work}, timeout=max(left, 0))
        if not done:
            cancelled.set()
            work.add_done_callback(_ignored)
            return Block()
        return work.result()

    def _looked_up(self, prompt: Prompt, asker: Asker, cancelled: threading.Event) -> Block:
        query = _query(prompt.question)
        request = m.EnrichPromptRequest(
            prompt=query,
            token_budget=self._token_budget + len(query) // _CHARACTERS_PER_TOKEN,
            share=1.0,
            workspace=asker.workspace,
            except_conversation_id=prompt.conversation_id,
            except_ids=sorted(prompt.told),
        )
        try:
            enriched = self._handlers["enrich_prompt"](request, cancelled.is_set)
            assert isinstance(enriched, m.EnrichPromptResponse)
            text = enriched.prompt.removesuffix(query)
            is_whole = bool(text) and text != enriched.prompt and not strip_memory(text).strip()
            if is_whole:
                return Block(text, frozenset(each.id for each in enriched.memories))
        except EngineError as error:
            if error.code != "cancelled":
                log.warning("a prompt went on without memories: %s", error.code)
        except Exception as error:  # noqa: BLE001  a failing memory must not stand between two programs
            log.warning("a prompt went on without memories: %s", type(error).__name__)
        return Block()

    def _captured(self, request: m.CaptureRequest) -> None:
        try:
            self._handlers["capture"](request, _never)
        except EngineError as error:
            log.warning("an exchange was not kept: %s", error.code)
        except Exception as error:  # noqa: BLE001  as above, and never its words, which may quote it
            log.warning("an exchange was not kept: %s", type(error).__name__)


def _query(question: str) -> str:
    if len(question) <= _LONGEST_QUERY:
        return question
    half = _LONGEST_QUERY // 2
    return f"{question[:half]}\n{question[-half:]}"


def _ignored(work: asyncio.Future[Block]) -> None:
    if not work.cancelled():
        work.exception()


def _never() -> bool:
    return False
