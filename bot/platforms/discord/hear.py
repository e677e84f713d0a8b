"""How Discord hears: what the gateway tells, as an act of somebody in a room; people and places get ids of ours later.

What is heard names people by Discord's ids ("<@123>"), since the memory that knows ours may be away just then.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import discord

from bot.acks import Kind
from bot.core.cards import clip
from bot.core.commands import COMMANDS
from bot.core.talk import Act, Command, File, Press, Said, Submit, Unsaid
from bot.platforms.discord import limits
from bot.platforms.discord.filled import values
from bot.platforms.discord.render import CHOICE

COMPONENT, AUTOCOMPLETE, MODAL = 3, 4, 5  # kinds of interactions
OF_A_MESSAGE = 3  # kind of an application command
TITLE = 60  # characters of a message that a thread is called after

Option = Mapping[str, Any]

MENTION = re.compile(r"<@!?(\d+)>")  # of a person; the group is their id


@dataclass(frozen=True, slots=True)
class Typing:
    """What somebody types into an option of a command; `before` is what the options before it hold, a space after each."""

    command: str
    before: str
    text: str


# --- interactions


def interaction_act(data: Mapping[str, Any], kind: int, of_message: Mapping[str, str]) -> Act | None:
    """What was done; None for what labbot has no use for. `of_message`: the commands behind those that take a message."""
    match kind:
        case 2:
            return _command(data, of_message)
        case 3:
            chosen = data.get("values") or []
            token = chosen[0] if data["custom_id"] == CHOICE and chosen else data["custom_id"]
            return Press(str(token))
        case 5:
            filled, attached = values(dict(data))
            return Submit(str(data["custom_id"]), filled, tuple(map(file_of, attached)))
    return None


def _command(data: Mapping[str, Any], of_message: Mapping[str, str]) -> Act | None:
    resolved = data.get("resolved") or {}
    if data.get("type", 1) == OF_A_MESSAGE:
        message = (resolved.get("messages") or {}).get(data.get("target_id"), {})
        name = of_message.get(str(data["name"]), "")
        return Command(name, str(message.get("content", ""))) if name else None
    attachments = resolved.get("attachments") or {}
    given = data.get("options") or []
    if files := [attachments[one["value"]] for one in given if one["type"] == 11 and one["value"] in attachments]:
        return Said("", tuple(map(file_of, files)))
    return Command(str(data["name"]), _text(str(data["name"]), given))


def _text(command: str, options: Iterable[Option]) -> str:
    """What was given to a command, as it would be typed."""
    given = _ordered(command, options)
    names = {str(one["name"]) for one in given}
    if command == "compare" and "question" in names and not {"model", "other"} <= names:
        return ""  # its dialog asks for what is missing; a question alone would be taken for names
    return " ".join(filter(None, map(_value, given)))


def _ordered(command: str, options: Iterable[Option]) -> list[Option]:
    """What was given to a command, in the order in which it would be typed: Discord has that in which it was filled in."""
    given = {str(one["name"]): one for one in options}
    order = [takes.name for takes in COMMANDS[command].takes] if command in COMMANDS else [*given]
    return [given[name] for name in order if name in given]


def _value(option: Option) -> str:
    value = str(option["value"])
    return f"<@{value}>" if option["type"] == 6 else value.strip()


def typing(data: Mapping[str, Any]) -> Typing:
    """What is being typed into a command's option."""
    command = str(data["name"])
    given = _ordered(command, data.get("options") or ())
    at = next((at for at, one in enumerate(given) if one.get("focused")), len(given))
    before = "".join(f"{word} " for word in map(_value, given[:at]) if word)
    return Typing(command, before, "".join(map(_value, given[at : at + 1])))


def mentioned(data: Mapping[str, Any]) -> dict[str, str]:
    """What the people of an interaction's options are called."""
    users = (data.get("resolved") or {}).get("users") or {}
    return {str(name): str(one.get("global_name") or one["username"]) for name, one in users.items()}


def file_of(attachment: Mapping[str, Any]) -> File:
    return File(str(attachment["filename"]), int(attachment["size"]), str(attachment["url"]))


def kind_of(number: int) -> Kind:
    """An interaction's kind, by Discord's number for it."""
    return "press" if number == COMPONENT else "submit" if number == MODAL else "command"


# --- messages


def said(message: discord.Message, me: int, *, edited: bool = False) -> Act:
    """What somebody wrote: a command if it begins like one, else a text; the mention of the bot before it is no part of it."""
    text = unnamed(message.content, me)
    if not edited and re.match(r"/[a-z]", text):
        name, _, rest = text[1:].partition(" ")
        return Command(name.strip(), rest.strip())
    names = {str(one.id): one.display_name for one in message.mentions}
    plain = named(text, names)
    files = tuple(File(one.filename, one.size, one.url) for one in message.attachments[: limits.FILES])
    return Said(plain, files, str(message.id), edited)


def unnamed(text: str, me: int | str) -> str:
    """A text without the mention of the bot that it begins with."""
    return re.sub(rf"^\s*<@[!&]?{me}>\s*", "", text)


def named(text: str, names: Mapping[str, str]) -> str:
    """A text with the people in it as they are called."""
    return MENTION.sub(lambda mark: f"@{names.get(mark[1], mark[1])}", text)


def unsaid(message: int) -> Unsaid:
    return Unsaid(str(message))


def is_for_us(message: discord.Message, me: discord.ClientUser, ours: bool) -> bool:
    """Whether a message is meant for the bot: said to it directly, in a thread of `ours`, or naming it, or answering it."""
    if message.author.bot or message.type not in (discord.MessageType.default, discord.MessageType.reply):
        return False
    return message.guild is None or ours or _names(message, me) or answers(message, me)


def _names(message: discord.Message, me: discord.ClientUser) -> bool:
    if any(one.id == me.id for one in message.mentions):
        return True
    role = message.guild.self_role if message.guild else None
    return role is not None and role.id in message.raw_role_mentions


def answers(message: discord.Message, me: discord.ClientUser) -> bool:
    """Whether it is a reply to something that the bot said."""
    reference = message.reference.resolved if message.reference else None
    return isinstance(reference, discord.Message) and reference.author.id == me.id


def title_of(text: str) -> str:
    """What a thread is called that begins with this text."""
    return clip(text, TITLE)
