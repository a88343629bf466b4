"""Connections to Postgres, always through PgBouncer."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID, uuid4

from fastapi import Depends, Request
from sqlalchemy import NullPool, text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from ledgerline.settings import settings


class Base(DeclarativeBase):
    pass


engine = create_async_engine(
    settings.database_url,
    poolclass=NullPool,
    connect_args={
        # the pooler may hand us another server connection for every transaction
        "statement_cache_size": 0,
        "prepared_statement_name_func": lambda: f"__asyncpg_{uuid4()}__",
    },
)
sessions = async_sessionmaker(engine, expire_on_commit=False)


class Invoice(Base):
    __tablename__ = "invoices"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    account_id: Mapped[UUID] = mapped_column(index=True)
    lines: Mapped[list[InvoiceLine]] = relationship(back_populates="invoice", lazy="raise")


class InvoiceLine(Base):
    __tablename__ = "invoice_lines"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    position: Mapped[int]
    invoice: Mapped[Invoice] = relationship(back_populates="lines")


async def lock_lines(session: AsyncSession, ids: list[UUID]) -> None:
    """Take the rows of an import in one order everywhere, so that two imports cannot block each other."""
    await session.execute(
        text("SELECT id FROM invoice_lines WHERE id = ANY(:ids) ORDER BY id FOR UPDATE"),
        {"ids": ids},
    )


async def next_number(session: AsyncSession, account_id: UUID, year: int) -> int:
    """The number of an invoice that is being issued. No gaps: the law does not allow them."""
    statement = text(
        "INSERT INTO invoice_counters (account_id, year, last_number) VALUES (:account, :year, 1) "
        "ON CONFLICT (account_id, year) DO UPDATE SET last_number = invoice_counters.last_number + 1 "
        "RETURNING last_number"
    )
    return (await session.execute(statement, {"account": account_id, "year": year})).scalar_one()


async def current_account(request: Request) -> UUID:
    return request.state.account_id


CurrentAccount = Annotated[UUID, Depends(current_account)]
