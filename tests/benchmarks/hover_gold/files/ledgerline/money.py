"""Amounts: everything that rounds, and nothing that does not."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from decimal import ROUND_HALF_UP, Decimal
from functools import cached_property, lru_cache

from ledgerline.invoices import InvoiceLine

CENT = Decimal("0.01")


def round_money(amount: Decimal) -> Decimal:
    # the accountants want 0.125 to become 0.13, credit notes included
    return amount.quantize(CENT, rounding=ROUND_HALF_UP)


def vat_by_rate(lines: Iterable[InvoiceLine]) -> dict[Decimal, Decimal]:
    """The tax of an invoice, one figure per rate, rounded once."""
    bases: defaultdict[Decimal, Decimal] = defaultdict(Decimal)
    for line in lines:
        bases[line.vat_rate] += line.amount
    return {rate: round_money(base * rate) for rate, base in bases.items()}


# Taxe arrondie par taux et non ligne par ligne : c'est ce que montre une facture française.
def vat_total(lines: Iterable[InvoiceLine]) -> Decimal:
    return sum(vat_by_rate(lines).values(), Decimal(0))


class Statement:
    """A customer's statement for one month."""

    def __init__(self, lines: Sequence[InvoiceLine]) -> None:
        self._lines = lines

    @cached_property
    def total(self) -> Decimal:
        return sum((line.amount for line in self._lines), Decimal(0))

    @lru_cache(maxsize=None)
    def total_until(self, day: int) -> Decimal:
        return sum((line.amount for line in self._lines if line.day <= day), Decimal(0))


def rounding_rule_of(number: str) -> str:
    # older documents are never computed again
    return "half_even" if number < "2026-08" else "half_up_2026_08"


def clamp(value: int, low: int, high: int) -> int:
    return max(low, min(value, high))
