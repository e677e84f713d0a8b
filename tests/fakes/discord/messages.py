"""Messages over HTTP: sent, read, changed, removed, pinned."""

from copy import deepcopy
from typing import Any

from tests.fakes.discord import compose
from tests.fakes.discord.call import Answer, Call, Routes
from tests.fakes.discord.refused import Refused, wrong
from tests.fakes.discord.state import EPHEMERAL, NONCE_S, VOICE, Channel, Json, Message, World

OLD_S, OLD_EDIT_S = 3600, 60  # a message older than an hour takes one edit a minute
PINS = 50
COPIED = ("reactions", "referenced_message", "thread")  # not in the copy that a reply carries


def create(call: Call) -> Answer:
    world, asked = call.world, call.json
    channel = call.channel
    if channel.kind == VOICE:
        raise Refused(50008)
    world.need(channel, "SEND_MESSAGES_IN_THREADS" if channel.parent else "SEND_MESSAGES")
    if channel.with_ and channel.with_.refuses_dms:
        raise Refused(50007)
    if channel.locked and "MANAGE_THREADS" not in world.may(channel):
        raise Refused(50083)
    nonce = asked.get("nonce")
    earlier = _earlier(world, nonce) if asked.get("enforce_nonce") and nonce is not None else None
    if earlier is not None:
        return 200, earlier.json | {"nonce": nonce}
    said = compose.whole(world, channel, {**asked, "flags": (asked.get("flags") or 0) & ~EPHEMERAL}, call.request.files)
    if call.request.files:
        world.need(channel, "ATTACH_FILES")
    said |= _reply(world, channel, asked)
    _unhurried(world, channel)
    made = world.post(channel, {"author": world.bot.json} | ({"nonce": nonce} if nonce is not None else {}) | said)
    answer = deepcopy(made.json)
    made.json.pop("nonce", None)  # it is in the answer and the event, and never read again
    if nonce is not None:
        world.nonces[str(nonce)] = (world.now_s, made.id)
    return 200, answer


def _earlier(world: World, nonce: Any) -> Message | None:
    at, id = world.nonces.get(str(nonce), (float("-inf"), ""))
    return world.messages.get(id) if world.now_s - at < NONCE_S else None


def _reply(world: World, channel: Channel, asked: Json) -> Json:
    reference = asked.get("message_reference")
    if not reference:
        return {}
    if "READ_MESSAGE_HISTORY" not in world.may(channel):
        raise Refused(160002)
    found = world.messages.get(str(reference["message_id"]))
    if found is None or found.channel is not channel or found.to:
        if reference.get("fail_if_not_exists") is False:
            return {}
        raise wrong(("message_reference",), "MESSAGE_REFERENCE_UNKNOWN_MESSAGE", "Unknown message")
    return reply_to(found)


def reply_to(found: Message) -> Json:
    """The fields of a message that answers another."""
    guild = found.channel.guild
    where = {"channel_id": found.channel.id, "message_id": found.id} | ({"guild_id": guild.id} if guild else {})
    copy = {name: value for name, value in deepcopy(found.json).items() if name not in COPIED}
    return {"type": 19, "message_reference": {"type": 0} | where, "referenced_message": copy}


def _unhurried(world: World, channel: Channel) -> None:
    """Slow mode holds for who may manage neither messages nor the channel."""
    if not channel.slow_s or world.may(channel) & {"MANAGE_MESSAGES", "MANAGE_CHANNELS"}:
        return
    own = [id for id in channel.messages if world.messages[id].author == world.bot.id]
    if own and world.age_s(own[-1]) < channel.slow_s:
        raise Refused(20016, wait_s=channel.slow_s - world.age_s(own[-1]))


def edit(call: Call) -> Answer:
    world, channel = call.world, call.channel
    message = call.message(channel)
    if message.author != world.bot.id:
        raise Refused(50005)
    if message.json["type"] in (18, 21):
        raise Refused(50021)
    if channel.archived:
        raise Refused(50083)
    said = compose.whole(world, channel, call.json, call.request.files, message)
    _not_too_late(world, message)
    world.change(message, said | {"edited_timestamp": world.now_iso})
    return 200, deepcopy(message.json)


def _not_too_late(world: World, message: Message) -> None:
    if world.age_s(message.id) < OLD_S:
        return
    last = message.edited_late[-1] if message.edited_late else float("-inf")
    if world.now_s - last < OLD_EDIT_S:
        raise Refused(30046, wait_s=OLD_EDIT_S - (world.now_s - last))
    message.edited_late.append(world.now_s)


def remove(call: Call) -> Answer:
    channel = call.channel
    message = call.message(channel)
    if message.author != call.world.bot.id:
        if channel.with_:
            raise Refused(50003)
        call.world.need(channel, "MANAGE_MESSAGES")
    if channel.archived:
        raise Refused(50083)
    call.world.remove(message)
    return 204, None


def listed(call: Call) -> Answer:
    """The newest first. Who may not read the history gets nothing, not an error."""
    world, channel, query = call.world, call.channel, call.request.query
    if "READ_MESSAGE_HISTORY" not in world.may(channel):
        return 200, []
    count = int(query.get("limit", 50))
    ids = channel.messages
    if "after" in query:
        ids = [id for id in ids if int(id) > int(query["after"])][:count]
    elif "before" in query:
        ids = [id for id in ids if int(id) < int(query["before"])][-count:]
    elif "around" in query:
        near = sorted(ids, key=lambda id: abs(int(id) - int(query["around"])))[:count]
        ids = [id for id in ids if id in near]
    return 200, [_read(call, world.messages[id]) for id in reversed(ids[-count:])]


def one(call: Call) -> Answer:
    channel = call.channel
    call.world.need(channel, "READ_MESSAGE_HISTORY")
    return 200, _read(call, call.message(channel))


def _read(call: Call, message: Message) -> Json:
    return call.gateway.seen(deepcopy(message.json), call.gateway.reads)


def typing(call: Call) -> Answer:
    call.world.need(call.channel, "SEND_MESSAGES_IN_THREADS" if call.channel.parent else "SEND_MESSAGES")
    return 204, None


def pin(call: Call) -> Answer:
    channel = call.channel
    message = call.message(channel)
    if channel.guild:
        call.world.need(channel, "PIN_MESSAGES")
    if len(channel.pins) >= PINS and message.id not in channel.pins:
        raise Refused(30003)
    if message.id not in channel.pins:
        channel.pins.append(message.id)
        call.world.change(message, {"pinned": True})
    return 204, None


MESSAGES, MESSAGE = "/channels/{channel_id}/messages", "/channels/{channel_id}/messages/{message_id}"
ROUTES: Routes = {
    ("POST", MESSAGES): create,
    ("GET", MESSAGES): listed,
    ("GET", MESSAGE): one,
    ("PATCH", MESSAGE): edit,
    ("DELETE", MESSAGE): remove,
    ("POST", "/channels/{channel_id}/typing"): typing,
    ("PUT", "/channels/{channel_id}/messages/pins/{message_id}"): pin,
    ("PUT", "/channels/{channel_id}/pins/{message_id}"): pin,
}
