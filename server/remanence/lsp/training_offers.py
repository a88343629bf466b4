"""What the server asks the user about training: again, after something learned was forgotten, or by itself.

Nothing is polled: whether a run is due is looked for when the server begins, and after it captured something.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lsprotocol import types
from pygls.exceptions import JsonRpcException

from remanence.engine.client import EngineClient, EngineError
from remanence.engine.learning_messages import (
    AutomaticAnswer,
    AutomaticRequest,
    AutomaticResponse,
    TrainRequest,
)
from remanence.engine.messages import ForgetResponse
from remanence.lsp.engine_errors import ENGINE_SECONDS
from remanence.lsp.progress import follow

if TYPE_CHECKING:
    from remanence.lsp.language_server import RemanenceLanguageServer

log = logging.getLogger(__name__)

RETRAIN = "Retrain without it"
ANSWERS: dict[str, AutomaticAnswer] = {
    "Train now": "now",
    "Always": "always",
    "Not now": "later",
    "Never": "never",
}
TITLE = "Learning what is remembered"

_REST_SECONDS = 3.0  # what is captured in a row is looked at once
_HINDERED_SECONDS = 60.0
_MOST_LOOKS = 30  # while a run is due and something hinders it; the next capture begins anew


async def offer_retraining(ls: RemanenceLanguageServer, engine: EngineClient, told: ForgetResponse) -> None:
    """Ask once whether the adapter that had learned the forgotten shall be trained again, and do so."""
    if told.retrain is None:
        if told.note:
            ls.window_show_message(types.ShowMessageParams(types.MessageType.Info, f"Remanence: {told.note}"))
        return
    said = f"{', '.join(told.adapters)} had learned what was forgotten, and is not used any more."
    try:
        if await _asked(ls, types.MessageType.Warning, said, [RETRAIN, "Not now"]) != RETRAIN:
            return
        started = await engine.train(TrainRequest(instead_of=told.retrain))
    except JsonRpcException:
        return  # the client cannot ask: the answer to the command said what to do
    except EngineError as error:
        _tell(ls, error.message)
        return
    follow(ls, engine, started.job_id, TITLE)


class AutomaticTraining:
    """Looks whether a run is due, and asks the user the one time that the engine says so."""

    def __init__(self, ls: RemanenceLanguageServer) -> None:
        self._ls = ls
        self._is_off = False
        self._is_looking = False
        self._again = False

    def look(self) -> None:
        """Something was captured, or the server begins."""
        self._again = True
        if not self._is_off and not self._is_looking:
            self._is_looking = True
            self._ls.background.run(self._look(), "look whether training is due")

    async def _look(self) -> None:
        try:
            rest = _REST_SECONDS
            for _ in range(_MOST_LOOKS):
                await asyncio.sleep(rest)
                self._again = False
                engine = await self._ls.engine.client(ENGINE_SECONDS)
                told = await engine.automatic(AutomaticRequest())
                self._is_off = not told.after
                if told.ask:
                    told = await self._ask(engine, told)
                follow(self._ls, engine, told.job_id, TITLE)
                is_hindered = told.words is not None and told.new > 0
                if told.words is not None and not is_hindered:
                    self._ls.tell_once(told.words, types.MessageType.Warning)
                if self._is_off or not (self._again or is_hindered):
                    return
                rest = _REST_SECONDS if self._again else _HINDERED_SECONDS
        except EngineError as error:
            log.warning("It was not found out whether training is due: %s", error.message)
        finally:
            self._is_looking = False

    async def _ask(self, engine: EngineClient, told: AutomaticResponse) -> AutomaticResponse:
        nothing = AutomaticResponse(after=told.after)
        try:
            chosen = await _asked(self._ls, types.MessageType.Info, told.words or "", list(ANSWERS))
            return await engine.automatic(AutomaticRequest(answer=ANSWERS.get(chosen or "", "later")))
        except JsonRpcException:
            return nothing  # the client cannot ask: the status says that a run is due
        except EngineError as error:
            _tell(self._ls, error.message)
            return nothing


async def _asked(
    ls: RemanenceLanguageServer, kind: types.MessageType, said: str, actions: Sequence[str]
) -> str | None:
    """What the user chose; None where it was closed. Raises JsonRpcException where the client cannot ask."""
    items = [types.MessageActionItem(title=each) for each in actions]
    chosen = await ls.window_show_message_request_async(
        types.ShowMessageRequestParams(type=kind, message=f"Remanence: {said}", actions=items)
    )
    return chosen.title if chosen is not None else None


def _tell(ls: RemanenceLanguageServer, said: str) -> None:
    ls.window_show_message(types.ShowMessageParams(types.MessageType.Error, f"Remanence: {said}"))
