"""Components as Discord gives them back: with ids, with what the sender left out, with the addresses of their files."""

from copy import deepcopy
from itertools import count

from tests.fakes.discord.limits import CONTAINER, FILE, SELECTS, walk
from tests.fakes.discord.refused import Flaw
from tests.fakes.discord.state import Json

THUMBNAIL, GALLERY, SEPARATOR = 11, 12, 14
FILLED: dict[int, Json] = {
    CONTAINER: {"accent_color": None, "spoiler": False},
    FILE: {"spoiler": False},
    SEPARATOR: {"spacing": 1, "divider": True},
    THUMBNAIL: {"description": None, "spoiler": False},
    **{kind: {"min_values": 1, "max_values": 1} for kind in SELECTS},
}


def shown(components: list[Json], attachments: list[Json]) -> tuple[list[Json], list[Flaw]]:
    """The components of a message with these attachments, and what is wrong with the files that they name."""
    made = deepcopy(components)
    flaws: list[Flaw] = []
    whole = list(walk(made))
    taken = {one["id"] for _, one in whole if one.get("id")}
    free = (number for number in count(1) if number not in taken)
    for path, one in whole:
        for name in [name for name, value in one.items() if value is None]:
            del one[name]
        one["id"] = one.get("id") or next(free)
        for name, value in FILLED.get(one["type"], {}).items():
            one.setdefault(name, value)
        for where in _media(one):
            url = where["url"]
            found = next((each for each in attachments if url in (f"attachment://{each['filename']}", each["url"])), None)
            if found is None and not (url.startswith("https://") and one["type"] != FILE):
                flaws.append(Flaw((*path, "url"), "UNFURLED_MEDIA_ITEM_REFERENCED_ATTACHMENT_NOT_FOUND", url))
            elif found is not None:
                where |= {name: found[name] for name in ("url", "proxy_url", "content_type")}
                where |= {"id": found["id"], "attachment_id": found["id"]}
                if one["type"] == FILE:
                    one |= {"name": found["filename"], "size": found["size"]}
    return made, flaws


def _media(one: Json) -> list[Json]:
    if one["type"] == FILE:
        return [one["file"]]
    if one["type"] == THUMBNAIL:
        return [one["media"]]
    if one["type"] == GALLERY:
        for item in one["items"]:
            item.setdefault("description", None)
            item.setdefault("spoiler", False)
        return [item["media"] for item in one["items"]]
    return []


def pressable(message: Json) -> dict[str, Json]:
    """The parts of a message that a reader can use, by custom_id."""
    return {one["custom_id"]: one for _, one in walk(message["components"]) if one.get("custom_id") and not one.get("disabled")}
