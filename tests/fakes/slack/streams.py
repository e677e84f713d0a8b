"""chat.startStream, appendStream, stopStream: a message that grows, and dies if it grows too long.

After `World.stream_s` seconds a stream is over by itself, counted from its start ("absolute") or from what was last appended
("idle"): reports of users of Slack disagree. Then appends and the stop are refused, and what was shown stays.
"""

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from tests.fakes.slack import blocks as judge
from tests.fakes.slack import limits
from tests.fakes.slack.call import Call, Methods
from tests.fakes.slack.methods.agents import STATUSES
from tests.fakes.slack.methods.chat import own, target
from tests.fakes.slack.refused import Refused
from tests.fakes.slack.state import Channel, Json, Message, Session, World
from tests.fakes.slack.stored import stored
from tests.fakes.slack_blocks import text_length

MODES, TASK_TEXT = ("timeline", "plan"), 256
TASKS = ("pending", "in_progress", "complete", "error")


@dataclass
class Stream:
    """`over`: stopped by the bot; `stopped`: by a person, who has pressed Stop."""

    began: float
    last: float
    over: bool = False
    stopped: bool = False

    def live(self, world: World) -> bool:
        since = self.last if world.streams_die == "idle" else self.began
        return not self.over and world.now_s - since < world.stream_s


def start(call: Call) -> Json:
    channel = target(call)
    if channel.type != "im":
        _recipient(call)
    if call.args.get("task_display_mode", "timeline") not in MODES:
        raise Refused("invalid_arguments", ["[ERROR] must be timeline or plan [json-pointer:/task_display_mode]"])
    said = {"text": "", "streaming_state": "in_progress"} | call.thread(channel) | call.world.bot_fields(call.team)
    grown = _grown(call, {"text": "", "blocks": []})
    now = call.world.now_s
    made = call.world.post(channel, said | grown)
    made.stream = Stream(now, now)
    if call.world.agent and made.thread:
        session = call.world.sessions.setdefault((channel.id, made.thread), Session("processing", "", now))
        session.status = "processing"
    return {"channel": channel.id, "ts": made.ts}


def _recipient(call: Call) -> None:
    if not call.args.get("recipient_user_id"):
        raise Refused("missing_recipient_user_id")
    if not call.args.get("recipient_team_id"):
        raise Refused("missing_recipient_team_id")
    call.user("recipient_user_id")
    if call.args["recipient_team_id"] not in call.world.teams:
        raise Refused("team_not_found")


def _streaming(call: Call) -> tuple[Channel, Message]:
    channel = call.channel()
    message = call.message(channel)
    own(call, message, "message_not_owned_by_app")
    if message.stream is None or not message.stream.live(call.world):
        if message.stream is not None:
            message.json["streaming_state"] = "completed"
        raise Refused("message_not_in_streaming_state")
    return channel, message


def append(call: Call) -> Json:
    channel, message = _streaming(call)
    if message.stream.stopped:
        raise Refused("stopped_by_user")
    if not (call.args.get("markdown_text") or call.args.get("chunks")):
        raise Refused("no_text")
    grown = _grown(call, message.json)
    message.stream.last = call.world.now_s
    call.world.change(message, grown, tell=False, shown="stream")
    return {"channel": channel.id, "ts": message.ts}


def stop(call: Call) -> Json:
    channel, message = _streaming(call)
    grown = _grown(call, message.json)
    blocks = limits.blocks_of(call.args)
    if blocks:
        grown["blocks"] = grown.get("blocks", []) + blocks
        _whole(grown)
    meta = limits.metadata_of(call.args)
    if meta:
        grown["metadata"] = meta
    status = call.args.get("session_status")
    if status is not None and status not in STATUSES:
        raise Refused("invalid_status")
    message.stream.over = True
    call.world.change(message, stored(grown) | {"streaming_state": "completed"}, shown="stream")
    session = call.world.sessions.get((channel.id, message.thread))
    if session is not None and status:
        session.status, session.at = str(status), call.world.now_s
    said = {key: deepcopy(value) for key, value in message.json.items() if key != "streaming_state"}
    return {"channel": channel.id, "ts": message.ts, "message": said}


def _grown(call: Call, before: Json) -> Json:
    """Text and blocks of a stream with what a request brings. Raises Refused."""
    markdown, chunks = call.args.get("markdown_text") or "", call.args.get("chunks")
    if len(markdown) > limits.MARKDOWN:
        raise Refused("msg_too_long")
    text, blocks = before.get("text", "") + markdown, list(before.get("blocks", []))
    for one in chunks if isinstance(chunks, list) else []:
        more, added = _chunk(one)
        text, blocks = text + more, _laid(blocks, added)
    grown = {"text": text, "blocks": blocks}
    _whole(grown)
    return grown


def _whole(grown: Json) -> None:
    """Raises Refused where a stream is larger than a message may be."""
    if len(grown["text"]) + text_length(grown["blocks"]) > limits.BLOCKS_TEXT:
        raise Refused("msg_blocks_too_long")
    if len(grown["blocks"]) > 50:
        raise Refused("msg_blocks_too_many")


def _chunk(one: Any) -> tuple[str, list[Json]]:
    """The text and the blocks of a chunk. Raises Refused."""
    kind = one.get("type") if isinstance(one, dict) else None
    if kind == "markdown_text" and isinstance(one.get("text"), str):
        return one["text"], []
    if kind == "task_update" and one.get("id") and one.get("title") and one.get("status") in TASKS:
        told = [one[key] for key in ("title", "details", "output") if isinstance(one.get(key), str)]
        if all(len(text) <= TASK_TEXT for text in told):
            return "", [{"type": "task_card", "task_id": one["id"], "title": one["title"], "status": one["status"]}]
    if kind == "plan_update" and isinstance(one.get("title"), str) and len(one["title"]) <= TASK_TEXT:
        return "", [{"type": "plan", "title": one["title"]}]
    if kind == "blocks" and isinstance(one.get("blocks"), list) and not judge.of_message(one["blocks"]):
        return "", one["blocks"]
    raise Refused("invalid_chunks")


def _laid(blocks: list[Json], added: list[Json]) -> list[Json]:
    """Blocks with more: a task that is known, and the plan, are changed where they stand."""
    made = list(blocks)
    for one in added:
        known = next((at for at, old in enumerate(made) if _same(one, old)), None)
        if known is None:
            made.append(one)
        else:
            made[known] = one
    return made


def _same(one: Json, old: Json) -> bool:
    if one["type"] == "task_card":
        return old.get("task_id") == one["task_id"]
    return one["type"] == old["type"] == "plan"


METHODS: Methods = {"chat.startStream": start, "chat.appendStream": append, "chat.stopStream": stop}
