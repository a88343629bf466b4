"""The verb `models`: which language models there are and which are in memory; loads and unloads them."""

from __future__ import annotations

from dataclasses import asdict

from remanence.engine import model_messages as mm
from remanence.engine.verbs import Cancelled, EngineError, invalid
from remanence.models.language_model import LanguageModelError
from remanence.models.residency import Residency
from remanence.models.resident import ModelReport
from remanence.models.worker_pipes import GivenUp


def models(
    residency: Residency,
    request: mm.ModelsRequest,
    cancelled: Cancelled,
    *,
    warning: str | None = None,
) -> mm.ModelsResponse:
    """Do what is asked, and list every model as it is then. `warning` is what the memory monitor
    has to say. Raises EngineError in words."""
    if request.action != "list":
        if not request.id:
            raise invalid(f"id: say which model to {request.action}.", "id")
        if request.id not in {each.id for each in residency.states()}:
            raise EngineError("not_found", f"The settings name no language model {request.id!r}.", "id")
        try:
            if request.action == "load":
                residency.load(request.id, cancelled)
            else:
                residency.unload(request.id)
        except GivenUp as error:
            raise EngineError("cancelled", str(error)) from error
        except LanguageModelError as error:
            raise EngineError("unavailable", str(error)) from error
    profile = residency.profile
    return mm.ModelsResponse(
        models=[_state(each, is_default=each.id == residency.default) for each in residency.states()],
        profile=profile.name,
        total_mb=profile.total_mb,
        limit_mb=residency.limit_mb,
        recommended=[
            mm.ModelAdvice(
                name=each.name, quantisation=each.quantisation, size_mb=each.size_mb, note=each.note
            )
            for each in profile.recommended
        ],
        warning=warning,
    )


def _state(report: ModelReport, *, is_default: bool) -> mm.ModelState:
    return mm.ModelState(**asdict(report), is_default=is_default)
