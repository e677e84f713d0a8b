"""What a dialog holds that somebody sent off: the data of a MODAL_SUBMIT interaction, read back."""

from collections.abc import Iterator, Mapping
from typing import Any

from bot.platforms.discord.render import TICKED

Json = Mapping[str, Any]

_UPLOAD, _CHECKBOX = 19, 23


def values(data: Json) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """The fields by name, and the attachments of all file fields in their order, as Discord describes them.

    A box that is ticked is "yes", else "no"; a choice that was not made is "". A part that is unknown is left out, as is
    an attachment that Discord does not describe.
    """
    found: dict[str, str] = {}
    files: list[dict[str, Any]] = []
    attachments = data.get("resolved", {}).get("attachments", {})
    for field in _fields(data.get("components", ())):
        if field["type"] == _UPLOAD:
            files += [dict(attachments[one]) for one in field.get("values", ()) if one in attachments]
        elif field["type"] == _CHECKBOX:
            found[field["custom_id"]] = TICKED[0] if field.get("value") else TICKED[1]
        elif "values" in field:
            found[field["custom_id"]] = next(iter(field["values"]), "")
        elif "custom_id" in field:
            found[field["custom_id"]] = field.get("value") or ""
    return found, files


def _fields(components: Any) -> Iterator[Json]:
    """The fields, in labels or, as of old, in rows."""
    for component in components:
        inner = [component["component"]] if "component" in component else component.get("components", ())
        if inner:
            yield from _fields(inner)
        else:
            yield component
