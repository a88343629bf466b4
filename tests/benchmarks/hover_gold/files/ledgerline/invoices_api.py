"""The /invoices endpoints."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, HTTPException, Query
from fastapi.responses import JSONResponse, StreamingResponse
from sqlalchemy import select, tuple_
from sqlalchemy.orm import joinedload, selectinload

from ledgerline.cursor import decode_cursor, encode_cursor
from ledgerline.db import CurrentAccount, sessions
from ledgerline.models import Invoice
from ledgerline.schemas import InvoiceIn, InvoiceOut, InvoicePage
from ledgerline.stored_keys import StoredKey, claim_key

router = APIRouter(prefix="/invoices", tags=["invoices"])

PAGE_SIZE = 50
BANNER = "Ledgerline invoices"


@router.get("")
async def list_invoices(
    account_id: CurrentAccount,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> InvoicePage:
    statement = (
        select(Invoice)
        .where(Invoice.account_id == account_id)
        .options(selectinload(Invoice.lines), joinedload(Invoice.account))
        .order_by(Invoice.created_at.desc(), Invoice.id.desc())
        .limit(PAGE_SIZE + 1)  # one more tells whether there is a next page
    )
    if cursor is not None:
        created_at, last_id = decode_cursor(cursor)
        statement = statement.where(tuple_(Invoice.created_at, Invoice.id) < (created_at, last_id))
    async with sessions() as session:
        found = list(await session.scalars(statement))
    page, rest = found[:PAGE_SIZE], found[PAGE_SIZE:]
    next_cursor = encode_cursor(page[-1].created_at, page[-1].id) if rest else None
    return InvoicePage(items=[InvoiceOut.model_validate(row) for row in page], next_cursor=next_cursor)


@router.post("", status_code=201)
async def create_invoice(
    body: InvoiceIn,
    account_id: CurrentAccount,
    idempotency_key: Annotated[str, Header(min_length=8, max_length=80)],
) -> JSONResponse:
    """Create one invoice; a client that retries gets the first answer again."""
    fingerprint = hashlib.sha256(body.model_dump_json().encode()).digest()
    async with sessions.begin() as session:
        stored = await claim_key(session, account_id, idempotency_key, fingerprint)
        if stored is not None:
            return answer_again(stored, fingerprint)
        created = Invoice.from_input(body, account_id)
        session.add(created)
        await session.flush()
        return JSONResponse(InvoiceOut.model_validate(created).model_dump(mode="json"), status_code=201)


def answer_again(stored: StoredKey, fingerprint: bytes) -> JSONResponse:
    # La clé a déjà servi : même corps, même réponse ; un autre corps est un bogue du client.
    if stored.request_hash != fingerprint:
        raise HTTPException(status_code=422, detail="this key was used for another request")
    if stored.status_code is None:
        raise HTTPException(status_code=409, detail="the first request is still running")
    return JSONResponse(stored.response, status_code=stored.status_code)


@router.get(".csv")
async def export_invoices(account_id: CurrentAccount, since: datetime | None = None) -> StreamingResponse:
    """All invoices of the account for a spreadsheet."""

    async def rows() -> AsyncIterator[str]:
        buffer = io.StringIO()
        writer = csv.writer(buffer, delimiter=";")
        async with sessions() as session:
            query = select(Invoice.number, Invoice.due_on, Invoice.total).where(
                Invoice.account_id == account_id
            )
            # a server-side cursor, or 300,000 rows end up in memory
            result = await session.stream(query.execution_options(yield_per=1000))
            async for row in result:
                writer.writerow(row)
                yield buffer.getvalue()
                buffer.seek(0)
                buffer.truncate()

    return StreamingResponse(rows(), media_type="text/csv; charset=utf-8")


def file_name(account: UUID, extension: str) -> str:
    stem = str(account).split("-")[0]
    return f"{stem}.{extension}"
