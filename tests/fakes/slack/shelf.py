"""Files: what is kept of them, and what Slack says of one."""

import mimetypes

from tests.fakes.slack.state import File, Json, Team, World


def keep(world: World, team: Team, name: str, content: bytes | None, size: int, user: str) -> File:
    """Take a file in; `content` is None until it is uploaded."""
    kind = mimetypes.guess_type(name)[0] or "text/plain"
    made = File(world.id("F"), team, name, kind, content, size, user, name)
    world.files[made.id] = made
    return made


def told(world: World, file: File) -> Json:
    suffix = file.name.rpartition(".")[2]
    where = f"{world.base}/files-pri/{file.team.id}-{file.id}"
    said: Json = {"id": file.id, "created": 1, "timestamp": 1, "name": file.name, "title": file.title, "size": file.size}
    said |= {"mimetype": file.kind, "filetype": suffix, "pretty_type": suffix.upper(), "user": file.user}
    said |= {"user_team": file.team.id, "editable": False, "mode": "hosted", "is_external": False, "external_type": ""}
    said |= {"is_public": True, "public_url_shared": False, "display_as_bot": False, "username": ""}
    said |= {"url_private": f"{where}/{file.name}", "url_private_download": f"{where}/download/{file.name}"}
    said |= {"permalink": f"{world.base}/files/{file.user}/{file.id}", "permalink_public": f"{world.base}/{file.id}"}
    return said | {"has_rich_preview": False, "file_access": "visible"}
