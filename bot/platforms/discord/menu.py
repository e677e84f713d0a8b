"""Commands as Discord's menus have them: made from the table of the core, in every language, sent only when they changed."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from bot.core.commands import COMMANDS, Spec, Takes
from bot.core.words import FALLBACK, Table

TEXT, USER, ATTACHMENT = 3, 6, 11  # kinds of options
SLASH, OF_A_MESSAGE = 1, 3  # kinds of commands
MESSAGE_COMMANDS = ("ask", "skill")
LOCALES = {"en": ("en-US", "en-GB"), "de": ("de",)}  # Discord's names for a language; others are called as we call them
ANYWHERE = {"integration_types": [0], "contexts": [0, 1]}  # in servers that have the bot, and in its direct messages

Json = dict[str, Any]


def menu(tables: Mapping[str, Table]) -> list[Json]:
    """Every command: slash commands, and those of a message."""
    specs = COMMANDS.values()
    return [*(_slash(spec, tables) for spec in specs), *(_of_message(name, tables) for name in MESSAGE_COMMANDS)]


def digest(commands: list[Json]) -> str:
    return hashlib.sha256(json.dumps(commands, sort_keys=True).encode()).hexdigest()


def of_message(tables: Mapping[str, Table]) -> dict[str, str]:
    """The command that is meant by the name of one of a message."""
    return {str(tables[FALLBACK][f"menu.message.{name}"]): name for name in MESSAGE_COMMANDS}


def _slash(spec: Spec, tables: Mapping[str, Table]) -> Json:
    made: Json = {
        "type": SLASH,
        "name": spec.name,
        **_told(tables, f"menu.{spec.name}", "description"),
        **ANYWHERE,
    }
    if names := _others(tables, f"menu.{spec.name}.name", but=spec.name):
        made["name_localizations"] = names
    if spec.takes:
        made["options"] = [_option(takes, tables) for takes in spec.takes]
    return made


def _option(takes: Takes, tables: Mapping[str, Table]) -> Json:
    made: Json = {
        "type": {"text": TEXT, "person": USER, "file": ATTACHMENT}[takes.kind],
        "name": takes.name,
        "required": takes.required,
        **_told(tables, f"takes.{takes.name}", "description"),
    }
    if takes.choices:
        made["choices"] = [{"name": one, "value": one} for one in takes.choices]
    if takes.completes:
        made["autocomplete"] = True
    return made


def _of_message(name: str, tables: Mapping[str, Table]) -> Json:
    return {"type": OF_A_MESSAGE, **_told(tables, f"menu.message.{name}", "name"), **ANYWHERE}


def _told(tables: Mapping[str, Table], words: str, key: str) -> Json:
    made: Json = {key: tables[FALLBACK][words]}
    if others := _others(tables, words):
        made[f"{key}_localizations"] = others
    return made


def _others(tables: Mapping[str, Table], words: str, but: str = "") -> dict[str, str]:
    """What it is called in the other languages that have a word for it."""
    found = {name: str(table[words]) for name, table in tables.items() if name != FALLBACK and words in table}
    return {theirs: text for name, text in found.items() for theirs in LOCALES.get(name, (name,)) if text != but}
