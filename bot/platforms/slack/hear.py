"""How Slack hears: payloads of events, commands and interactions as acts; people and places get ids of ours later.

What is heard names people as "<@TEAM.USER>", since the memory that knows our ids may be away just then. Typed text comes
with &, < and > escaped and with marks for people, channels and links: here it becomes the text that was typed.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from bot.core.cards import clip
from bot.core.talk import Act, Command, File, Press, Said, Submit, short
from bot.platforms.slack.filled import values

Json = Mapping[str, Any]

COMMAND = "/lab"
HELP = "help"
CHOICE = "choice"  # the action id of a card's select: what was chosen is the token
FILES = 10  # of a message that are looked at
TITLE = 60  # characters of a message that a session is called after
SAYING = frozenset({"", "file_share", "thread_broadcast"})  # subtypes of messages that somebody wrote

_MARK = re.compile(r"<(@|#|!|)([^<>|]*)(?:\|([^<>]*))?>")
_COMMAND = re.compile(r"/[a-z]")  # as at every other place: what is none is told so
_LAB = re.compile(rf"\A{COMMAND}(?=\s|\Z)")
_NAMED = re.compile(r"<@([UW][A-Z0-9]+)(?:\|[^<>]*)?>")


def plain(text: str, names: Mapping[str, str]) -> str:
    """What was typed: marks read, escapes undone. `names` are what the people in it are called, by their ids."""
    return unescaped(_MARK.sub(lambda mark: _typed(mark, names), text))


def _typed(mark: "re.Match[str]", names: Mapping[str, str]) -> str:
    kind, what, label = mark[1], mark[2], mark[3] or ""
    match kind:
        case "@":
            return f"@{names.get(what) or label or what}"
        case "#":
            return f"#{label or what}"
        case "!":
            return label or f"@{what.partition('^')[0]}"
    return what.removeprefix("mailto:") if what.startswith("mailto:") else what


def unescaped(text: str) -> str:
    """https://docs.slack.dev/messaging/formatting-message-text: these three, and no other entity."""
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def people(text: str) -> list[str]:
    """The ids of the people that a text names."""
    return list(dict.fromkeys(_NAMED.findall(text)))


def unnamed(text: str, me: str) -> str:
    """A text without the mention of the bot that it begins with."""
    return re.sub(rf"^\s*<@{re.escape(me)}(?:\|[^<>]*)?>\s*", "", text)


def names_me(event: Json, me: str) -> bool:
    return event.get("type") == "app_mention" or me in people(str(event.get("text", "")))


def said(event: Json, me: str, team: str, names: Mapping[str, str], *, edited: bool = False) -> Act:
    """What somebody wrote: a command if it begins like one, else a text; the mention of the bot before it is no part of it."""
    text = unnamed(str(event.get("text") or ""), me)
    if not edited and _COMMAND.match(text):
        return command(_LAB.sub("", text).lstrip(" /"), team)
    files = tuple(file_of(one, team) for one in (event.get("files") or ())[:FILES] if one.get("url_private"))
    return Said(plain(text, names), files, message_id(str(event["channel"]), str(event["ts"])), edited)


def command(text: str, team: str) -> Command:
    """What stands after /lab, or after a slash in a message: a command of ours, people in it by their ids at Slack."""
    name, rest = [*text.split(maxsplit=1), "", ""][:2]
    marked = _NAMED.sub(lambda mark: f"<@{team}.{mark[1]}>", rest)
    kept = re.split(r"(<@[\w.]+>)", marked)
    return Command(name or HELP, "".join(one if at % 2 else plain(one, {}) for at, one in enumerate(kept)).strip())


def message_id(channel: str, ts: str) -> str:
    """The id of a message. A `ts` is unique in its channel; whose direct messages that is, is kept by no event's name."""
    return short(f"{channel}.{ts}", 24)


def pressed(body: Json) -> Act | None:
    """A button, an option or a thumb; None for what labbot has no use for."""
    action = body["actions"][0]
    token = action.get("value") or (action.get("selected_option") or {}).get("value")
    return Press(str(token)) if token else None


def submitted(view: Json, team: str) -> Submit:
    filled, files = values((view.get("state") or {}).get("values") or {})
    return Submit(str(view["callback_id"]), filled, tuple(file_of(one, team) for one in files if one.get("url_private")))


def of_message(body: Json) -> Command | None:
    """The command of a shortcut that takes a message, with the message's text; the texts of people are unescaped."""
    return Command(str(body["callback_id"]), plain(str(body.get("message", {}).get("text") or ""), {}))


def file_of(file: Json, team: str) -> File:
    """A file that somebody sent: to fetch it takes the token of its workspace."""
    return File(str(file.get("name") or file["id"]), int(file.get("size") or 0), f"{team} {file['url_private']}")


def title_of(text: str) -> str:
    """What a session is called that begins with this text."""
    return clip(" ".join(text.split()), TITLE)


def prompts(words: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    """Suggested prompts: what they are called, and what is said by them."""
    return [{"title": title, "message": message} for title, message in words]
