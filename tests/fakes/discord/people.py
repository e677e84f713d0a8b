"""What a person does at their client: writes, commands, presses, fills in.

A client lets nobody do what is not there: a button that the message has not, a command that is not registered, a dialog
with an empty required field end in a LookupError or ValueError, not in an event.
"""

import asyncio
import mimetypes
import secrets
from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import Any

from tests.fakes.discord import limits, parts
from tests.fakes.discord.interactions import COMMAND, COMPLETION, COMPONENT, SUBMIT, Interaction
from tests.fakes.discord.messages import reply_to
from tests.fakes.discord.state import PERMISSIONS, PRIVATE_THREAD, PUBLIC_THREAD, Channel, Json, Message, User, World
from tests.fakes.discord.threads import begin

Files = Iterable[tuple[str, bytes]]
SUBCOMMAND, STRING, INTEGER, BOOLEAN, ATTACHMENT = 1, 3, 4, 5, 11
BY_NATURE = {str: STRING, bool: BOOLEAN, int: INTEGER, tuple: ATTACHMENT}


class Person:
    def __init__(self, world: World, user: User) -> None:
        self.world, self.user = world, user

    @property
    def id(self) -> str:
        return self.user.id

    @property
    def mention(self) -> str:
        return f"<@{self.id}>"

    @property
    def refuses_dms(self) -> bool:
        return self.user.refuses_dms

    @refuses_dms.setter
    def refuses_dms(self, value: bool) -> None:
        self.user.refuses_dms = value

    @property
    def dm(self) -> Channel:
        """The DM channel with the bot."""
        return self.world.dm(self.user)

    async def says(
        self,
        channel: Channel,
        text: str,
        *,
        files: Files = (),
        reply_to: Json | None = None,
        mention: bool = False,
        ping: bool = True,
    ) -> Json:
        """Send a message. `ping`: a reply mentions the one whose message it answers, as the client's switch has it."""
        written = f"<@{self.world.bot.id}> {text}" if mention else text
        said: Json = {"author": self.user.json, "content": written}
        said |= {"attachments": [self._upload(channel, *file) for file in files]}
        said |= {"mentions": [user.json for user in self.world.users.values() if f"<@{user.id}>" in written]}
        if reply_to is not None:
            said |= self._reply(reply_to, said["mentions"] if ping else None)
        return deepcopy(self.world.post(channel, said, act=True).json)

    def _reply(self, to: Json, mentions: list[Json] | None) -> Json:
        found = self._message(to)
        if mentions is not None and found.json["author"] not in mentions:
            mentions.append(found.json["author"])
        return reply_to(found)

    async def edits(self, message: Json, text: str) -> Json:
        found = self._own(message)
        mentions = [user.json for user in self.world.users.values() if f"<@{user.id}>" in text]
        self.world.change(found, {"content": text, "mentions": mentions, "edited_timestamp": self.world.now_iso}, act=True)
        return deepcopy(found.json)

    async def deletes(self, message: Json) -> None:
        self.world.remove(self._own(message), act=True)

    async def opens_thread(self, channel: Channel, name: str, message: Json | None = None, *, private: bool = False) -> Channel:
        """Open a thread, from a message where one is given."""
        id = message["id"] if message else self.world.snowflake()
        return begin(self.world, channel, PRIVATE_THREAD if private else PUBLIC_THREAD, id, {"name": name}, self.id, act=True)

    async def slash(self, channel: Channel, name: str, options: Mapping[str, Any] | None = None) -> Interaction:
        """Give a command; `name` has its subcommands behind it. An option of files is one (name, bytes)."""
        return self._act(COMMAND, channel, self._command(channel, name, options or {}))

    async def completes(self, channel: Channel, name: str, options: Mapping[str, Any], focused: str) -> list[Json]:
        """Type at an option of a command; return what is offered. Raises TimeoutError where nothing comes."""
        heard = self._act(COMPLETION, channel, self._command(channel, name, options, focused))
        await asyncio.wait_for(heard.acked.wait(), self.world.patience_s)
        return heard.choices or []

    async def message_command(self, channel: Channel, name: str, message: Json) -> Interaction:
        """Take a command of a message's menu."""
        found = self._message(message)
        known = self._registered(name, 3, found.channel)
        data = {"id": known.get("id", "1"), "name": name, "type": 3, "target_id": found.id}
        return self._act(COMMAND, channel, data | {"resolved": {"messages": {found.id: deepcopy(found.json)}}})

    async def presses(self, message: Json, custom_id: str) -> Interaction:
        """Press a button of a message; one that only the given copy still has is pressed too, as at a slow client."""
        found, part = self._part(message, custom_id)
        data = {"custom_id": custom_id, "component_type": part["type"], "id": part["id"]}
        return self._act(COMPONENT, found.channel, data, message=found)

    async def selects(self, message: Json, custom_id: str, values: list[str]) -> Interaction:
        found, part = self._part(message, custom_id)
        _within(part, values)
        data = {"custom_id": custom_id, "component_type": part["type"], "id": part["id"], "values": values}
        return self._act(COMPONENT, found.channel, data, message=found)

    async def submits(self, opened: Interaction, values: Mapping[str, Any]) -> Interaction:
        """Send a dialog in; what `values` leaves out stays as the dialog was opened.

        Values: text, [value] or [value, …], True or False, [(file name, bytes), …], by custom_id.
        """
        modal = opened.modal
        if modal is None:
            raise LookupError("no dialog was opened")
        fields = {one["custom_id"] for _, one in limits.walk(modal["components"]) if "custom_id" in one}
        if set(values) - fields:
            raise LookupError(f"the dialog has {sorted(fields)}, not {sorted(set(values) - fields)}")
        files: dict[str, Json] = {}
        filled = [self._filled(one, values, opened.channel, files, at) for at, one in enumerate(modal["components"], 1)]
        data: Json = {"custom_id": modal["custom_id"], "components": filled}
        if files:
            data["resolved"] = {"attachments": files}
        return self._act(SUBMIT, opened.channel, data, message=opened.message, opener=opened)

    def _filled(self, one: Json, values: Mapping[str, Any], channel: Channel, files: dict[str, Json], at: int) -> Json:
        """A part of a dialog as it is sent in; the files of uploads go into `files`."""
        said: Json = {"type": one["type"], "id": one.get("id") or at}
        if one["type"] == limits.LABEL:
            inner = self._filled(one["component"], values, channel, files, at + 100)
            return said | {"component": inner}
        if one["type"] == limits.ROW:
            return said | {"components": [self._filled(inner, values, channel, files, at + 100) for inner in one["components"]]}
        if one["type"] == limits.DISPLAY:
            return said
        value = values[one["custom_id"]] if one["custom_id"] in values else _given(one)
        said["custom_id"] = one["custom_id"]
        if one["type"] == limits.UPLOAD:
            uploaded = [self._upload(channel, *file) | {"ephemeral": True} for file in value]
            files |= {file["id"]: file for file in uploaded}
            value = [file["id"] for file in uploaded]
        return said | _sent(one, value)

    def _act(
        self, kind: int, channel: Channel, data: Json, *, message: Message | None = None, opener: Interaction | None = None
    ) -> Interaction:
        world, now = self.world, asyncio.get_running_loop().time()
        heard = Interaction(
            world, world.snowflake(), kind, secrets.token_urlsafe(96), self.user, channel, data, now, world.now_s
        )
        heard.message, heard.opener = message, opener
        world.heard[heard.token] = heard
        said = {"id": heard.id, "application_id": world.bot.id, "type": kind, "token": heard.token, "version": 1, "data": data}
        said |= {"channel_id": channel.id, "channel": channel.json | {"permissions": "0"}, "locale": self.user.locale}
        said |= {"entitlements": [], "attachment_size_limit": limits.FILE_BYTES, "context": 0 if channel.guild else 1}
        said["app_permissions"] = str(sum(PERMISSIONS[name] for name in world.may(channel)))
        if message is not None:
            said["message"] = deepcopy(message.json)
        world.publish("INTERACTION_CREATE", deepcopy(said | self._where(channel)), channel, act=True)
        return heard

    def _where(self, channel: Channel) -> Json:
        """Who acts and where: a member in a guild, a user in a DM."""
        guild = channel.guild
        if guild is None:
            return {"user": self.user.json, "authorizing_integration_owners": {"0": "0"}}
        if self.id not in guild.members:
            raise LookupError(f"{self.user.name} is not in {guild.name}")
        member = guild.members[self.id]
        bits = 0
        for role in guild.roles.values():
            if role["id"] in (guild.id, *member["roles"]):
                bits |= int(role["permissions"])
        known = {"id": guild.id, "locale": guild.locale, "features": []}
        owners = {"authorizing_integration_owners": {"0": guild.id}, "guild_locale": guild.locale}
        return {"guild_id": guild.id, "guild": known, "member": member | {"permissions": str(bits)}} | owners

    def _command(self, channel: Channel, name: str, options: Mapping[str, Any], focused: str = "") -> Json:
        first, *subs = name.split()
        told = known = self._registered(first, 1, channel)
        for sub in subs:
            told = next((one for one in told.get("options", ()) if one["name"] == sub), {})
            if known and not told:
                raise LookupError(f"no command {name!r} is registered")
        wanted = {one["name"]: one for one in told.get("options", ())}
        missing = [key for key, one in wanted.items() if one.get("required") and key not in options and not focused]
        if known and (set(options) - set(wanted) or missing):
            raise LookupError(f"{name!r} takes {sorted(wanted)}, not {sorted(options)}; needed: {missing}")
        files: dict[str, Json] = {}
        given = [self._option(channel, key, value, wanted.get(key, {}), files) for key, value in options.items()]
        for one in given:
            if one["name"] == focused:
                one["focused"] = True
        for depth, sub in enumerate(reversed(subs)):
            given = [{"name": sub, "type": SUBCOMMAND + (depth > 0), "options": given}]
        data: Json = {"id": known.get("id", "1"), "name": first, "type": 1, "options": given}
        return data | ({"resolved": {"attachments": files}} if files else {})

    def _option(self, channel: Channel, name: str, value: Any, told: Json, files: dict[str, Json]) -> Json:
        kind = told.get("type") or BY_NATURE[type(value)]
        allowed = [one["value"] for one in told.get("choices", ())]
        if allowed and value not in allowed:
            raise ValueError(f"{name} is one of {allowed}, not {value!r}")
        if kind == ATTACHMENT:
            file = self._upload(channel, *value) | {"ephemeral": True}
            files[file["id"]] = file
            value = file["id"]
        return {"name": name, "type": kind, "value": value}

    def _registered(self, name: str, kind: int, channel: Channel) -> Json:
        """The command of this name, offered in this channel; {} where none was ever registered: then every name will do."""
        if not self.world.commands:
            return {}
        found = next((one for one in self.world.commands if (one["name"], one["type"]) == (name, kind)), None)
        where = 0 if channel.guild else 1
        hidden = found and (where not in (found["contexts"] or (0, 1)) or (where and found.get("dm_permission") is False))
        if found is None or hidden:
            raise LookupError(f"no command {name!r} is registered for this channel")
        return found

    def _upload(self, channel: Channel, name: str, content: bytes) -> Json:
        return self.world.keep(channel, name, content, mimetypes.guess_type(name)[0] or "application/octet-stream")

    def _message(self, message: Json) -> Message:
        found = self.world.messages.get(message["id"])
        if found is None or found.to not in ("", self.id):
            raise LookupError(f"{self.user.name} sees no such message")
        return found

    def _own(self, message: Json) -> Message:
        found = self._message(message)
        if found.author != self.id:
            raise LookupError(f"this is not a message of {self.user.name}")
        return found

    def _part(self, message: Json, custom_id: str) -> tuple[Message, Json]:
        found = self._message(message)
        part = parts.pressable(found.json).get(custom_id) or parts.pressable(message).get(custom_id)
        if part is None:
            raise LookupError(f"{custom_id!r} is not there; there are {sorted(parts.pressable(found.json))}")
        return found, part


def _given(one: Json) -> Any:
    """What a part of a dialog holds before anybody touches it."""
    if one["type"] == limits.INPUT:
        return one.get("value") or ""
    if "options" in one:
        return [option["value"] for option in one["options"] if option.get("default")]
    return [] if one["type"] == limits.UPLOAD else bool(one.get("default"))


def _sent(one: Json, value: Any) -> Json:
    """The value of a part of a dialog, checked as a client checks it."""
    if one["type"] == limits.INPUT:
        needed = one.get("required") is not False
        least = one.get("min_length") or int(needed)
        if not least <= limits.units(value) <= (one.get("max_length") or limits.TEXT) and (value or needed):
            raise ValueError(f"{one['custom_id']} takes {least} to {one.get('max_length')} characters, not {len(value)}")
        return {"value": value}
    if isinstance(value, bool):
        return {"value": value}
    _within(one, value)
    if one["type"] == limits.RADIO:
        return {"value": value[0] if value else None}
    return {"values": value}


def _within(part: Json, values: list[str]) -> None:
    """Raises LookupError for a value that is not offered, ValueError for too many or too few."""
    offered = [option["value"] for option in part.get("options", ())]
    if offered and set(values) - set(offered):
        raise LookupError(f"{part['custom_id']} offers {offered}, not {values}")
    needed = part.get("required") is not False
    least = 1 if part.get("min_values") is None else part["min_values"]
    if not needed and not values:
        least = 0
    most = part.get("max_values") or (len(offered) if part["type"] == limits.CHECKS else 1)
    if not least <= len(values) <= most:
        raise ValueError(f"{part['custom_id']} takes {least} to {most}, not {len(values)}")
