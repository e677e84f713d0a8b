"""How events, commands and acts reach the app: by a socket or by a signed POST, and again if nobody acknowledges them.

An event is acknowledged by 200 (or an ack on its socket) within `patience_s`. If it is not, it comes again at once, after 60
and after 300 seconds of this Slack's time, each time with what went wrong; `X-Slack-No-Retry: 1` in an answer ends that. What
a person does is told once: without an acknowledgement Slack shows them an error, here `heard.error`.
"""

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import Coroutine
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import aiohttp

from tests.fakes.slack.sockets import Sockets
from tests.fakes.slack.state import Json, Team, User, View, World

RETRIES_S = (0.0, 60.0, 300.0)  # after the one before has failed


@dataclass
class Delivery:
    """One attempt. `failed`: why it was none, "" while it runs and when it was one."""

    attempt: int
    at: float
    failed: str = ""


@dataclass(eq=False)
class Heard:
    """Something that the app is told. `acked` is set when it has said that it has it; `done` too when it never will.

    `response` is what it said with it, `error` what the person is shown instead, `view_id` the modal that it opened.
    """

    world: World
    team: Team
    kind: str  # events_api, slash_commands, interactive
    payload: Json
    user: User | None = None
    acked: asyncio.Event = field(default_factory=asyncio.Event)
    done: asyncio.Event = field(default_factory=asyncio.Event)
    acked_after_s: float | None = None
    response: Any = None
    error: str = ""
    deliveries: list[Delivery] = field(default_factory=list)
    view_id: str = ""
    answered: Any = None  # what to do with the response, see answers.py

    @property
    def event(self) -> Json:
        found: Json = self.payload.get("event", {})
        return found

    @property
    def trigger_id(self) -> str:
        return str(self.payload.get("trigger_id", ""))

    @property
    def response_url(self) -> str:
        return str(self.payload.get("response_url", ""))

    @property
    def opened(self) -> View | None:
        return self.world.views.get(self.view_id)

    @property
    def view(self) -> Json | None:
        """The view that was opened or pushed by this, as it stands now; None where there is none any more."""
        return deepcopy(self.opened.json) if self.opened else None


class Deliverer:
    """`heard`: everything that was told, in order; `gone_wrong`: what an ack's payload lacked, for the violations."""

    def __init__(self, world: World, sockets: Sockets, signing_secret: str) -> None:
        self.world, self.sockets, self.signing_secret = world, sockets, signing_secret
        self.mode, self.events_url, self.patience_s, self.skew_s = "socket", "", 3.0, 0.0
        self.heard: list[Heard] = []
        self._twice, self._turned = 0, 0
        self._held: list[Heard] | None = None
        self._queue: list[Heard] = []  # those that wait to be turned round
        self._tasks: set[asyncio.Task[None]] = set()
        self.session: aiohttp.ClientSession | None = None

    def tell(self, heard: Heard) -> Heard:
        self.heard.append(heard)
        if self._held is not None:
            self._held.append(heard)
        elif self._turned:
            self._queue.append(heard)
            self._turned -= 1
            if not self._turned:
                waiting, self._queue = self._queue[::-1], []
                for one in waiting:
                    self._send(one)
        else:
            self._send(heard)
        return heard

    def hold(self) -> None:
        """Keep what there is to tell, until release."""
        self._held = self._held or []

    def release(self) -> None:
        held, self._held = self._held or [], None
        for one in held:
            self._send(one)

    def duplicate_next(self, times: int = 1) -> None:
        """The next event comes so many times more than once."""
        self._twice = times

    def reorder_next(self, count: int = 2) -> None:
        """The next so many come together and in turned order."""
        self._turned = count

    def replays(self, count: int = 1) -> list[Heard]:
        """Tell the last events once more, as Slack does after an ack that it has not seen."""
        last = [one for one in self.heard if one.kind == "events_api"][-count:]
        for one in last:
            self.retells(one)
        return last

    def retells(self, heard: Heard, attempt: int = 1) -> None:
        """Tell something once more, whatever became of it before."""
        self._start(self._once(heard, attempt, "http_timeout" if self.mode == "http" else "timeout"))

    def _send(self, heard: Heard) -> None:
        if heard.kind != "events_api":
            return self._start(self._act(heard))
        self._start(self._event(heard))
        for _ in range(self._twice):
            self._start(self._once(heard, 0, ""))
        self._twice = 0

    def _start(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def end(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _event(self, heard: Heard) -> None:
        why, go_on = "", True
        for attempt, wait in enumerate((0.0, *RETRIES_S)):
            if wait:
                await self.world.until(self.world.now_s + wait)
            why, go_on = await self._once(heard, attempt, why)
            if not why or not go_on:
                break
        if why:
            heard.error = why
        heard.done.set()

    async def _act(self, heard: Heard) -> None:
        why, _ = await self._once(heard, 0, "")
        if why:
            heard.error = heard.error or "dispatch_failed"
        elif heard.answered is not None:
            heard.answered(heard)
        heard.done.set()

    async def _once(self, heard: Heard, attempt: int, reason: str) -> tuple[str, bool]:
        """Tell it; why it failed ("" where not), and whether it may be told again."""
        began = asyncio.get_running_loop().time()
        delivery = Delivery(attempt, began)
        heard.deliveries.append(delivery)
        more, response = True, None
        try:
            if self.mode == "socket":
                retry = {"retry_attempt": attempt, "retry_reason": reason} if heard.kind == "events_api" else {}
                response = await self.sockets.give(heard.kind, deepcopy(heard.payload), self.patience_s, retry)
            else:
                delivery.failed, more, response = await self._posted(heard, attempt, reason)
        except TimeoutError:
            delivery.failed = "http_timeout" if self.mode == "http" else "timeout"
        except (ConnectionError, aiohttp.ClientError) as broken:
            delivery.failed = "connection_failed"
            heard.error = "" if heard.kind == "events_api" else f"dispatch_failed: {broken}"
        if not delivery.failed and not heard.acked.is_set():
            heard.response, heard.acked_after_s = response, asyncio.get_running_loop().time() - began
            heard.acked.set()
        return delivery.failed, more

    async def _posted(self, heard: Heard, attempt: int, reason: str) -> tuple[str, bool, Any]:
        assert self.session is not None
        kind = "application/x-www-form-urlencoded"
        if heard.kind == "events_api":
            raw, kind = json.dumps(heard.payload), "application/json"
        elif heard.kind == "slash_commands":
            raw = urlencode({key: str(value) for key, value in heard.payload.items()})
        else:
            raw = urlencode({"payload": json.dumps(heard.payload)})
        head = self.signed(raw) | {"Content-Type": kind, "User-Agent": "Slackbot 1.0"}
        if attempt:
            head |= {"X-Slack-Retry-Num": str(attempt), "X-Slack-Retry-Reason": reason}
        limit = aiohttp.ClientTimeout(total=self.patience_s)
        async with self.session.post(self.events_url, data=raw.encode(), headers=head, timeout=limit) as said:
            text = await said.text()
            more = said.headers.get("X-Slack-No-Retry") != "1"
            if said.status != 200:
                return "http_error", more, None
            return "", more, _read(text)

    def signed(self, raw: str) -> dict[str, str]:
        """The headers by which the app knows that a body is Slack's. `skew_s` makes the time of it wrong."""
        stamp = str(int(time.time() + self.skew_s))
        digest = hmac.new(self.signing_secret.encode(), f"v0:{stamp}:{raw}".encode(), hashlib.sha256).hexdigest()
        return {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": f"v0={digest}"}

    async def verify_url(self) -> bool:
        """Ask the app's address whether it is the app's, as Slack does when the address is set."""
        assert self.session is not None
        raw = json.dumps({"token": "verification", "challenge": "a-challenge", "type": "url_verification"})
        head = self.signed(raw) | {"Content-Type": "application/json"}
        async with self.session.post(self.events_url, data=raw.encode(), headers=head) as said:
            text = await said.text()
        found = _read(text)
        return said.status == 200 and (found == {"challenge": "a-challenge"} or text == "a-challenge")


def _read(text: str) -> Any:
    try:
        return json.loads(text) if text else None
    except ValueError:
        return {"text": text}
