"""How the fake Slack tells the app of things: once, again, late, twice, in turned order, to the deaf and to nobody."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import WSMsgType, web

from tests.fakes.slack.library import App, connected
from tests.fakes.slack.people import Person
from tests.fakes.slack.server import Slack
from tests.fakes.slack.sockets import MOST
from tests.fakes.slack.state import Channel, Json


class Line:
    """A socket of our own, that acknowledges what it is told to."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.silent = 0  # so many are not acknowledged

    async def next(self) -> Json:
        found: Json = await self.socket.receive_json(timeout=5)
        if "envelope_id" in found:
            if self.silent:
                self.silent -= 1
            else:
                await self.socket.send_json({"envelope_id": found["envelope_id"]})
        return found


@asynccontextmanager
async def line(fake: Slack) -> AsyncIterator[Line]:
    async with aiohttp.ClientSession() as session:
        head = {"Authorization": f"Bearer {fake.app_token}"}
        async with session.post(fake.api + "apps.connections.open", headers=head) as got:
            url = (await got.json())["url"]
        async with session.ws_connect(url, autoping=False) as socket:
            yield Line(socket)


@asynccontextmanager
async def hook(fake: Slack, answers: list[web.Response]) -> AsyncIterator[list[web.Request]]:
    """An app at an address of its own that answers so; then with 200."""
    got: list[web.Request] = []

    async def take(request: web.Request) -> web.Response:
        await request.read()
        got.append(request)
        return answers.pop(0) if answers else web.Response()

    app = web.Application()
    app.router.add_post("/", take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    fake.mode, fake.events_url = "http", f"http://127.0.0.1:{runner.addresses[0][1]}/"
    yield got
    await runner.cleanup()


async def test_a_socket_is_greeted_and_told_in_envelopes(fake: Slack, channel: Channel, alice: Person) -> None:
    async with line(fake) as ours:
        hello = await ours.next()
        await alice.says(channel, "x")
        told = await ours.next()
        await fake.heard[0].done.wait()

    assert (hello["type"], hello["num_connections"]) == ("hello", 1)
    assert (told["type"], told["accepts_response_payload"]) == ("events_api", False)
    assert told["payload"]["event"]["text"] == "x" and told["payload"]["authorizations"][0]["is_bot"]
    assert fake.heard[0].acked_after_s is not None


async def test_an_event_that_nobody_acknowledges_comes_again_at_once_and_after_one_and_five_minutes(
    fake: Slack, channel: Channel, alice: Person
) -> None:
    fake.patience_s = 0.02
    async with line(fake) as ours:
        await ours.next()
        ours.silent = 9
        await alice.says(channel, "x")
        told = [await ours.next(), await ours.next()]
        for seconds in (60, 300):
            count = len(fake.heard[0].deliveries)
            await fake.until(lambda count=count: fake.heard[0].deliveries[count - 1].failed)
            fake.advance(seconds)
            told.append(await ours.next())
        await fake.heard[0].done.wait()

    assert [one["retry_attempt"] for one in told] == [0, 1, 2, 3]
    assert [one["retry_reason"] for one in told] == ["", "timeout", "timeout", "timeout"]
    assert len({one["payload"]["event_id"] for one in told}) == 1 and len({one["envelope_id"] for one in told}) == 4
    assert not fake.heard[0].acked.is_set() and fake.heard[0].error == "timeout"


async def test_an_event_that_fails_by_http_comes_again_with_what_went_wrong(
    fake: Slack, channel: Channel, alice: Person
) -> None:
    async with hook(fake, [web.Response(status=500), web.Response(status=404)]) as got:
        await alice.says(channel, "x")
        await fake.until(lambda: len(got) == 2 and fake.heard[0].deliveries[1].failed)
        fake.advance(60)
        await fake.heard[0].done.wait()

    assert [one.headers.get("X-Slack-Retry-Num") for one in got] == [None, "1", "2"]
    assert got[1].headers["X-Slack-Retry-Reason"] == "http_error" and fake.heard[0].acked.is_set()


async def test_an_app_may_ask_for_no_more(fake: Slack, channel: Channel, alice: Person) -> None:
    async with hook(fake, [web.Response(status=500, headers={"X-Slack-No-Retry": "1"})]) as got:
        await alice.says(channel, "x")
        await fake.heard[0].done.wait()

    assert len(got) == 1 and fake.heard[0].error == "http_error"


async def test_bolt_hears_that_an_event_comes_again(fake: Slack, channel: Channel, alice: Person) -> None:
    app = App(fake)
    async with connected(fake, app):
        await alice.says(channel, "x")
        await fake.heard[0].done.wait()
        fake.replays(1)
        await fake.until(lambda: len(app.events) == 2)

    assert [one.headers.get("x-slack-retry-num") for one in app.requests] == [["0"], ["1"]]
    assert app.events[0] == app.events[1]


async def test_an_event_may_come_twice_and_in_turned_order(fake: Slack, channel: Channel, alice: Person) -> None:
    async with line(fake) as ours:
        await ours.next()
        fake.duplicate_next()
        await alice.says(channel, "one")
        twice = [await ours.next(), await ours.next()]
        fake.reorder_next(2)
        await alice.says(channel, "two")
        await alice.says(channel, "three")
        turned = [await ours.next(), await ours.next()]

    assert twice[0]["payload"] == twice[1]["payload"]
    assert [one["payload"]["event"]["text"] for one in turned] == ["three", "two"]


async def test_what_is_held_comes_when_it_is_released(fake: Slack, channel: Channel, alice: Person) -> None:
    async with line(fake) as ours:
        await ours.next()
        fake.hold()
        await alice.says(channel, "one")
        assert fake.heard[0].deliveries == []
        fake.release()
        assert (await ours.next())["payload"]["event"]["text"] == "one"


async def test_an_app_has_ten_sockets_at_most(fake: Slack) -> None:
    async with aiohttp.ClientSession() as session:
        head = {"Authorization": f"Bearer {fake.app_token}"}
        open_ = []
        for _ in range(MOST + 1):
            async with session.post(fake.api + "apps.connections.open", headers=head) as got:
                socket = await session.ws_connect((await got.json())["url"])
            open_.append((socket, await socket.receive_json(timeout=5)))
        for socket, _ in open_:
            await socket.close()

    assert [said["type"] for _, said in open_] == ["hello"] * MOST + ["disconnect"]
    assert open_[-1][1]["reason"] == "too_many_websockets"


async def test_a_ticket_serves_one_socket(fake: Slack) -> None:
    async with aiohttp.ClientSession() as session:
        head = {"Authorization": f"Bearer {fake.app_token}"}
        async with session.post(fake.api + "apps.connections.open", headers=head) as got:
            url = (await got.json())["url"]
        first = await session.ws_connect(url)
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await session.ws_connect(url)
        await first.close()


async def test_a_deaf_socket_says_nothing_and_answers_no_ping_while_events_go_to_it(
    fake: Slack, channel: Channel, alice: Person
) -> None:
    fake.patience_s = 0.02
    async with line(fake) as ours:
        await ours.next()
        await ours.socket.ping(b"still there?")
        assert (await ours.socket.receive(timeout=5)).type is WSMsgType.PONG
        fake.deaf()
        assert not fake.up.is_set()
        await ours.socket.ping(b"still there?")
        await alice.says(channel, "x")
        await fake.until(lambda: len(fake.heard[0].deliveries) == 2)
        with pytest.raises(TimeoutError):
            await ours.socket.receive(timeout=0.02)
        async with line(fake) as another:
            assert (await another.next())["type"] == "hello"


async def test_sockets_to_come_are_deaf_until_it_ends_where_a_test_says_so(fake: Slack) -> None:
    fake.deaf(new=True)
    async with line(fake) as ours:
        with pytest.raises(TimeoutError):
            await ours.socket.receive(timeout=0.02)
    fake.wake()
    async with line(fake) as ours:
        assert (await ours.next())["type"] == "hello"


async def test_a_dropped_socket_ends_without_a_word_and_bolt_comes_back(fake: Slack, channel: Channel, alice: Person) -> None:
    async with line(fake) as ours:
        await ours.next()
        await fake.drop()
        assert (await ours.socket.receive(timeout=5)).type in (WSMsgType.CLOSED, WSMsgType.CLOSE, WSMsgType.ERROR)
        assert fake.lines == []


async def test_bolt_makes_a_new_socket_when_it_is_asked_to(fake: Slack, channel: Channel, alice: Person) -> None:
    app = App(fake)
    async with connected(fake, app):
        for opened, reason in ((2, "warning"), (3, "refresh_requested")):  # slack_sdk makes no difference between them
            await fake.disconnect(reason)
            await fake.until(lambda opened=opened: fake.opened == opened and fake.up.is_set())
        await alice.says(channel, "x")
        await fake.until(lambda: len(app.events) == 1)


async def test_what_a_person_does_with_nobody_there_is_an_error_for_them(fake: Slack, channel: Channel, alice: Person) -> None:
    heard = await alice.command(channel, "/lab")
    await heard.done.wait()

    assert heard.error.startswith("dispatch_failed") and not heard.acked.is_set()


async def test_an_event_with_nobody_there_comes_once_somebody_is(fake: Slack, channel: Channel, alice: Person) -> None:
    await alice.says(channel, "x")
    await fake.until(lambda: len(fake.heard[0].deliveries) == 2 and fake.heard[0].deliveries[1].failed)
    async with line(fake) as ours:
        await ours.next()
        fake.advance(60)
        told = await ours.next()

    assert (told["retry_attempt"], told["retry_reason"]) == (2, "connection_failed")


async def test_a_person_who_is_not_answered_in_time_sees_that(fake: Slack, channel: Channel, alice: Person) -> None:
    fake.patience_s = 0.02

    async def slow(ack: Any) -> None:
        await asyncio.sleep(0.2)
        await ack()

    app = App(fake)
    app.command("/slow")(slow)
    async with connected(fake, app):
        heard = await alice.command(channel, "/slow")
        await heard.done.wait()

    assert heard.error == "dispatch_failed"
