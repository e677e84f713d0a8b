"""How many events a second go through hear, look, decide, commit and deliver, on a real Redis.

    python -m tests.bench.shell [--json] [--events N]

One person answers the question of a draft over and over, one event at a time (what a conversation feels) and 16
conversations at once (what a machine carries); with `appendfsync always`, as labbot runs, and with `no`. The peer in the
same run is the same Redis taking one bare write after the other, from one client.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from pathlib import Path

from bot import settings as settings_module
from bot.app import App
from bot.core.talk import Command, Event, File, Said
from bot.look import Looker
from bot.pack import enclosed
from bot.play import BEGIN
from bot.rows import Message
from bot.store import Store
from pipeline.embedded import Server
from pipeline.memory import Memory, connect
from pipeline.runs import Runs

CONVERSATIONS = 16


class Silent:
    """A platform that takes everything at once."""

    async def post(self, message: Message) -> str:
        return message.key

    async def edit(self, address: str, message: Message) -> str:
        return address

    async def find(self, message: Message) -> str:
        return message.key

    async def over(self, event: Event) -> None:
        return

    async def pause(self, message: Message) -> None:
        return

    async def fetch(self, file: File) -> bytes:
        return enclosed(file.token)

    async def ask(self, message: Message) -> None:
        return


async def measured(url: str, events: int, fsync: str) -> dict[str, float]:
    memory = connect(url)
    await memory.do("FLUSHALL")
    await memory.do("CONFIG", "SET", "appendfsync", fsync)
    settings = settings_module.load({})
    store = Store(memory)
    with tempfile.TemporaryDirectory() as folder:
        runs, look = Runs(memory, Path(folder), {}), Looker(Path(folder), Path(folder))
        app = App(store, Silent(), platform="bench", tables=settings.words, roles=settings.roles, look=look, runs=runs)
        ready = asyncio.Event()
        task = asyncio.create_task(app.run(ready))
        await ready.wait()
        try:
            people = [await _begun(app, number) for number in range(CONVERSATIONS)]
            return {
                "one_ms": await _one_by_one(app, people[0], events),
                "events_per_s": await _at_once(app, people, events),
                "bare_writes_per_s": await _bare(memory, events),
            }
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await memory.close()


async def _begun(app: App, number: int) -> tuple[str, str]:
    person = await app.store.person("bench", "", f"user{number}", f"user{number}")
    home = f"bench:@{person}"
    await app.hear(Event(f"begin{number}", BEGIN, person, home, Command("skill"), "bench"))
    await app.idle()
    return person, home


def _event(name: str, who: tuple[str, str], number: int) -> Event:
    text = f"question: what is {number} answer: it is {number}" if number % 2 else "/undo"
    act = Said(text) if number % 2 else Command("undo")
    return Event(f"{name}{number}", BEGIN + number, who[0], who[1], act, "bench")


async def _one_by_one(app: App, who: tuple[str, str], events: int) -> float:
    """Median milliseconds from hearing an event to having delivered what it caused."""
    times = []
    for number in range(events // 4):
        begun = time.perf_counter()
        await app.hear(_event("one", who, number))
        await app.idle()
        times.append(time.perf_counter() - begun)
    return statistics.median(times) * 1000


async def _at_once(app: App, people: list[tuple[str, str]], events: int) -> float:
    begun = time.perf_counter()
    for number in range(events // len(people)):
        for index, who in enumerate(people):
            await app.hear(_event(f"many{index}-", who, number))
    await app.idle()
    return events // len(people) * len(people) / (time.perf_counter() - begun)


async def _bare(memory: Memory, events: int) -> float:
    begun = time.perf_counter()
    for number in range(events):
        await memory.do("SET", "bench:bare", number)
    return events / (time.perf_counter() - begun)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    options.add_argument("--json", action="store_true", help="the figures as one JSON object in the last line")
    options.add_argument("--events", type=int, default=2000)
    given = options.parse_args()
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="labbot-redis-") as folder:
        server = Server(Path(folder))
        server.up()
        try:
            for fsync in ("always", "no"):
                found = asyncio.run(measured(server.url, given.events, fsync))
                figures |= {f"{name}_fsync_{fsync}": round(value, 2) for name, value in found.items()}
        finally:
            server.down()
    for name, value in figures.items():
        print(f"{name:32} {value:10.2f}")
    figures["over_bare_write_always"] = round(
        figures["events_per_s_fsync_always"] / figures["bare_writes_per_s_fsync_always"], 3
    )
    if given.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
