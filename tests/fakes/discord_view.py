"""What a person reads of a Discord message or modal, as text: the same text as the terminal shows, but for white space.

Markdown is taken away and escapes undone by rules of their own, not by the renderer's. A fence is shown between
`--- NAME` and `---`, buttons as [Label], a select as its hint and [options], a link as its label and (address).
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

Json = Mapping[str, Any]
Files = Sequence[tuple[str, bytes]]

_FENCE = re.compile(r"(?:^`(?P<name>[^`\n]+)`\n)?^```(?P<language>[\w+\-.#]*)\n(?P<body>.*?)\n```$", re.DOTALL | re.MULTILINE)
_INLINE = re.compile(
    r"\\(?P<escaped>[^0-9A-Za-z\s])"
    r"|<@!?(?P<user>\d+)>"
    r"|\*\*(?P<bold>(?:\\.|[^\\])+?)\*\*(?!\*)"
    r"|`(?P<code>[^`]+)`"
    r"|\[(?P<label>(?:\\.|[^\]\\])+)\]\(<?(?P<target>https?://[^)\s>]+)>?\)"
    r"|<(?P<url>https?://[^\s>]+)>",
    re.DOTALL,
)


def text_of(message: Json, files: Files | Mapping[str, bytes] = ()) -> str:
    """The text of a message or of the payload of one. `files` are the bytes of its attachments, as far as they are known."""
    bytes_of = dict(files)
    lines = [shown(message["content"])] if message.get("content") else []
    placed: set[str] = set()
    lines += _components(message.get("components") or [], bytes_of, placed)
    for attachment in message.get("attachments") or []:
        if attachment["filename"] not in placed:
            lines.append(_file(attachment["filename"], bytes_of))
    controls = " ".join(_controls(message.get("components") or []))
    return "\n".join(filter(None, [*lines, controls]))


def _components(components: Sequence[Json], files: Mapping[str, bytes], placed: set[str]) -> list[str]:
    lines: list[str] = []
    for index, component in enumerate(components):
        match component["type"]:
            case 17:
                lines += _components(component["components"], files, placed)
            case 10:
                following = components[index + 1] if index + 1 < len(components) else {"type": 0}
                name = _excerpted(component["content"])
                if not (following["type"] == 13 and name and _name_of(following) in files):
                    lines.append(shown(component["content"]))
            case 12:
                placed.update(_name_in(item["media"]["url"]) for item in component["items"])
            case 13:
                placed.add(_name_of(component))
                above = _excerpted(components[index - 1].get("content", "")) if index else ""
                lines.append(_file(_name_of(component), files, above))
    return lines


def _name_of(component: Json) -> str:
    """A file component's name, as it is sent (attachment://NAME) and as Discord says it."""
    return str(component.get("name") or _name_in(component["file"]["url"]))


def _name_in(url: str) -> str:
    return url.rpartition("/")[2]


def _excerpted(content: str) -> str:
    """The name of the file whose first lines a text display shows, and nothing else."""
    found = _FENCE.fullmatch(content)
    return (found["name"] or "") if found else ""


def _file(name: str, files: Mapping[str, bytes], title: str = "") -> str:
    if name not in files:
        return f"[{name}]"
    text = files[name].decode("utf-8", "replace").rstrip("\n")
    return f"--- {title or name}\n{text}\n---"


def _controls(components: Sequence[Json]) -> list[str]:
    """The buttons, then the selects: as the terminal has them."""
    parts = [part for component in components for part in _flat(component)]
    buttons = " ".join(f"[{part['label']}]" for part in parts if part["type"] == 2)
    selects = [
        " ".join([part.get("placeholder", ""), *(f"[{option['label']}]" for option in part["options"])])
        for part in parts
        if part["type"] == 3
    ]
    return [*filter(None, [buttons]), *selects]


def _flat(component: Json) -> list[Json]:
    return [component, *(part for child in component.get("components", ()) for part in _flat(child))]


def shown(markdown: str) -> str:
    """The text that Discord shows for its markdown; of a mention nothing, it is no part of what is said."""
    made, end = [], 0
    for found in _FENCE.finditer(markdown):
        body = found["body"].replace("\N{ZERO WIDTH SPACE}", "")
        made += [_inline(markdown[end : found.start()]), f"--- {found['name'] or ''}\n{body}\n---"]
        end = found.end()
    return "".join([*made, _inline(markdown[end:])])


def _inline(markdown: str) -> str:
    """Prose without its marks, and a heading without its sign."""
    markdown = re.sub(r"^#{1,3} ", "", markdown, flags=re.MULTILINE)
    return _INLINE.sub(_plain, markdown).replace("\N{ZERO WIDTH SPACE}", "")


def _plain(found: re.Match[str]) -> str:
    match found.lastgroup:
        case "user":
            return ""
        case "bold":
            return _INLINE.sub(_plain, found["bold"])
        case "target":
            return f"{_INLINE.sub(_plain, found['label'])} ({found['target']})"
        case group:
            return found[group or 0]


def dialog_text(modal: Json, errors: Mapping[str, str] | None = None) -> str:
    """The text of a modal's data: each field with its hint, its options, what is in it and what is wrong with it.

    Where no `errors` are given, those stand that the modal itself says.
    """
    lines = [f"┏ {modal['title']}"]
    for label in modal["components"]:
        field = label["component"]
        hint, _, told = label.get("description", "").partition("✘ ")
        error = (errors or {}).get(field["custom_id"], "") if errors is not None else told
        hint = f" ({hint.strip()})" if hint.strip() else ""
        lines.append(f"┃ {label['label']}{hint}{_options(field)}")
        if value := _value(field):
            lines += [f"┃   · {line}" for line in value.split("\n")]
        if error:
            lines.append(f"┃   ✘ {error}")
    return "\n".join(lines)


def _options(field: Json) -> str:
    options = field.get("options") or []
    return f" {' | '.join(option['label'] for option in options)}" if options else ""


def _value(field: Json) -> str:
    """What a field holds before anybody typed: a text, the option that is chosen, whether a box is ticked."""
    match field["type"]:
        case 4:
            return str(field.get("value", ""))
        case 23:
            return "yes" if field.get("default") else "no"
        case _:
            return next((str(one["value"]) for one in field.get("options") or [] if one.get("default")), "")
