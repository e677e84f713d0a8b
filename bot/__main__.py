"""`labbot`: the front ends. The only place where the real parts are built."""

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bot import settings as settings_module
from bot.settings import Settings
from pipeline import logs, secret
from pipeline.errors import Invalid, LabError, Problem

if TYPE_CHECKING:
    from bot.platforms.slack.keys import Keys
    from bot.store import Store


def main(words: list[str] | None = None) -> int:
    """Run a front end. 0: it ended as asked; 1: something failed, said in a sentence; 2: wrong usage or configuration."""
    given = _parser().parse_args(words)
    try:
        settings = settings_module.load(os.environ)
        return _COMMANDS[given.command](settings, given)
    except Invalid as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)
        return 2
    except LabError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="labbot", description="Draft a contribution in a conversation.")
    commands = parser.add_subparsers(dest="command", required=True)
    terminal = commands.add_parser("terminal", help="talk here, in this terminal")
    terminal.add_argument("--plain", action="store_true", help="lines in, lines out: for pipes and screen readers")
    terminal.add_argument("--as", dest="name", default="", metavar="NAME", help="who you are (default: your user name)")
    discord = commands.add_parser(
        "discord",
        help="talk in Discord",
        description="The bot's token is in LABBOT_DISCORD_TOKEN, or in the file that LABBOT_DISCORD_TOKEN_FILE names.",
    )
    discord.add_argument(
        "--http", default="", metavar="HOST:PORT", help="/healthz and /metrics are there; 9464 is this machine's"
    )
    discord.add_argument("--invite", action="store_true", help="print the address at which a server lets labbot in, and end")
    discord.add_argument("--check", action="store_true", help="say whether it could begin here, and begin nothing")
    slack = commands.add_parser(
        "slack",
        help="talk in Slack",
        description="Its tokens are in LABBOT_SLACK_BOT_TOKEN, and LABBOT_SLACK_APP_TOKEN for Socket Mode or "
        "LABBOT_SLACK_SIGNING_SECRET for HTTP; many workspaces need LABBOT_SLACK_CLIENT_ID, LABBOT_SLACK_CLIENT_SECRET and "
        "LABBOT_VAULT_KEY instead of the first. NAME_FILE names a file with what NAME would hold.",
    )
    slack.add_argument(
        "--http", default="", metavar="HOST:PORT", help="/healthz and /metrics are there, and /slack/events without Socket Mode"
    )
    slack.add_argument("--manifest", action="store_true", help="print the manifest to make the Slack app from, and end")
    slack.add_argument("--check", action="store_true", help="say whether it could begin here, and begin nothing")
    key = commands.add_parser(
        "key",
        help="print a new key for LABBOT_VAULT_KEY",
        description="LABBOT_VAULT_KEY seals the tokens of workspaces that install labbot and of people who link an account. "
        "To change it put a new key before the old one, a comma between, call this with --rotate, and take the old one out.",
    )
    key.add_argument("--rotate", action="store_true", help="seal everything anew by the first key")
    play = commands.add_parser(
        "play",
        help="play transcripts against a labbot of their own and say where they differ",
        description="A transcript is a conversation as text; bot/transcript.py has its grammar.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    play.add_argument("--name", action="append", default=[], metavar="NAME=TEXT", help="what <NAME> stands for from the start")
    play.add_argument("files", nargs="+", type=Path, metavar="FILE")
    ask = commands.add_parser("ask", help="answer questions from the FAQ, with the source, or say that it does not know")
    ask.add_argument("--json", action="store_true", help="JSON lines in, JSON lines out: id, question, history")
    ask.add_argument(
        "--faq",
        action="append",
        default=[],
        type=Path,
        metavar="PATH",
        help="a markdown file or folder, not the configured ones",
    )
    ask.add_argument("--embeddings", default="", metavar="URL", help="an OpenAI-compatible endpoint, to search by meaning too")
    ask.add_argument("question", nargs="?", default="", metavar="QUESTION", help="default: a question a line, from the input")
    faq = commands.add_parser("faq", help="look after the FAQ")
    report = faq.add_subparsers(dest="what", required=True).add_parser(
        "report", help="what was asked and not answered, what was no help, what maintainers answered"
    )
    report.add_argument("--json", action="store_true", help="a JSON line a question")
    audit = commands.add_parser("audit", help="what operators did, to whom, when and why, oldest first")
    audit.add_argument("--json", action="store_true", help="a JSON line an act")
    return parser


def _ask(settings: Settings, given: argparse.Namespace) -> int:
    """Answer, and return 1 if a line was no question or a file of the FAQ could not be read."""
    from bot.faq import Faq, ask

    section = settings.bot.faq
    url = given.embeddings or settings.embeddings
    paths = given.faq or [settings.home / path for path in section.paths]
    faq = Faq(paths, section.base_url, settings.cache / "faq", embeddings=url)
    for problem in faq.problems:
        print(problem, file=sys.stderr)
    failed = bool(faq.problems)
    asked = json.dumps({"id": None, "question": given.question}) if given.json else given.question
    lines = [asked.encode()] if given.question else sys.stdin.buffer
    if given.json:
        for good, line in ask.as_json(faq, lines):
            print(line, flush=True)
            failed = failed or not good
        return int(failed)
    for told in ask.as_text(faq, (line.decode("utf-8", "replace") for line in lines)):
        print(told, flush=True)
    return int(failed)


def _report(settings: Settings, given: argparse.Namespace) -> int:
    from bot import report
    from bot.house import faq_of

    async def lines(store: "Store") -> Iterable[str]:
        asked, kept = await store.questions(), await store.kept()
        return report.as_json(asked, kept) if given.json else report.as_text(asked, kept, faq_of(settings).digest)

    return _from_store(settings, lines)


def _audit(settings: Settings, given: argparse.Namespace) -> int:
    from bot import report

    async def lines(store: "Store") -> Iterable[str]:
        acts = await store.audit()
        names = await store.names(name for act in acts for name in (act.person, act.whom))
        return report.audit(acts, names, as_json=given.json)

    return _from_store(settings, lines)


def _from_store(settings: Settings, lines: "Callable[[Store], Awaitable[Iterable[str]]]") -> int:
    """Print what is read from the memory of an installation, whether a labbot runs on it or not."""
    from bot.store import Store
    from pipeline.memory import connect

    async def read(url: str) -> Iterable[str]:
        memory = connect(url)
        try:
            return list(await lines(Store(memory, settings.retention)))
        finally:
            await memory.close()

    with redis_of(settings) as url:
        for line in asyncio.run(read(url)):
            print(line)
    return 0


def _discord(settings: Settings, given: argparse.Namespace) -> int:
    from bot.house import built
    from bot.platforms.discord import run as discord
    from pipeline import checkup

    name = "LABBOT_DISCORD_TOKEN"
    token = secret.read(settings.environment, name)
    if not token:
        fix = f"Set it, or {name}_FILE to the file that holds it; README.md says where Discord shows it."
        raise Invalid(Problem("discord.token", "there is none.", name, fix))
    if given.check:
        return checkup.run(settings.environment, [_would(settings)], print)
    if given.invite:
        print(asyncio.run(discord.invite(token)))
        return 0
    settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    logs.set_up(settings.data / "log", "labbot", settings.environment)

    async def serve(url: str) -> int:
        async with built(settings, url, time.time) as house:
            return await discord.run(house, token, given.http, works=not settings.redis_url)

    with redis_of(settings) as url:
        return asyncio.run(serve(url))


def _would(settings: Settings) -> str:
    """What serving does, in a sentence."""
    section = settings.bot.platforms.discord
    reads = "what names it, and everything in its threads" if section.message_content else "what names it"
    return f"serve Discord over {'several connections' if section.shards else 'one connection'}, reading {reads}."


def _slack(settings: Settings, given: argparse.Namespace) -> int:
    from bot.house import built
    from bot.platforms.slack import run as slack
    from pipeline import checkup

    if given.manifest:
        print(slack.manifest(settings))
        return 0
    keys = slack.keys(settings, given.http)
    if given.check:
        return checkup.run(settings.environment, [_would_slack(keys)], print)
    settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    logs.set_up(settings.data / "log", "labbot", settings.environment)

    async def serve(url: str) -> int:
        async with built(settings, url, time.time) as house:
            return await slack.run(house, keys, given.http, works=not settings.redis_url)

    with redis_of(settings) as url:
        return asyncio.run(serve(url))


def _would_slack(keys: "Keys") -> str:
    who = "the workspaces that install it" if keys.client else "one workspace"
    return f"serve {who} of Slack over {'Socket Mode' if keys.app else 'HTTP'}."


def _key(settings: Settings, given: argparse.Namespace) -> int:
    from pipeline import vault

    if not given.rotate:
        print(vault.key())
        return 0
    from bot.platforms.slack.installs import Installs
    from pipeline.github.accounts import Accounts
    from pipeline.github.client import Hub

    async def sealed(store: "Store") -> Iterable[str]:
        kept = vault.load(settings.environment)
        count = await Installs(store.memory, kept).rotate() + await Accounts(store.memory, kept, Hub(), "").rotate()
        return [f"{count} rows are sealed by the first key."]

    return _from_store(settings, sealed)


def _play(settings: Settings, given: argparse.Namespace) -> int:
    from bot.play import play_files

    return asyncio.run(play_files(settings, given.files, dict(name.split("=", 1) for name in given.name if "=" in name)))


def _terminal(settings: Settings, given: argparse.Namespace) -> int:
    from bot.house import built
    from bot.platforms.terminal.run import run

    for remark in remarks(settings.data, os.uname().release):
        print(remark, file=sys.stderr)
    settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    logs.set_up(settings.data / "log", "labbot", settings.environment)

    async def serve(url: str) -> int:
        async with built(settings, url, time.time) as house:
            return await run(house, plain=given.plain or not sys.stdin.isatty(), name=given.name)

    with redis_of(settings) as url:
        return asyncio.run(serve(url))


@contextmanager
def redis_of(settings: Settings) -> Iterator[str]:
    """The URL of the Redis to use: the operator's, with a word on what it would lose, or labbot's own."""
    from pipeline import embedded
    from pipeline.checkup import LOSSES

    if not settings.redis_url:
        with embedded.lent(settings.data / "redis") as url:
            yield url
        return
    kept = embedded.durability_at(settings.redis_url)
    if sentence := LOSSES.get(kept):
        print(f"{secret.masked(settings.redis_url)}: {sentence}", file=sys.stderr)
    yield settings.redis_url


def remarks(data: Path, kernel: str) -> list[str]:
    """What somebody should know about where the data lies; `kernel` is the system's own name of its release."""
    if data.parts[:2] == ("/", "mnt") and "microsoft" in kernel.lower():
        return [f"{data} is a Windows drive: Redis is slow and unsafe there. Set LABBOT_DATA to a folder of your home."]
    return []


_COMMANDS = {
    "ask": _ask,
    "audit": _audit,
    "discord": _discord,
    "faq": _report,
    "key": _key,
    "play": _play,
    "slack": _slack,
    "terminal": _terminal,
}


if __name__ == "__main__":
    sys.exit(main())
