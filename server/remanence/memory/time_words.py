"""The words that times are told in, in English, French, Spanish and German: lower-case, without accents.

Whole words only: "mar" is the sea, "so" and "do" are words of their own, and "sept" is seven.
"""

from __future__ import annotations


def _numbered(words: str, start: int) -> dict[str, int]:
    """Each word with its place; those that share one have a slash between them."""
    places = enumerate(words.split(), start=start)
    return {word: number for number, each in places for word in each.split("/")}


def _grouped(**words: str) -> dict[str, str]:
    return {word: name for name, each in words.items() for word in each.split()}


NUMBERS = {
    **_numbered("a/an/one two/couple three four five six seven eight nine ten eleven twelve", 1),
    **_numbered("un/une deux trois quatre cinq six sept huit neuf dix onze douze", 1),
    **_numbered("un/una/uno dos/par tres cuatro cinco seis siete ocho nueve diez once doce", 1),
    **_numbered("ein/eine/einem/einen/einer zwei drei vier funf/fuenf sechs sieben acht neun zehn elf", 1),
    **_numbered("zwolf/zwoelf", 12),
}
MONTHS_OF = {
    "en": _numbered(
        "january february march april may june july august september october november december", 1
    ),
    "fr": _numbered(
        "janvier fevrier mars avril mai juin juillet aout septembre octobre novembre decembre", 1
    ),
    "es": _numbered(
        "enero febrero marzo abril mayo junio julio agosto septiembre/setiembre octubre noviembre diciembre",
        1,
    ),
    "de": _numbered(
        "januar/janner/jaenner februar/feber marz/maerz april mai juni juli august september oktober"
        " november dezember",
        1,
    ),
}
MONTHS = {month: number for months in MONTHS_OF.values() for month, number in months.items()}
# English words that mean a month only when written as a name, or after "in" or "on".
EVERYDAY_MONTHS = frozenset(("march", "may"))
WEEKDAYS = {
    **_numbered("monday tuesday wednesday thursday friday saturday sunday", 0),
    **_numbered("lundi mardi mercredi jeudi vendredi samedi dimanche", 0),
    **_numbered("lunes martes miercoles jueves viernes sabado domingo", 0),
    **_numbered("montag dienstag mittwoch donnerstag freitag samstag/sonnabend sonntag", 0),
}
UNITS_OF = {
    "en": _grouped(day="day days", week="week weeks", month="month months", year="year years"),
    "fr": _grouped(day="jour jours", week="semaine semaines", month="mois", year="an ans annee annees"),
    "es": _grouped(day="dia dias", week="semana semanas", month="mes meses", year="ano anos"),
    "de": _grouped(
        day="tag tage tagen tages",
        week="woche wochen",
        month="monat monate monaten monats",
        year="jahr jahre jahren jahres",
    ),
}
UNITS = {word: unit for units in UNITS_OF.values() for word, unit in units.items()}
