"""What the fake Discord knows: guilds, channels, threads, people, messages; and how it says them in JSON.

Ids are snowflakes of the fake's clock, which is real time and an offset that tests move on. What changes is told to
`World.publish` (the gateway) and, where it is a message, to `World.shown`.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol
from urllib.parse import quote

from tests.fakes.discord.refused import Refused

Json = dict[str, Any]
EPOCH_MS = 1420070400000  # the first second of 2015: snowflakes count from it
PERMISSIONS: Mapping[str, int] = {
    "ADMINISTRATOR": 1 << 3,
    "MANAGE_CHANNELS": 1 << 4,
    "VIEW_CHANNEL": 1 << 10,
    "SEND_MESSAGES": 1 << 11,
    "MANAGE_MESSAGES": 1 << 13,
    "EMBED_LINKS": 1 << 14,
    "ATTACH_FILES": 1 << 15,
    "READ_MESSAGE_HISTORY": 1 << 16,
    "MENTION_EVERYONE": 1 << 17,
    "USE_APPLICATION_COMMANDS": 1 << 31,
    "MANAGE_THREADS": 1 << 34,
    "CREATE_PUBLIC_THREADS": 1 << 35,
    "CREATE_PRIVATE_THREADS": 1 << 36,
    "SEND_MESSAGES_IN_THREADS": 1 << 38,
    "PIN_MESSAGES": 1 << 51,
}
USUAL = frozenset(PERMISSIONS) - {"ADMINISTRATOR", "MANAGE_CHANNELS", "MENTION_EVERYONE"}  # what a bot is given here
TEXT, DM, VOICE, PUBLIC_THREAD, PRIVATE_THREAD = 0, 1, 2, 11, 12
SUPPRESS_EMBEDS, HAS_THREAD, EPHEMERAL, LOADING, V2 = 1 << 2, 1 << 5, 1 << 6, 1 << 7, 1 << 15
NONCE_S = 300  # "the past few minutes" of the documentation


class Publish(Protocol):
    def __call__(self, event: str, data: Json, channel: "Channel | None" = None, *, act: bool = False) -> None: ...


@dataclass
class User:
    id: str
    name: str
    locale: str = "en-US"
    bot: bool = False
    refuses_dms: bool = False

    @property
    def json(self) -> Json:
        said = {"id": self.id, "username": self.name, "discriminator": "0", "global_name": self.name, "avatar": None}
        return said | {"public_flags": 0, "flags": 0, "primary_guild": None} | ({"bot": True} if self.bot else {})


@dataclass
class Guild:
    world: "World"
    id: str
    name: str
    locale: str = "en-US"
    granted: frozenset[str] = USUAL  # to the bot
    roles: dict[str, Json] = field(default_factory=dict)  # by name
    channels: list["Channel"] = field(default_factory=list)
    members: dict[str, Json] = field(default_factory=dict)  # by user id

    def channel(self, name: str, deny: Iterable[str] = (), *, kind: int = TEXT, slow_s: int = 0) -> "Channel":
        """Make a channel. `deny`: permissions that the bot has not there."""
        made = Channel(self.world, self.world.snowflake(), name, kind, self, deny=frozenset(deny), slow_s=slow_s)
        self.channels.append(made)
        self.world.channels[made.id] = made
        self._tell("CHANNEL_CREATE", made.json, made)
        return made

    def _tell(self, event: str, data: Json, channel: "Channel | None" = None) -> None:
        """Tell of a change; what a guild begins with is told with the guild."""
        if self.id in self.world.guilds:
            self.world.publish(event, data, channel)

    def role(self, name: str, *permissions: str, id: str = "") -> Json:
        if name not in self.roles:
            bits = sum(PERMISSIONS[one] for one in permissions)
            shown = {"color": 0, "colors": {"primary_color": 0, "secondary_color": None, "tertiary_color": None}}
            shown |= {"hoist": False, "managed": False, "mentionable": False, "icon": None, "unicode_emoji": None, "flags": 0}
            at = {"id": id or self.world.snowflake(), "name": name, "permissions": str(bits), "position": len(self.roles)}
            self.roles[name] = at | shown
            self._tell("GUILD_ROLE_CREATE", {"guild_id": self.id, "role": self.roles[name]})
        return self.roles[name]

    def join(self, who: Any, roles: Iterable[str] = ()) -> None:
        """Take a person in, or give one who is in these roles. `who` has an id."""
        user = self.world.users[who.id]
        known = user.id in self.members
        dates = {"joined_at": self.world.now_iso, "premium_since": None, "communication_disabled_until": None}
        shown = {"nick": None, "avatar": None, "banner": None, "flags": 0, "pending": False, "mute": False, "deaf": False}
        self.members[user.id] = {"user": user.json, "roles": [self.role(name)["id"] for name in roles]} | dates | shown
        event = "GUILD_MEMBER_UPDATE" if known else "GUILD_MEMBER_ADD"
        self._tell(event, {"guild_id": self.id} | self.members[user.id])

    @property
    def json(self) -> Json:
        """What GUILD_CREATE says, without what depends on the session."""
        levels = ("verification_level", "default_message_notifications", "explicit_content_filter", "mfa_level", "nsfw_level")
        rest = {"premium_tier": 0, "system_channel_flags": 0, "afk_timeout": 300, "max_members": 500000}
        lists = ("emojis", "stickers", "features", "voice_states", "presences", "stage_instances", "soundboard_sounds")
        return (
            {"id": self.id, "name": self.name, "icon": None, "owner_id": self.id, "preferred_locale": self.locale}
            | {name: 0 for name in levels}
            | {name: [] for name in lists}
            | rest
            | {"guild_scheduled_events": [], "joined_at": self.world.now_iso, "large": False, "unavailable": False}
            | {"member_count": len(self.members), "roles": list(self.roles.values())}
            | {"channels": [one.json for one in self.channels if one.parent is None and self.world.sees(one)]}
            | {"threads": [one.json for one in self.channels if one.parent and not one.archived and self.world.sees(one)]}
        )


@dataclass(eq=False)
class Channel:
    """A channel of a guild, a thread (it has a parent), or the DM channel with one person (it has no guild)."""

    world: "World"
    id: str
    name: str
    kind: int
    guild: Guild | None = None
    parent: "Channel | None" = None
    deny: frozenset[str] = frozenset()
    with_: User | None = None
    slow_s: int = 0
    owner: str = ""
    archived: bool = False
    locked: bool = False
    auto_archive: int = 1440  # minutes
    joined: dict[str, str] = field(default_factory=dict)  # a thread's members: user id -> since when
    messages: list[str] = field(default_factory=list)  # ids, oldest first
    renamed: list[float] = field(default_factory=list)
    pins: list[str] = field(default_factory=list)

    def denies(self, *permissions: str) -> None:
        """From now on the bot has all but these here."""
        self.deny = frozenset(permissions)
        self.world.publish("CHANNEL_UPDATE", self.json, self)

    def archive(self, *, locked: bool = False) -> None:
        """What time does to a thread, and what a moderator may do with it."""
        self.archived, self.locked = True, locked
        self.world.publish("THREAD_UPDATE", self.json, self)

    @property
    def json(self) -> Json:
        last = {"last_message_id": self.messages[-1] if self.messages else None, "flags": 0}
        if self.with_:
            return {"id": self.id, "type": DM, "recipients": [self.with_.json]} | last
        assert self.guild
        said = {"id": self.id, "type": self.kind, "guild_id": self.guild.id, "name": self.name} | last
        said |= {"parent_id": self.parent.id if self.parent else None, "rate_limit_per_user": self.slow_s}
        if self.parent:
            return said | self._thread_json
        denied = str(sum(PERMISSIONS[one] for one in self.deny))
        overwrites = [{"id": self.world.bot.id, "type": 1, "allow": "0", "deny": denied}] if self.deny else []
        return said | {"position": 0, "permission_overwrites": overwrites, "nsfw": False, "topic": None}

    @property
    def _thread_json(self) -> Json:
        dates = {"archive_timestamp": self.world.now_iso, "create_timestamp": self.world.now_iso}
        meta = {"archived": self.archived, "locked": self.locked, "auto_archive_duration": self.auto_archive} | dates
        if self.kind == PRIVATE_THREAD:
            meta["invitable"] = False
        counts = {"message_count": len(self.messages), "total_message_sent": len(self.messages)}
        said = {"owner_id": self.owner, "thread_metadata": meta, "member_count": len(self.joined)} | counts
        return said | ({"member": self.member(self.world.bot.id)} if self.world.bot.id in self.joined else {})

    def member(self, user_id: str) -> Json:
        return {"id": self.id, "user_id": user_id, "join_timestamp": self.joined[user_id], "flags": 0}


@dataclass(eq=False)
class Message:
    """`to`: the one who sees it, of an ephemeral one; `hook`: the token of the interaction that made it."""

    json: Json
    channel: Channel
    to: str = ""
    hook: str = ""
    edited_late: list[float] = field(default_factory=list)

    @property
    def id(self) -> str:
        return str(self.json["id"])

    @property
    def author(self) -> str:
        return str(self.json["author"]["id"])


@dataclass(frozen=True)
class Shown:
    """What a reader of the channel saw happen. `at`: the event loop's time; `to`: the reader of an ephemeral message."""

    kind: str  # create, edit, delete
    channel: Channel
    message: Json
    to: str
    at: float
    author: str


@dataclass
class File:
    """An attachment's bytes. `slow_s`: it takes so long to come; `padding`: so many bytes more come than were said."""

    name: str
    content: bytes
    kind: str
    slow_s: float = 0.0
    padding: int = 0


class World:
    def __init__(self) -> None:
        self.clock = 0.0
        self._last_id = 0
        self.users: dict[str, User] = {}
        self.guilds: dict[str, Guild] = {}
        self.channels: dict[str, Channel] = {}
        self.messages: dict[str, Message] = {}
        self.files: dict[str, File] = {}
        self.nonces: dict[str, tuple[float, str]] = {}  # nonce -> when, message id
        self.commands: list[Json] = []
        self.created: list[float] = []  # when commands were newly made
        self.heard: dict[str, Any] = {}  # interactions by token
        self.patience_s = 3.0  # for the first answer to an interaction
        self.publish: Publish = lambda event, data, channel=None, *, act=False: None
        self.shown: list[Shown] = []
        self.more = asyncio.Event()
        self.cdn = ""
        self.bot = self.user("labbot", bot=True)

    @property
    def now_s(self) -> float:
        return time.time() + self.clock

    @property
    def now_iso(self) -> str:
        return datetime.fromtimestamp(self.now_s, UTC).isoformat()

    def snowflake(self) -> str:
        self._last_id = max(self._last_id + 1, (int(self.now_s * 1000) - EPOCH_MS) << 22)
        return str(self._last_id)

    def age_s(self, id: str) -> float:
        return self.now_s - ((int(id) >> 22) + EPOCH_MS) / 1000

    def user(self, name: str, locale: str = "en-US", *, bot: bool = False) -> User:
        made = User(self.snowflake(), name, locale, bot)
        self.users[made.id] = made
        return made

    def guild(self, name: str, locale: str, granted: Iterable[str]) -> Guild:
        made = Guild(self, self.snowflake(), name, locale, frozenset(granted))
        made.role("@everyone", "VIEW_CHANNEL", "SEND_MESSAGES", "USE_APPLICATION_COMMANDS", id=made.id)
        made.role("labbot", *granted)
        made.join(self.bot, ["labbot"])
        self.guilds[made.id] = made
        return made

    def dm(self, user: User) -> Channel:
        """The DM channel with someone; made when it is first asked for."""
        for channel in self.channels.values():
            if channel.with_ is user:
                return channel
        made = Channel(self, self.snowflake(), "", DM, with_=user)
        self.channels[made.id] = made
        return made

    def may(self, channel: Channel) -> frozenset[str]:
        """The permissions that the bot has there; a thread has its parent's."""
        if channel.guild is None:
            return USUAL
        if "ADMINISTRATOR" in channel.guild.granted:
            return frozenset(PERMISSIONS)
        return channel.guild.granted - (channel.parent or channel).deny

    def sees(self, channel: Channel) -> bool:
        hidden = channel.kind == PRIVATE_THREAD and self.bot.id not in channel.joined
        return "VIEW_CHANNEL" in self.may(channel) and (not hidden or "MANAGE_THREADS" in self.may(channel))

    def need(self, channel: Channel, *permissions: str) -> None:
        """Raises Refused: no access to the channel (50001), or no such permission in it (50013)."""
        if not self.sees(channel):
            raise Refused(50001)
        if not self.may(channel).issuperset(permissions):
            raise Refused(50013)

    def post(
        self, channel: Channel, said: Json, *, to: str = "", hook: str = "", act: bool = False, system: bool = False
    ) -> Message:
        """Add a message. `said`: its fields, with the author; `act`: a person did it; `system`: Discord itself, unannounced."""
        blank = {"type": 0, "content": "", "mentions": [], "mention_roles": [], "attachments": [], "embeds": []}
        blank |= {
            "edited_timestamp": None,
            "flags": 0,
            "components": [],
            "pinned": False,
            "mention_everyone": False,
            "tts": False,
        }
        whole = blank | {"id": self.snowflake(), "channel_id": channel.id, "timestamp": self.now_iso} | said
        made = Message(whole, channel, to, hook)
        self.messages[made.id] = made
        if not to:
            channel.messages.append(made.id)
        if system:
            return made
        if not to:
            if channel.parent:
                self._wake(channel, made)
            self.publish("MESSAGE_CREATE", self.told(made), channel, act=act)
        self.show("create", made)
        return made

    def _wake(self, thread: Channel, message: Message) -> None:
        """Sending un-archives a thread, and takes the one who writes and those who are mentioned into it."""
        for user in (message.author, *(one["id"] for one in message.json["mentions"])):
            thread.joined.setdefault(user, self.now_iso)
        if thread.archived:
            thread.archived = False
            self.publish("THREAD_UPDATE", thread.json, thread)

    def told(self, message: Message) -> Json:
        """A message as an event of the gateway carries it."""
        guild = message.channel.guild
        if guild is None:
            return deepcopy(message.json)
        member = {name: value for name, value in guild.members.get(message.author, {}).items() if name != "user"}
        return deepcopy(message.json) | {"guild_id": guild.id} | ({"member": member} if member else {})

    def change(self, message: Message, fields: Json, *, act: bool = False) -> None:
        message.json |= fields
        if not message.to:
            self.publish("MESSAGE_UPDATE", self.told(message), message.channel, act=act)
        self.show("edit", message)

    def remove(self, message: Message, *, act: bool = False) -> None:
        del self.messages[message.id]
        channel = message.channel
        if not message.to:
            channel.messages.remove(message.id)
            where = {"guild_id": channel.guild.id} if channel.guild else {}
            self.publish("MESSAGE_DELETE", {"id": message.id, "channel_id": channel.id} | where, channel, act=act)
        self.show("delete", message)

    def show(self, kind: str, message: Message) -> None:
        at = asyncio.get_running_loop().time()
        self.shown.append(Shown(kind, message.channel, deepcopy(message.json), message.to, at, message.author))
        self.more.set()

    def keep(self, channel: Channel, name: str, content: bytes, kind: str, *, title: str = "") -> Json:
        """Keep an uploaded file; return the attachment that stands for it."""
        id = self.snowflake()
        self.files[id] = File(name, content, kind)
        url = f"{self.cdn}/attachments/{channel.id}/{id}/{quote(name)}"
        said = {"id": id, "filename": name, "size": len(content), "url": url, "proxy_url": url, "content_type": kind}
        return said | ({"description": title} if title else {})
