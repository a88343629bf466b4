"""Requests are checked field by field; what is wrong is named."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from remanence.engine.messages import CaptureRequest, RecallRequest, RecallResponse
from remanence.engine.parsing import parse_request
from remanence.engine.verbs import VERBS, EngineError, Verb


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"answer": "a"}, "question"),
        ({"question": 1, "answer": "a"}, "question"),
        ({"question": "q", "answer": "a", "tags": [1]}, "tags[0]"),
        ({"question": "q", "answer": "a", "askedAt": []}, "askedAt"),
        ({"question": "q", "answer": "a", "model": {}}, "model"),
        ({"question": "q", "answer": "a", "modle": "x"}, "modle"),
        (b'{"question": "q", "answer": null}', "answer"),
    ],
)
def test_a_wrong_argument_is_named(data: object, field: str) -> None:
    with pytest.raises(EngineError) as caught:
        parse_request(data, CaptureRequest)
    assert caught.value.code == "invalid"
    assert caught.value.field == field
    assert field in caught.value.message


def test_a_limit_out_of_range_is_named() -> None:
    with pytest.raises(EngineError, match="limit"):
        parse_request({"query": "q", "limit": 0}, RecallRequest)


def test_no_arguments_are_fine_where_every_field_has_a_default() -> None:
    for name in ("jobs", "sync", "status", "import_", "sources"):
        parse_request(None, VERBS[name].request)
        parse_request(b"", VERBS[name].request)


@pytest.mark.parametrize("data", [b"{", b"\xff\xfe", b'{"question": "\xed\xa0\x80"}', b"[" * 100_000])
def test_what_is_no_json_is_said_so(data: bytes) -> None:
    with pytest.raises(EngineError) as caught:
        parse_request(data, CaptureRequest)
    assert caught.value.code == "invalid"


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda x: st.lists(x) | st.dictionaries(st.text(), x),
        max_leaves=10,
    )
)
def test_any_arguments_are_accepted_or_refused_in_words(data: object) -> None:
    for verb in VERBS.values():
        refused = _refusal(data, verb)
        assert refused is None or refused.message


def _refusal(data: object, verb: Verb) -> EngineError | None:
    try:
        parse_request(data, verb.request)
    except EngineError as error:
        return error
    return None


def test_an_older_door_understands_a_newer_engine() -> None:
    newer = b'{"memories": [], "tookMs": 1.5, "brandNew": 1}'
    assert msgspec.json.decode(newer, type=RecallResponse).took_ms == 1.5
