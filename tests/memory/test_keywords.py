import pytest
from hypothesis import given
from hypothesis import strategies as st

from remanence.memory.keywords import candidates
from remanence.memory.stop_words import guess_language, stop_words


@pytest.mark.parametrize(
    "name",
    [
        "pool_recycle", "__init__", "_private", "createEngine", "SQLAlchemy", "HTTPServer", "os.path.join",
        "package.json", "std::vector", "app/db/settings.py", ".github/workflows/ci.yml", "/etc/hosts.allow",
        "E0308", "TS2345", "ORA-00942", "KeyError", "--force-with-lease", "C++", "C#",
    ],
)  # fmt: skip
def test_identifiers_paths_and_codes_stay_whole(name: str):
    assert name in candidates(f"What does {name} mean here?", "")
    assert name in candidates("", f"It is `{name}`.")


def test_a_line_number_is_no_part_of_a_path():
    assert "app/settings.py" in candidates("crash at app/settings.py:42:7, why", "")


def test_natural_words_come_alone_and_in_pairs_in_lower_case():
    found = candidates("Database connection pools", "")
    assert set(found) == {"database", "connection", "pools", "database connection", "connection pools"}


@pytest.mark.parametrize(
    "text", ["slow query, connection pool", "slow query. connection pool", "query\n\nconnection"]
)
def test_pairs_cross_no_punctuation(text: str):
    assert "query connection" not in candidates(text, "")


def test_pairs_cross_no_stop_word():
    assert set(candidates("the size of the pool", "")) == {"size", "pool"}


def test_fenced_code_gives_its_identifiers_only():
    answer = (
        "Try this:\n```python\nfrom sqlalchemy import create_engine\n"
        "# remember kittens\ndef retry(x): pass\n```\nDone"
    )
    found = candidates("", answer)
    assert {"sqlalchemy", "create_engine", "retry"} <= set(found)
    assert not {"kittens", "python", "pass"} & set(found)


def test_an_unclosed_fence_is_code_to_its_end():
    assert candidates("", "```\nkittens sleep\nuse_pool(x)") == ("use_pool",)


@pytest.mark.parametrize(
    ("text", "expected", "absent"),
    [
        ("Pourquoi la requête est-elle lente ?", {"requête", "lente"}, {"pourquoi", "est-elle", "la"}),
        (
            "L'index n'est pas utilisé parce que la clé manque",
            {"index", "utilisé", "clé"},
            {"l'index", "pas"},
        ),
        ("¿Cómo ordenar una lista de números?", {"ordenar", "lista", "números"}, {"cómo", "una", "de"}),
        ("Wie sortiere ich eine Größe?", {"sortiere", "größe"}, {"wie", "ich", "eine"}),
        ("如何读取大文件? 使用线程池。", {"读取", "线程池"}, {"如何", "使用"}),
        ("データベース接続を閉じる", {"データベース", "接続"}, {"を"}),
        ("데이터베이스 연결", {"데이터베이스", "연결", "데이터베이스 연결"}, set()),
        ("Как закрыть соединение?", {"закрыть", "соединение"}, {"как"}),
    ],
)
def test_words_of_every_script_are_kept_and_its_stop_words_are_not(
    text: str, expected: set[str], absent: set[str]
):
    found = set(candidates(text, ""))
    assert expected <= found
    assert not absent & found


def test_accents_written_apart_count_as_the_same_word():
    assert candidates("mémoire", "me\u0301moire") == ("mémoire",)


def test_secrets_hashes_addresses_and_numbers_are_none():
    text = (
        "[REDACTED:aws_key] 3f2a9c81d0e4 123e4567-e89b-12d3-a456-426614174000 https://example.org/a_b 42 1.5"
    )
    assert candidates(text, text) == ()


def test_the_question_and_what_is_repeated_come_first():
    found = candidates("tuple", "kitten violin violin " + "sofa")
    assert found[0] == "tuple"
    assert found.index("violin") < found.index("kitten")


def test_no_more_than_the_limit():
    words = " ".join(f"word{chr(97 + i)}{chr(97 + j)}" for i in range(20) for j in range(20))
    assert len(candidates(words, words)) == 60
    assert len(candidates(words, words, limit=7)) == 7


def test_only_the_beginning_of_a_huge_text_is_read():
    found = candidates("kitten", "violin " + "x, " * 1_000_000 + "sofa")
    assert "violin" in found
    assert "sofa" not in found


@given(st.text(max_size=400), st.text(max_size=400))
def test_any_text_gives_distinct_short_phrases(question: str, answer: str):
    found = candidates(question, answer)
    assert len({phrase.casefold() for phrase in found}) == len(found) <= 60
    assert all(2 <= len(phrase) <= 60 for phrase in found)
    assert all(phrase == phrase.strip() and "\n" not in phrase for phrase in found)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("How do I sort a list in place?", "en"),
        ("fix login bug", "en"),
        ("", "en"),
        ("Comment éviter une fuite de mémoire dans ce programme ?", "fr"),
        ("¿Cómo puedo ordenar una lista por dos claves?", "es"),
        ("Wie kann ich eine Liste sortieren?", "de"),
        ("如何读取大文件", "zh"),
        ("ファイルを読む方法", "ja"),
        ("파일을 읽는 방법", "ko"),
        ("Как прочитать файл", "ru"),
    ],
)
def test_the_language_is_that_of_the_function_words(text: str, language: str):
    assert guess_language(text) == language


def test_what_programmers_talk_about_is_no_stop_word():
    assert not {"test", "index", "null", "system", "value"} & stop_words("en")
    assert {"the", "return", "self"} <= stop_words("fr")
    assert "pourquoi" in stop_words("fr") - stop_words("en")
