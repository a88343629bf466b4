"""The ASGI application: middleware, caches, start and stop."""

from __future__ import annotations

import json
import random
import time
from dataclasses import dataclass
from decimal import Decimal

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from pydantic import BaseModel, ConfigDict, field_validator
from redis.asyncio import Redis

from ledgerline import invoices_api, provider
from ledgerline.summaries import Summary, load_summary

redis = Redis()
app = FastAPI(title="Ledgerline")
app.include_router(invoices_api.router)
app.include_router(provider.router)
app.add_middleware(
    CORSMiddleware,
    allow_origins=["http://localhost:5173"],
    allow_credentials=True,
    allow_methods=["GET", "POST", "PATCH", "DELETE"],
    allow_headers=["Authorization", "Content-Type", "Idempotency-Key"],
)

SUMMARY_TTL = 3600
LOGO = "ledgerline.svg"


class AddressIn(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    street: str
    postcode: str
    country: str = "FR"

    @field_validator("country")
    @classmethod
    def upper_case(cls, value: str) -> str:
        return value.upper()


@dataclass(frozen=True, slots=True)
class Cached:
    value: Summary
    fresh_until: float


async def account_summary(account_id: str) -> Summary:
    key = f"summary:{account_id}"
    stored = await redis.get(key)
    cached = Cached(**json.loads(stored)) if stored else None
    if cached and cached.fresh_until > time.time():
        return cached.value
    # only one request refreshes, the others go on with the old value
    lock_taken = await redis.set(f"{key}:lock", "1", nx=True, ex=10)
    if cached and not lock_taken:
        return cached.value
    value = await load_summary(account_id)
    await redis.set(key, json.dumps(value), ex=2 * spread(SUMMARY_TTL))
    return value


async def after_invoice_change(account_id: str) -> None:
    # après le commit, jamais avant
    await redis.delete(f"summary:{account_id}")


def spread(ttl: int) -> int:
    return int(ttl * random.uniform(0.9, 1.1))


@app.get("/livez")
async def livez() -> dict[str, str]:
    # must not touch the database
    return {"status": "ok"}


def as_percent(part: Decimal, whole: Decimal) -> str:
    ratio = part / whole if whole else Decimal(0)
    return f"{ratio:.1%}"
