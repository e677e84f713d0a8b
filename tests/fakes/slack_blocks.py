"""What Slack would refuse of blocks and views: the package slackblocks builds each anew, and says what it does not take.

slackblocks (MIT) reads few blocks back from JSON, so they are built here from its classes, whose own checks then hold:
counts, lengths, types, what a surface can show. Where it is more lenient than Slack, rules follow below, each with its
source: a field that is not known, two ids that are one, an element's text in the wrong type, tables, and what all
blocks of a message hold together.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

import slackblocks as sb
from slackblocks.errors import InvalidUsageError
from slackblocks.rich_text.objects import RichTextObject

Json = Mapping[str, Any]
Surface = Literal["message", "modal", "home"]

MESSAGE_BLOCKS, VIEW_BLOCKS = 50, 100  # slackblocks, _limits.py
TABLES = 1  # of a message: "invalid_attachments: only_one_table_allowed" (docs.slack.dev, table block)
TABLE_TEXT = 10_000  # characters of all cells: docs.slack.dev, table block
TEXT = 11_340  # of all blocks of a message: 11,341 characters were refused once (bolt-js#2867), in no page of Slack's
TOO_LONG = "msg_blocks_too_long"  # what a problem begins with where all blocks together are too long
FEEDBACK, PLAIN = "feedback_button", "plain_text"


class _Wrong(Exception):
    """A rule of Slack's that slackblocks does not check."""


# --- from JSON to the objects of slackblocks


def _made(data: Json, kind: Callable[..., Any], parts: Mapping[str, Callable[[Any], Any]], *, drop: Sequence[str] = ()) -> Any:
    """The object of a dict: every field by its converter, and none that is not known."""
    if not isinstance(data, Mapping):
        raise _Wrong(f"no object: {data!r}")
    if unknown := sorted(set(data) - set(parts) - {"type"}):
        raise _Wrong(f"{data.get('type')}: additional property {', '.join(unknown)}")
    return kind(**{name: parts[name](value) for name, value in data.items() if name in parts and name not in drop})


def _same(value: Any) -> Any:
    return value


def _text(data: Json) -> Any:
    return _made(
        data,
        lambda **_: sb.Text.from_dict(dict(data)),
        dict.fromkeys(("text", "emoji" if data.get("type") == PLAIN else "verbatim"), _same),
    )


def _plain(data: Json) -> Any:
    if not isinstance(data, Mapping) or data.get("type") != PLAIN:
        raise _Wrong(f"must be plain_text: {data!r}")
    return _text(data)


def _option(data: Json) -> Any:
    if not data.get("value"):
        raise _Wrong("an option needs a value")
    return _made(data, sb.Option, {"text": _text, "value": _same, "description": _plain, "url": _same})


def _options(found: Sequence[Json]) -> list[Any]:
    values = [one["value"] for one in found]
    if len(set(values)) != len(values):
        raise _Wrong(f"options with one value: {values}")
    return [_option(one) for one in found]


def _feedback(data: Json) -> Any:
    return _made(data, sb.FeedbackButton, {"text": _plain, "value": _same, "accessibility_label": _same})


def _confirm(data: Json) -> Any:
    return sb.ConfirmationDialogue.from_dict(dict(data))


_FOCUS = {"action_id": _same, "focus_on_load": _same}
_ELEMENTS: dict[str, tuple[Callable[..., Any], dict[str, Callable[[Any], Any]]]] = {
    "button": (
        sb.Button,
        {
            **dict.fromkeys(("action_id", "url", "value", "style", "accessibility_label"), _same),
            "text": _plain,
            "confirm": _confirm,
        },
    ),
    "feedback_buttons": (
        sb.FeedbackButtons,
        {"action_id": _same, "positive_button": _feedback, "negative_button": _feedback},
    ),
    "static_select": (
        sb.StaticSelectMenu,
        {**_FOCUS, "placeholder": _plain, "options": _options, "initial_option": _option, "confirm": _confirm},
    ),
    "radio_buttons": (sb.RadioButtonGroup, {**_FOCUS, "options": _options, "initial_option": _option, "confirm": _confirm}),
    "checkboxes": (sb.CheckboxGroup, {**_FOCUS, "options": _options, "initial_options": _options, "confirm": _confirm}),
    "file_input": (sb.FileInput, {"action_id": _same, "filetypes": list, "max_files": _same}),
    "plain_text_input": (
        sb.PlainTextInput,
        {**_FOCUS, **dict.fromkeys(("initial_value", "multiline", "min_length", "max_length"), _same), "placeholder": _plain},
    ),
    "image": (sb.Image, dict.fromkeys(("image_url", "alt_text"), _same)),
}


def _element(data: Json) -> Any:
    if data.get("type") not in _ELEMENTS:
        raise _Wrong(f"unsupported type: {data.get('type')}")
    kind, parts = _ELEMENTS[data["type"]]
    _check_element(data)
    return _made(data, kind, parts)


def _check_element(data: Json) -> None:
    """What slackblocks lets pass of an element."""
    if data.get("style", "primary") not in ("primary", "danger"):
        raise _Wrong(f"style {data['style']!r}")
    initial = data.get("initial_options", [data["initial_option"]] if "initial_option" in data else [])
    if any(one not in data["options"] for one in initial) or ("initial_options" in data and not initial):
        raise _Wrong("an initial option is none of the options")
    if len(data.get("initial_value", "")) > data.get("max_length", 3000):
        raise _Wrong(
            f"initial_value of {len(data['initial_value'])} characters, of which {data.get('max_length', 3000)} may be"
        )


def _elements(found: Sequence[Json]) -> list[Any]:
    ids = [one["action_id"] for one in found if "action_id" in one]
    if len(set(ids)) != len(ids):
        raise _Wrong(f"action_id twice: {ids}")
    if not found:
        raise _Wrong("no elements")
    return [_element(one) for one in found]


def _in_context(found: Sequence[Json]) -> list[Any]:
    if not found:
        raise _Wrong("no elements")
    return [_element(one) if one.get("type") == "image" else _text(one) for one in found]


# --- rich text and tables

_STYLED: dict[str, tuple[Callable[..., Any], str]] = {
    "text": (sb.RichText, "text"),
    "link": (sb.RichTextLink, "url"),
    "emoji": (sb.RichTextEmoji, "name"),
    "user": (sb.RichTextUser, "user_id"),
    "channel": (sb.RichTextChannel, "channel_id"),
    "usergroup": (sb.RichTextUserGroup, "user_group_id"),
}


def _rich_part(data: Json) -> Any:
    if data.get("type") not in _STYLED:
        raise _Wrong(f"unsupported type: {data.get('type')}")
    kind, name = _STYLED[data["type"]]
    if not data.get(name):
        raise _Wrong(f"{data['type']} needs {name}")
    return kind(data[name])


def _rich(data: Json) -> Any:
    parts = data["elements"]
    match data["type"]:
        case "rich_text_section":
            return sb.RichTextSection([_rich_part(one) for one in parts])
        case "rich_text_preformatted":
            return sb.RichTextCodeBlock([_rich_part(one) for one in parts])
        case "rich_text_quote":
            return sb.RichTextQuote([_rich_part(one) for one in parts])
        case "rich_text_list":
            return sb.RichTextList(data["style"], [_rich(one) for one in parts])
        case kind:
            raise _Wrong(f"unsupported type: {kind}")


def _cell(data: Json) -> sb.RawText | RichTextObject:
    match data.get("type"):
        case "raw_text":
            if not data.get("text"):
                raise _Wrong("an empty cell")
            return _made(data, sb.RawText, {"text": _same})
        case "rich_text":
            (part,) = data["elements"]
            return _rich(part)
        case kind:
            raise _Wrong(f"unsupported type: {kind}")


def _rows(rows: Sequence[Sequence[Json]]) -> list[list[Any]]:
    if len({len(row) for row in rows}) != 1 or not rows[0]:
        raise _Wrong(f"rows of {sorted({len(row) for row in rows})} cells")
    return [[_cell(cell) for cell in row] for row in rows]


def _columns(found: Sequence[Json]) -> list[Any]:
    return [_made(one, sb.ColumnSettings, {"align": _same, "is_wrapped": _same}) for one in found]


_BLOCKS: dict[str, tuple[Callable[..., Any], dict[str, Callable[[Any], Any]]]] = {
    "header": (sb.HeaderBlock, {"text": _plain}),
    "divider": (sb.DividerBlock, {}),
    "markdown": (sb.MarkdownBlock, {"text": _same}),
    "section": (
        sb.SectionBlock,
        {"text": _text, "fields": lambda found: [_text(one) for one in found], "accessory": _element, "expand": _same},
    ),
    "context": (sb.ContextBlock, {"elements": _in_context}),
    "actions": (sb.ActionsBlock, {"elements": _elements}),
    "context_actions": (sb.ContextActionsBlock, {"elements": _elements}),
    "input": (
        sb.InputBlock,
        {"label": _plain, "element": _element, "hint": _plain, "optional": _same, "dispatch_action": _same},
    ),
    "table": (sb.TableBlock, {"rows": _rows, "column_settings": _columns}),
    "rich_text": (sb.RichTextBlock, {"elements": lambda found: [_rich(one) for one in found]}),
    "file": (sb.FileBlock, {"external_id": _same, "source": _same}),
    "image": (
        sb.ImageBlock,
        {"image_url": _same, "alt_text": _same, "title": _plain, "slack_file": lambda one: sb.SlackFile.from_dict(dict(one))},
    ),
}


def _block(data: Json) -> Any:
    if not isinstance(data, Mapping) or data.get("type") not in _BLOCKS:
        raise _Wrong(f"unsupported type: {data.get('type') if isinstance(data, Mapping) else data!r}")
    kind, parts = _BLOCKS[data["type"]]
    if data["type"] == "markdown" and not str(data.get("text", "")).strip():
        raise _Wrong("an empty text")
    # slackblocks 3.0.0 does not know a section's "expand" yet.
    return _made(data, kind, {**parts, "block_id": _same}, drop=("expand",))


# --- what is wrong


def problems(blocks: Sequence[Json], surface: Surface = "message") -> list[str]:
    """What Slack would refuse of the blocks of a message or of a view, each with its place: "blocks[2]: ..."."""
    found, made = [], []
    for number, block in enumerate(blocks):
        try:
            made.append(_block(block))
        except (InvalidUsageError, _Wrong, KeyError, TypeError, ValueError, AttributeError, NotImplementedError) as error:
            found.append(f"blocks[{number}]: {type(error).__name__.lstrip('_')}: {error}")
    if not found:
        found += _refused(made, surface)
    ids = [block["block_id"] for block in blocks if isinstance(block, Mapping) and block.get("block_id")]
    if len(set(ids)) != len(ids):
        found.append(f"block_id twice: {sorted(ids)}")
    if not _is_json(list(blocks)):
        found.append("no JSON")
    if surface == "message" and not found:
        found += _too_much(blocks)
    return found


def view_problems(view: Json) -> list[str]:
    """What Slack would refuse of a modal or a home tab."""
    if view.get("type") not in ("modal", "home"):
        return [f"unsupported type: {view.get('type')}"]
    found = problems(view.get("blocks", ()), view["type"])
    if found or view["type"] == "home":
        return found
    parts = {
        **dict.fromkeys(("title", "submit", "close"), _plain),
        **dict.fromkeys(("callback_id", "private_metadata", "external_id", "notify_on_close", "clear_on_close"), _same),
        "blocks": lambda blocks: [_block(one) for one in blocks],
    }
    try:
        _made(view, sb.ModalView, parts)
    except (InvalidUsageError, _Wrong, TypeError) as error:
        found.append(f"view: {type(error).__name__.lstrip('_')}: {error}")
    return found


def _refused(made: list[Any], surface: Surface) -> list[str]:
    """What slackblocks refuses of the blocks together."""
    try:
        match surface:
            case "message":
                sb.Message(channel="C1", blocks=made)
            case "home":
                sb.HomeTabView(made)
            case "modal":
                sb.ModalView("t", made, submit="s")
    except InvalidUsageError as error:
        return [f"{type(error).__name__}: {error}"]
    return []


def _too_much(blocks: Sequence[Json]) -> list[str]:
    found = []
    tables = [block for block in blocks if block["type"] == "table"]
    if len(tables) > TABLES:
        found.append("only_one_table_allowed")
    if (length := sum(map(len, _texts(tables)))) > TABLE_TEXT:
        found.append(f"table: {length} characters")
    if (length := text_length(blocks)) > TEXT:
        found.append(f"{TOO_LONG}: {length} characters")
    return found


def text_length(blocks: Sequence[Json]) -> int:
    """The characters of all texts of the blocks."""
    return sum(map(len, _texts(blocks)))


def _texts(value: Any) -> Iterator[str]:
    """Every text within a JSON value, wherever it stands."""
    if isinstance(value, Mapping):
        if isinstance(value.get("text"), str):
            yield value["text"]
        for inner in value.values():
            if not isinstance(inner, str):
                yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)


def _is_json(value: Any) -> bool:
    try:
        return bool(json.dumps(value, ensure_ascii=False).encode())
    except (TypeError, ValueError):
        return False
