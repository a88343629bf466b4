"""What suits a machine: how much of its memory language models may take, and which models fit in there.

Nothing is ever downloaded: a recommendation is a name to look for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import psutil

ProfileName = Literal["light", "medium", "heavy"]

# A machine sold with 16 GB shows the system less: the firmware and the graphics take their part first.
_HEAVY_MB = 14 * 1024
_MEDIUM_MB = 7 * 1024
_MODELS_SHARE = 0.5
_WARN_SHARE = 0.6
_MB = 2**20


@dataclass(frozen=True, slots=True)
class Recommendation:
    """A model by the name under which it is found as GGUF; `size_mb` is its file's, in millions of bytes."""

    name: str
    quantisation: str
    size_mb: int
    note: str


@dataclass(frozen=True, slots=True)
class Profile:
    """`most_mb` is what models may take together, `warn_mb` what all of Remanence may take before it says
    so; `context` is the window that a model gets where the settings leave it open and it has a larger one."""

    name: ProfileName
    total_mb: int
    most_mb: int
    warn_mb: int
    context: int
    recommended: tuple[Recommendation, ...]


_WITH_EXTRA = "with the extra `llama`"
_CHAT_1B = Recommendation("Llama-3.2-1B-Instruct", "Q4_K_M", 808, f"answers; {_WITH_EXTRA}")
_CHAT_3B = Recommendation("Llama-3.2-3B-Instruct", "Q4_K_M", 2020, f"answers; {_WITH_EXTRA}")
_CHAT_8B = Recommendation("Meta-Llama-3.1-8B-Instruct", "Q4_K_M", 4920, f"answers; {_WITH_EXTRA}")
_CODE_SMALL = Recommendation("Qwen2.5-Coder-0.5B-Instruct", "Q8_0", 531, f"inline code; {_WITH_EXTRA}")
_CODE_1B = Recommendation("Qwen2.5-Coder-1.5B-Instruct", "Q4_K_M", 986, f"inline code; {_WITH_EXTRA}")
_CODE_7B = Recommendation("Qwen2.5-Coder-7B-Instruct", "Q4_K_M", 4683, f"code and answers; {_WITH_EXTRA}")
_BUILT_IN = "runs with what is installed (ctransformers)"
_OLDER_1B = Recommendation("TinyLlama-1.1B-Chat-v1.0", "Q4_K_M", 669, f"answers; {_BUILT_IN}")
_OLDER_7B = Recommendation("CodeLlama-7B-Instruct", "Q4_K_M", 4081, f"code; {_BUILT_IN}")

_RECOMMENDED: dict[ProfileName, tuple[Recommendation, ...]] = {
    "light": (_CHAT_1B, _CODE_SMALL, _OLDER_1B),
    "medium": (_CHAT_3B, _CODE_1B, _CHAT_1B, _OLDER_1B),
    "heavy": (_CODE_7B, _CHAT_8B, _CHAT_3B, _CODE_1B, _OLDER_7B),
}


def profile_of(total_mb: int | None = None) -> Profile:
    """The profile of a machine with so much memory; of this one where it is not said."""
    total = round(psutil.virtual_memory().total / _MB) if total_mb is None else total_mb
    name: ProfileName = "heavy" if total >= _HEAVY_MB else "medium" if total >= _MEDIUM_MB else "light"
    return Profile(
        name=name,
        total_mb=total,
        most_mb=round(total * _MODELS_SHARE),
        warn_mb=round(total * _WARN_SHARE),
        context=8192 if name == "heavy" else 4096,
        recommended=_RECOMMENDED[name],
    )


def largest_within(size_mb: float) -> Recommendation | None:
    """The largest of all recommended models whose file is no larger."""
    known = {each for group in _RECOMMENDED.values() for each in group}
    return max(
        (each for each in known if each.size_mb <= size_mb), key=lambda each: each.size_mb, default=None
    )
