"""The payment provider's HTTP API, as far as Ledgerline uses it."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass

import httpx
from fastapi import APIRouter, HTTPException, Request, Response

from ledgerline.inbox import inbox
from ledgerline.retry import retry_with_backoff
from ledgerline.settings import settings

router = APIRouter()

CHARGE_ATTEMPTS = 5
MAX_DELAY = 10.0
TRANSIENT = (httpx.ConnectError, httpx.ReadTimeout)


class DeclinedError(Exception):
    """The bank said no; trying again will not change its mind."""


@dataclass(frozen=True, slots=True)
class Charge:
    id: str
    amount_minor: str
    currency: str
    captured: bool = False


class ProviderClient:
    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def charge(self, amount_minor: str, currency: str, token: str, idempotency_key: str) -> Charge:
        """Charge a card once, however often the network makes us ask."""

        async def send() -> httpx.Response:
            # the same key on each attempt, or a lost answer becomes a second charge
            headers = {"Idempotency-Key": idempotency_key}
            payload = {"amount": amount_minor, "currency": currency, "token": token}
            return await self._http.post("/v2/charges", json=payload, headers=headers)

        response = await retry_with_backoff(
            send,
            attempts=CHARGE_ATTEMPTS,
            max_delay=MAX_DELAY,
            retry_on=TRANSIENT,
        )
        if response.status_code == 402:
            raise DeclinedError(response.json()["decline_reason"])
        response.raise_for_status()
        data = response.json()
        return Charge(id=data["id"], amount_minor=amount_minor, currency=currency, captured=True)

    async def wait_hint(self, response: httpx.Response) -> float | None:
        # during an outage the provider tells us when to come back
        value = response.headers.get("Retry-After")
        return float(value) if value and value.isdigit() else None


@router.post("/webhooks/payments", status_code=204)
async def payment_webhook(request: Request) -> Response:
    body = await request.body()
    given = request.headers.get("X-Signature", "")
    if not signature_matches(body, given):
        raise HTTPException(status_code=400, detail="the webhook signature does not match the body")
    await inbox.put(json.loads(body))
    return Response(status_code=204)


def signature_matches(body: bytes, given: str) -> bool:
    expected = hmac.new(settings.webhook_key, body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected, given)


def masked_card(digits: str) -> str:
    visible = digits[-4:]
    stars = "*" * (len(digits) - len(visible))
    return stars + visible
