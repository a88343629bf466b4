"""The registry of adapters: one on at a time, taken back in order, marked when what they learned is gone."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

import tiny_llama
from remanence.memory.database import Database
from remanence.memory.fact import Fact
from remanence.training.adapters import Adapter, AdapterError, AdapterRegistry, State
from remanence.training.base_hash import base_hash
from remanence.training.base_model import BaseModelError
from remanence.training.dataset import Manifest
from remanence.training.evaluation import Kind, Score
from remanence.training.gate import Comparison, Verdict
from remanence.training.report import Report, markdown, plot, write_report

BASE = "hash of a base"
SCORES: dict[Kind, Score] = {"paraphrase": Score(n=10, exact=0.9, low=0.7, high=1.0, f1=0.5)}


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "memory.db")
    yield database
    database.close()


@pytest.fixture
def registry(database: Database, tmp_path: Path) -> AdapterRegistry:
    return AdapterRegistry(database, tmp_path / "adapters")


def report(name: str = "one", *, passed: bool = True) -> Report:
    return Report(
        adapter=name,
        base="a <model>",
        recipe="test",
        created_at=1_750_000_000_000,
        asked=10,
        seconds=1.0,
        comparison=Comparison(base={}, adapter=SCORES),
        verdict=Verdict(passed=passed, reasons=["90% of held-out paraphrases right, 80% asked"]),
    )


def fact(name: str, *exchanges: str) -> Fact:
    return Fact(
        id=name,
        text=name,
        subject=name,
        topic="port",
        value="1",
        words="",
        language="en",
        valid_from=0,
        valid_until=None,
        confidence=0.5,
        origin="rules",
        single=True,
        superseded_by=None,
        created_at=0,
        exchanges=exchanges,
    )


def add(
    registry: AdapterRegistry,
    name: str,
    *facts: Fact,
    base: str = BASE,
    state: State = "trained",
    parent: str | None = None,
    merged_with: str | None = None,
) -> Adapter:
    manifest = Manifest(
        created_at=0,
        base="",
        recipe="test",
        facts=[each.id for each in facts],
        known=[],
        exchanges=[],
        stages=1,
        rows=1,
        by_form={},
        questions={},
        sha256={},
        left_out={},
    )
    made = Adapter(
        id=name,
        base="/nowhere",
        base_hash=base,
        recipe_name="test",
        recipe="{}",
        manifest=manifest,
        report=report(name, passed=state != "refused"),
        parent=parent,
        state=state,
        created_at=0,
        merged_with=merged_with,
    )
    registry.add(made, facts, tiny_llama.adapter())
    return made


def states(registry: AdapterRegistry) -> dict[str, State]:
    return {each.id: each.state for each in registry.list()}


def say(database: Database, exchange: str, fact: str) -> None:
    """An exchange that says a fact, as far as the registry looks."""
    with database.transaction() as connection:
        columns = {
            str(each["name"]): "" if each["type"] == "TEXT" else 0
            for each in connection.execute("PRAGMA table_info(exchanges)")
            if each["notnull"]
        } | {"id": exchange, "content_hash": b"", "question_hash": b""}
        marks = ", ".join("?" * len(columns))
        row = connection.execute(
            f"INSERT INTO exchanges ({', '.join(columns)}) VALUES ({marks})", list(columns.values())
        ).lastrowid
        told = {
            str(each["name"]): "" if each["type"] == "TEXT" else 0
            for each in connection.execute("PRAGMA table_info(facts)")
            if each["notnull"]
        } | {"id": fact}
        marks = ", ".join("?" * len(told))
        connection.execute(
            f"INSERT OR IGNORE INTO facts ({', '.join(told)}) VALUES ({marks})", list(told.values())
        )
        sources = [str(each["name"]) for each in connection.execute("PRAGMA table_info(fact_sources)")]
        values = dict.fromkeys(sources, 0) | {"fact": fact, "row": row}
        connection.execute(
            f"INSERT INTO fact_sources ({', '.join(values)}) VALUES ({', '.join('?' * len(values))})",
            list(values.values()),
        )


def forget(database: Database, exchange: str) -> None:
    with database.transaction() as connection:
        connection.execute("DELETE FROM exchanges WHERE id = ?", [exchange])


def test_what_was_added_is_read_back_with_its_files(registry: AdapterRegistry) -> None:
    made = add(registry, "one")
    assert registry.get("one") == made
    assert (registry.folder("one") / "adapter_model.safetensors").is_file()
    assert (registry.folder("one") / "manifest.json").is_file()


def test_only_one_is_on_for_a_base_and_another_base_has_its_own(registry: AdapterRegistry) -> None:
    add(registry, "one")
    add(registry, "two")
    add(registry, "elsewhere", base="another")
    registry.activate("one", BASE)
    registry.activate("elsewhere", "another")
    registry.activate("two", BASE)
    assert states(registry) == {"one": "inactive", "two": "active", "elsewhere": "active"}


def test_an_adapter_for_another_model_is_refused_whatever_is_forced(registry: AdapterRegistry) -> None:
    add(registry, "one")
    with pytest.raises(AdapterError, match="another model"):
        registry.activate("one", "another", force=True)


def test_a_refused_one_needs_force(registry: AdapterRegistry) -> None:
    add(registry, "one", state="refused")
    with pytest.raises(AdapterError, match="did not pass"):
        registry.activate("one", BASE)
    registry.activate("one", BASE, force=True)
    assert states(registry) == {"one": "active"}


def test_one_whose_files_are_gone_is_refused(registry: AdapterRegistry) -> None:
    add(registry, "one")
    shutil.rmtree(registry.folder("one"))
    with pytest.raises(AdapterError, match="are gone"):
        registry.activate("one", BASE)


def test_rolling_back_goes_step_by_step_to_the_bare_model(registry: AdapterRegistry) -> None:
    for name in ("one", "two"):
        add(registry, name)
        registry.activate(name, BASE)
    assert registry.roll_back(BASE) == "one"
    assert states(registry) == {"one": "active", "two": "inactive"}
    assert registry.roll_back(BASE) is None
    assert registry.active(BASE) is None
    with pytest.raises(AdapterError, match="nothing to roll back"):
        registry.roll_back(BASE)


def test_rolling_back_passes_over_what_was_deleted_or_marked(registry: AdapterRegistry) -> None:
    for name in ("safe", "marked", "deleted", "last"):
        add(registry, name, *([fact("gone", "gone too")] if name == "marked" else []))
        registry.activate(name, BASE, force=True)
    registry.delete("deleted")
    assert registry.roll_back(BASE) == "safe"


def test_one_that_was_forced_on_is_what_it_was_once_it_is_off(registry: AdapterRegistry) -> None:
    add(registry, "refused", state="refused")
    add(registry, "outdated", fact("gone", "gone too"))
    for name in ("refused", "outdated"):
        registry.activate(name, BASE, force=True)
    assert registry.mark_forgotten() == []  # the user knew, and asked for it
    assert states(registry) == {"refused": "refused", "outdated": "active"}
    registry.deactivate("outdated")
    assert states(registry) == {"refused": "refused", "outdated": "outdated"}


def test_taking_it_off_leaves_the_bare_model_and_can_be_taken_back(registry: AdapterRegistry) -> None:
    add(registry, "one")
    registry.activate("one", BASE)
    registry.deactivate("one")
    assert registry.active(BASE) is None
    with pytest.raises(AdapterError, match="not active"):
        registry.deactivate("one")
    assert registry.roll_back(BASE) == "one"


def test_an_active_one_cannot_be_deleted_and_a_deleted_one_leaves_nothing(registry: AdapterRegistry) -> None:
    add(registry, "one")
    registry.activate("one", BASE)
    with pytest.raises(AdapterError, match="deactivate it first"):
        registry.delete("one")
    registry.deactivate("one")
    registry.delete("one")
    assert registry.list() == []
    assert not registry.folder("one").exists()
    with pytest.raises(AdapterError, match="no adapter 'one'"):
        registry.get("one")


def test_forgetting_marks_what_no_exchange_says_any_more_and_takes_it_off(
    registry: AdapterRegistry, database: Database
) -> None:
    for exchange, said in (("e1", "alone"), ("e2", "twice"), ("e3", "twice")):
        say(database, exchange, said)
    add(registry, "one", fact("alone", "e1"))
    add(registry, "two", fact("twice", "e2", "e3"))
    registry.activate("one", BASE)
    forget(database, "e2")
    assert registry.mark_forgotten() == []  # another exchange says it still
    forget(database, "e1")
    assert registry.mark_forgotten() == ["one"]
    assert registry.mark_forgotten() == []
    assert states(registry) == {"one": "outdated", "two": "trained"}
    with pytest.raises(AdapterError, match="forgotten"):
        registry.activate("one", BASE)


def test_one_that_went_on_from_another_is_marked_for_what_that_one_learned(
    registry: AdapterRegistry, database: Database
) -> None:
    say(database, "e1", "first")
    say(database, "e2", "second")
    add(registry, "parent", fact("first", "e1"))
    add(registry, "child", fact("second", "e2"), parent="parent")
    forget(database, "e1")
    assert registry.mark_forgotten() == ["child", "parent"]


def test_a_merged_one_is_read_back_with_both_parents_and_marked_for_what_either_learned(
    registry: AdapterRegistry, database: Database
) -> None:
    say(database, "e1", "first")
    say(database, "e2", "second")
    add(registry, "one", fact("first", "e1"))
    add(registry, "other", fact("second", "e2"))
    made = add(registry, "both", parent="one", merged_with="other")
    assert registry.get("both") == made
    assert made.parents == ("one", "other")
    assert registry.get("one").parents == ()
    forget(database, "e2")
    assert registry.mark_forgotten() == ["both", "other"]
    assert states(registry) == {"one": "trained", "other": "outdated", "both": "outdated"}


def test_the_last_good_one_never_learned_the_forgotten_and_was_not_refused(
    registry: AdapterRegistry, database: Database
) -> None:
    for exchange, said in (("e1", "first"), ("e2", "second")):
        say(database, exchange, said)
    add(registry, "first", fact("first", "e1"))
    add(registry, "refused", fact("first", "e1"), state="refused", parent="first")
    add(registry, "second", fact("second", "e2"), parent="refused")
    newest = add(registry, "newest", parent="second")
    forget(database, "e2")
    assert registry.mark_forgotten() == ["newest", "second"]
    good = registry.last_good(newest)
    assert good is not None
    assert good.id == "first"
    forget(database, "e1")
    registry.mark_forgotten()
    assert registry.last_good(newest) is None


def test_of_two_that_were_merged_the_good_one_is_the_last_good(
    registry: AdapterRegistry, database: Database
) -> None:
    for exchange, said in (("e1", "first"), ("e2", "second")):
        say(database, exchange, said)
    add(registry, "one", fact("first", "e1"))
    add(registry, "other", fact("second", "e2"))
    made = add(registry, "both", parent="one", merged_with="other")
    forget(database, "e1")
    registry.mark_forgotten()
    good = registry.last_good(made)
    assert good is not None
    assert good.id == "other"


def test_what_was_forgotten_while_it_was_trained_is_marked_as_it_is_added(registry: AdapterRegistry) -> None:
    add(registry, "one", fact("gone", "gone too"))
    assert states(registry) == {"one": "outdated"}


def test_an_evaluation_decides_over_one_that_was_never_on_and_over_no_other(
    registry: AdapterRegistry,
) -> None:
    add(registry, "one")
    add(registry, "two")
    registry.activate("two", BASE)
    for name in ("one", "two"):
        registry.report(name, report(name, passed=False))
    assert states(registry) == {"one": "refused", "two": "active"}
    registry.report("one", report("one"))
    assert states(registry)["one"] == "trained"


def test_a_base_is_known_by_its_weights_and_not_by_where_it_is(tmp_path: Path) -> None:
    shutil.copytree(tiny_llama.folder(), tmp_path / "copy")
    assert base_hash(tmp_path / "copy") == base_hash(tiny_llama.folder())
    weights = tmp_path / "copy" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    for place in range(len(content) // 2, len(content), 1000):  # the same header, another fine-tune's weights
        content[place] ^= 1
    weights.write_bytes(content)
    assert base_hash(tmp_path / "copy") != base_hash(tiny_llama.folder())


def test_a_damaged_base_is_told_in_words(tmp_path: Path) -> None:
    with pytest.raises(BaseModelError, match="cannot be read"):
        base_hash(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"\xff" * 20)
    with pytest.raises(BaseModelError, match="damaged"):
        base_hash(tmp_path)


def test_a_report_is_written_for_programs_people_and_the_eye(tmp_path: Path) -> None:
    import xml.etree.ElementTree as ET

    write_report(report(), tmp_path)
    assert msgspec.json.decode((tmp_path / "report.json").read_bytes(), type=Report) == report()
    assert "90% (70%–100%)" in markdown(report())
    drawn = ET.fromstring(plot(report()))
    bars = [each for each in drawn.iter() if each.tag.endswith("rect")]
    assert len(bars) == 1 + 4 + 1  # the ground, a key for each side, and one bar
