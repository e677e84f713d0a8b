"""Whether requests are as Slack's reference lists them, and answers and events of the shape of recorded ones.

`../shared/data/slack/methods/*.json`: arguments, what is required, scopes, tiers, error codes. `samples`: every key that an
answer or an event of Slack has had, with the kind of its value. Both are compiled when they are first asked for. An argument
that the reference does not name is `soft`: Slack ignores it, a test should not.

Where the reference is behind Slack and slack_sdk 3.47 counts on it, `ALSO`, `OPTIONAL`, `UNLISTED` and `ADDED` say so;
slack-bolt names a `team_id` in every request.
"""

import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.fakes.slack.refused import COMMON

FOLDER = Path(__file__).resolve().parents[4] / "shared" / "data" / "slack"
Json = dict[str, Any]
ALSO = {"chat.stopStream": {"session_status"}, "conversations.replies": {"include_all_metadata"}}
OPTIONAL = {"chat.appendStream": {"markdown_text"}}  # or `chunks`
PARSED = ("blocks", "attachments", "metadata", "view", "files", "prompts", "chunks", "loading_messages")  # JSON in a form
KINDS: dict[str, tuple[type, ...]] = {"string": (str,), "boolean": (bool,), "integer": (int,), "number": (int, float)}
TIERS = {"t1": 1, "t2": 20, "t3": 50, "t4": 100}
# Codes that Slack gives and the reference does not list for the method.
UNLISTED = {
    "chat.postMessage": {"thread_not_found", "msg_too_long", "cannot_dm_bot", "user_not_found", "invalid_attachments"},
    "chat.update": {"msg_blocks_too_long", "not_in_channel"},
    "chat.postEphemeral": {"msg_blocks_too_long", "thread_not_found", "user_not_found"},
    "chat.startStream": {"thread_not_found", "msg_too_long"},
    "chat.appendStream": {"msg_too_long"},
    "chat.stopStream": {"msg_too_long", "invalid_status", "invalid_attachments"},
    "conversations.open": {"cannot_dm_bot"},
    "conversations.history": {"thread_not_found"},
    "agents.sessions.setStatus": {"invalid_name", "thread_not_found"},
    "assistant.threads.setTitle": {"invalid_name"},
    "files.completeUploadExternal": {"thread_not_found", "msg_too_long", "no_text", "msg_blocks_too_long"},
    "chat.delete": {"not_in_channel"},
    "chat.getPermalink": {"not_in_channel"},
    "reactions.add": {"not_in_channel"},
    "oauth.v2.access": {"missing_argument"},
    "files.info": {"file_uploads_disabled"},
    "views.update": {"view_not_found"},
    "views.publish": {"user_not_found"},
    "conversations.replies": {"not_in_channel"},
    "conversations.members": {"not_in_channel"},
}
FREE = ("state", "blocks", "attachments", "metadata", "reactions", "shares", "icons")  # of a shape of their own


@dataclass(frozen=True)
class Flaw:
    """`soft`: Slack would take it, and do nothing with it."""

    message: str
    soft: bool = False

    def __str__(self) -> str:
        return self.message


class Method:
    """A method of the Web API as the reference has it."""

    def __init__(self, name: str, told: Json) -> None:
        self.name = name
        self.tier: str = told.get("rate_limits") or "t5"
        self.scopes: list[str] = (told.get("scope") or {}).get("bot", [])
        self.errors = set(told.get("errors") or {}) | UNLISTED.get(name, set())
        args = told.get("args") or {}
        self.known: dict[str, Json] = args.get("properties") or {}
        self.required = set(args.get("required") or ()) - {"token"} - OPTIONAL.get(name, set())
        self.json = told.get("json_input_supported") is True
        output = told.get("output") or {}
        self.promised: set[str] = set(output.get("required") or ()) if isinstance(output, dict) else set()
        self.answered: set[str] = set(output.get("properties") or ()) if isinstance(output, dict) else set()

    def request(self, args: Json) -> list[Flaw]:
        flaws = [Flaw(f"[ERROR] missing required field: {name}") for name in sorted(self.required) if args.get(name) is None]
        for name, value in args.items():
            if name not in self.known:
                if name != "team_id" and name not in ALSO.get(self.name, ()):
                    flaws.append(Flaw(f"no such argument: {name}", soft=True))
            elif value is not None:
                flaws += self._value(name, value, self.known[name])
        return flaws

    def _value(self, name: str, value: Any, told: Json) -> list[Flaw]:
        kind = told.get("type")
        if kind in KINDS and name not in PARSED and not _reads(value, kind):
            return [Flaw(f"[ERROR] must be a {kind} [json-pointer:/{name}]")]
        if kind == "array" and not isinstance(value, list):
            return [Flaw(f"[ERROR] must be an array [json-pointer:/{name}]")]
        if isinstance(value, list):
            return self._items(name, value, told)
        return []

    def _items(self, name: str, value: list[Any], told: Json) -> list[Flaw]:
        low, high = told.get("minItems", 0), told.get("maxItems", len(value))
        if not low <= len(value) <= high:
            return [Flaw(f"[ERROR] {low} to {high} items allowed [json-pointer:/{name}]")]
        longest = (told.get("items") or {}).get("maxLength")
        long = [one for one in value if longest and isinstance(one, str) and len(one) > longest]
        return [Flaw(f"[ERROR] must be less than {longest + 1} characters [json-pointer:/{name}]") for _ in long]


def _reads(value: Any, kind: str) -> bool:
    """Whether a value can be read as a kind: in a form everything is text."""
    if isinstance(value, str) and kind != "string":
        pattern = {"boolean": "(?i)true|false|0|1", "integer": r"-?\d+", "number": r"-?\d+(\.\d+)?"}[kind]
        return re.fullmatch(pattern, value) is not None
    if isinstance(value, bool):
        return kind == "boolean"
    return isinstance(value, KINDS[kind])


class Oracle:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.names = {one.stem for one in (folder / "methods").glob("*.json")}
        self._methods: dict[str, Method] = {}
        self._shapes: dict[str, Any] = {}

    def method(self, name: str) -> Method | None:
        if name not in self.names:
            return None
        if name not in self._methods:
            self._methods[name] = Method(name, json.loads((self.folder / "methods" / f"{name}.json").read_bytes()))
        return self._methods[name]

    def answer(self, name: str, body: Json) -> list[str]:
        """What in an answer is not Slack's: keys it never gave, codes it never gives, what it promises and is not there."""
        method = self.method(name)
        if method is None:
            return []
        if not body.get("ok"):
            known = body["error"] in method.errors or body["error"] in COMMON
            return [] if known else [f"{body['error']} is no error of {name}"]
        flaws = [f"{key} is promised" for key in sorted(method.promised - ODD.get(name, set())) if key not in body]
        shape = self._shape(f"api/{name}")
        if shape is None:
            return flaws
        allowed = method.answered | {"ok", "response_metadata", "warning"}
        rest = {key: value for key, value in body.items() if not (key in allowed and key not in shape)}
        return flaws + [one for one in _unlike(rest, shape, "") if not one.startswith("/response_metadata")]

    def event(self, event: Json) -> list[str]:
        """What in an event (the inner one) is not of the shape of a recorded one."""
        name = EVENTS.get((event["type"], event.get("subtype", "")))
        shape = self._shape(f"events/{name}Payload") if name else None
        if shape is None:
            known = (self.folder / "events" / f"{event['type']}.json").exists()
            return [] if known else [f"there is no event {event['type']}"]
        return _unlike(event, _with(shape["event"], ADDED), "")

    def payload(self, name: str, value: Json, added: frozenset[str]) -> list[str]:
        """The same for what interactivity and commands carry; `added`: keys that the samples lack."""
        shape = self._shape(f"interactive/{name}")
        return [] if shape is None else _unlike({key: one for key, one in value.items() if key not in added}, shape, "")

    def _shape(self, path: str) -> Any:
        if path not in self._shapes:
            file = self.folder / "samples" / f"{path}.json"
            self._shapes[path] = json.loads(file.read_bytes()) if file.exists() else None
        return self._shapes[path]


EVENTS = {
    ("app_home_opened", ""): "AppHomeOpened",
    ("app_mention", ""): "AppMention",
    ("app_uninstalled", ""): "AppUninstalled",
    ("tokens_revoked", ""): "TokensRevoked",
    ("message", ""): "Message",
    ("message", "file_share"): "MessageFileShare",
    ("message", "message_changed"): "MessageChanged",
    ("message", "message_deleted"): "MessageDeleted",
    ("member_joined_channel", ""): "MemberJoinedChannel",
    ("member_left_channel", ""): "MemberLeftChannel",
}
# Keys of events that came after the samples were taken.
ADDED = frozenset("app_id client_msg_id bot_id bot_profile team user mrkdwn parent_user_id files event_ts upload".split())
ODD = {"conversations.history": {"channel_actions_ts", "channel_actions_count"}}  # not in today's answers


def _with(shape: Json, names: frozenset[str]) -> Json:
    return {name: ... for name in names} | shape


def _unlike(value: Any, shape: Any, at: str) -> list[str]:
    if shape is ... or value is None or shape is None:
        return []
    if isinstance(value, dict) and isinstance(shape, dict):
        return _fields(value, shape, at)
    if isinstance(value, list) and isinstance(shape, list):
        return [flaw for one in value for flaw in _unlike(one, shape[0] if shape else ..., f"{at}/-")]
    alike = _kind(value) == _kind(shape)
    return [] if alike else [f"{at} is a {_kind(value)}, not a {_kind(shape)}"]


def _fields(value: Json, shape: Json, at: str) -> list[str]:
    if not shape:
        return []
    flaws: list[str] = []
    for key, one in value.items():
        if key in FREE:
            continue
        if key not in shape and key not in ALWAYS:
            flaws.append(f"{at}/{key} is not there at Slack")
        elif key in shape:
            flaws += _unlike(one, shape[key], f"{at}/{key}")
    return flaws


ALWAYS = frozenset(
    "streaming_state reply_count reply_users reply_users_count latest_reply files metadata mrkdwn subtype bot_profile app_id "
    "parent_user_id thread_ts user_team source_team client_msg_id edited channel_type file_access previous_message message "
    "view blocks is_enterprise_install".split()
)


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    kinds: list[tuple[Any, str]] = [(int | float, "number"), (str, "text"), (list, "list"), (dict, "object")]
    return next((name for kind, name in kinds if isinstance(value, kind)), "nothing")


@cache
def oracle() -> Oracle | None:
    """The one of this process; None where the files are not beside the checkout."""
    return Oracle(FOLDER) if FOLDER.exists() else None
