"""Kill the bot at every write and every request of a drafting session in Discord, and compare what is left with an
undisturbed one; and let every request fail once, in each way, with the gateway breaking off between the acts.

    python -m tests.faults.discord [--every N [--first N] | --storm SEED | --worst | --faults]

The bot is a process of its own with the real discord.py, the fake Discord is here. A point is a write to Redis or a
request to Discord, before it and after it, when its answer came and the bot does not know yet. A round kills the bot at
its n-th point and starts it again; rounds go on until a session is over before its n-th point. `--storm` and `--worst`
kill it again and again in one session, `--faults` lets requests fail instead. Prints one JSON object: rounds, points,
and each difference found.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

from bot.store import Store
from tests.fakes.discord.faults import Fault, Faults, Kind
from tests.fakes.discord.server import Discord
from tests.faults import lane as shared
from tests.faults.discord_person import SESSION, Alice, plain
from tests.faults.lane import Lane, Outcome, bots, killed, stormed

MODULE = "tests.faults.discord"
KINDS: tuple[Kind, ...] = ("503", "reset", "lost", "429", "slow")
WORST = (  # where it is hardest to know what was done, in the order in which a session comes there
    "before EVAL bot:inbox:discord:i",
    "before POST /channels/ID/threads",
    "after POST /channels/ID/threads",
    "after POST /channels/ID/messages",
    "before POST /interactions",
    "after POST /interactions",
    "before PATCH",
    "after PATCH",
    "after SET bot:ack",
    "after SET bot:ack",
    "before HSET bot:sent",
    "after POST /interactions",
    "before POST /channels/ID/messages/ID/threads",
    "before LREM",
)


class Failing(Faults):
    """Requests that fail by their number: of every `every` the one at `phase`, in the kinds' turn."""

    def __init__(self, kinds: tuple[Kind, ...], every: int, phase: int) -> None:
        super().__init__()
        self.kinds, self.every, self.phase, self.seen = kinds, every, phase, 0

    def take(self, method: str, path: str) -> Fault | None:
        self.seen += 1
        if self.seen % self.every != self.phase:
            return None
        kind = self.kinds[self.seen // self.every % len(self.kinds)]
        made = Fault(method, kind, 0, 0.02, 1, pattern=path)
        self.known.append(made)
        return made


class DiscordLane(Lane):
    session = SESSION

    async def play(
        self,
        deaths: Iterable[int | str] = (),
        *,
        faults: Failing | None = None,
        drops: bool = False,
        defer_s: float = 0.7,
        **given: Any,
    ) -> Outcome:
        """One session. `drops`: the gateway breaks off after every step."""
        async with self.begun(deaths) as (stack, store, told, alive):
            fake = await stack.enter_async_context(Discord())
            fake.patience_s = 20.0
            fake.faults = faults or fake.faults
            told |= {"api": fake.api, "gateway": fake.gateway, "cdn": fake.cdn, "token": fake.token, "defer_s": defer_s}
            alice = person(fake, store, alive, self.bots.over.is_set)
            dropped = 0

            async def breaks_off(at: int) -> None:
                nonlocal dropped
                await drop(fake, at)
                dropped += 1

            await self.played(alice, breaks_off if drops else None)
            return self.outcome(told["data"], fake, alice, dropped)


def person(fake: Discord, store: Store, alive: Any, dead: Callable[[], bool]) -> Alice:
    guild = fake.guild("lab")
    channel, somebody = guild.channel("general"), fake.user("alice")
    guild.join(somebody)
    return Alice(fake, somebody, channel, store, alive, dead)


async def drop(fake: Discord, at: int) -> None:
    """The gateway breaks off, in one way after the other; what was told lately is told again. Then the bot hears again."""
    before = fake.identified + fake.resumed
    match at % 4:
        case 0:
            await fake.drop(replay=4)
        case 1:
            await fake.reconnect(replay=4)
        case 2:
            await fake.invalid(False)
        case 3:
            await fake.drop(resumable=False)
    await fake.until(lambda: fake.identified + fake.resumed > before and fake.up.is_set())


def lane(base: Path) -> AbstractAsyncContextManager[DiscordLane]:
    return shared.lane(base, DiscordLane, MODULE)


async def failing(made: DiscordLane, every: int, kinds: tuple[Kind, ...], phases: Iterable[int]) -> dict[str, Any]:
    """Sessions in which of so many requests one fails, in the kinds' turn, and the gateway breaks off after each act."""
    whole = await made.play()
    found, rounds, met, drops = whole.wrong, 1, 0, 0
    for phase in phases:
        faults = Failing(kinds, every, phase)
        left = await made.play(faults=faults, drops=True)
        met, rounds, drops = met + len(faults.known), rounds + 1, drops + left.drops
        told = [plain(f"{one.kind} {one.method} {one.pattern}") for one in faults.known]
        found += [f"failing {phase} of {every}, {told}: {one}" for one in left.differs(whole)]
    return {"rounds": rounds, "requests": whole.asked, "failed": met, "drops": drops, "differences": found}


async def main(given: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory(prefix="labbot-discord-") as folder:
        async with lane(Path(folder)) as made:
            found = await chosen_by(given, made)
    print(json.dumps(found, indent=1, ensure_ascii=False))
    return 1 if found["differences"] else 0


async def chosen_by(given: argparse.Namespace, made: DiscordLane) -> dict[str, Any]:
    if given.storm:
        return await stormed(made, shared.storm(given.storm), defer_s=given.defer)
    if given.worst:
        return await stormed(made, WORST, defer_s=given.defer)
    if not given.faults:
        return await killed(made, given.every, given.first or given.every, given.last, defer_s=given.defer)
    rounds = [await failing(made, 8, (kind,), range(0, 8, given.every)) for kind in KINDS]
    return {name: sum((one[name] for one in rounds), type(rounds[0][name])()) for name in rounds[0]}


def arguments() -> argparse.Namespace:
    options = shared.options(str(__doc__))
    options.add_argument("--faults", action="store_true", help="requests that fail, and a gateway that breaks off")
    options.add_argument("--defer", type=float, default=0.7, metavar="S", help="when the bot tells Discord to wait")
    return options.parse_args()


if __name__ == "__main__":
    chosen = arguments()
    sys.exit(bots("tests.faults.discord_bot") if chosen.bots else asyncio.run(main(chosen)))
