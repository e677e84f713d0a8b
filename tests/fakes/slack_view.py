"""What a person reads of a Slack message or view, as text: the same text as the terminal shows, but for white space.

Marks are taken away and entities undone by rules of their own, not by the renderer's. A fence is shown between
`--- NAME` and `---`, buttons and thumbs as [Label], a select as its hint and [options], a link as its label and
(address), a table as the markdown it came from.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

Json = Mapping[str, Any]
Files = Sequence[tuple[str, bytes]]

_FENCE = re.compile(r"^```(?P<language>[\w+\-.#]*)\n(?P<body>.*?)\n```$", re.DOTALL | re.MULTILINE)
_MARKDOWN = re.compile(
    r"\\(?P<escaped>[^0-9A-Za-z\s])"
    r"|&(?P<entity>amp|lt|gt);"
    r"|\*\*(?P<bold>(?:\\.|[^\\\n])+?)\*\*(?!\*)"
    r"|`(?P<code>[^`\n]+)`"
    r"|\[(?P<label>(?:\\.|[^\]\\])+)\]\(<(?P<target>https?://[^\s>]+)>\)"
    r"|<(?P<url>https?://[^\s>]+)>"
    r"|<(?P<mention>[@#!][^>\s]+)>"
)
_MRKDWN = re.compile(
    r"\u200b(?P<escaped>[*_~`])\u200b"
    r"|&(?P<entity>amp|lt|gt);"
    r"|<(?P<mention>[@#!][^>\s]+)>"
    r"|<(?P<target>https?://[^|>\s]+)\|(?P<label>[^>\n]*)>"
    r"|<(?P<url>https?://[^|>\s]+)>"
    r"|(?<!\w)\*(?=\S)(?P<bold>(?:\u200b[*_~`]\u200b|[^*\n])+)(?<=\S)\*(?!\w)"
    r"|`(?P<code>[^`\n]+)`"
    r"|^\u00ad(?P<quote>)(?=\s*&gt;)",
    re.MULTILINE,
)
_ENTITIES = {"amp": "&", "lt": "<", "gt": ">"}


def text_of(message: Json, files: Files | Mapping[str, bytes] = ()) -> str:
    """The text of a message or of the payload of one. `files` are the bytes of its files, as far as they are known."""
    left = list(files.items()) if isinstance(files, Mapping) else list(files)
    blocks = message.get("blocks") or []
    lines = [line for block in blocks if (line := _block(block, left))]
    if not lines and "streaming_state" in message:  # its text is markdown, and its blocks are what was added at the end
        lines = [shown(message.get("text") or "")]
    elif not blocks:
        lines = [plain(message.get("text") or "")]
    known = {name for name, _ in files.items()} if isinstance(files, Mapping) else {name for name, _ in files}
    lines += [_file(name, data) for name, data in left]
    lines += [f"[{file['name']}]" for file in message.get("files") or [] if file["name"] not in known]
    controls = " ".join(part for block in blocks for part in _controls(block))
    return "\n".join(filter(None, [*lines, controls]))


def plain(written: str | Sequence[Json]) -> str:
    """The text of a `mrkdwn` text, or of blocks."""
    return text_of({"blocks": written}) if not isinstance(written, str) else _fences(written, _MRKDWN)


def shown(markdown: str) -> str:
    """The text of a `markdown` block, or of a stream."""
    return _fences(markdown, _MARKDOWN)


def _block(block: Json, files: list[tuple[str, bytes]]) -> str:
    match block["type"]:
        case "header":
            return str(block["text"]["text"])
        case "section":
            return "\n".join(_text(one) for one in [*filter(None, [block.get("text")]), *block.get("fields", ())])
        case "context":
            return " ".join(_text(one) for one in block["elements"] if "text" in one)
        case "markdown":
            return shown(block["text"])
        case "table":
            return _table(block["rows"])
        case "rich_text":
            return _rich(block["elements"], files)
        case _:
            return ""


def _text(text: Json) -> str:
    return plain(text["text"]) if text["type"] == "mrkdwn" else str(text["text"])


def _table(rows: Sequence[Sequence[Json]]) -> str:
    lines = [f"| {' | '.join(_cell(cell) for cell in row)} |" for row in rows]
    return "\n".join([lines[0], f"|{' --- |' * len(rows[0])}", *lines[1:]])


def _cell(cell: Json) -> str:
    return str(cell["text"]).strip() if cell["type"] == "raw_text" else _rich(cell["elements"], [])


def _rich(elements: Sequence[Json], files: list[tuple[str, bytes]]) -> str:
    """Rich text; a code of which a file has all, as the file."""
    lines: list[str] = []
    for element in elements:
        text = "".join(part.get("text") or part.get("url", "") for part in element["elements"])
        if element["type"] != "rich_text_preformatted":
            lines.append(text)
            continue
        name = lines.pop() if lines else ""
        whole = next((one for one in files if one[0] == name and _begins(one[1], text)), None)
        if whole:
            files.remove(whole)
        lines.append(_file(*whole) if whole else f"--- {name}\n{text}\n---")
    return "\n".join(lines)


def _begins(data: bytes, excerpt: str) -> bool:
    """Whether an excerpt is of that file."""
    return excerpt.endswith("\n…") and data.decode("utf-8", "replace").startswith(excerpt.removesuffix("\n…"))


def _file(name: str, data: bytes) -> str:
    text = data.decode("utf-8", "replace").rstrip("\n")
    return f"--- {name}\n{text}\n---"


def _controls(block: Json) -> list[str]:
    """The buttons and selects of a block, in their order."""
    found = []
    for element in block.get("elements", ()) if block["type"] in ("actions", "context_actions") else ():
        match element["type"]:
            case "button":
                found.append(f"[{element['text']['text']}]")
            case "feedback_buttons":
                found += [f"[{element[one]['text']['text']}]" for one in ("positive_button", "negative_button")]
            case "static_select":
                labels = [f"[{option['text']['text']}]" for option in element["options"]]
                found.append(" ".join([element.get("placeholder", {}).get("text", ""), *labels]))
    return found


def _fences(written: str, language: re.Pattern[str]) -> str:
    """A text whose fences are shown by dashes; of a mention nothing, it is no part of what is said."""
    made, end = [], 0
    for found in _FENCE.finditer(written):
        body = found["body"].replace("\N{ZERO WIDTH SPACE}", "")
        body = _undone(body) if language is _MRKDWN else body
        made += [_inline(written[end : found.start()], language), f"--- \n{body}\n---"]
        end = found.end()
    return "".join([*made, _inline(written[end:], language)])


def _inline(written: str, language: re.Pattern[str]) -> str:
    def unmarked(found: re.Match[str]) -> str:
        match found.lastgroup:
            case "mention" | "quote":
                return ""
            case "entity":
                return _ENTITIES[found["entity"]]
            case "code":
                return _undone(found["code"]) if language is _MRKDWN else found["code"]
            case "url":
                return _undone(found["url"])
            case "bold":
                return language.sub(unmarked, found["bold"])
            case "label" | "target":
                return f"{language.sub(unmarked, found['label'])} ({_undone(found['target'])})"
            case group:
                return found[group or 0]

    return language.sub(unmarked, written).replace("\N{ZERO WIDTH SPACE}", "")


def _undone(text: str) -> str:
    """Entities as the signs they stand for."""
    return re.sub("&(amp|lt|gt);", lambda found: _ENTITIES[found[1]], text)


def dialog_text(view: Json, errors: Mapping[str, str] | None = None) -> str:
    """The text of a modal: each field with its hint, its options, what is in it and what is wrong with it.

    Where no `errors` are given, those stand that the modal itself says.
    """
    lines = [f"┏ {view['title']['text']}"]
    for block in view["blocks"]:
        if block["type"] != "input":
            lines.append(f"┃ {_block(block, [])}")
            continue
        hint, _, told = block.get("hint", {}).get("text", "").partition("✘ ")
        error = errors.get(block["block_id"], "") if errors is not None else told
        lines.append(f"┃ {block['label']['text']}{f' ({hint.strip()})' if hint.strip() else ''}{_options(block['element'])}")
        if value := _value(block["element"]):
            lines += [f"┃   · {line}" for line in value.split("\n")]
        if error:
            lines.append(f"┃   ✘ {error}")
    return "\n".join(lines)


def _options(element: Json) -> str:
    if element["type"] not in ("static_select", "radio_buttons"):
        return ""
    return f" {' | '.join(option['text']['text'] for option in element['options'])}"


def _value(element: Json) -> str:
    """What a field holds before anybody typed: a text, the option that is chosen, whether a box is ticked."""
    match element["type"]:
        case "plain_text_input":
            return str(element.get("initial_value", ""))
        case "checkboxes":
            return "yes" if element.get("initial_options") else "no"
        case _:
            return str(element.get("initial_option", {}).get("value", ""))
