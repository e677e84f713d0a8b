"""A Slack on the loopback interface, for the real slack-bolt and slack_sdk: Web API, Socket Mode, signed HTTP events.

    async with Slack() as slack:
        team = slack.team("lab")
        channel = team.channel("general")
        alice = team.user("alice")
        ...  # start an AsyncApp with AsyncWebClient(token=team.bot_token, base_url=slack.api)
        message = await alice.says(channel, "hello", mention=True)
        heard = await alice.command(channel, "/lab", "status")
        await heard.acked.wait()
        assert slack.violations == []

Every request, answer and event is held against Slack's reference and recorded samples (oracle.py; where they are not beside
the checkout, the limits are looked at alone), blocks and views by the slackblocks package (blocks.py). `shown` has what
readers saw in order, `more` is set at each; `requests` has what was asked, `heard` what the app was told. What goes wrong on
demand: `fail` (faults.py), the acts on sockets, `hold`, `duplicate_next`, `reorder_next`, `replays`. Known only to their
modules: state.py (what there is), web.py, methods/, streams.py, events.py, sockets.py, delivery.py, answers.py.

It is not Slack where this was not needed: one enterprise-less installation a workspace, no shared channels, no group
messages, no user tokens; what is not in the tables of methods is unknown_method and a violation.
"""

import asyncio
import secrets
from collections.abc import Callable, Iterable
from typing import Any, Self

import aiohttp
from aiohttp import web

from tests.fakes.faulty import Fault
from tests.fakes.slack.delivery import Deliverer
from tests.fakes.slack.events import Events
from tests.fakes.slack.looking import Looking
from tests.fakes.slack.people import Person, Workspace
from tests.fakes.slack.sockets import Sockets
from tests.fakes.slack.state import SCOPES, Json, Team, World
from tests.fakes.slack.tiers import Tiers
from tests.fakes.slack.web import Web

LARGEST_BYTES = 20 << 20


class Of:
    """An attribute of one of the parts, to be had and to be set at the whole."""

    def __init__(self, part: str, name: str) -> None:
        self.part, self.name = part, name

    def __get__(self, whole: Any, kind: type | None = None) -> Any:
        return self if whole is None else getattr(getattr(whole, self.part), self.name)

    def __set__(self, whole: Any, value: Any) -> None:
        setattr(getattr(whole, self.part), self.name, value)


class Slack(Looking):
    """`keep`: of `requests`, `shown` and `heard` only so many, the latest; for long runs.

    `manifest`: the app's, as a dict; then its scopes, events, commands and shortcuts are all that there are.

    * `mode`: how the app is told of things, "socket" or "http" (then at `events_url`); `patience_s`: real seconds for an ack
    * `clock`: seconds that this Slack is ahead of real time; see `advance`
    * `skew_s`: how wrong the time is that requests to the app are signed with
    * `stream_s`: how long a stream lives; `streams_die`: "absolute" (from its start) or "idle" (from its last append)
    * `up`: an Event that is set while some socket hears; `opened` counts the sockets, `lines` are those of now
    * `limits`: whether the rate limits are Slack's; `got_429`: how many requests of a method were one too many for them
    * `mentions`: everybody whom a message of the bot has pinged; `reactions`: (channel, ts, name)
    """

    mode, events_url, patience_s = Of("deliverer", "mode"), Of("deliverer", "events_url"), Of("deliverer", "patience_s")
    heard, skew_s = Of("deliverer", "heard"), Of("deliverer", "skew_s")
    hold, release, replays = Of("deliverer", "hold"), Of("deliverer", "release"), Of("deliverer", "replays")
    retells = Of("deliverer", "retells")
    duplicate_next, reorder_next = Of("deliverer", "duplicate_next"), Of("deliverer", "reorder_next")
    verify_url, signed = Of("deliverer", "verify_url"), Of("deliverer", "signed")
    clock, stream_s, streams_die = Of("world", "clock"), Of("world", "stream_s"), Of("world", "streams_die")
    shown, more, mentions = Of("world", "shown"), Of("world", "more"), Of("world", "mentions")
    reactions, app_id = Of("world", "reactions"), Of("world", "app_id")
    up, opened, lines = Of("sockets", "up"), Of("sockets", "opened"), Of("sockets", "lines")
    drop, deaf, wake, disconnect = (
        Of("sockets", "drop"),
        Of("sockets", "deaf"),
        Of("sockets", "wake"),
        Of("sockets", "disconnect"),
    )
    requests, limits, got_429 = Of("web", "requests"), Of("tiers", "real"), Of("tiers", "met")

    def __init__(
        self,
        *,
        real_limits: bool = False,
        patience_s: float = 3.0,
        scopes: Iterable[str] | None = None,
        manifest: Json | None = None,
        keep: int | None = None,
    ) -> None:
        self.world, self.keep, self.manifest = World(), keep, manifest
        self.app_token, self.signing_secret = f"xapp-1-{self.world.app_id}-fake", "a-signing-secret-of-no-app"
        self.client_id, self.client_secret = self.world.client = "1111.2222", "a-client-secret-of-no-app"
        told = manifest or {}
        granted = told.get("oauth_config", {}).get("scopes", {}).get("bot", SCOPES)
        self.scopes = frozenset(granted if scopes is None else scopes)
        self.violations: list[str] = []
        self.sockets, self.tiers = Sockets(self.world.app_id), Tiers(real_limits)
        self.deliverer = Deliverer(self.world, self.sockets, self.signing_secret)
        self.patience_s = patience_s
        wanted = None if manifest is None else told.get("settings", {}).get("event_subscriptions", {}).get("bot_events", [])
        self.world.publish = Events(self.world, self.deliverer, wanted, self.violations).publish
        if manifest is not None:
            self._as_told(told.get("features", {}))
        self.web = Web(self.world, self.sockets, self.app_token, self.tiers, self.violations)
        self.web.served = self._forget

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=LARGEST_BYTES)
        app.router.add_route("*", "/{path:.*}", self.web.serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.port = self._runner.addresses[0][1]
        self.base = self.world.base = f"http://127.0.0.1:{self.port}"
        self.api = f"{self.base}/api/"
        self.sockets.url = f"ws://127.0.0.1:{self.port}/link"
        self.deliverer.session = aiohttp.ClientSession()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.deliverer.end()
        await self.sockets.end()
        assert self.deliverer.session is not None
        await self.deliverer.session.close()
        await self._runner.cleanup()

    def _as_told(self, features: Json) -> None:
        home = features.get("app_home", {})
        self.world.agent = "agent_view" in features
        self.world.messages_tab = bool(home.get("messages_tab_enabled") or self.world.agent)
        self.world.home_tab = bool(home.get("home_tab_enabled"))

    def advance(self, seconds: float) -> None:
        """Let time pass: what was to come in it comes now."""
        self.world.clock += seconds

    def team(self, name: str, installed: bool = True) -> Workspace:
        """A workspace, with the app in it where `installed`."""
        team = Workspace(self.world, self.world.id("T"), name, scopes=self.scopes)
        team.deliverer, team.violations = self.deliverer, self.violations
        if self.manifest is not None:
            features = self.manifest.get("features", {})
            team.commands = {one["command"] for one in features.get("slash_commands", ())}
            team.shortcuts = {one["callback_id"] for one in features.get("shortcuts", ()) if one["type"] == "message"}
        team.bot_user, team.bot_id = team.account("labbot", "en-US", bot=True).id, self.world.id("B")
        self.world.teams[team.id] = team
        if installed:
            team.install()
        return team

    def code(self, team: Team, by: Person) -> str:
        """A code of OAuth, as the app gets it once somebody has agreed to its installation."""
        made = secrets.token_urlsafe(12)
        self.world.codes[made] = team, by.id, self.world.now_s
        return made

    def fail(self, method: str, kind: str, times: int = 1, seconds: float = 1.0) -> Fault:
        """Let the next requests of a method fail ("*" stands for any)."""
        return self.web.faults.add(method, kind, times, seconds)

    async def until(self, true: Callable[[], object], within_s: float = 10.0) -> None:
        """Wait until something is so. Raises TimeoutError."""
        async with asyncio.timeout(within_s):
            while not true():
                await asyncio.sleep(0.002)

    def _forget(self) -> None:
        if self.keep is None or len(self.web.requests) <= 2 * self.keep:
            return
        for some in (self.web.requests, self.world.shown, self.deliverer.heard, self.sockets.stray):
            del some[: -self.keep]
        for known in (self.world.triggers, self.world.replies):
            for id in list(known)[: -self.keep]:
                del known[id]
