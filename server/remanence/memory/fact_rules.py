"""Facts without a language model: cheap rules for what people say outright, in four languages.

They find little and mean to: decisions, preferences, versions, ports, paths and names, each in words that
hardly mean anything else. What is asked, supposed, or quoted as code is not said.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources

from remanence.memory.fact import Draft, is_grounded
from remanence.memory.function_words import is_function_word
from remanence.memory.passages import sentences, split_code

RULES_VERSION = "rules-2"

_LONGEST = 300  # characters of a sentence that states one thing
_MOST_READ = 20_000
_MOST_FACTS = 12
_NAME = r"[\w.@/+-]*\w"  # a service, a tool, a project: one word as developers write them
_OBJECT = r"[^.,;:!?\n]{2,80}?"
_END = (
    r"(?=\s*(?:[.,;:!]|$|\b(?:instead|now|for now|because|last|yesterday|today|recently|car|hier|la semaine|"
    r"porque|ayer|weil|statt|gestern|seit)\b))"
)
_SUPPOSED = re.compile(
    r"^\W*(?:if|suppose|imagine|what if|could|should|would|can|how|why|when(?! naming)|is|are|does|do|"
    r"si|et si|comment|pourquoi|est-ce|cómo|por qué|qué|wenn|falls|wie|warum|kann|soll)\b",
    re.IGNORECASE,
)


_PARTS = {"value": f"(?P<value>{_OBJECT}){_END}", "object": _OBJECT, "name": _NAME, "end": _END}


@dataclass(frozen=True, slots=True)
class _Rule:
    """`pattern` names the groups `value` and, where `subject` is empty, `subject`."""

    topic: str
    language: str
    pattern: re.Pattern[str]
    subject: str = "user"
    single: bool = False
    confidence: float = 0.6
    from_answer: bool = False


def _read_rules() -> tuple[_Rule, ...]:
    path = resources.files("remanence.memory") / "fact_patterns.toml"
    told = tomllib.loads(path.read_text(encoding="utf-8"))
    rules: list[_Rule] = []
    for each in told["rule"]:
        pattern = each.pop("pattern")
        for name, stands_for in _PARTS.items():
            pattern = pattern.replace(f"{{{name}}}", stands_for)
        rules.append(_Rule(**each, pattern=re.compile(pattern, re.IGNORECASE)))
    return tuple(rules)


def draft_facts(question: str, answer: str, said_at: int | None) -> list[Draft]:
    """What an exchange states outright; `said_at` (UTC epoch ms) is from when on it holds."""
    found: dict[str, Draft] = {}
    for text, is_answer in ((question, False), (answer, True)):
        for sentence in _stated(text):
            for draft in _drafts(sentence, is_answer, said_at):
                found.setdefault(draft.id, draft)
                if len(found) == _MOST_FACTS:
                    return list(found.values())
    return list(found.values())


def _stated(text: str) -> Iterator[str]:
    """The sentences of the prose that state something."""
    for part in split_code(text[:_MOST_READ]):
        if not isinstance(part, str):
            continue
        for sentence in sentences(part):
            plain = " ".join(sentence.split()).strip("-*•># ")
            if len(plain) <= _LONGEST and not plain.endswith("?") and not _SUPPOSED.match(plain):
                yield plain


def _drafts(sentence: str, is_answer: bool, said_at: int | None) -> Iterator[Draft]:
    for rule in _RULES:
        if is_answer and not rule.from_answer:
            continue
        match = rule.pattern.search(sentence)
        if match is None:
            continue
        value = match["value"].strip(" `'\"*")
        subject = rule.subject or match["subject"].strip("`")
        if is_function_word(subject):  # "it", "which": who knows what that was
            continue
        draft = Draft(
            text=sentence.rstrip(".") + ".",
            subject=subject,
            topic=rule.topic,
            value=value,
            words=sentence,
            language=rule.language,
            valid_from=said_at,
            confidence=rule.confidence,
            single=rule.single,
        )
        if is_grounded(draft, sentence):
            yield draft


_RULES = _read_rules()
