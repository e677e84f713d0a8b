"""What a message becomes by a request: its fields checked, completed, and its files kept."""

import re
from collections.abc import Mapping

from tests.fakes.discord import limits, parts
from tests.fakes.discord.call import Upload
from tests.fakes.discord.refused import FORM, Flaw, Refused
from tests.fakes.discord.state import EPHEMERAL, LOADING, SUPPRESS_EMBEDS, V2, Channel, Json, Message, World

QUIET = 1 << 12  # SUPPRESS_NOTIFICATIONS
SETTABLE = SUPPRESS_EMBEDS | EPHEMERAL | QUIET | V2  # when a message is made
CHANGEABLE = SUPPRESS_EMBEDS | V2


def fields(
    world: World, channel: Channel, asked: Json, files: Mapping[int, Upload], before: Message | None = None
) -> tuple[Json, list[Flaw]]:
    """The fields of a new or changed message and its flaws; raises Refused for an empty message or too large a file.

    `asked` may leave out what stays as it is.
    """
    old: Json = before.json if before else {"content": "", "embeds": [], "components": [], "attachments": [], "flags": 0}
    flags, flaws = _flags(asked, old if before else None)
    said = {name: asked[name] if name in asked else old[name] for name in ("content", "embeds", "components")}
    said = {name: value or ("" if name == "content" else []) for name, value in said.items()} | {"flags": flags}
    attachments, more = _attachments(world, channel, asked, files, old["attachments"])
    flaws += more + limits.message(asked | said)
    if "components" in asked and not flaws:
        said["components"], more = parts.shown(said["components"], attachments)
        flaws += more
    said["embeds"] = [
        {"type": "rich"} | {name: value for name, value in one.items() if value is not None} for one in said["embeds"]
    ]
    filled = any(said[name] for name in ("content", "embeds", "components")) or attachments
    if not filled and not asked.get("poll") and not asked.get("sticker_ids") and not flaws:
        raise Refused(50006)
    return said | {"attachments": attachments} | _mentions(world, channel, asked, said), flaws


def whole(world: World, channel: Channel, asked: Json, files: Mapping[int, Upload], before: Message | None = None) -> Json:
    """`fields` where a flaw is an invalid form."""
    said, flaws = fields(world, channel, asked, files, before)
    if flaws:
        raise Refused(FORM, flaws)
    return said


def _flags(asked: Json, old: Json | None) -> tuple[int, list[Flaw]]:
    wanted = asked.get("flags")
    if old is None:
        return (wanted or 0) & SETTABLE, []
    had = int(old["flags"])
    if wanted is None:
        return had & ~LOADING, []
    if had & V2 and not wanted & V2:
        said = "The flag IS_COMPONENTS_V2 cannot be removed from a message"
        return had, [Flaw(("flags",), "MESSAGE_CANNOT_REMOVE_COMPONENTS_V2_FLAG", said)]
    return (had & ~CHANGEABLE & ~LOADING) | (wanted & CHANGEABLE), []


def _attachments(
    world: World, channel: Channel, asked: Json, files: Mapping[int, Upload], old: list[Json]
) -> tuple[list[Json], list[Flaw]]:
    """The attachments that stay and those that are new. What an edit does not list, where it lists any, goes."""
    for one in files.values():
        if len(one.content) > limits.FILE_BYTES:
            raise Refused(40005)
    if sum(len(one.content) for one in files.values()) > limits.REQUEST_BYTES:
        raise Refused(40005)
    listed = asked.get("attachments")
    if listed is None:
        listed = [*({"id": one["id"]} for one in old), *({"id": number} for number in files)]
    kept, flaws = [], []
    stayed = {one["id"]: one for one in old}
    numbered = {str(number): one for number, one in files.items()}
    for at, one in enumerate(listed):
        id = str(one["id"])
        if id in numbered:
            upload = numbered.pop(id)
            name = re.sub(r"[^\w.\-]", "_", one.get("filename") or upload.name)
            kept.append(world.keep(channel, name, upload.content, upload.kind, title=one.get("description") or ""))
        elif id in stayed:
            kept.append(stayed[id])
        else:
            flaws.append(Flaw(("attachments", at, "id"), "ATTACHMENT_NOT_FOUND", f"Attachment {id} is not there"))
    if numbered:
        flaws.append(Flaw(("attachments",), "ATTACHMENT_NOT_FOUND", f"files {sorted(numbered)} stand in no attachment"))
    if len(kept) > limits.FILES:
        flaws.append(Flaw(("attachments",), "BASE_TYPE_MAX_LENGTH", f"Must be {limits.FILES} or fewer in length."))
    return kept, flaws


def text(said: Json) -> str:
    """All that a reader sees written, in one piece."""
    shown = [one["content"] for _, one in limits.walk(said["components"]) if one["type"] == limits.DISPLAY]
    return "\n".join([said["content"], *shown])


def _mentions(world: World, channel: Channel, asked: Json, said: Json) -> Json:
    """Whom the message mentions so that they are told of it, as `allowed_mentions` lets it; by default everybody."""
    written = text(said)
    allowed = asked.get("allowed_mentions")
    parse = {"users", "everyone"} if allowed is None else set(allowed.get("parse") or ())
    named = [id for id in dict.fromkeys(re.findall(r"<@!?(\d+)>", written)) if id in world.users]
    listed = map(str, (allowed or {}).get("users") or ())
    told = [id for id in named if "users" in parse] if "users" in parse else [id for id in listed if id in named]
    everyone = "everyone" in parse and bool(re.search("@(everyone|here)", written)) and "MENTION_EVERYONE" in world.may(channel)
    return {"mentions": [world.users[id].json for id in told], "mention_everyone": everyone}
