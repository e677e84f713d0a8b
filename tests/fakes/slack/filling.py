"""What a person puts into the elements of a message or a dialog, as Slack tells the app of it."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from tests.fakes.slack.state import Json
from tests.fakes.slack.stored import usable
from tests.fakes.slack.text import walk

TEXTS = ("plain_text_input", "email_text_input", "url_text_input", "number_input")
PICKED = {  # kind -> the field of its value, the field that it begins with
    "datepicker": ("selected_date", "initial_date"),
    "timepicker": ("selected_time", "initial_time"),
    "datetimepicker": ("selected_date_time", "initial_date_time"),
    "users_select": ("selected_user", "initial_user"),
    "channels_select": ("selected_channel", "initial_channel"),
    "conversations_select": ("selected_conversation", "initial_conversation"),
    "multi_users_select": ("selected_users", "initial_users"),
}
SINGLE, SEVERAL = ("static_select", "radio_buttons", "external_select"), ("checkboxes", "multi_static_select")
PRESSED = ("button", "icon_button", "workflow_button", "feedback_buttons", "overflow")


def options(element: Json) -> dict[str, Json]:
    """What is offered, by value."""
    groups = [element.get("options", []), *(one["options"] for one in element.get("option_groups", []))]
    return {one["value"]: one for group in groups for one in group}


def pressed(element: Json, value: str | None) -> Json:
    """What a press tells. Raises LookupError for what cannot be pressed so."""
    kind = element["type"]
    if kind == "feedback_buttons":
        both = [element["positive_button"], element["negative_button"]]
        found = next((one for one in both if value in (None, one["value"])), None)
        if found is None:
            raise LookupError(f"{value!r} is none of {[one['value'] for one in both]}")
        return {"type": kind, "value": found["value"], "text": deepcopy(found["text"])}
    if kind == "overflow":
        return {"type": kind, "selected_option": _option(element, value)}
    if kind not in PRESSED:
        raise LookupError(f"a {kind} cannot be pressed")
    return {"type": kind} | ({"value": element["value"]} if "value" in element else {})


def _option(element: Json, value: Any) -> Json:
    offered = options(element)
    if value not in offered:
        raise LookupError(f"{value!r} is not offered; there are {sorted(offered)}")
    return deepcopy({key: offered[value][key] for key in ("text", "value", "description") if key in offered[value]})


def value_of(element: Json, value: Any) -> Json:
    """The state of an element with a value in it. Raises LookupError, ValueError."""
    kind = element["type"]
    said: Json = {"type": kind}
    if kind in TEXTS:
        return said | {"value": _text(element, value)}
    if kind in SINGLE:
        return said | {"selected_option": None if value is None else _option(element, value)}
    if kind in SEVERAL:
        return said | {"selected_options": [_option(element, one) for one in value or []]}
    if kind == "file_input":
        if len(value or []) > element.get("max_files", 10):
            raise ValueError(f"{element['action_id']} takes {element.get('max_files', 10)} files, not {len(value)}")
        return said | {"files": value or []}
    if kind in PICKED:
        return said | {PICKED[kind][0]: value}
    raise LookupError(f"a {kind} takes no value")


def _text(element: Json, value: Any) -> str | None:
    if not value:
        return None
    least, most = element.get("min_length", 0), element.get("max_length", 3000)
    if not isinstance(value, str) or not least <= len(value) <= most:
        raise ValueError(f"{element['action_id']} takes {least} to {most} characters, not {len(value)}")
    return value


def begun(element: Json) -> Json | None:
    """The state of an element that nobody has touched; None for what has no state."""
    kind = element["type"]
    if kind in TEXTS:
        return {"type": kind, "value": element.get("initial_value") or None}
    if kind in SINGLE:
        return {"type": kind, "selected_option": deepcopy(element.get("initial_option"))}
    if kind in SEVERAL:
        return {"type": kind, "selected_options": deepcopy(element.get("initial_options", []))}
    if kind == "file_input":
        return {"type": kind, "files": []}
    if kind in PICKED:
        return {"type": kind, PICKED[kind][0]: element.get(PICKED[kind][1])}
    return None


def state(blocks: list[Json], used: Mapping[tuple[str, str], Json]) -> Json:
    """The values of all elements by block_id and action_id, with what was just used."""
    values: Json = {}
    for block in blocks:
        for one in walk(block):
            if one is block or not usable(one):
                continue
            told = used.get((block["block_id"], one["action_id"]))
            now = told if told is not None and one["type"] not in PRESSED else begun(one)
            if now is not None:
                values.setdefault(block["block_id"], {})[one["action_id"]] = deepcopy(now)
    return values


def filled(view: Json, values: Mapping[str, Any]) -> Json:
    """The state of a dialog that is sent in. Raises LookupError, ValueError as a client would hold it back."""
    inputs = {one["block_id"]: one for one in view["blocks"] if one["type"] == "input"}
    if set(values) - set(inputs):
        raise LookupError(f"the dialog has {sorted(inputs)}, not {sorted(set(values) - set(inputs))}")
    found: Json = state(view["blocks"], {})
    for block_id, typed in view.get("state", {}).get("values", {}).items():
        found.setdefault(block_id, {}).update(typed)
    for block_id, block in inputs.items():
        element = block["element"]
        if block_id in values:
            found[block_id] = {element["action_id"]: value_of(element, values[block_id])}
        rest = {key: one for key, one in found[block_id][element["action_id"]].items() if key != "type"}
        if not any(rest.values()) and not block.get("optional"):
            raise ValueError(f"{block_id} is empty and must not be")
    return found
