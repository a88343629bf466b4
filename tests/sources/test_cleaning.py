from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remanence.sources.cleaning import drop_injected, drop_thinking, without_images

TAGS = ["think", "thinking", "reasoning"]


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("<think>hm</think>\n\nYes.", "Yes."),
        ("[THINK]hm[/THINK]Yes.", "Yes."),
        ('<details type="reasoning" done="true">\n<summary>x</summary>\nhm\n</details>\nYes.', "Yes."),
        ("<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>Yes.", "Yes."),
        ("Let me see.\n</think>\nYes.", "Yes."),
        ("First.\n<reasoning>hm</reasoning>\nSecond.", "First.\n\nSecond."),
        ("<think>cut while thin", ""),
        ("Write `<think>` yourself.", "Write `<think>` yourself."),
        ("```xml\n<think>kept</think>\n```", "```xml\n<think>kept</think>\n```"),
        ("Like so:\n<think>\nand no end", "Like so:\n<think>\nand no end"),
        ("<details>\nopen me\n</details>", "<details>\nopen me\n</details>"),
    ],
)
def test_thinking_is_dropped_and_text_about_it_is_not(said: str, kept: str) -> None:
    assert drop_thinking(said) == kept


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from([f"<{t}>" for t in TAGS] + [f"</{t}>" for t in TAGS] + ["a", "\n", "```", " "]))
)
def test_dropping_thinking_only_ever_takes_away(parts: list[str]) -> None:
    text = "".join(parts)
    assert set(drop_thinking(text).split()) <= set(text.split()) | {
        piece for word in text.split() for piece in _suffixes(word)
    }


def _suffixes(word: str) -> set[str]:
    return {word[start:end] for start in range(len(word)) for end in range(start + 1, len(word) + 1)}


def test_inlined_images_become_a_mark_and_short_data_stays() -> None:
    picture = "data:image/png;base64," + "QUJD" * 100
    assert without_images(f"see ![it]({picture}) here") == "see ![it]([image]) here"
    assert without_images("data:text/plain;base64,QUJD") == "data:text/plain;base64,QUJD"


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("<system-reminder>x</system-reminder>Ask.", "Ask."),
        ("Ask.\n<ide_selection>code</ide_selection>", "Ask."),
        ("Why is <system-reminder> there?", "Why is <system-reminder> there?"),
        ("<system-reminder>a</system-reminder>b<ide_x>c</ide_x>d", "bd"),
    ],
)
def test_injected_blocks_are_dropped(said: str, kept: str) -> None:
    assert drop_injected(said) == kept
