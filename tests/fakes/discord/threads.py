"""Threads and channels over HTTP: made, opened again, named, joined."""

from copy import deepcopy

from tests.fakes.discord.call import Answer, Call, Routes
from tests.fakes.discord.refused import Refused, wrong
from tests.fakes.discord.state import (
    HAS_THREAD,
    PRIVATE_THREAD,
    PUBLIC_THREAD,
    TEXT,
    Channel,
    Json,
    World,
)

RENAMES, RENAMES_IN_S = 2, 600.0  # names that a channel may be given in a time; undocumented (facts section 2)
MEMBERS = 1000
ACTIVE = 1000  # threads of a guild that are not archived


def from_message(call: Call) -> Answer:
    channel = call.channel
    if channel.guild is None or channel.parent:
        raise Refused(50024)
    call.world.need(channel, "CREATE_PUBLIC_THREADS")
    message = call.message(channel)
    if message.id in call.world.channels:
        raise Refused(160004)
    thread = begin(call.world, channel, PUBLIC_THREAD, message.id, call.json, call.world.bot.id)
    fields = {"type": 21, "content": "", "author": call.world.bot.json}
    where = {"type": 0, "channel_id": channel.id, "message_id": message.id, "guild_id": channel.guild.id}
    starter = {"message_reference": where, "referenced_message": {k: v for k, v in message.json.items() if k != "thread"}}
    call.world.post(thread, fields | deepcopy(starter), system=True)
    flags = int(message.json["flags"]) | HAS_THREAD
    message.json |= {"flags": flags, "thread": thread.json}
    call.world.publish("MESSAGE_UPDATE", call.world.told(message), channel)
    return 201, thread.json


def alone(call: Call) -> Answer:
    channel, kind = call.channel, call.json.get("type") or PRIVATE_THREAD  # the default, surprising as it is
    if channel.guild is None or channel.parent or channel.kind != TEXT:
        raise Refused(50024)
    if kind not in (PUBLIC_THREAD, PRIVATE_THREAD):
        raise Refused(50024)
    call.world.need(channel, "CREATE_PUBLIC_THREADS" if kind == PUBLIC_THREAD else "CREATE_PRIVATE_THREADS")
    thread = begin(call.world, channel, kind, call.world.snowflake(), call.json, call.world.bot.id)
    if kind == PUBLIC_THREAD:
        where = {"type": 0, "channel_id": thread.id, "guild_id": channel.guild.id}
        said = {"type": 18, "content": thread.name, "author": call.world.bot.json, "message_reference": where}
        made = call.world.post(channel, said, system=True)
        call.world.publish("MESSAGE_CREATE", call.world.told(made), channel)
    return 201, thread.json


def begin(world: World, channel: Channel, kind: int, id: str, asked: Json, owner: str, *, act: bool = False) -> Channel:
    """Make a thread as `asked` says: its name, and what else a request has. `act`: a person did it."""
    guild = channel.guild
    assert guild
    if sum(1 for one in guild.channels if one.parent and not one.archived) >= ACTIVE:
        raise Refused(160006)
    made = Channel(world, id, asked["name"], kind, guild, channel, owner=owner)
    made.auto_archive = asked.get("auto_archive_duration") or made.auto_archive
    made.slow_s = asked.get("rate_limit_per_user") or 0
    made.joined[owner] = world.now_iso
    guild.channels.append(made)
    world.channels[made.id] = made
    world.publish("THREAD_CREATE", made.json | {"newly_created": True}, made, act=act)
    return made


def shown(call: Call) -> Answer:
    return 200, call.channel.json


def change(call: Call) -> Answer:
    channel, asked, world = call.channel, call.json, call.world
    if channel.guild is None:
        raise Refused(50003)
    opens = channel.parent and channel.archived and asked.get("archived") is False
    if channel.archived and not opens:
        raise Refused(50083)
    if not (opens and set(asked) == {"archived"} and not channel.locked) and channel.owner != world.bot.id:
        world.need(channel, "MANAGE_THREADS" if channel.parent else "MANAGE_CHANNELS")
    if channel.locked and "MANAGE_THREADS" not in world.may(channel):
        raise Refused(160005)
    if "name" in asked and asked["name"] != channel.name:
        _rename(world, channel, asked["name"])
    for ours, theirs in (("archived", "archived"), ("locked", "locked"), ("auto_archive", "auto_archive_duration")):
        if asked.get(theirs) is not None:
            setattr(channel, ours, asked[theirs])
    channel.slow_s = asked.get("rate_limit_per_user") or channel.slow_s
    world.publish("THREAD_UPDATE" if channel.parent else "CHANNEL_UPDATE", channel.json, channel)
    return 200, channel.json


def _rename(world: World, channel: Channel, name: str | None) -> None:
    if not name:
        raise wrong(("name",), "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 100 in length.")
    channel.renamed = [at for at in channel.renamed if world.now_s - at < RENAMES_IN_S]
    if len(channel.renamed) >= RENAMES:
        raise Refused(20028, wait_s=RENAMES_IN_S - (world.now_s - channel.renamed[0]))
    channel.renamed.append(world.now_s)
    channel.name = name


def active(call: Call) -> Answer:
    guild = call.world.guilds.get(call.request.ids["guild_id"])
    if guild is None:
        raise Refused(10004)
    found = [one for one in guild.channels if one.parent and not one.archived and call.world.sees(one)]
    bot = call.world.bot.id
    members = [one.member(bot) for one in found if bot in one.joined]
    return 200, {"threads": [one.json for one in found], "members": members, "has_more": False}


def take_in(call: Call) -> Answer:
    thread, id = call.channel, call.request.ids.get("user_id", call.world.bot.id)
    if thread.parent is None or thread.guild is None:
        raise Refused(50024)
    if thread.archived:
        raise Refused(50083)
    if id not in call.world.users:
        raise Refused(10013)
    if id not in thread.guild.members:
        raise Refused(50001)
    if len(thread.joined) >= MEMBERS and id not in thread.joined:
        raise Refused(30033)
    thread.joined.setdefault(id, call.world.now_iso)
    return 204, None


ROUTES: Routes = {
    ("GET", "/channels/{channel_id}"): shown,
    ("PATCH", "/channels/{channel_id}"): change,
    ("POST", "/channels/{channel_id}/messages/{message_id}/threads"): from_message,
    ("POST", "/channels/{channel_id}/threads"): alone,
    ("GET", "/guilds/{guild_id}/threads/active"): active,
    ("PUT", "/channels/{channel_id}/thread-members/@me"): take_in,
    ("PUT", "/channels/{channel_id}/thread-members/{user_id}"): take_in,
}
