"""Supplier documents as values: outside data becomes an Invoice here or not at all."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation


class InvoiceError(ValueError):
    """A supplier's document that cannot be read, and the field at fault."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field


@dataclass(frozen=True, slots=True)
class InvoiceLine:
    text: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Invoice:
    number: str
    currency: str
    due_on: date
    lines: tuple[InvoiceLine, ...]

    @property
    def total(self) -> Decimal:
        return round_money(sum((line.amount for line in self.lines), Decimal(0)))


def round_money(amount: Decimal) -> Decimal:
    """Round to cents as tax authorities print it: halves away from zero."""
    return amount.quantize(Decimal("0.01"), rounding=ROUND_HALF_UP)


def parse_invoice(data: Mapping[str, object]) -> Invoice:
    """The invoice that `data` (decoded JSON) states. Raises InvoiceError naming the field."""
    lines = data.get("lines")
    if not isinstance(lines, list):
        raise InvoiceError("lines", "a list is expected")
    return Invoice(
        number=required_text(data, "number"),
        currency=required_text(data, "currency"),
        due_on=parse_date(data, "due_on"),
        lines=tuple(parse_line(line) for line in lines),
    )


def parse_line(data: object) -> InvoiceLine:
    if not isinstance(data, Mapping):
        raise InvoiceError("lines", "each line is an object")
    text = required_text(data, "amount")
    try:
        amount = Decimal(text)
    except InvalidOperation as error:
        raise InvoiceError("amount", f"{text!r} is not a decimal number") from error
    return InvoiceLine(text=required_text(data, "text"), amount=amount)


def parse_date(data: Mapping[str, object], field: str) -> date:
    """A calendar date, or the date on the supplier's own clock where a timestamp is given."""
    text = required_text(data, field)
    try:
        if "T" in text:
            return datetime.fromisoformat(text).date()
        return date.fromisoformat(text)
    except ValueError as error:
        raise InvoiceError(field, f"{text!r} is not an ISO 8601 date") from error


def required_text(data: Mapping[str, object], field: str) -> str:
    value = data.get(field)
    if not isinstance(value, str) or not value:
        raise InvoiceError(field, "a text is expected")
    return value
