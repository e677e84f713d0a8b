"""What the way from a person to the engine costs: tokens a second, and the time to the first word.

    python -m tests.bench.chat [--json] [--short] [--rounds N]

The same questions, to the same model, in four ways; each adds to the one before. `engine`: asked in its own process.
`http`: `labpipe serve` and the client. `shell`: a question that somebody types goes through labbot's shell, its Redis and
the chat, up to the edit of a message (by a platform that takes everything at once). `terminal`: `labbot terminal` on a
pseudo-terminal, from Enter to the screen. One stream at a time, and 16 at once, which one terminal cannot. All on one
machine: whatever the way needs is taken from the engine.

`cost_WAY_N` is the share of tokens a second that is lost against the engine alone; `first_WAY_N_ms` the time to the first
word, `added_WAY_N_ms` what of it the way added. Best of the rounds for tokens, medians of all questions for times.
"""

import argparse
import asyncio
import json
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from bot import settings as settings_module
from bot.app import App
from bot.core.talk import Answer, Command, Event, File
from bot.house import built
from bot.pack import enclosed
from bot.rows import Message
from pipeline import config
from pipeline.embedded import Server
from pipeline.models.client import Client, Endpoint
from tests.bench.engine.model import made
from tests.bench.terminal import CONTROL, Terminal

HOME = Path(__file__).resolve().parent.parent.parent
MANY = 16
ONE_BY_ONE = 4  # questions of a round that are asked one after the other
TYPED = 2  # questions of a round in a terminal: each needs one of its own, with nothing said before
PATIENCE_S = 120.0
CALM = {"OMP_WAIT_POLICY": "passive"}  # as `labpipe serve` sets it
WORD = re.compile(r"\b(?:[bdfgklmnprstvz][aeiou]){2,3}\b")  # of which the model's vocabulary is made
DONE = "Answer again"  # what stands below an answer that has ended


@dataclass(slots=True)
class Took:
    """Seconds from asking to the first word and to the end."""

    first: float
    whole: float


Ask = Callable[[str], Awaitable[Took]]


@dataclass(slots=True)
class Way:
    """What was measured of one way: rates by streams, the best of them counts, and times to the first word."""

    rates: dict[int, list[float]] = field(default_factory=dict)
    firsts: dict[int, list[float]] = field(default_factory=dict)

    def add(self, streams: int, rate: float, firsts: Sequence[float]) -> None:
        self.rates.setdefault(streams, []).append(rate)
        self.firsts.setdefault(streams, []).extend(firsts)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    options.add_argument("--json", action="store_true", help="the figures as one JSON object in the last line")
    options.add_argument("--short", action="store_true", help="a small model and one round: whether it runs, not how fast")
    options.add_argument("--rounds", type=int, default=0, help="3; 1 with --short")
    options.add_argument("--engine", action="store_true", help=argparse.SUPPRESS)  # the child that asks the engine itself
    given = options.parse_args()
    if given.engine:
        print(json.dumps(asyncio.run(_engine(json.load(sys.stdin)))))
        return
    model = made(small=given.short)
    ways = asyncio.run(measured(model, given.rounds or (1 if given.short else 3), 16 if given.short else 64))
    figures = compared(ways)
    for name, value in figures.items():
        print(f"{name:26} {value:10.3f}")
    if given.json:
        print(json.dumps({name: round(value, 4) for name, value in figures.items()}))


async def measured(model: str, rounds: int, tokens: int) -> dict[str, Way]:
    ways = {name: Way() for name in ("engine", "http", "shell", "terminal")}
    chance = random.Random(7)
    with tempfile.TemporaryDirectory(prefix="labbot-bench-") as base:
        home = configured(Path(base), tokens)
        for number in range(rounds):
            given = {"model": model, "home": str(home), "tokens": tokens, "questions": _questions(chance)}
            for streams, (rate, firsts) in _child(given).items():
                ways["engine"].add(int(streams), rate, firsts)
            with serving(model) as url:
                async with asking_http(url, home) as ask:
                    await _both(ways["http"], url, ask, _questions(chance))
                async with asking_shell(url, home, Path(base) / f"redis{number}") as ask:
                    await _both(ways["shell"], url, ask, _questions(chance))
                texts = _questions(chance)["1"][:TYPED]
                await _typed(ways["terminal"], url, home, Path(base) / f"data{number}", texts)
    return ways


def compared(ways: Mapping[str, Way]) -> dict[str, float]:
    figures = {}
    for name, way in ways.items():
        for streams, rates in way.rates.items():
            bare = ways["engine"]
            figures[f"{name}_{streams}"] = max(rates)
            figures[f"first_{name}_{streams}_ms"] = statistics.median(way.firsts[streams]) * 1000
            if way is not bare:
                figures[f"cost_{name}_{streams}"] = 1 - max(rates) / max(bare.rates[streams])
                added = statistics.median(way.firsts[streams]) - statistics.median(bare.firsts[streams])
                figures[f"added_{name}_{streams}_ms"] = added * 1000
    return figures


def configured(base: Path, tokens: int) -> Path:
    """A home with the project's own configuration, but for the length of answers."""
    home = base / "home"
    shutil.copytree(HOME / "configs", home / "configs")
    path = home / "configs" / "models" / "roles.yaml"
    text, count = re.subn(r"max_tokens: \d+", f"max_tokens: {tokens}", path.read_text(encoding="utf-8"))
    assert count == 1, path
    path.write_text(text, encoding="utf-8")
    return home


def _questions(chance: random.Random) -> dict[str, list[str]]:
    """Questions by streams: numbers, so that no word of the model's is among them."""
    return {
        streams: [f"{chance.randrange(10**6)} and {chance.randrange(10**6)}" for _ in range(count)]
        for streams, count in (("1", ONE_BY_ONE), (str(MANY), MANY))
    }


def _messages(roles: config.RolesConfig, text: str) -> list[dict[str, str]]:
    return [{"role": "system", "content": roles.chat.system}, {"role": "user", "content": text}]


async def _asked(ask: Ask, texts: Sequence[str], streams: int) -> tuple[float, list[float]]:
    """Seconds in all, and to each first word."""
    begun = time.perf_counter()
    if streams == 1:
        took = [await ask(text) for text in texts]
    else:
        took = await asyncio.gather(*map(ask, texts))
    return time.perf_counter() - begun, [one.first for one in took]


async def _both(way: Way, url: str, ask: Ask, questions: Mapping[str, Sequence[str]]) -> None:
    await ask("warm")
    for streams, texts in questions.items():
        before = await _written(url)
        seconds, firsts = await _asked(ask, texts, int(streams))
        way.add(int(streams), (await _written(url) - before) / seconds, firsts)


async def _written(url: str) -> int:
    """Tokens of answers that the server has made so far."""
    async with httpx.AsyncClient(trust_env=False) as web:
        told = (await web.get(url.removesuffix("/v1") + "/metrics")).text
    found = re.search(r'tokens_total\{kind="completion"\} (\d+)', told)
    assert found, told
    return int(found[1])


# --- the engine alone


def _child(given: dict[str, Any]) -> dict[str, tuple[float, list[float]]]:
    command = [sys.executable, "-m", "tests.bench.chat", "--engine"]
    done = subprocess.run(
        command, input=json.dumps(given), cwd=HOME, env=os.environ | CALM, stdout=subprocess.PIPE, text=True, check=True
    )
    found: dict[str, tuple[float, list[float]]] = json.loads(done.stdout)
    return found


async def _engine(given: dict[str, Any]) -> dict[str, tuple[float, list[float]]]:
    from pipeline.models.engine import Engine, EngineSettings, Request, Sampling

    roles = config.roles(Path(given["home"]) / "configs" / "models" / "roles.yaml", {})
    said = roles.chat.options
    known = {
        name: getattr(said, name) for name in ("temperature", "top_p", "top_k", "min_p") if getattr(said, name) is not None
    }
    engine, written, found = Engine(EngineSettings(Path(given["model"]))), 0, {}

    async def ask(text: str) -> Took:
        nonlocal written
        begun, first = time.perf_counter(), 0.0
        stream = engine.submit(Request(engine.chat_prompt(_messages(roles, text)), given["tokens"], sampling=Sampling(**known)))
        async for piece in stream:
            first = first or (time.perf_counter() - begun if piece.text.strip() else 0.0)
        written += stream.usage.completion
        return Took(first, time.perf_counter() - begun)

    try:
        await ask("warm")
        for streams, texts in given["questions"].items():
            written = 0
            seconds, firsts = await _asked(ask, texts, int(streams))
            found[streams] = written / seconds, firsts
    finally:
        engine.close()
    return found


# --- the server and the client


@contextmanager
def serving(model: str) -> Iterator[str]:
    """The URL of `labpipe serve` with that model, which ends with this process."""
    words = [sys.executable, "-m", "pipeline", "serve", model, "--port", "0", "--with-parent"]
    server = subprocess.Popen(words, cwd=HOME, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert server.stdin and server.stdout
    try:
        yield json.loads(server.stdout.readline())["url"]
    finally:
        server.stdin.close()
        server.wait(30)
        server.stdout.close()


@asynccontextmanager
async def asking_http(url: str, home: Path) -> AsyncIterator[Ask]:
    roles = config.roles(home / "configs" / "models" / "roles.yaml", {})
    client = Client(Endpoint(url, concurrency=roles.chat.concurrency))

    async def ask(text: str) -> Took:
        begun, first = time.perf_counter(), 0.0
        async with aclosing(client.stream(_messages(roles, text), options=roles.chat.options)) as pieces:
            async for piece in pieces:
                first = first or (time.perf_counter() - begun if piece.text.strip() else 0.0)
        return Took(first, time.perf_counter() - begun)

    try:
        yield ask
    finally:
        await client.close()


# --- the shell


class Watching:
    """A platform that takes everything at once, and notes when a place's answer began and ended."""

    def __init__(self) -> None:
        self.began: dict[str, float] = {}
        self.ended: dict[str, asyncio.Event] = {}

    async def post(self, message: Message) -> str:
        body = message.body
        if isinstance(body, Answer) and not body.passing and not message.who:
            if body.text.strip():
                self.began.setdefault(message.place, time.perf_counter())
            if not message.live and message.place in self.ended:
                self.ended[message.place].set()
        return message.key

    async def edit(self, address: str, message: Message) -> str:
        return await self.post(message)

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

    async def forget(self, person: str) -> None:
        return


@asynccontextmanager
async def asking_shell(url: str, home: Path, folder: Path) -> AsyncIterator[Ask]:
    """Each question is somebody else's, in a conversation of their own."""
    async with AsyncExitStack() as stack:
        server = Server(folder / "redis")
        await asyncio.to_thread(server.up)
        stack.callback(server.down)
        told = {"LABBOT_HOME": str(home), "LABBOT_DATA": str(folder / "data"), "LABBOT_CHAT_URL": url}
        house = await stack.enter_async_context(built(settings_module.load(told), server.url, time.time))
        watching = Watching()
        app = house.app("bench", watching)
        ready = asyncio.Event()
        tasks = [asyncio.create_task(app.run(ready)), asyncio.create_task(house.keep())]
        stack.push_async_callback(_over, tasks)
        await ready.wait()
        await house.chat.look()

        async def ask(text: str) -> Took:
            return await _shell(app, watching, text)

        yield ask


async def _shell(app: App, watching: Watching, text: str) -> Took:
    person = await app.store.person("bench", "", text, text)
    home = f"bench:@{person}"
    watching.ended[home] = asyncio.Event()
    begun = time.perf_counter()
    await app.hear(Event(f"ask {text}", time.time(), person, home, Command("chat", text), "bench"))
    async with asyncio.timeout(PATIENCE_S):
        await watching.ended[home].wait()
    return Took(watching.began[home] - begun, time.perf_counter() - begun)


async def _over(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


# --- the terminal


async def _typed(way: Way, url: str, home: Path, data: Path, texts: Sequence[str]) -> None:
    """One question a terminal. Its rate is over the answers alone, for it starts anew in between."""
    made, spent, firsts = 0, 0.0, []
    told = {"LABBOT_HOME": str(home), "LABBOT_DATA": str(data), "LABBOT_CHAT_URL": url}
    for number, text in enumerate(texts):
        before = await _written(url)
        took = await asyncio.to_thread(_screen, told, f"bench{number}", text)
        made += await _written(url) - before
        spent += took.whole
        firsts.append(took.first)
    way.add(1, made / spent, firsts)


def _screen(told: dict[str, str], name: str, text: str) -> Took:
    terminal = Terminal([sys.executable, "-m", "bot", "terminal", "--as", name], told)
    try:
        seen = set(WORD.findall(CONTROL.sub(" ", terminal.until(lambda found: "Teach a skill" in found, 60))))
        terminal.settle(1.5)  # the models are known by then
        terminal.write(f"/chat {text}")
        terminal.settle(0.5)
        begun = time.perf_counter()
        terminal.write("\r")
        found = terminal.until(lambda found: bool(set(WORD.findall(CONTROL.sub(" ", found))) - seen), PATIENCE_S)
        first = time.perf_counter() - begun
        terminal.until(lambda more: DONE in CONTROL.sub("", found + more), PATIENCE_S)
        return Took(first, time.perf_counter() - begun)
    finally:
        terminal.close()


if __name__ == "__main__":
    main()
