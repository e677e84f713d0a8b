"""chat.*, without streams."""

from copy import deepcopy

from tests.fakes.slack import limits
from tests.fakes.slack.call import Call, Methods
from tests.fakes.slack.refused import Refused
from tests.fakes.slack.state import Channel, Json, Message
from tests.fakes.slack.stored import stored

EXTRAS = ("unfurl_links", "unfurl_media")


def target(call: Call) -> Channel:
    """Where to write: a channel that the bot may write in, or the direct messages of a person who is named instead."""
    id = str(call.args.get("channel") or "")
    user = call.team.users.get(id)
    if user is not None and user.bot:
        raise Refused("cannot_dm_bot")
    channel = call.team.dm(user) if user else call.channel()
    if channel.with_ and not call.world.messages_tab:
        raise Refused("messages_tab_disabled")
    open_ = channel.type == "channel" and "chat:write.public" in call.team.scopes
    if call.team.bot_user not in channel.members and not open_:
        raise Refused("not_in_channel")
    if channel.archived:
        raise Refused("is_archived")
    return channel


def drawn(call: Call) -> None:
    """Raises Refused where an image block names a file that is not there as a whole, or that is no picture."""
    for at, block in enumerate(call.args.get("blocks") or ()):
        id = (block.get("slack_file") or {}).get("id") if isinstance(block, dict) else None
        file = call.world.files.get(str(id))
        if id and not (file and file.team is call.team and file.whole and not file.looks and file.kind.startswith("image/")):
            raise Refused("invalid_blocks", [f"[ERROR] invalid slack file [json-pointer:/blocks/{at}/slack_file]"])


def post(call: Call) -> Json:
    channel = target(call)
    drawn(call)
    said = stored(limits.body_of(call.args)) | call.thread(channel)
    meta = limits.metadata_of(call.args)
    if meta:
        said["metadata"] = meta
    if str(call.args.get("mrkdwn", "true")).lower() == "false":
        said["mrkdwn"] = False
    loud = call.flag("link_names") or call.args.get("parse") == "full"
    made = call.world.post(channel, said | call.world.bot_fields(call.team), loud=loud)
    made.json.pop("mrkdwn", None)
    long = len(call.args.get("text") or "") > limits.TEXT
    warned = {"response_metadata": {"warnings": ["message_truncated"]}} if long else {}
    return {"channel": channel.id, "ts": made.ts, "message": _answered(made)} | warned


def _answered(message: Message) -> Json:
    return {key: deepcopy(value) for key, value in message.json.items() if key != "streaming_state"}


def own(call: Call, message: Message, error: str) -> None:
    """Raises Refused where a message is not the bot's."""
    if message.json.get("bot_id") != call.team.bot_id:
        raise Refused(error)


def update(call: Call) -> Json:
    channel = call.channel()
    message = call.message(channel)
    own(call, message, "cant_update_message")
    window = call.team.edit_window_s
    if window is not None and call.world.age_s(message.ts) > window:
        raise Refused("edit_window_closed")
    if message.stream is not None and message.stream.live(call.world):
        raise Refused("streaming_state_conflict")
    if channel.archived:
        raise Refused("is_inactive")
    drawn(call)
    body = limits.body_of(call.args, most=limits.EDIT)
    if call.args.get("text") is None and call.args.get("markdown_text") is None:
        body.pop("text")  # an edit of the blocks alone leaves the text
    fields = stored(body)
    meta = limits.metadata_of(call.args)
    if meta is not None:
        fields["metadata"] = meta
    fields["edited"] = {"user": call.team.bot_user, "ts": call.world.ts()}
    call.world.change(message, fields)
    return {"channel": channel.id, "ts": message.ts, "text": message.json["text"], "message": _answered(message)}


def delete(call: Call) -> Json:
    channel = call.channel()
    message = call.message(channel)
    own(call, message, "cant_delete_message")
    call.world.remove(message)
    return {"channel": channel.id, "ts": message.ts}


def ephemeral(call: Call) -> Json:
    channel = call.channel()
    if call.team.bot_user not in channel.members:
        raise Refused("not_in_channel")
    if channel.archived:
        raise Refused("is_archived")
    if call.args.get("user") not in channel.members:
        raise Refused("user_not_in_channel")
    drawn(call)
    said = stored(limits.body_of(call.args)) | call.thread(channel)
    made = call.world.post(channel, said | call.world.bot_fields(call.team), to=str(call.args["user"]))
    return {"message_ts": made.ts}


def permalink(call: Call) -> Json:
    channel = call.channel()
    message = call.message(channel, "message_ts")
    where = f"{call.world.base}/archives/{channel.id}/p{message.ts.replace('.', '')}"
    thread = f"?thread_ts={message.thread}&cid={channel.id}" if message.thread not in ("", message.ts) else ""
    return {"permalink": where + thread, "channel": channel.id}


METHODS: Methods = {
    "chat.postMessage": post,
    "chat.update": update,
    "chat.delete": delete,
    "chat.postEphemeral": ephemeral,
    "chat.getPermalink": permalink,
}
