"""files.*: an address to upload to, the upload, and what makes a message of it."""

from tests.fakes.slack import limits, shelf
from tests.fakes.slack.call import Call, Methods
from tests.fakes.slack.refused import Refused
from tests.fakes.slack.state import Json
from tests.fakes.slack.stored import stored


def url(call: Call) -> Json:
    size = int(call.args["length"])
    if size <= 0:
        raise Refused("missing_argument", ["[ERROR] length must be positive [json-pointer:/length]"])
    made = shelf.keep(call.world, call.team, str(call.args["filename"]), None, size, call.team.bot_user)
    return {"upload_url": f"{call.world.base}/upload/{made.id}", "file_id": made.id}


def complete(call: Call) -> Json:
    files = []
    for one in call.args["files"]:
        file = call.world.files.get(one.get("id", "")) if isinstance(one, dict) else None
        if file is None or file.content is None or file.team is not call.team:
            raise Refused("file_not_found")
        file.title = one.get("title") or file.name
        files.append(file)
    shown = [shelf.told(call.world, file) for file in files]
    if call.args.get("channel_id"):
        _share(call, shown)
    for file in files:
        file.shared, file.whole = bool(call.args.get("channel_id")), True
    return {"files": shown}


def _share(call: Call, shown: list[Json]) -> None:
    """Post a message with the files: with a comment or blocks, in a thread or not. It cannot have metadata."""
    channel = call.channel("channel_id")
    if call.team.bot_user not in channel.members:
        raise Refused("not_in_channel")
    blocks = limits.blocks_of(call.args)
    said = stored({"text": call.args.get("initial_comment") or ""} | ({} if blocks is None else {"blocks": blocks}))
    said |= call.thread(channel) | {"files": shown, "upload": True, "subtype": "file_share"}
    call.world.post(channel, said | call.world.bot_fields(call.team))


def info(call: Call) -> Json:
    file = call.world.files.get(str(call.args["file"]))
    if file is None or file.content is None or file.team is not call.team:
        raise Refused("file_not_found")
    told = shelf.told(call.world, file)
    if file.looks:
        file.looks -= 1
        told |= {"mimetype": "", "filetype": "", "pretty_type": ""}  # as long as it is not looked at
    return {"file": told, "comments": []}


METHODS: Methods = {"files.getUploadURLExternal": url, "files.completeUploadExternal": complete, "files.info": info}
