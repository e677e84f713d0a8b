"""What a person does at their client: writes, commands, presses, fills in.

A client lets nobody do what is not there: a button that the message has not, a command that no manifest names, a dialog with
an empty required field end in a LookupError or ValueError, not in an event. A command cannot be given in a thread.
"""

import secrets
from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import Any

from tests.fakes.slack import answers, filling, shelf
from tests.fakes.slack import text as markup
from tests.fakes.slack.delivery import Deliverer, Heard
from tests.fakes.slack.methods import views
from tests.fakes.slack.methods.oauth import lose
from tests.fakes.slack.oracle import oracle
from tests.fakes.slack.state import Channel, Json, Message, Team, Trigger, User, View, World
from tests.fakes.slack.stored import find, ids

Files = Iterable[tuple[str, bytes]]
TOKEN = "verification-token"
# What payloads of today carry and the recorded ones do not.
ADDED = frozenset({"state", "response_urls", "hash", "actions", "action_ts", "enterprise", "user", "channel", "app_unfurl"})
SAMPLES = {
    "block_actions": "interactive-components-BlockActionPayload",
    "message_action": "interactive-components-MessageShortcutPayload",
    "view_submission": "views-ViewSubmissionPayload",
    "view_closed": "views-ViewClosedPayload",
}


class Workspace(Team):
    """A workspace, with the people and the app in it."""

    deliverer: Deliverer
    violations: list[str]
    commands: set[str] | None = None  # None: every one is there
    shortcuts: set[str] | None = None

    def user(self, name: str, locale: str = "en-US", admin: bool = False) -> "Person":
        return Person(self, self.account(name, locale, admin=admin))

    def uninstalls(self, error: str = "account_inactive") -> None:
        """Somebody takes the app out. `error`: what its token gets from now on."""
        lose(self.world, self, error, gone=True)

    def revokes(self) -> None:
        """Somebody takes the app's token away."""
        lose(self.world, self, "token_revoked")

    def reinstalls(self) -> None:
        """Somebody puts the app in again, without OAuth; it has a new token."""
        self.install()


class Person:
    def __init__(self, team: Workspace, user: User) -> None:
        self.team, self.user = team, user
        self.world: World = team.world

    @property
    def id(self) -> str:
        return self.user.id

    @property
    def name(self) -> str:
        return self.user.name

    @property
    def mention(self) -> str:
        return f"<@{self.id}>"

    @property
    def dm(self) -> Channel:
        """The direct messages with the bot."""
        return self.team.dm(self.user)

    async def says(
        self, channel: Channel, text: str, *, files: Files = (), thread: Json | None = None, mention: bool = False
    ) -> Json:
        """Send a message; its copy comes back. `thread`: a message of the thread to write in."""
        self._inside(channel)
        written = f"<@{self.team.bot_user}> {text}".rstrip() if mention else text
        said = self._written(written) | {"user": self.id, "client_msg_id": secrets.token_hex(16), "team": self.team.id}
        if thread is not None:
            said["thread_ts"] = thread.get("thread_ts") or thread["ts"]
        shared = [self._upload(*file) for file in files]
        if shared:
            said |= {"files": shared, "upload": False, "subtype": "file_share"}
            said.pop("client_msg_id")
        made = self.world.post(channel, said)
        self._mention(made)
        return deepcopy(made.json)

    def _written(self, text: str) -> Json:
        channels = {one.id: one.name for one in self.team.channels.values()}
        return {"text": markup.typed(text, channels), "blocks": markup.rich(text)}

    def _mention(self, message: Message) -> None:
        """Beside the message itself the app hears of a mention of it; of none in direct messages."""
        if message.channel.with_ or f"<@{self.team.bot_user}>" not in message.json["text"]:
            return
        # Files too, whatever the reference says (slackapi/bolt-js#2056).
        keys = ("user", "text", "ts", "client_msg_id", "team", "blocks", "thread_ts", "edited", "files", "upload")
        said = {key: deepcopy(message.json[key]) for key in keys if key in message.json}
        at = self.world.ts() if "edited" in said else message.ts
        event = {"type": "app_mention", "channel": message.channel.id, "event_ts": at}
        self.team.tell(said | event, message.channel)

    def _upload(self, name: str, content: bytes) -> Json:
        return shelf.told(self.world, shelf.keep(self.world, self.team, name, content, len(content), self.id))

    async def edits(self, message: Json, text: str) -> Json:
        found = self._own(message)
        edited = {"user": self.id, "ts": self.world.ts()}
        self.world.change(found, self._written(text) | {"edited": edited})
        self._mention(found)
        return deepcopy(found.json)

    async def deletes(self, message: Json) -> None:
        self.world.remove(self._own(message))

    async def opens_home(self, tab: str = "home") -> Heard:
        """Open the app's Home, or its messages: in the agent view that is where a conversation begins."""
        event: Json = {"type": "app_home_opened", "user": self.id, "channel": self.dm.id, "tab": tab}
        event["event_ts"] = self.world.ts()
        if tab == "home" and self.user.home is not None:
            event["view"] = deepcopy(self.user.home.json)
        return self._tells(event)

    async def opens_assistant(self, context: Channel | None = None) -> Json:
        """Open a thread of the assistant as it was before the agent view; the message that it begins with comes back."""
        made = self.world.post(self.dm, {"text": "New Assistant Thread"} | self.world.bot_fields(self.team))
        self._tells(self._assistant("assistant_thread_started", made.ts, context))
        return deepcopy(made.json)

    async def moves_assistant(self, thread: Json, context: Channel) -> Heard:
        """Look at another channel while a thread of the assistant is open."""
        return self._tells(self._assistant("assistant_thread_context_changed", thread["ts"], context))

    def _assistant(self, kind: str, ts: str, context: Channel | None) -> Json:
        where = {"channel_id": context.id, "team_id": self.team.id, "enterprise_id": None} if context else {}
        told = {"user_id": self.id, "context": where, "channel_id": self.dm.id, "thread_ts": ts}
        return {"type": kind, "assistant_thread": told, "event_ts": self.world.ts()}

    async def command(self, channel: Channel, command: str, text: str = "") -> Heard:
        """Give a slash command, in a channel or the direct messages."""
        self._inside(channel)
        known = self.team.commands
        if known is not None and command not in known:
            raise LookupError(f"no command {command} is there, only {sorted(known)}")
        payload: Json = {"token": TOKEN, "team_id": self.team.id, "team_domain": self.team.name.lower()}
        payload |= {"channel_id": channel.id, "channel_name": channel.name, "user_id": self.id, "user_name": self.name}
        payload |= {
            "command": command,
            "text": self._written(text)["text"],
            "api_app_id": self.world.app_id,
            "is_enterprise_install": "false",
        }
        heard = Heard(self.world, self.team, "slash_commands", payload, self.user)
        payload |= {"response_url": answers.address(self.world, heard, channel, self.user, None)}
        payload |= {"trigger_id": self._trigger(heard)}
        heard.answered = answers.to_command(self.world, channel, self.user, self.team.violations)
        return self.team.deliverer.tell(heard)

    async def shortcut(self, callback_id: str, message: Json) -> Heard:
        """Take an entry of a message's menu."""
        known = self.team.shortcuts
        if known is not None and callback_id not in known:
            raise LookupError(f"no shortcut {callback_id!r} is there, only {sorted(known)}")
        found = self._message(message)
        payload = self._act("message_action") | {"callback_id": callback_id, "message_ts": found.ts}
        payload |= {"message": deepcopy(found.json), "channel": self._where(found.channel), "action_ts": self.world.ts()}
        payload.pop("api_app_id")  # it is not in these
        return self._interacts(payload, found.channel, found)

    async def presses(self, at: Any, action_id: str, value: str | None = None) -> Heard:
        """Press a button of a message (its copy) or a view (its copy, or who opened it).

        `value`: of feedback buttons which of the two (the first where not said), of an overflow menu the option.
        """
        found, block, element = self._element(at, action_id)
        return self._uses(found, block, element, filling.pressed(element, value))

    async def selects(self, at: Any, action_id: str, value: Any) -> Heard:
        """Choose in a select, radio buttons or (a list) checkboxes; a value that is not offered is a LookupError."""
        found, block, element = self._element(at, action_id)
        return self._uses(found, block, element, filling.value_of(element, value))

    def _uses(self, found: Message | View, block: Json, element: Json, told: Json) -> Heard:
        action: Json = {"action_id": element["action_id"], "block_id": block["block_id"], "action_ts": self.world.ts()}
        action |= {key: deepcopy(element[key]) for key in ("text", "style", "placeholder") if key in element} | told
        if block["type"] == "input" and not block.get("dispatch_action"):
            raise LookupError("the app hears of a field only when the dialog is sent in")
        payload = self._act("block_actions") | {"actions": [action]}
        chosen = found.chosen.setdefault(self.id, {})
        chosen[block["block_id"], element["action_id"]] = told
        values = filling.state(found.json.get("blocks", []), chosen)
        if isinstance(found, View):
            found.json["state"] = {"values": values}
            payload |= {"container": {"type": "view", "view_id": found.id}, "view": deepcopy(found.json)}
            return self._interacts(payload, None, None)
        where = {"type": "message", "message_ts": found.ts, "channel_id": found.channel.id, "is_ephemeral": bool(found.to)}
        if found.thread:
            where["thread_ts"] = found.thread
        payload |= {"container": where, "channel": self._where(found.channel), "state": {"values": values}}
        if not found.to:
            payload["message"] = deepcopy(found.json)
        return self._interacts(payload, found.channel, found)

    async def submits(self, at: Any, values: Mapping[str, Any]) -> Heard:
        """Send a dialog in; what `values` (by block_id) leaves out stays as it was typed last, or as it was opened.

        Values: text, an option's value, ["checked", …], [("name", b"…"), …].
        """
        view = self._view(at)
        if view not in self.user.stack[-1:]:
            raise LookupError(f"{self.name} does not have this view before them")
        if not view.json.get("submit"):
            raise LookupError("the view has nothing to send in")
        uploaded = {key: self._files(view, value) for key, value in values.items()}
        view.json["state"] = {"values": filling.filled(view.json, uploaded)}
        payload = self._act("view_submission") | {"view": deepcopy(view.json), "response_urls": []}
        heard = self._heard(payload)
        heard.view_id = view.id
        heard.answered = answers.Submission(self.world, view, self.team.violations)
        return self._given(heard)

    def _files(self, view: View, value: Any) -> Any:
        """Uploads of files in place of files."""
        if isinstance(value, list) and value and isinstance(value[0], tuple):
            return [self._upload(*file) for file in value]
        return value

    async def closes(self, at: Any, typed: Mapping[str, str] | None = None) -> Heard | None:
        """Close a view with its button or Escape, with what was `typed` into its texts; None where nobody is told."""
        view = self._view(at)
        if view not in self.user.stack:
            raise LookupError(f"{self.name} does not have this view open")
        if typed:
            view.json["state"] = {"values": filling.state(view.json["blocks"], _typed(view.json["blocks"], typed))}
        views.close(self.world, self.user, view)
        if not view.json["notify_on_close"]:
            return None
        payload = self._act("view_closed") | {"view": deepcopy(view.json), "is_cleared": False}
        payload.pop("trigger_id")
        return self._given(Heard(self.world, self.team, "interactive", payload, self.user))

    async def stops(self, message: Json) -> Heard:
        """Press the Stop that Slack shows at a stream."""
        found = self._message(message)
        if found.stream is None or not found.stream.live(self.world) or found.stream.stopped:
            raise LookupError("there is nothing to stop")
        found.stream.stopped = True
        event = {"type": "agent_session_stopped", "channel": found.channel.id, "thread_ts": found.thread or found.ts}
        event |= {"streaming_message_ts": [found.ts], "user": self.id, "event_ts": self.world.ts()}
        return self._tells(event)

    async def invites_bot(self, channel: Channel) -> Heard:
        channel.members.append(self.team.bot_user)
        return self._membership("member_joined_channel", channel, self.team.bot_user, inviter=self.id)

    async def kicks_bot(self, channel: Channel) -> None:
        channel.members.remove(self.team.bot_user)
        kind = f"{channel.type}_left"
        self.team.tell({"type": kind, "channel": channel.id, "actor_id": self.id, "event_ts": self.world.ts()})

    async def joins(self, channel: Channel) -> Heard:
        channel.members.append(self.id)
        return self._membership("member_joined_channel", channel, self.id)

    async def leaves(self, channel: Channel | None = None) -> Heard:
        """Leave a channel, or the workspace."""
        if channel is not None:
            channel.members.remove(self.id)
            return self._membership("member_left_channel", channel, self.id)
        self.user.deleted = True
        event = {"type": "user_change", "user": self.user.json(locale=True), "event_ts": self.world.ts()}
        return self._tells(event)

    def _membership(self, kind: str, channel: Channel, user: str, **more: str) -> Heard:
        letter = "G" if channel.private else "C"
        said = {"type": kind, "user": user, "channel": channel.id, "channel_type": letter, "team": self.team.id}
        return self._tells(said | more | {"event_ts": self.world.ts()}, channel)

    def _tells(self, event: Json, channel: Channel | None = None) -> Heard:
        """Publish an event; what the app hears of it. Where it hears nothing, an empty one."""
        before = len(self.team.deliverer.heard)
        self.team.tell(event, channel)
        told = self.team.deliverer.heard[before:]
        return told[-1] if told else Heard(self.world, self.team, "events_api", {})

    def _act(self, kind: str) -> Json:
        who = {"id": self.id, "username": self.name, "name": self.name, "team_id": self.team.id}
        said: Json = {"type": kind, "team": {"id": self.team.id, "domain": self.team.name.lower()}, "user": who}
        said |= {"api_app_id": self.world.app_id, "token": TOKEN, "enterprise": None, "is_enterprise_install": False}
        return said | {"trigger_id": ""}

    def _heard(self, payload: Json) -> Heard:
        heard = Heard(self.world, self.team, "interactive", payload, self.user)
        payload["trigger_id"] = self._trigger(heard)
        return heard

    def _interacts(self, payload: Json, channel: Channel | None, message: Message | None) -> Heard:
        heard = self._heard(payload)
        if channel is not None:
            payload["response_url"] = answers.address(self.world, heard, channel, self.user, message)
        return self._given(heard)

    def _given(self, heard: Heard) -> Heard:
        judge = oracle()
        kind = heard.payload["type"]
        if judge is not None:
            found = judge.payload(SAMPLES[kind], heard.payload, ADDED)
            self.team.violations += [f"{kind}: {flaw}" for flaw in found]
        return self.team.deliverer.tell(heard)

    def _trigger(self, heard: Heard) -> str:
        id = f"{len(self.world.triggers) + 1}.{secrets.token_hex(8)}"
        self.world.triggers[id] = Trigger(self.team, self.user, self.world.now_s, heard)
        return id

    def _where(self, channel: Channel) -> Json:
        return {"id": channel.id, "name": channel.name}

    def _inside(self, channel: Channel) -> None:
        if self.id not in channel.members:
            raise LookupError(f"{self.name} is not in {channel.name or channel.id}")

    def _message(self, message: Json) -> Message:
        found = self.world.messages.get(message["ts"])
        if found is None or found.to not in ("", self.id) or self.id not in found.channel.members:
            raise LookupError(f"{self.name} sees no such message")
        return found

    def _own(self, message: Json) -> Message:
        found = self._message(message)
        if found.author != self.id:
            raise LookupError(f"this is not a message of {self.name}")
        return found

    def _view(self, at: Any) -> View:
        id = at.view_id if isinstance(at, Heard) else at["id"]
        found = self.world.views.get(id)
        if found is None or found.user is not self.user:
            raise LookupError(f"{self.name} sees no such view")
        return found

    def _element(self, at: Any, action_id: str) -> tuple[Message | View, Json, Json]:
        """What is used and where; what only the given copy of a message still has is used too, as at a slow client."""
        viewed = isinstance(at, Heard) or "ts" not in at
        found: Message | View = self._view(at) if viewed else self._message(at)
        blocks = found.json.get("blocks", [])
        part = find(blocks, action_id) or (None if isinstance(at, Heard) else find(at.get("blocks", []), action_id))
        if part is None:
            raise LookupError(f"{action_id!r} is not there; there are {sorted(ids(blocks))}")
        return found, *part


def _typed(blocks: list[Json], texts: Mapping[str, str]) -> dict[tuple[str, str], Json]:
    """What stands in the elements of blocks once somebody has typed texts into them."""
    found = {one["block_id"]: one["element"] for one in blocks if one["type"] == "input"}
    return {(name, found[name]["action_id"]): filling.value_of(found[name], text) for name, text in texts.items()}
