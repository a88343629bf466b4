"""Which memory in another language a query means, by the words that are written alike in both."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_recall import DAY, NOW, Memories, row

from remanence.memory.cognates import across_languages
from remanence.memory.ranking import Ranked
from remanence.memory.rows import Row

ALIKE = "words alike in another language"
OFF = "¿Cómo se limpia la cocina de la oficina?"
MEANT = "¿Cómo se documenta la configuración de los módulos?"


def ranked(*questions: str) -> list[Ranked]:
    """Memories with these questions, each a little below the one before."""
    return [
        Ranked(
            Row(row=i, id=f"id{i}", question=question, answer="", tool="t", created_at=0), 0.5 - i / 200, i
        )
        for i, question in enumerate(questions)
    ]


def order(query: str, *questions: str) -> list[int]:
    return [each.row.row for each in across_languages(ranked(*questions), query)]


@pytest.mark.parametrize(
    ("query", "off", "meant"),
    [
        (
            "How do I validate the configuration of the modules?",
            "¿Cómo se apaga el servidor de la oficina por la noche?",
            "¿Cómo puedo validar la configuración de los módulos?",
        ),
        (
            "¿Cómo se calcula la distancia entre los vectores?",
            "How do I turn the light of the keyboard off in the evening?",
            "How is the distance between the vectors calculated?",
        ),
        (
            "Which function compresses the archive of the database?",
            "Welche Farbe hat die Lampe an der Wand und wer hat sie gekauft?",
            "Welche Funktion komprimiert das Archiv der Datenbank?",
        ),
        (
            "How do we encrypt the connection to the replica?",
            "Pourquoi est-ce que les tests sont si lents dans la nuit ?",
            "Comment est-ce que nous chiffrons la connexion à la réplique ?",
        ),
    ],
    ids=["English on Spanish", "Spanish on English", "English on German", "English on French"],
)
def test_the_one_that_says_it_in_similar_words_comes_first(query: str, off: str, meant: str) -> None:
    assert order(query, off, meant) == [1, 0]


def test_the_one_that_gains_says_why() -> None:
    first, second = across_languages(
        ranked(OFF, MEANT), "How is the configuration of the modules documented?"
    )
    assert ALIKE in first.why
    assert second.why == ()


@pytest.mark.parametrize(
    ("query", "questions"),
    [
        (
            "How is the cache cleared?",
            ["Who turns the lights off in the evening?", "How is the cache cleared?"],
        ),
        ("parse_config timeout", ["¿Cómo se limpia la cocina de la oficina?", "¿Cómo se limpia la memoria?"]),
        (
            "How is the module documented?",
            ["¿Cómo se documenta el módulo de la base?", "Who reads the module?"],
        ),
        ("How is the module documented?", ["listen_socket(8080)", "documentar módulo"]),
    ],
    ids=["one language", "a query in none", "a single one in another", "memories in none"],
)
def test_elsewhere_nothing_moves(query: str, questions: list[str]) -> None:
    before = ranked(*questions)
    assert across_languages(before, query) == before


def test_neither_language_gains_over_the_other() -> None:
    before = ranked(
        "Where are the logs of the server kept?",
        "¿Dónde se guardan los documentos de la empresa?",
        "¿Cuál es la configuración de los módulos de la red?",
        "Who pays for the domain of the shop?",
    )
    after = across_languages(before, "What is the configuration of the modules?")
    scores = {each.row.row: each.score for each in after}
    assert scores[0] == before[0].score
    assert scores[3] == before[3].score
    assert scores[1] + scores[2] == pytest.approx(before[1].score + before[2].score)
    assert scores[2] > before[2].score


def test_a_long_text_is_judged_by_its_beginning() -> None:
    query = "How is the configuration of the modules documented?"
    assert order(query, OFF + " cocina" * 100 + query, MEANT) == [1, 0]
    assert order(query + " kitchen" * 100 + OFF, OFF, MEANT) == [1, 0]


def test_a_recall_in_english_finds_the_spanish_memory_that_is_meant(tmp_path: Path) -> None:
    memories = Memories(
        tmp_path,
        row(1, "¿Cuál es el algoritmo de la tabla?", "Se lee en la tabla", asked_at=NOW - 400 * DAY),
        row(2, "¿Cuál es el color de la tabla?", "Se lee en la tabla", asked_at=NOW),
    )
    first, second = memories.recall("What is the algorithm of the table?").memories
    assert first.row.row == 1
    assert ALIKE in first.why
    assert ALIKE not in second.why
