"""An editor teaches its model: from what was said to an adapter that is trusted, and back again.

One chain is trained for all of these tests, by LSP commands alone; each goes on from a copy of its home.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from editor_window import Window, editor_window, until

import tiny_learner
from remanence.paths import Home
from remanence.training.run_folder import RunFolder
from tiny_learner import GENERAL, HELD_OUT, SERVICES, Service

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]

EARLIER = SERVICES[:5]
STAYED = SERVICES[5:10]
MOVED = [service.moved(to) for service, to in zip(SERVICES[10:12], ("22", "33"), strict=True)]
TAUGHT = [*STAYED, *MOVED]
NEVER = (
    *("ombrask", "leptune", "dwixel", "arbonto", "sculfen", "yimparo", "thrennow", "gorvale", "marquill"),
    *("sondrey", "feltham", "obrique", "tallowen", "crispane", "dwelmar", "ippolin", "vantrose", "zubrick"),
    *("hemlin", "gruthak", "nerovi", "palmwick", "rostrum", "sivane"),
)
WAIT = 600.0
RECIPE = """
name = "chain"
[train]
learning_rate = 3e-3
batch_size = 16
epochs = 12
max_length = 512
replay = 4.0
warmup = 0.03
evaluate_every = 40
[gate]
least_learned = 0.9
most_general_loss = 0.09
most_stale = 0.05
most_invented = 0.35
[care]
only_on_mains = false
threads = 1
"""


@dataclass(frozen=True)
class Shares:
    """Of the questions about what was taught, now and earlier, the share answered with the right port; of
    those about what moved the share answered with the old one; of what was never said the share declined; of
    the general ones the share answered right."""

    taught: float
    earlier: float
    stale: float
    declined: float
    general: float


@dataclass(frozen=True)
class Chain:
    """A home whose model was taught EARLIER, and then TAUGHT: that adapter, the answers of the bare model,
    `before` the second training, and after it, and `halfway` a copy of the home as it was before it.
    `exchanges` are ids by service."""

    home: Home
    halfway: Home
    message: str
    adapter: dict[str, Any]
    exchanges: dict[str, list[str]]
    bare: Shares
    before: Shares
    after: Shares


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory, embedder_folder: Path) -> Chain:
    """The chain, once for all."""

    async def taught() -> Chain:
        home = home_in(tmp_path_factory.mktemp("chain"), embedder_folder)
        async with editor_window(home) as window:
            await said(window, EARLIER)
            bare = await shares(window)
            await ended(window, await begun(window, home))
            assert_active(await newest(window))
        halfway = copied(home, tmp_path_factory.mktemp("halfway"))
        async with editor_window(home) as window:
            exchanges = await said(window, TAUGHT)
            before = await shares(window)
            job = await ended(window, await begun(window, home))
            adapter, after = await newest(window), await shares(window)
        return Chain(home, halfway, job["message"], adapter, exchanges, bare, before, after)

    return asyncio.run(taught())


def copied(home: Home, folder: Path) -> Home:
    shutil.copytree(home.root, folder / "home", symlinks=True)
    return Home(folder / "home")


def home_in(folder: Path, embedder: Path) -> Home:
    """One with the model in its settings."""
    home = Home(folder / "home").create()
    (home.models / embedder.name).symlink_to(embedder, target_is_directory=True)
    home.settings.write_text(
        '[language_models]\nuse = "learner"\n[language_models.models.learner]\n'
        f'path = "{tiny_learner.folder().as_posix()}"\nthreads = 1\n'
    )
    return home


async def said(window: Window, services: Sequence[Service]) -> dict[str, list[str]]:
    """Each service's port said in an exchange, and some moved later; once all of it is known."""
    texts = [(service, service.said_before if service.port_before else service.said) for service in services]
    texts += [(service, service.said) for service in services if service.port_before]
    ids: dict[str, list[str]] = {}
    for day, (service, text) in enumerate(texts, start=1):
        asked = {"question": text, "answer": "Noted.", "askedAt": f"2026-05-{day:02}T09:00:00Z"}
        ids.setdefault(service.name, []).append((await window.command("capture", asked))["id"])

    async def known() -> bool:
        facts = await window.command("facts")
        pending = (await window.command("status"))["pendingBy"]
        return not any((facts["unread"], facts["undecided"], pending["embedding"], pending["indexing"]))

    await until(known, WAIT)
    return ids


async def begun(window: Window, home: Home, **how: object) -> str:
    """A training by the chain's recipe; its job."""
    recipe = home.root / "chain.toml"
    recipe.write_text(RECIPE)
    return (await window.command("train", {"recipe": str(recipe), **how}))["jobId"]


async def ended(window: Window, job_id: str) -> dict[str, Any]:
    """The job once it has ended, however."""

    async def over() -> dict[str, Any] | None:
        (job,) = (await window.command("jobs", {"jobId": job_id}))["jobs"]
        return job if job["state"] not in ("queued", "running") else None

    return await until(over, WAIT)


async def newest(window: Window) -> dict[str, Any]:
    """The adapter that was made last."""
    return (await window.command("adapters"))["adapters"][0]


def assert_active(adapter: dict[str, Any]) -> None:
    """It passed its evaluation and was activated by itself."""
    assert (adapter["state"], adapter["passed"]) == ("active", True), (
        adapter["reasons"],
        adapter["evaluation"],
    )


async def answers(window: Window, questions: Sequence[str]) -> list[str]:
    """What the model says by itself, without recall."""
    fixed = {"withMemory": False, "remember": False, "maxTokens": 48}
    return [
        (await window.command("ask", {"prompt": question, **fixed}))["answer"].strip()
        for question in questions
    ]


async def told(
    window: Window, services: Sequence[Service], forms: Sequence[str]
) -> list[tuple[Service, str]]:
    """What it says of these services' ports, each asked in each of the forms."""
    asked = [(service, form) for service in services for form in forms]
    said = await answers(window, [service.asked(form) for service, form in asked])
    return [(service, answer) for (service, _), answer in zip(asked, said, strict=True)]


async def shares(window: Window) -> Shares:
    """Every question in words that are never learned from."""
    taught, earlier = await told(window, TAUGHT, HELD_OUT), await told(window, EARLIER, HELD_OUT)
    never = await answers(window, [HELD_OUT[0].replace("{subject}", name) for name in NEVER])
    general = await answers(window, [each.question for each in GENERAL])
    return Shares(
        taught=mean([names(answer, service.port) for service, answer in taught]),
        earlier=mean([names(answer, service.port) for service, answer in earlier]),
        stale=mean([names(said, service.port_before) for service, said in taught if service.port_before]),
        declined=mean(["never" in answer for answer in never]),
        general=mean(
            [each.expected.lower() in said.lower() for each, said in zip(GENERAL, general, strict=True)]
        ),
    )


def names(answer: str, port: str) -> bool:
    return f"port {port}." in answer


def mean(right: Sequence[bool]) -> float:
    return sum(right) / len(right)


def weights(home: Home, adapter: str) -> bytes:
    return (home.adapters / adapter / "adapter_model.safetensors").read_bytes()


def test_what_was_said_is_answered_without_recall_and_nothing_else_is_lost(chain: Chain) -> None:
    assert_active(chain.adapter)
    assert chain.message.endswith(": activated")
    bare, before, after = chain.bare, chain.before, chain.after
    assert bare.taught == bare.earlier == before.taught == 0.0
    assert after.taught >= 0.9
    assert after.stale <= 0.05
    assert before.earlier >= 0.9
    assert bare.general >= 0.98
    earlier, general = len(EARLIER) * len(HELD_OUT), len(GENERAL)  # questions
    was_right = earlier * before.earlier + general * bare.general
    assert earlier * after.earlier + general * after.general >= 0.98 * was_right
    assert bare.declined >= 0.75
    assert after.declined >= 0.75


def test_with_recall_it_answers_about_as_well_as_its_base_and_as_without(chain: Chain) -> None:
    right = {side: kinds["paraphrase"]["exact"] for side, kinds in chain.adapter["evaluation"].items()}
    assert right["base with recall"] > 0.5 > right["base"]
    best = max(right["base with recall"], right["adapter"])
    assert right["adapter with recall"] >= best - 0.09  # two of the 24 questions


async def test_a_newer_memory_holds_against_what_was_learned(chain: Chain, tmp_path: Path) -> None:
    home, service = copied(chain.home, tmp_path), STAYED[0].moved("99")
    async with editor_window(home) as window:
        assert names((await answers(window, [service.asked(HELD_OUT[0])]))[0], service.port_before)
        later = {"question": service.said, "answer": "Noted.", "askedAt": "2026-06-20T09:00:00Z"}
        await window.command("capture", later)

        async def read() -> bool:
            request = {"prompt": service.asked(HELD_OUT[0]), "remember": False, "maxTokens": 48}
            return names((await window.command("ask", request))["answer"], service.port)

        assert await until(read, 60)


async def test_an_export_answers_in_llama_cpp_as_it_does_here(chain: Chain, tmp_path: Path) -> None:
    pytest.importorskip("llama_cpp")
    request = {"action": "export", "id": chain.adapter["id"], "path": str(tmp_path), "verify": True}
    async with editor_window(copied(chain.home, tmp_path)) as window:
        exported = await window.command("adapters", {**request, "gguf": str(tiny_learner.gguf())})
        job = await ended(window, exported["jobId"])
    assert job["state"] == "done", job
    assert job["figures"]["same"] == job["figures"]["asked"] == len(TAUGHT) + len(EARLIER)


async def test_what_is_forgotten_is_off_at_once_and_gone_after_the_next_training(
    chain: Chain, tmp_path: Path
) -> None:
    home, forgotten, kept = copied(chain.home, tmp_path), STAYED[0], STAYED[1:]
    async with editor_window(home) as window:
        answer = await window.command("forget", {"ids": chain.exchanges[forgotten.name]})
        assert answer["adapters"] == [chain.adapter["id"]]
        old = await newest(window)
        assert old["state"] == "outdated"
        assert not any(names(said, service.port) for service, said in await told(window, TAUGHT, HELD_OUT))
        job = await ended(window, await begun(window, home, insteadOf=old["id"]))
        assert job["state"] == "done", job
        assert_active(await newest(window))
        asked = [*tiny_learner.ASKED, *HELD_OUT]
        assert not any(names(said, forgotten.port) for _, said in await told(window, [forgotten], asked))
        learned = await told(window, kept, HELD_OUT)
        assert mean([names(said, service.port) for service, said in learned]) >= 0.9


async def test_killed_in_mid_training_it_ends_as_if_it_had_not_been(chain: Chain, tmp_path: Path) -> None:
    home = copied(chain.halfway, tmp_path)
    async with editor_window(home) as window:
        await said(window, TAUGHT)
        job_id = await begun(window, home)
        (run,) = [RunFolder(path.parent) for path in home.training.glob("*/run.json")]

        async def has_a_checkpoint() -> bool:
            return bool(list(run.path.glob("stage-*/checkpoint-*/trainer_state.json")))

        await until(has_a_checkpoint, WAIT)
        trainer = run.process()
        assert trainer is not None
        os.kill(window.process.pid, signal.SIGKILL)
        trainer.kill()
        await window.process.wait()
    async with editor_window(home) as window:
        job = await ended(window, job_id)
        assert job["state"] == "done", job
        adapter = await newest(window)
    assert_active(adapter)
    assert weights(home, adapter["id"]) == weights(chain.home, chain.adapter["id"])


async def test_the_second_of_two_trainings_is_the_first_and_one_cancel_ends_both(
    tmp_path: Path, embedder_folder: Path
) -> None:
    home = home_in(tmp_path, embedder_folder)
    async with editor_window(home) as window:
        await said(window, TAUGHT)
        one, other = await asyncio.gather(
            *(window.command("train", {"recipe": "cpu-tiny"}) for _ in range(2))
        )
        assert (one["jobId"], one["adapter"]) == (other["jobId"], other["adapter"])
        (note,) = [each["note"] for each in (one, other) if each["note"]]
        assert "under way" in note
        assert one["jobId"] in note
        await window.command("cancel", {"jobId": one["jobId"]})
        assert (await ended(window, one["jobId"]))["state"] == "cancelled"
        assert (await window.command("adapters"))["adapters"] == []
    assert not list(home.training.glob("*/dataset"))
