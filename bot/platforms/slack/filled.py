"""What a dialog holds that somebody sent off: `view.state.values` of a view_submission (or view_closed), read back."""

from collections.abc import Mapping
from typing import Any

from bot.platforms.slack.render import TICKED

Json = Mapping[str, Any]


def values(state: Json) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """The fields by name, and the files of all file fields in their order, as Slack describes them.

    `state` is {block id: {action id: element}}. A box that is ticked is "yes", else "no"; a choice that was not made and
    a text that was not typed is "". An element that is unknown is left out.
    """
    found: dict[str, str] = {}
    files: list[dict[str, Any]] = []
    for name, elements in state.items():
        for element in elements.values():
            match element.get("type"):
                case "plain_text_input":
                    found[name] = element.get("value") or ""
                case "static_select" | "radio_buttons":
                    found[name] = (element.get("selected_option") or {}).get("value", "")
                case "checkboxes":
                    found[name] = TICKED[0] if element.get("selected_options") else TICKED[1]
                case "file_input":
                    files += [dict(file) for file in element.get("files") or ()]
    return found, files


def changed(view: Json) -> dict[str, str]:
    """The texts of a view that somebody typed and that it did not open with."""
    began = {one.get("block_id"): (one.get("element") or {}).get("initial_value") or "" for one in view.get("blocks") or ()}
    texts = {
        name: element.get("value") or ""
        for name, elements in ((view.get("state") or {}).get("values") or {}).items()
        for element in elements.values()
        if element.get("type") == "plain_text_input"
    }
    return {name: text for name, text in texts.items() if text.strip() and text != began.get(name, "")}
