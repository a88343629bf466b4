"""Asking a language model in tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from remanence.models.language_model import ChatMessage, Generation, LanguageModel, Usage
from remanence.models.openai_backend import OpenAIModel
from remanence.settings import LanguageModelSettings


def never() -> bool:
    return False


def chat(text: str, **options: Any) -> Generation:
    return Generation(messages=(ChatMessage("user", text),), **options)


def written(
    model: LanguageModel, asked: Generation, cancelled: Callable[[], bool] = never
) -> tuple[list[str], Usage]:
    *pieces, usage = model.generate(asked, cancelled)
    assert isinstance(usage, Usage)
    return [piece for piece in pieces if isinstance(piece, str)], usage


def said(model: LanguageModel, asked: Generation) -> str:
    return "".join(written(model, asked)[0])


def at(url: str, model: str = "m", key_env: str = "", context: int = 0, **options: Any) -> OpenAIModel:
    return OpenAIModel(
        LanguageModelSettings(url=url, model=model, key_env=key_env, context=context), **options
    )
