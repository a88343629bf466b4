"""The doors' connections to the engine, against servers that answer as it may."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager, suppress

import pytest

from remanence.engine.address import Address
from remanence.engine.connections import Connections, HungUp

Conversation = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def reaching(conversation: Conversation) -> AsyncGenerator[tuple[Connections, list[int]]]:
    """Connections to a server that has this conversation with each; and which connections there were."""
    opened: list[int] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        opened.append(len(opened))
        try:
            await conversation(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    port = int(server.sockets[0].getsockname()[1])
    connections = Connections(Address(pid=0, version="", port=port, token="secret"))
    try:
        yield connections, opened
    finally:
        connections.close()
        server.close()


async def asked(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """The next request: its head and its body. Raises EOFError where the door hung up."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    return head, await reader.readexactly(length)


def said(body: bytes, *more: str) -> bytes:
    lines = ["HTTP/1.1 200 OK", f"content-length: {len(body)}", *more, "", ""]
    return "\r\n".join(lines).encode() + body


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while not reader.at_eof():
        try:
            writer.write(said((await asked(reader))[1]))
        except EOFError:
            return


async def test_request_after_request_goes_over_one_connection() -> None:
    async with reaching(echo) as (connections, opened):
        answers = [(await connections.post("recall", b"%d" % i)).content for i in range(5)]
    assert answers == [b"0", b"1", b"2", b"3", b"4"]
    assert len(opened) == 1


async def test_requests_at_once_have_a_connection_each() -> None:
    async with reaching(echo) as (connections, opened):
        answers = await asyncio.gather(*(connections.post("recall", b"%d" % i) for i in range(5)))
        assert len(opened) == 5
        await connections.post("recall", b"later")
    assert [answer.content for answer in answers] == [b"0", b"1", b"2", b"3", b"4"]
    assert len(opened) == 5


async def test_a_request_names_its_verb_and_brings_its_token() -> None:
    heads: list[bytes] = []

    async def note(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append((await asked(reader))[0])
        writer.write(said(b"{}"))

    async with reaching(note) as (connections, _):
        await connections.post("recall", b"{}")
    assert heads[0].startswith(b"POST /v1/recall HTTP/1.1\r\n")
    assert b"\r\nAuthorization: Bearer secret\r\n" in heads[0]


@pytest.mark.parametrize("says_so", [True, False])
async def test_a_connection_that_the_engine_ended_is_not_used_again(says_so: bool) -> None:
    async def answer_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asked(reader)
        writer.write(said(b"{}", *(["Connection: close"] if says_so else [])))
        if says_so:
            await reader.read()  # until the door hangs up

    async with reaching(answer_once) as (connections, opened):
        for _ in range(3):
            assert (await connections.post("recall", b"{}")).content == b"{}"
            await asyncio.sleep(0.02)
    assert len(opened) == 3


async def test_an_answer_without_a_length_ends_with_the_connection() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asked(reader)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\nnot ")
        await writer.drain()
        writer.write(b"like that")

    async with reaching(refuse) as (connections, _):
        answer = await connections.post("recall", b"{}")
    assert (answer.status, answer.content) == (400, b"not like that")


@pytest.mark.parametrize(
    "sent", [b"", b"HTTP/1.1 200 OK\r\ncontent-le", said(b"half of it")[:-4], b"hello\r\n\r\n"]
)
async def test_an_engine_that_hangs_up_in_the_middle_is_told_from_one_that_answers(sent: bytes) -> None:
    async def die(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asked(reader)
        writer.write(sent)

    async with reaching(die) as (connections, _):
        with pytest.raises(HungUp):
            await connections.post("recall", b"{}")


async def test_an_answer_in_lines_comes_line_by_line_and_leaves_the_connection() -> None:
    given = asyncio.Event()

    async def tell(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not reader.at_eof():
            try:
                await asked(reader)
            except EOFError:
                return
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\none\ntw\r\n")
            await given.wait()
            writer.write(b"7\r\no\nthree\r\n0\r\n\r\n")

    async with reaching(tell) as (connections, opened):
        lines: list[tuple[int, bytes]] = []
        async for line in connections.post_for_lines("ask", b"{}"):
            lines.append(line)
            given.set()
        assert lines == [(200, b"one"), (200, b"two"), (200, b"three")]
        await connections.post("ask", b"{}")
        assert len(opened) == 1


async def test_an_answer_that_outlasts_the_closing_is_given_and_its_connection_ended() -> None:
    may_answer, gone = asyncio.Event(), asyncio.Event()

    async def answer_late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asked(reader)
        await may_answer.wait()
        writer.write(said(b"late"))
        with suppress(ConnectionError):
            await reader.read()
        gone.set()

    async with reaching(answer_late) as (connections, opened):
        asking = asyncio.create_task(connections.post("recall", b"{}"))
        async with asyncio.timeout(20):
            while not opened:
                await asyncio.sleep(0.005)
            connections.close()
            may_answer.set()
            assert (await asking).content == b"late"
            await gone.wait()


async def test_whoever_ends_the_lines_hangs_up() -> None:
    gone = asyncio.Event()

    async def go_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asked(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\none\n\r\n")
        with suppress(ConnectionError):
            await reader.read()
        gone.set()

    async with reaching(go_on) as (connections, _):
        async with aclosing(connections.post_for_lines("ask", b"{}")) as lines:
            assert await anext(lines) == (200, b"one")
        async with asyncio.timeout(20):
            await gone.wait()


async def test_an_engine_that_is_not_there_has_hung_up() -> None:
    async with reaching(echo) as (connections, _):
        pass
    with pytest.raises(HungUp):
        await connections.post("recall", b"{}")


async def test_an_answer_that_does_not_come_in_time_is_an_error_and_ends_the_connection() -> None:
    gone = asyncio.Event()

    async def stay_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asked(reader)
        await reader.read()
        gone.set()

    async with reaching(stay_silent) as (connections, _):
        with pytest.raises(TimeoutError):
            await connections.post("recall", b"{}", seconds=0.02)
        async with asyncio.timeout(20):
            await gone.wait()


async def test_a_cancelled_request_hangs_up_and_leaves_others_alone() -> None:
    gone = asyncio.Event()

    async def answer_some(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if (await asked(reader))[1] == b"slow":
            await reader.read()
            gone.set()
        else:
            writer.write(said(b"quick"))

    async with reaching(answer_some) as (connections, opened):
        slow = asyncio.create_task(connections.post("recall", b"slow"))
        async with asyncio.timeout(20):
            while not opened:
                await asyncio.sleep(0.005)
            slow.cancel()
            await gone.wait()
        assert (await connections.post("recall", b"")).content == b"quick"


async def test_an_answer_of_megabytes_arrives_whole() -> None:
    async with reaching(echo) as (connections, opened):
        body = bytes(range(256)) * 20_000
        assert (await connections.post("recall", body)).content == body
        assert (await connections.post("recall", b"next")).content == b"next"
    assert len(opened) == 1


async def test_lines_wait_in_the_engine_for_whoever_reads_them_slowly() -> None:
    line, many = b"x" * 999 + b"\n", 20_000
    written = 0

    async def tell(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        await asked(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (len(line) * many))
        for _ in range(many):
            writer.write(line)
            await writer.drain()
            written += 1

    async with reaching(tell) as (connections, _), aclosing(connections.post_for_lines("ask", b"")) as lines:
        await anext(lines)
        await asyncio.sleep(0.3)
        assert written < many  # twenty megabytes do not lie here unread
        assert 1 + len([1 async for _ in lines]) == many


async def test_a_connection_over_which_the_engine_speaks_unasked_is_not_used_again() -> None:
    async def say_more(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asked(reader)
        writer.write(said(b"{}"))
        await writer.drain()
        await asyncio.sleep(0.02)
        writer.write(said(b"and another thing"))
        with suppress(ConnectionError):
            await reader.read()

    async with reaching(say_more) as (connections, opened):
        assert (await connections.post("recall", b"")).content == b"{}"
        await asyncio.sleep(0.1)
        assert (await connections.post("recall", b"")).content == b"{}"
    assert len(opened) == 2


async def test_two_answers_to_one_request_are_no_answer_to_the_next() -> None:
    async def say_twice(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asked(reader)
        writer.write(said(b"first") + said(b"second"))
        with suppress(ConnectionError):
            await reader.read()

    async with reaching(say_twice) as (connections, opened):
        for _ in range(2):
            assert (await connections.post("recall", b"")).content == b"first"
    assert len(opened) == 2
