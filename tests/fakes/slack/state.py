"""What there is in the fake Slack: workspaces, channels, users, messages, files, views, sessions; and who is told of a change.

A `ts` is unique in the whole of it, so a copy of a message is enough to find the message again.
"""

import asyncio
import secrets
import time
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Protocol

from tests.fakes.slack import text as markup
from tests.fakes.slack.refused import Refused

Json = dict[str, Any]
SCOPES = frozenset(
    "app_mentions:read assistant:write channels:history channels:join channels:manage channels:read chat:write "
    "chat:write.public commands files:read files:write groups:history groups:read groups:write im:history im:read im:write "
    "mpim:history mpim:read mpim:write reactions:read reactions:write team:read users:read".split()
)  # what the bot is granted where a test says nothing else
KINDS = {"channel": "channels", "group": "groups", "im": "im"}  # channel_type -> the name of its scopes


class Publish(Protocol):
    def __call__(self, team: "Team", event: Json, channel: "Channel | None" = None) -> None: ...


@dataclass(eq=False)
class User:
    team: "Team"
    id: str
    name: str
    locale: str = "en-US"
    admin: bool = False
    bot: bool = False
    deleted: bool = False
    home: "View | None" = None
    stack: list["View"] = field(default_factory=list)  # open modals, the topmost last

    def json(self, *, locale: bool) -> Json:
        shown = {"real_name": self.name.title(), "display_name": self.name, "team": self.team.id}
        profile = {"title": "", "phone": "", "status_text": "", "status_emoji": "", "avatar_hash": "g0"} | shown
        profile |= {"real_name_normalized": self.name.title(), "display_name_normalized": self.name}
        said: Json = {"id": self.id, "team_id": self.team.id, "name": self.name, "real_name": self.name.title()}
        said |= {"deleted": self.deleted, "profile": profile, "is_bot": self.bot, "is_app_user": False, "updated": 1}
        if not self.deleted:
            zone = {"tz": "Europe/Berlin", "tz_label": "Central European Time", "tz_offset": 3600, "color": "9f69e7"}
            roles = {"is_admin": self.admin, "is_owner": False, "is_primary_owner": False, "is_restricted": False}
            said |= zone | roles | {"is_ultra_restricted": False}
        return said | ({"locale": self.locale} if locale else {})


@dataclass(eq=False)
class Channel:
    """A channel, or the direct messages with one person (`with_`)."""

    team: "Team"
    id: str
    name: str
    private: bool = False
    with_: User | None = None
    members: list[str] = field(default_factory=list)  # user ids
    messages: list[str] = field(default_factory=list)  # the ts of each, oldest first
    archived: bool = False

    @property
    def type(self) -> str:
        return "im" if self.with_ else "group" if self.private else "channel"

    @property
    def json(self) -> Json:
        team = {"context_team_id": self.team.id, "updated": 1}
        said: Json = {"id": self.id, "created": 1, "is_archived": self.archived, "is_org_shared": False} | team
        if self.with_:
            return said | {"is_im": True, "user": self.with_.id, "is_user_deleted": self.with_.deleted, "priority": 0}
        kinds = {"is_channel": not self.private, "is_group": self.private, "is_im": False, "is_mpim": False}
        shared = {"is_shared": False, "is_ext_shared": False, "pending_shared": [], "is_pending_ext_shared": False}
        topic = {"value": "", "creator": "", "last_set": 0}
        said |= {"name": self.name, "name_normalized": self.name, "is_private": self.private, "creator": self.team.bot_user}
        said |= {"is_general": self.name == "general", "unlinked": 0, "is_member": self.team.bot_user in self.members}
        return said | kinds | shared | {"topic": topic, "purpose": topic, "previous_names": []}


@dataclass(eq=False)
class Message:
    """`to`: the one who sees it, of an ephemeral one; `stream`: while and after it was streamed, see streams.py.

    `chosen`: what each person (id) has chosen in it, by block_id and action_id.
    """

    json: Json
    channel: Channel
    to: str = ""
    stream: Any = None
    chosen: dict[str, dict[tuple[str, str], Json]] = field(default_factory=dict)

    @property
    def ts(self) -> str:
        return str(self.json["ts"])

    @property
    def author(self) -> str:
        return str(self.json["user"])

    @property
    def thread(self) -> str:
        return str(self.json.get("thread_ts", ""))


@dataclass(frozen=True)
class Shown:
    """What a reader saw happen. `at`: the event loop's time; `to`: the only one who sees it, where there is one.

    `message` is a copy: of the message as it was then, of the view for "view" and "home".
    """

    kind: str  # create, edit, delete, ephemeral, view, home, stream
    channel: Channel | None
    message: Json
    to: str
    at: float


@dataclass(frozen=True)
class Mention:
    """Somebody was pinged. `kind`: user, usergroup, broadcast; `message`: the ts of the message that did it."""

    kind: str
    whom: str
    message: str
    channel: str


@dataclass
class File:
    """`slow_s`: it takes so long to come down; `padding`: so many bytes more come than were said.

    `whole`: its upload is completed. `looks`: so often it is told before Slack has looked at it, and knows its kind.
    """

    id: str
    team: "Team"
    name: str
    kind: str
    content: bytes | None  # None until it is uploaded
    size: int
    user: str
    title: str = ""
    shared: bool = False
    slow_s: float = 0.0
    padding: int = 0
    whole: bool = False
    looks: int = 0


@dataclass(eq=False)
class View:
    json: Json
    team: "Team"
    user: User
    errors: dict[str, str] = field(default_factory=dict)  # by block_id, where the last submission was sent back
    chosen: dict[str, dict[tuple[str, str], Json]] = field(default_factory=dict)  # as of a message

    @property
    def id(self) -> str:
        return str(self.json["id"])


@dataclass(eq=False)
class Trigger:
    """What opens a view, once, within three seconds. `heard`: the act of a person that it came with."""

    team: "Team"
    user: User
    at: float
    heard: Any
    used: bool = False


@dataclass
class Session:
    """An agent session: what its thread shows of the agent at work."""

    status: str
    title: str
    at: float


@dataclass(eq=False)
class Team:
    """A workspace. `dead`: the error that its token gets once the app is gone from it."""

    world: "World"
    id: str
    name: str
    bot_user: str = ""
    bot_id: str = ""
    bot_token: str = ""
    scopes: frozenset[str] = SCOPES
    installed: bool = False
    edit_window_s: float | None = None
    users: dict[str, User] = field(default_factory=dict)
    channels: dict[str, Channel] = field(default_factory=dict)

    def channel(
        self, name: str, private: bool = False, bot_is_member: bool = True, members: tuple[str, ...] | None = None
    ) -> Channel:
        """Make a channel. `members`: user ids; everybody there is, where not said."""
        people = [one.id for one in self.users.values() if not one.bot] if members is None else list(members)
        inside = people + ([self.bot_user] if bot_is_member else [])
        made = Channel(self, self.world.id("C"), name, private, members=inside)
        self.channels[made.id] = made
        return made

    def account(self, name: str, locale: str, *, admin: bool = False, bot: bool = False) -> User:
        made = User(self, self.world.id("U"), name, locale, admin, bot)
        self.users[made.id] = made
        for channel in self.channels.values():
            if not channel.with_ and not channel.private:
                channel.members.append(made.id)
        return made

    def dm(self, user: User) -> Channel:
        """The direct messages of a person with the bot; made when first asked for."""
        found = next((one for one in self.channels.values() if one.with_ is user), None)
        if found is None:
            found = Channel(self, self.world.id("D"), "directmessage", with_=user, members=[user.id, self.bot_user])
            self.channels[found.id] = found
        return found

    def install(self) -> None:
        self.installed = True
        self.bot_token = f"xoxb-{self.id}-{secrets.token_hex(8)}"
        self.world.tokens[self.bot_token] = self

    def tell(self, event: Json, channel: Channel | None = None) -> None:
        self.world.publish(self, event, channel)


class World:
    def __init__(self) -> None:
        self._clock = 0.0
        self._moved = asyncio.Event()
        self._last_id, self._last_us = 0, 0
        self.app_id = self.id("A")
        self.agent = self.messages_tab = self.home_tab = True
        self.client = ("", "")  # the id and the secret of the app
        self.teams: dict[str, Team] = {}
        self.tokens: dict[str, Team] = {}
        self.dead: dict[str, str] = {}  # token -> the error that it gets now
        self.messages: dict[str, Message] = {}
        self.files: dict[str, File] = {}
        self.views: dict[str, View] = {}
        self.triggers: dict[str, Trigger] = {}
        self.replies: dict[str, Any] = {}  # response_urls, see answers.py
        self.codes: dict[str, tuple[Team, str, float]] = {}  # of OAuth: whose, by which user, since when
        self.sessions: dict[tuple[str, str], Session] = {}  # by channel and thread
        self.statuses: dict[tuple[str, str], tuple[str, float]] = {}  # of assistant.threads.setStatus
        self.prompts: dict[tuple[str, str], list[Json]] = {}
        self.reactions: list[tuple[str, str, str]] = []  # channel, ts, name
        self.mentions: list[Mention] = []
        self.shown: list[Shown] = []
        self.more = asyncio.Event()
        self.publish: Publish = lambda team, event, channel=None: None
        self.base = ""
        self.stream_s, self.streams_die = 300.0, "absolute"

    @property
    def clock(self) -> float:
        """Seconds that this Slack is ahead of real time."""
        return self._clock

    @clock.setter
    def clock(self, seconds: float) -> None:
        self._clock = seconds
        self._moved.set()
        self._moved = asyncio.Event()

    @property
    def now_s(self) -> float:
        return time.time() + self._clock

    async def until(self, due_s: float) -> None:
        """Wait until this Slack's time has come, which a test may bring forward."""
        while (left := due_s - self.now_s) > 0:
            moved = self._moved
            try:
                async with asyncio.timeout(left):
                    await moved.wait()
            except TimeoutError:
                continue

    def id(self, kind: str) -> str:
        """An id as Slack's are: a letter, then capitals and digits."""
        self._last_id += 1
        return f"{kind}{self._last_id:07d}X"

    def ts(self) -> str:
        self._last_us = max(self._last_us + 1, int(self.now_s * 1_000_000))
        return f"{self._last_us // 1_000_000}.{self._last_us % 1_000_000:06d}"

    def age_s(self, ts: str) -> float:
        return self.now_s - float(ts)

    def find(self, team: Team, channel: str, ts: str) -> Message | None:
        """A message that the bot may name; an ephemeral one is not there for its token."""
        found = self.messages.get(ts)
        return found if found and found.channel.id == channel and found.channel.team is team and not found.to else None

    def bot_fields(self, team: Team) -> Json:
        icons = {"image_36": f"{self.base}/icon.png", "image_48": f"{self.base}/icon.png", "image_72": f"{self.base}/icon.png"}
        profile = {"id": team.bot_id, "deleted": False, "name": "labbot", "updated": 1, "app_id": self.app_id}
        profile |= {"icons": icons, "team_id": team.id}
        return {"user": team.bot_user, "bot_id": team.bot_id, "app_id": self.app_id, "team": team.id, "bot_profile": profile}

    def post(self, channel: Channel, said: Json, *, to: str = "", loud: bool = False) -> Message:
        """Add a message. `said`: its fields with the author; `loud`: names written plainly are mentions too."""
        whole = {"type": "message", "text": "", "ts": self.ts()} | said
        thread = whole.get("thread_ts")
        parent = self.messages.get(thread) if thread else None
        if parent is not None and not to:
            whole["parent_user_id"] = parent.author
        made = Message(whole, channel, to)
        self.messages[made.ts] = made
        if not to:
            channel.messages.append(made.ts)
            if parent is not None:
                self._replied(parent, made)
        self.note(made, loud=loud)
        self.record("ephemeral" if to else "create", channel, made.json, to)
        if not to:
            channel.team.tell(self.told(made), channel)
        return made

    def _replied(self, parent: Message, reply: Message) -> None:
        parent.json.setdefault("thread_ts", parent.ts)
        who = parent.json.setdefault("reply_users", [])
        if reply.author not in who:
            who.append(reply.author)
        parent.json |= {"reply_count": parent.json.get("reply_count", 0) + 1, "reply_users_count": len(who)}
        parent.json |= {"latest_reply": reply.ts}

    def told(self, message: Message) -> Json:
        """A new message as its event carries it."""
        hidden = ("reply_count", "reply_users", "reply_users_count", "latest_reply", "streaming_state", "metadata")
        said = {key: value for key, value in message.json.items() if key not in hidden}
        where = {"channel": message.channel.id, "channel_type": message.channel.type, "event_ts": message.ts}
        return deepcopy(said) | where

    def change(self, message: Message, fields: Json, *, tell: bool = True, shown: str = "edit") -> None:
        before = deepcopy(message.json) if tell else {}
        message.json |= fields
        self.note(message)
        self.record(shown, message.channel, message.json, message.to)
        if tell and not message.to:
            ts = self.ts()
            said = {"type": "message", "subtype": "message_changed", "hidden": True, "ts": ts, "event_ts": ts}
            said |= {"message": deepcopy(message.json), "previous_message": before}
            message.channel.team.tell(self._where(message, said), message.channel)

    def remove(self, message: Message) -> None:
        """Delete a message; of one with replies a tombstone stays."""
        channel, before = message.channel, deepcopy(message.json)
        self.record("delete", channel, message.json, message.to)
        if message.json.get("reply_count"):
            message.json |= {"subtype": "tombstone", "text": "This message was deleted.", "blocks": [], "user": "USLACKBOT"}
        else:
            del self.messages[message.ts]
            if not message.to:
                channel.messages.remove(message.ts)
        parent = self.messages.get(message.thread)
        if parent is not None and parent is not message:
            parent.json["reply_count"] = parent.json.get("reply_count", 1) - 1
        if not message.to:
            ts = self.ts()
            said = {"type": "message", "subtype": "message_deleted", "hidden": True, "ts": ts, "event_ts": ts}
            said |= {"deleted_ts": message.ts, "previous_message": before}
            channel.team.tell(self._where(message, said), channel)

    def _where(self, message: Message, said: Json) -> Json:
        return said | {"channel": message.channel.id, "channel_type": message.channel.type}

    def record(self, kind: str, channel: Channel | None, what: Json, to: str = "") -> None:
        at = asyncio.get_running_loop().time()
        self.shown.append(Shown(kind, channel, deepcopy(what), to, at))
        self.more.set()

    def note(self, message: Message, *, loud: bool = False) -> None:
        """Keep whom a message pings, once each: Slack tells nobody again when it is edited."""
        if not message.json.get("bot_id"):
            return
        found = markup.mentioned(str(message.json.get("text", "")), loud=loud) if message.json.get("mrkdwn", True) else []
        for kind, whom in [*found, *markup.in_blocks(message.json.get("blocks", []))]:
            one = Mention(kind, whom, message.ts, message.channel.id)
            if one not in self.mentions:
                self.mentions.append(one)

    def need(self, team: Team, scope: str) -> None:
        """Raises Refused where the bot was not granted a scope."""
        if scope not in team.scopes:
            raise Refused("missing_scope", needed=scope, provided=",".join(sorted(team.scopes)))
