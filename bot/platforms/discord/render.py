"""Cards, answers and dialogs as Discord's payloads; values in, values out.

A card is one container of Components v2, an answer plain content, a dialog a modal of labelled parts. Whatever
`bot.core.talk` lets one build becomes a payload within `limits`: what gets too long by being escaped ends in "…", a
code that is too long, or holds a fence itself, becomes a file. Nobody is notified but `ping`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from bot.contents import Contents, held
from bot.core.cards import clip, shown
from bot.core.talk import Answer, Attached, Bar, Button, Card, Choice, Code, Dialog, Field, Picture, Steps, Text
from bot.platforms.discord import limits
from bot.platforms.discord.prose import fenced, literal, prose
from bot.split import LEAST, pieces, size

MARKS = {"done": "✔", "now": "▸", "open": "·", "wrong": "✘"}
BAR = 20  # characters of a progress bar
COLOURS = {"done": 0x57F287, "wrong": 0xED4245, "now": 0x5865F2}  # Discord's own green, red and blurple
STYLES = {"plain": 2, "good": 3, "danger": 4}
CHOICE = "choice"  # the custom id of a card's select; its options' values are tokens
INLINE = 1200  # characters of a code up to which it is shown in the card
EXCERPT = (3, 200)  # lines and characters that are shown of a longer one
PIECES = 5  # messages that an answer may take
LONGEST = 3 * PIECES * limits.CONTENT  # characters of an answer beyond which nothing is looked at but its length
ANSWER_FILE = "answer.md"
TICKED = ("yes", "no")  # the values of a box: a modal says only whether it is ticked

_ROW, _BUTTON, _SELECT, _INPUT, _TEXT, _GALLERY, _FILE, _CONTAINER = 1, 2, 3, 4, 10, 12, 13, 17
_LABEL, _UPLOAD, _RADIOS, _CHECKBOX = 18, 19, 21, 23

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Payload:
    """The body of a message and the files that go with it, each a name and its bytes, in the order of `attachments`."""

    json: Json
    files: tuple[tuple[str, bytes], ...] = ()


def flagged(payload: Payload) -> Payload:
    """The same for one person alone, which only the answer to an interaction can be."""
    return replace(payload, json={**payload.json, "flags": payload.json.get("flags", 0) | limits.EPHEMERAL})


def unflagged(payload: Payload) -> Payload:
    """The same as a message of a room, or as an edit: who sees that was settled when it was posted."""
    return replace(payload, json={**payload.json, "flags": payload.json.get("flags", 0) & ~limits.EPHEMERAL})


# --- cards -----------------------------------------------------------------------------------------------------------


class _Sheet:
    """What a card may still show: characters of text, components, files."""

    def __init__(self, components: int) -> None:
        self.left, self.components = limits.DISPLAYED, components
        self.files: list[tuple[str, bytes]] = []

    def text(self, text: str) -> list[Json]:
        content = _cut(text, self.left)
        if not content.strip():
            return []
        self.left -= size(content)
        return [{"type": _TEXT, "content": content}]

    def code(self, code: Code) -> list[Json]:
        """A code as text if it fits, else as a file below its first lines.

        One with a fence in it becomes a file too: Discord knows no longer fences.
        """
        text, name = shown(code.text).rstrip("\n"), _file_name(code.name)
        whole = _named(name, text, code.language)
        if size(text) <= INLINE and size(whole) <= self.left and "```" not in text:
            return self.text(whole)
        if len(self.files) == limits.FILES:
            return self.text(whole)
        lines, characters = EXCERPT
        excerpt = _named(name, "\n".join(text.split("\n")[:lines])[:characters].rstrip() + "\n…", code.language)
        above: list[Json] = []
        if self.components > 0 and size(excerpt) <= self.left:
            self.components -= 1
            above = self.text(excerpt)
        return [*above, *self.file(name, _bytes(code.text))]

    def file(self, name: str, content: bytes) -> list[Json]:
        """A whole file, where there is something in it and there may be one more."""
        url = self._attached(name, content)
        return [{"type": _FILE, "file": {"url": url}}] if url else []

    def picture(self, picture: Picture, content: bytes) -> list[Json]:
        url = self._attached(picture.name, content)
        item = {"media": {"url": url}, "description": shown(picture.alt)}
        return [{"type": _GALLERY, "items": [item]}] if url else []

    def _attached(self, name: str, content: bytes) -> str:
        """The address of a file by which the message's components name it; "" where it cannot be sent."""
        sent = sum(len(one) for _, one in self.files)
        if not content or len(self.files) == limits.FILES or sent + len(content) > limits.SENT_BYTES:
            return ""
        file = _unique(_file_name(name), [taken for taken, _ in self.files])
        self.files.append((file, content))
        return f"attachment://{file}"


def card(card: Card, *, ping: str = "", contents: Contents = MappingProxyType({})) -> Payload:
    """A card as a message of Components v2. `ping`: the Discord id of the one person whom it notifies.

    `contents`: of the files of runs that it names.
    """
    controls = [*_rows(card.buttons), *_choice(card.choice)]
    within = limits.COMPONENTS - 1 - sum(1 + len(row["components"]) for row in controls)
    sheet = _Sheet(within - 1 - len(card.blocks))
    head = f"### {literal(' '.join(card.title.split()), begins=False)}" if card.title.strip() else ""
    title = sheet.text("\n".join(filter(None, (head, f"<@{ping}>" if ping else ""))))
    made: list[list[Json]] = [[] for _ in card.blocks]
    # Codes take what the rest leaves: they can be files.
    for index, block in sorted(enumerate(card.blocks), key=lambda one: isinstance(one[1], Code)):
        match block:
            case Text(text):
                made[index] = sheet.text(prose(text, masked=True))
            case Steps():
                made[index] = sheet.text(literal(steps_line(block)))
            case Bar():
                made[index] = sheet.text(literal(bar_line(block)))
            case Code():
                made[index] = sheet.code(block)
            case Attached(name):
                made[index] = sheet.file(name, held(block, contents))
            case Picture():
                made[index] = sheet.picture(block, held(block, contents))
    parts = [*title, *(part for some in made for part in some), *controls] or [{"type": _TEXT, "content": "…"}]
    container: Json = {"type": _CONTAINER, "components": parts}
    if (colour := _colour(card)) is not None:
        container["accent_color"] = colour
    return _payload({"flags": limits.COMPONENTS_V2, "components": [container]}, ping, sheet.files)


def steps_line(steps: Steps) -> str:
    return "  ".join(f"{MARKS[state]} {label}" for label, state in steps.steps)


def bar_line(bar: Bar) -> str:
    full = round(bar.fraction * BAR)
    return f"{'█' * full}{'░' * (BAR - full)} {bar.fraction:.0%} {bar.label}".rstrip()


def _colour(card: Card) -> int | None:
    states = {state for block in card.blocks if isinstance(block, Steps) for _, state in block.steps}
    states |= {"done" if block.fraction == 1 else "now" for block in card.blocks if isinstance(block, Bar)}
    if not states:
        return None
    return COLOURS["wrong" if "wrong" in states else "done" if states == {"done"} else "now"]


def _named(name: str, text: str, language: str) -> str:
    return f"`{name}`\n{fenced(text, language)}"


def _rows(buttons: Sequence[Button], rows: int = limits.ROWS) -> list[Json]:
    """Buttons in rows; of two with one token the first, as a message's ids must differ."""
    once = list({button.token: button for button in reversed(buttons)}.values())[::-1][: rows * limits.ROW]
    return [
        {"type": _ROW, "components": [_button(one) for one in once[start : start + limits.ROW]]}
        for start in range(0, len(once), limits.ROW)
    ]


def _button(button: Button) -> Json:
    label = shown(button.label).strip() or "…"
    return {"type": _BUTTON, "style": STYLES[button.style], "label": label, "custom_id": button.token}


def _choice(choice: Choice | None) -> list[Json]:
    if choice is None:
        return []
    options = {one.token: {"label": shown(one.label).strip() or "…", "value": one.token} for one in reversed(choice.options)}
    select = {
        "type": _SELECT,
        "custom_id": CHOICE,
        "placeholder": shown(choice.hint),
        "options": list(options.values())[::-1],
    }
    return [{"type": _ROW, "components": [select]}]


# --- answers ---------------------------------------------------------------------------------------------------------


def answer(answer: Answer, *, ping: str = "") -> list[Payload]:
    """An answer as messages, its buttons under the last. What stands in all but the last stays as an answer grows.

    Of one that takes more than PIECES the last message shows no more than a beginning, and has the whole as a file.
    """
    mention = f"<@{ping}>\n" if ping else ""
    found = pieces(prose(answer.text[:LONGEST]), limits.CONTENT, first=limits.CONTENT - size(mention)) or ["…"]
    files: list[tuple[str, bytes]] = []
    if len(found) > PIECES or len(answer.text) > LONGEST:
        found = [*found[: PIECES - 1], _cut("\n".join(found[PIECES - 1 :]) or "…", limits.CONTENT // 4)]
        files = [(ANSWER_FILE, _bytes(answer.text))]
    found[0] = mention + found[0]
    rows = _rows(answer.buttons)
    return [
        _payload(
            {"content": text, "flags": limits.SUPPRESS_EMBEDS, "components": rows if last else []},
            "" if number else ping,
            files if last else [],
        )
        for number, text in enumerate(found)
        for last in [number == len(found) - 1]
    ]


def _payload(body: Json, ping: str, files: Sequence[tuple[str, bytes]]) -> Payload:
    """`attachments` is always there: an edit without it would keep the files of before."""
    mentions: Json = {"parse": [], "users": [ping]} if ping else {"parse": []}
    attached = [{"id": str(number), "filename": name} for number, (name, _) in enumerate(files)]
    return Payload({**body, "allowed_mentions": mentions, "attachments": attached}, tuple(files))


def _cut(text: str, room: int) -> str:
    """The text, or its beginning and "…", within `room` characters; fences are closed."""
    if room < LEAST + 2:
        return text if size(text) <= room and "```" not in text else "…"[:room]
    found = pieces(text, room)
    if len(found) < 2:
        return "".join(found)
    first = pieces(text, room - 2)[0]
    return first + ("\n…" if first.endswith("```") else "…")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def _file_name(name: str) -> str:
    """A name that a file can have at Discord, which changes others."""
    return re.sub(r"[^\w.-]", "_", name, flags=re.ASCII).strip("._")[:80] or "file.txt"


def _unique(name: str, taken: Sequence[str]) -> str:
    stem, dot, ending = name.rpartition(".")
    names = [name, *(f"{stem or ending}-{number}{dot}{ending if stem else ''}" for number in range(2, len(taken) + 3))]
    return next(one for one in names if one not in taken)


# --- dialogs ---------------------------------------------------------------------------------------------------------


def dialog(dialog: Dialog, errors: Mapping[str, str] | None = None) -> Json:
    """A dialog as the data of a modal, filled in, with what is wrong in the fields' descriptions.

    Discord has no label for the button that sends it off.
    """
    parts = [_part(field, (errors or {}).get(field.name, "")) for field in dialog.fields]
    return {"title": shown(dialog.title), "custom_id": dialog.token, "components": parts}


def _part(field: Field, error: str) -> Json:
    label: Json = {"type": _LABEL, "label": shown(field.label), "component": _filled_in(field)}
    hint = shown(field.hint)
    told = f"✘ {clip(_unmarked(error), limits.DESCRIPTION - 2)}" if error else ""
    both = f"{hint} {told}".strip()
    if description := both if len(both) <= limits.DESCRIPTION else told:
        label["description"] = description
    return label


def _unmarked(text: str) -> str:
    """Our markdown without its marks: descriptions show none."""
    return re.sub(r"\\([\\*`\[\]])|\*\*|`", r"\1", text)


def _filled_in(field: Field) -> Json:
    named: Json = {"custom_id": field.name}
    if field.kind == "file":
        return {"type": _UPLOAD, **named, "min_values": int(field.required), "max_values": 1, "required": field.required}
    if field.kind == "check":
        assert tuple(value for value, _ in field.options) == TICKED, field.options
        return {"type": _CHECKBOX, **named, "default": field.value == TICKED[0]}
    if field.options:
        return _one_of(field)
    several = field.lines or "\n" in field.value
    made = {
        "type": _INPUT,
        **named,
        "style": 2 if several else 1,
        "required": field.required,
        "max_length": max(1, field.limit),
    }
    return {**made, "value": _sent(field.value)} if field.value else made


def _one_of(field: Field) -> Json:
    options = []
    for value, label in {value: label for value, label in reversed(field.options) if value}.items():
        option: Json = {"label": clip(label, limits.OPTION) or "…", "value": value[: limits.OPTION]}
        options.append({**option, "default": True} if value == field.value else option)
    least, most = limits.RADIOS
    if least <= len(options) <= most:
        return {"type": _RADIOS, "custom_id": field.name, "options": options[::-1], "required": field.required}
    bounds = {"min_values": int(field.required), "max_values": 1, "required": field.required}
    return {"type": _SELECT, "custom_id": field.name, "options": options[::-1], **bounds}


def _sent(text: str) -> str:
    """The text without halves of pairs, which no JSON of Discord's can carry."""
    return text.encode("utf-8", "replace").decode("utf-8")


def refused(dialog: Dialog, errors: Mapping[str, str], *, fix: Button) -> Payload:
    """What is wrong with a dialog that was sent, for its sender alone, above the button that opens it again."""
    labels = {field.name: field.label for field in dialog.fields}
    lines = [f"**{literal(dialog.title, begins=False)}**"]
    for name, error in errors.items():
        lines += [literal(labels[name]), f"✘ {prose(error)}"] if name in labels else [f"✘ {prose(error)}"]
    content = _cut("\n".join(lines), limits.CONTENT)
    flags = limits.EPHEMERAL | limits.SUPPRESS_EMBEDS
    return _payload({"content": content, "flags": flags, "components": _rows((fix,))}, "", ())
