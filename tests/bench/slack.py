"""How fresh streamed answers are in Slack, and how soon acts are acknowledged, in many workspaces and in a full one.

    python -m tests.bench.slack [--json] [--seconds 120] [--conversations 100] [--workspaces 25] [--full 20] [--profile FILE]

The bot is a process of its own on Socket Mode, the fake Slack with its real tiers and the model are in this one, all on the
loopback interface. Each conversation is a thread: somebody asks, the model says 20 tokens a second until the answer has 1,500
to 3,000 characters with code in it, and when all of it stands there they ask again. Meanwhile others give commands and press
thumbs. First --conversations in --workspaces, then, prefixed `full_`, --full of them in one, where an answer takes all the
time: 20 streams a minute may begin in a workspace, and one whose turn is too far off is posted and edited instead (--short
has short answers there too).

`staleness_*_s`: at every append or edit, the age of the oldest token that it shows for the first time; when the time is over
also that of those that are not shown. `staleness_over_tier`: the 99th percentile of the full workspace by what its tier
allows (100 appends a minute, shared by all that stream there). `ack_*_ms`: from an act until Slack has its answer. `got_429`
counts refusals. `memory_growth`: the bot's resident memory in the last third of the time against the first. `not_whole`:
answers that stood there at the end otherwise than the model said them.
"""

import argparse
import asyncio
import json
import random
import shutil
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from bot.house import House
from bot.platforms.slack.front import Front
from bot.platforms.slack.keys import Keys
from bot.platforms.slack.workspaces import Workspace
from pipeline.embedded import Server
from tests.bench import crowd as shared
from tests.bench.crowd import CHARACTERS, HOME, TOKENS_PER_S, Model
from tests.bench.slack_crowd import Crowd
from tests.fakes.slack.server import Slack

MODULE = "tests.bench.slack"
APPENDS_PER_S = 100 / 60.0  # chat.appendStream, tier 4, in a workspace
TOKEN = 6  # characters of a token, more than most have: an answer so long takes all the time that is measured
FULL = "full_"  # how figures of the full workspace are called
POKES_PER_S = (2.0, 0.5)  # in many workspaces, in one


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    options.add_argument("--json", action="store_true", help="the figures as one JSON object in the last line")
    options.add_argument("--seconds", type=float, default=120.0)
    options.add_argument("--conversations", type=int, default=100)
    options.add_argument("--workspaces", type=int, default=25)
    options.add_argument("--full", type=int, default=20, help="conversations in one workspace")
    options.add_argument("--short", action="store_true", help="short answers in the full workspace too, one after the other")
    options.add_argument("--profile", default="", help="a file for the profile (cProfile) of the bot's process")
    options.add_argument("--bot", action="store_true", help=argparse.SUPPRESS)  # the child that is the bot
    given = options.parse_args()
    if given.bot:
        return shared.bot(front)
    found = asyncio.run(both(given))
    for name, value in found.items():
        print(f"{name:36} {value:10.3f}")
    if given.json:
        print(json.dumps({name: round(value, 4) for name, value in found.items()}))


class Installed:
    """The workspaces as they were made, by their ids."""

    def __init__(self, told: dict[str, list[str]]) -> None:
        self.found = {team: Workspace(team, *what) for team, what in told.items()}

    async def workspace(self, team: str, enterprise: str = "") -> Workspace | None:
        return self.found.get(team)

    async def erase(self, team: str) -> None:
        self.found.pop(team, None)


def front(house: House, given: dict[str, Any]) -> Front:
    return Front(house, Keys(app=given["app"]), base=given["api"], installs=Installed(given["teams"]))


async def both(given: argparse.Namespace) -> dict[str, float]:
    many: dict[str, float] = {}
    if given.conversations:
        many = await measured(given.seconds, given.conversations, given.workspaces, POKES_PER_S[0], given.profile)
    if not given.full:
        return many
    length = CHARACTERS if given.short else (int(given.seconds * TOKENS_PER_S * TOKEN),) * 2
    full = await measured(given.seconds, given.full, 1, POKES_PER_S[1], given.profile, length)
    over = full["staleness_p99_s"] / (given.full / APPENDS_PER_S)
    found = many | {f"{FULL}{name}": value for name, value in full.items()} | {"staleness_over_tier": over}
    for name in ("ack_p99_ms", "memory_growth"):  # what holds for both is told of the worse
        found[name] = max(many.get(name, full[name]), full[name])
    return found | {"got_429": many.get("got_429", 0.0) + full["got_429"]}


async def measured(
    seconds: float,
    conversations: int,
    workspaces: int,
    pokes_per_s: float,
    profile: str,
    characters: tuple[int, int] = CHARACTERS,
) -> dict[str, float]:
    chance = random.Random(7)
    async with AsyncExitStack() as stack:
        base = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="labbot-bench-")))
        shutil.copytree(HOME / "configs", base / "home" / "configs")
        server = Server(base / "redis")
        await asyncio.to_thread(server.up)
        stack.callback(server.down)
        fake = await stack.enter_async_context(Slack(real_limits=True))
        teams = [fake.team(f"lab{number}") for number in range(workspaces)]
        model = Model(chance, characters)
        told: dict[str, Any] = {"api": fake.api, "app": fake.app_token, "profile": profile, "redis": server.url}
        told |= {"teams": {team.id: [team.bot_token, team.bot_user, team.bot_id] for team in teams}}
        told |= {"chat": await stack.enter_async_context(model.serving())}
        told |= {"home": str(base / "home"), "data": str(base / "data")}
        crowd = Crowd(fake, teams, model, conversations, chance, pokes_per_s)
        await shared.served(MODULE, told, crowd.seen, lambda: crowd.run(seconds))
        for told_wrong in [*fake.violations[:5], *crowd.seen.broken[:5]]:
            print(told_wrong, file=sys.stderr)
        calls: dict[str, float] = {}
        for (method, _), count in crowd.seen.statuses.items():
            calls[f"{method}_a_minute"] = calls.get(f"{method}_a_minute", 0.0) + 60.0 * count / seconds
        return shared.figures(crowd.seen, seconds) | calls | {"violations": float(len(fake.violations))}


if __name__ == "__main__":
    main()
