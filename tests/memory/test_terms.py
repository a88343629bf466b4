"""Index terms: what a query and a memory have in common, in code and in several languages."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from remanence.memory import terms
from remanence.memory.function_words import ENGLISH, GERMAN, SPANISH, function_words
from remanence.memory.stemming import stem


def finds(query: str, text: str) -> bool:
    """Whether the text holds every term of the query."""
    return set(terms.query_stems(query)) <= set(terms.stems(text))


@pytest.mark.parametrize("query", ["main.py", "app/main", "src/app/main.py", "app", "main", "py"])
def test_a_path_is_found_by_its_parts(query: str) -> None:
    assert finds(query, "It fails in `src/app/main.py`, line 12.")
    assert finds(query, r"It fails in src\app\main.py:12")


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("error[E0308]: mismatched types", "E0308"),
        ("error TS2345: Argument of type", "ts2345"),
        ("ORA-00942: table or view does not exist", "ORA-00942"),
        ("the server answers HTTP 404", "HTTP 404"),
        ("GET /users HTTP/1.1 404", "404"),
        ("STATUS_ACCESS_VIOLATION (0xC0000005)", "0xC0000005"),
        ("fails with ERR_MODULE_NOT_FOUND", "err_module_not_found"),
        ("fails with ERR_MODULE_NOT_FOUND", "module found"),
        ("we moved to Python 3.11.7 today", "3.11"),
        ("we moved to Python 3.11.7 today", "python 3.11.7"),
        ("listening on 127.0.0.1:8080", "127.0.0.1"),
        ("a header in C++", "C++"),
        ("g++ -O2 main.cpp", "g++"),
        ("a property in C#", "c#"),
        ("it needs .NET 8", ".NET"),
        ("an ASP.NET service", "asp.net"),
        ("run it with node.js", "Node.js"),
        ("run it with node.js", "node"),
        ("use os.path.join here", "path.join"),
        ("std::unordered_map is slow", "unordered_map"),
        ("call getUserName() first", "user name"),
        ("call getUserName() first", "get_user_name"),
        ("set MAX_RETRY_COUNT", "maxRetryCount"),
        ("the <user-profile-card> element", "user profile card"),
        ("the <user-profile-card> element", "user-profile-card"),
        ("parseHTTPResponse and XMLHttpRequest", "http response"),
        ("parseHTTPResponse and XMLHttpRequest", "xml request"),
        ("error_404_page", "404"),
        ("decode it as utf_8", "utf8"),
        ("__init__ is called twice", "init"),
        ("the web_socket", "WebSocket"),
    ],
)
def test_code_is_found_by_what_it_is_called(text: str, query: str) -> None:
    assert finds(query, text)


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("a header in C", "C++"),
        ("a header in C++", "C#"),
        ("we moved to Python 3.12.7", "3.11.7"),
        ("section 11 of 7, page 3", "3.11.7"),
        ("a net of 8 nodes", ".NET"),
        ("service and py", "service.py"),
        ("E0382: use of moved value", "E0308"),
    ],
)
def test_code_is_not_found_by_what_merely_looks_like_it(text: str, query: str) -> None:
    assert not finds(query, text)


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("如何连接数据库", "数据库"),
        ("如何连接数据库", "连接"),
        ("データベースに接続する", "接続"),
        ("데이터베이스 연결 오류", "데이터베이스"),
        ("使用Docker部署服务", "docker"),
        ("使用Docker部署服务", "部署"),
        ("用getUserName取得名字", "user name"),
        ("ＡＰＩキーを設定する", "api"),
        ("हिन्दी में लिखें", "हिन्दी"),
        ("ошибка соединения", "ошибки"),
        ("новый сервер", "сервера"),
        ("η βάση δεδομένων", "βαση"),
    ],
)
def test_other_scripts_are_found(text: str, query: str) -> None:
    assert finds(query, text)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("mémoire", "memoire"),
        ("caché", "cache"),
        ("Straße", "strasse"),
        ("STRASSE", "straße"),
        ("naïve", "naive"),
        ("re\u0301sume\u0301", "résumé"),
        ("œuvre", "oeuvre"),
        ("İstanbul", "istanbul"),
        ("Łódź", "lodz"),
        ("Ångström", "angstrom"),
        ("ﬁchier", "fichier"),
    ],
)
def test_accents_are_folded_on_both_sides(one: str, other: str) -> None:
    assert finds(one, f"a {other} here")
    assert finds(other, f"a {one} here")


def test_who_has_no_umlauts_finds_them() -> None:
    assert finds("groesse aendern", "Größe ändern")
    assert finds("grosse", "Größe ändern")


ENGLISH_FORMS = """
    error errors, query queries, connect connected connecting, configure configured configuring, install
    installs installing, parse parsing parsed parser, write writing, cache caches caching, retry
    retries, branch branches, library libraries, dependency dependencies, commit committed, small
    smaller, create creating created
"""
SPANISH_FORMS = """
    error errores, función funciones, archivo archivos, clase clases, conexión conexiones, servidor
    servidores, configurar configuración configurado, instalar instalado instalando instalación instala,
    ejecutar ejecutando, conectar conectado conecta, crear creado creando crea creación, borrar borrado,
    imprimir imprime, escribir escribe, guardar guardado, agregar agregado, método métodos, rápido
    rápida rápidamente, correcto correctamente, imagen imágenes, buscar buscando, compilar compilado
    compilación, filtrar filtrado filtra, memoria memorias
"""
FRENCH_FORMS = """
    erreur erreurs, fonction fonctions, fichier fichiers, connecter connecté connectée, exécuter exécute
    exécution, configurer configuration configuré, installer installé installation installe, créer créé
    crée création, supprimer supprimé supprime, ajouter ajoute ajouté, rapide rapidement, utiliser
    utilisé utilise utilisation, requête requêtes, compiler compilé compilation, démarrer démarre,
    partager partagée, bloquer bloqué bloque, journal journaux, dépendance dépendances, filtrer filtre
"""
GERMAN_FORMS = """
    Fehler Fehlern, Funktion Funktionen, Datei Dateien, Klasse Klassen, Tabelle Tabellen, Wert Werte
    Werten, Verbindung Verbindungen, installieren installiert, konfigurieren konfiguriert
    Konfigurierung, Ausführung ausführen, Erstellung erstellen erstelle, Benutzer Benutzern, Methode
    Methoden, Antwort Antworten, schnell schnelle schnelles schneller, sortieren sortiert Sortierung,
    Projekt Projekte Projekten Projekts, Zweig Zweige
"""
SHARED_FORMS = """
    function función, functions funciones, dictionary diccionario dictionnaire, list lista liste, table
    tabla, column columna, class clase classe, configuration configuración, installation instalación,
    module módulo, object objeto objet, error erreur, vector vecteur, memory memoria mémoire, version
    versión, session sesión, operation operación opération, process proceso, validate validar valider,
    filter filtrar filtrer, parameter parámetro paramètre, application aplicación, exception excepción,
    document documento
"""


@pytest.mark.parametrize(
    "forms",
    [
        tuple(group.split())
        for group in ",".join([ENGLISH_FORMS, SPANISH_FORMS, FRENCH_FORMS, GERMAN_FORMS, SHARED_FORMS]).split(
            ","
        )
    ],
    ids=lambda forms: forms[0],
)
def test_the_forms_of_a_word_meet(forms: tuple[str, ...]) -> None:
    assert len({stem(terms.folded(form).lower()) for form in forms}) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("list", "listener"),
        ("care", "career"),
        ("three", "thread"),
        ("state", "static"),
        ("data", "date"),
        ("file", "fill"),
        ("call", "cal"),
        ("user", "use"),
        ("cache", "cash"),
        ("port", "portal"),
        ("core", "corner"),
        ("caso", "casa"),
        ("base", "bass"),
        ("node", "note"),
        ("linear", "line"),
        ("utf8", "utf16"),
    ],
)
def test_different_words_stay_apart(one: str, other: str) -> None:
    assert stem(one) != stem(other)


def test_function_words_are_those_of_the_query_s_own_language() -> None:
    assert terms.query_stems("what did her son put on his hat") == ["son", "put", "hat"]
    assert terms.query_stems("was hat der Compiler gegen die Klasse") == ["compil", "gegen", "klas"]
    assert terms.query_stems("cómo se lee un archivo en Python") == ["lee", "archiv", "python"]
    assert terms.query_stems("to be or not") == ["to", "be", "or", "not"]


def test_where_no_language_has_more_all_their_words_are_function_words() -> None:
    assert function_words(["kubernetes"]) >= ENGLISH | SPANISH | GERMAN
    assert "hat" not in function_words(["what", "did", "hat"])


ANY_SCRIPT = st.text(
    st.one_of(
        st.characters(),
        st.sampled_from(
            "aAbz_09. \n.-ßÄöéñçøı\u0301\u093f\u0627漢字かカ한국ФяΩ#+\u200b\u200f\ud800\U0001f600"
        ),
    ),
    max_size=80,
)


@given(ANY_SCRIPT)
@example("¨a ﷺ 3.11.7 x.y.z İI\u0307 __ a_ _a C++ .NET.NET c#b")
def test_every_word_of_a_text_finds_it(text: str) -> None:
    held = set(terms.stems(text))
    for word in text.split():
        assert set(terms.query_stems(word)) <= held


@given(ANY_SCRIPT)
def test_what_the_index_takes_is_the_terms(text: str) -> None:
    assert " ".join(terms.stems(text)).split(" ") == (terms.stems(text) or [""])
    assert all(term and not any(map(str.isspace, term)) for term in terms.stems(text))


@given(st.text(max_size=200))
def test_folding_twice_changes_nothing(text: str) -> None:
    once = terms.folded(text)
    assert terms.folded(once) == once


def test_runs_too_long_to_be_words_are_left_out() -> None:
    assert terms.stems("x" * 300_000) == []
    assert terms.stems("x" * 300_000 + " é") == ["e"]  # looking for umlauts from each letter would take hours
    assert terms.stems("e" + "\u0301" * 300_000) == ["e"]
    assert terms.stems(f"a {'x' * 101} b") == ["a", "b"]


def test_what_is_remembered_of_words_is_bounded() -> None:
    terms.stems(" ".join(f"word{n}" for n in range(50_000)))
    assert len(terms._TERMS) <= terms._REMEMBERED  # pyright: ignore[reportPrivateUsage]


def test_of_a_run_without_end_a_query_reads_the_beginning() -> None:
    ideographs = "".join(map(chr, range(0x4E00, 0x9FFF)))
    assert terms.query_stems(ideographs) == terms.query_stems(ideographs[:1000])
    assert terms.query_stems("b." * 50_000) == ["b.b", "b"]


def test_a_query_gives_a_thousand_terms_at_most() -> None:
    assert len(terms.query_stems(" ".join(f"w{n}" for n in range(50_000)))) == 1000
    assert len(terms.query_stems("。".join(chr(code) * 2 for code in range(0x4E00, 0x9FFF)))) == 1000
    assert len(terms.query_stems("\ufdfa" * 100_000)) < 10


@pytest.mark.parametrize(
    ("identifier", "parts"),
    [
        ("getUserName", ["get", "user", "name"]),
        ("HTTPServerError", ["http", "server", "error"]),
        ("parse_http_response", ["parse", "http", "response"]),
        ("path/to.py", ["path", "to", "py"]),
        ("plain", ["plain"]),
        ("Größe", ["größe"]),
        ("", []),
    ],
)
def test_an_identifier_is_the_words_it_is_made_of(identifier: str, parts: list[str]) -> None:
    assert terms.identifier_parts(identifier) == parts
