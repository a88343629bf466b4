"""Documents that suppliers send us: JSON from the good ones, CSV from the others."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TextIO

from ledgerline.invoices import Invoice, InvoiceError, parse_invoice, required_text

# 1 234,56 avec une espace insécable, parfois fine, selon le logiciel du fournisseur
FRENCH_AMOUNT = re.compile(r"-?\d{1,3}(?:[ \u00a0\u202f]?\d{3})*(?:,\d{1,2})?")
MENTIONED_DATE = re.compile(r"(?<!\d)(?P<day>\d{1,2})/(?P<month>\d{1,2})/(?P<year>\d{4})(?!\d)")
COMPANY_NAME = re.compile(r"^(\w+\s?)*$")
BULLET = "\u2022"


def load_json(body: bytes) -> Invoice:
    # numbers never pass through a float: 0.1 would not stay 0.1
    return parse_invoice(json.loads(body, parse_float=Decimal))


def due_date(data: Mapping[str, object]) -> date:
    """The day a document is due, on the supplier's own calendar."""
    text = required_text(data, "due_on")
    try:
        if "T" in text:
            return datetime.fromisoformat(text).date()
        return date.fromisoformat(text)
    except ValueError as error:
        raise InvoiceError("due_on", f"Invalid isoformat string: {text!r}") from error


def french_amount(text: str) -> Decimal:
    if not FRENCH_AMOUNT.fullmatch(text):
        raise InvoiceError("amount", f"{text!r} n'est pas un montant")
    return Decimal(re.sub(r"[ \u00a0\u202f]", "", text).replace(",", "."))


def open_csv(path: Path) -> TextIO:
    """A supplier's CSV as text, whatever their Excel made of the accents."""
    raw = path.read_bytes()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("cp1252")
    return io.StringIO(text, newline="")


def read_rows(path: Path) -> Iterator[dict[str, str]]:
    with open_csv(path) as file:
        yield from csv.DictReader(file, delimiter=";")


def is_company_name(text: str) -> bool:
    # TODO: hangs on some long names, see the incident of 9 July
    return COMPANY_NAME.match(text) is not None


def mentioned_dates(note: str) -> list[date]:
    found: list[date] = []
    for match in MENTIONED_DATE.finditer(note):
        try:
            found.append(date(int(match["year"]), int(match["month"]), int(match["day"])))
        except ValueError:
            continue
    return found


def collect_references(text: str, seen: list[str] = []) -> list[str]:
    for word in text.split():
        if word.startswith("REF-"):
            seen.append(word)
    return seen


def longest_label(labels: list[str]) -> int:
    width = 0
    for label in labels:
        width = max(width, len(label))
    return width
