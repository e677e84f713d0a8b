"""conversations.* and reactions.add."""

from copy import deepcopy

from tests.fakes.slack.call import Call, Methods, page
from tests.fakes.slack.refused import Refused
from tests.fakes.slack.state import Json, Message


def open_(call: Call) -> Json:
    if call.args.get("channel"):
        return {"channel": {"id": call.channel().id}}
    names = [one for one in str(call.args.get("users") or "").split(",") if one]
    if not names:
        raise Refused("users_list_not_supplied")
    if len(names) > 1:
        raise Refused("method_not_supported_for_channel_type")
    user = call.team.users.get(names[0])
    if user is None:
        raise Refused("user_not_found")
    if user.bot:
        raise Refused("cannot_dm_bot")
    if user.deleted:
        raise Refused("user_disabled")
    call.world.need(call.team, "im:write")
    already = any(one.with_ is user for one in call.team.channels.values())
    channel = call.team.dm(user)
    said = channel.json if call.flag("return_im") else {"id": channel.id}
    return {"channel": said, "no_op": already, "already_open": already}


def info(call: Call) -> Json:
    channel = call.channel()
    call.need("read", channel)
    said = channel.json
    if call.flag("include_num_members"):
        said["num_members"] = len(channel.members)
    return {"channel": said}


def members(call: Call) -> Json:
    channel = call.channel()
    call.need("read", channel)
    some, more = page(call, channel.members, 100)
    return {"members": some} | more


def join(call: Call) -> Json:
    channel = call.channel()
    if channel.type != "channel":
        raise Refused("method_not_supported_for_channel_type")
    if channel.archived:
        raise Refused("is_archived")
    if call.team.bot_user not in channel.members:
        channel.members.append(call.team.bot_user)
    return {"channel": channel.json}


def _read(call: Call, message: Message) -> Json:
    said = deepcopy(message.json)
    if not call.flag("include_all_metadata"):
        said.pop("metadata", None)
    return said


def _within(call: Call, found: list[Message]) -> list[Message]:
    """Those between `oldest` and `latest`; the ends count only where `inclusive`."""
    low, high = float(call.args.get("oldest") or 0), float(call.args.get("latest") or "inf")
    ends = (low, high) if call.flag("inclusive") else ()
    return [one for one in found if low < float(one.ts) < high or float(one.ts) in ends]


def history(call: Call) -> Json:
    """The newest first; replies stand in their threads."""
    channel = call.channel(member=True)
    call.need("history", channel)
    known = [call.world.messages[ts] for ts in channel.messages]
    found = [one for one in known if one.thread in ("", one.ts) or one.json.get("subtype") == "thread_broadcast"]
    some, more = page(call, _within(call, found)[::-1], 100)
    has_more = bool(more["response_metadata"]["next_cursor"])
    said = {"messages": [_read(call, one) for one in some], "has_more": has_more, "pin_count": 0}
    return said | (more if has_more else {})


def replies(call: Call) -> Json:
    """A thread, oldest first; its parent comes always. Of a reply itself only the reply."""
    channel = call.channel(member=True)
    call.need("history", channel)
    ts = str(call.args["ts"])
    parent = call.world.find(call.team, channel.id, ts)
    if parent is None:
        raise Refused("thread_not_found")
    if parent.thread not in ("", parent.ts):
        return {"messages": [_read(call, parent)], "has_more": False}
    inside = [call.world.messages[one] for one in channel.messages if call.world.messages[one].thread == ts and one != ts]
    some, more = page(call, [parent, *_within(call, inside)], 1000)
    has_more = bool(more["response_metadata"]["next_cursor"])
    return {"messages": [_read(call, one) for one in some], "has_more": has_more} | (more if has_more else {})


def react(call: Call) -> Json:
    channel = call.channel()
    found = call.world.find(call.team, channel.id, str(call.args["timestamp"]))
    if found is None:
        raise Refused("message_not_found")
    one = (channel.id, found.ts, str(call.args["name"]))
    if one in call.world.reactions:
        raise Refused("already_reacted")
    call.world.reactions.append(one)
    return {}


METHODS: Methods = {
    "conversations.open": open_,
    "conversations.info": info,
    "conversations.members": members,
    "conversations.join": join,
    "conversations.history": history,
    "conversations.replies": replies,
    "reactions.add": react,
}
