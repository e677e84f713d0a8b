"""Cards, answers and dialogs as Slack's payloads; values in, values out.

A card is blocks of sections and one row of buttons, an answer `markdown` blocks and a native table, a dialog a modal of
inputs. Whatever `bot.core.talk` lets one build becomes a payload within `limits`: what is too long ends in "…", a code
that is too long becomes a file. Nobody is notified but `ping`. More than 400 lines, since all three share their parts.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from bot.contents import Contents, held
from bot.core.cards import clip, shown
from bot.core.talk import Answer, Attached, Bar, Button, Card, Choice, Code, Dialog, Field, Picture, Steps, Text
from bot.platforms.slack import limits
from bot.platforms.slack.prose import fallback, plain, prose, sections, unescaped
from bot.platforms.slack.tables import tables
from bot.split import pieces, size

MARKS = {"done": "✔", "now": "▸", "open": "·", "wrong": "✘"}
BAR = 20  # characters of a progress bar
STYLES = {"plain": {}, "good": {"style": "primary"}, "danger": {"style": "danger"}}
CHOICE = "choice"  # the action id of a card's select; its options' values are tokens
PICTURE = "picture:"  # before the place of a picture, where its id is not known yet
FEEDBACK = "feedback"  # the action id of two thumbs; their values are tokens
VALUE = "value"  # the action id of a dialog's element; its block's id is the field's name
AGAIN = "#"  # before the number of an action id that a view has already; the `value` is the token without it
INLINE = 1200  # characters of a code up to which it is shown in the card
EXCERPT = (3, 200)  # lines and characters that are shown of a longer one
PIECES = 5  # messages that an answer may take
TEXT = 4000  # characters of an answer in one message: chat.update refused longer ones (ChatGPT-in-Slack#102)
SHOWN = 1000  # characters that are shown of the end of an answer that is a file
LONGEST = 3 * PIECES * TEXT  # characters of an answer beyond which nothing is looked at but its length
ANSWER_FILE = "answer.md"
SPARE = 2  # blocks of a message that are left for a button or two beside the card's own
FILES = 10  # of a card; the codes after them end in "…"
TICKED = ("yes", "no")  # the values of a box: Slack says only whether it is ticked

_THUMB = re.compile(r"(?P<action>\w+)\.(?P<thumb>good|bad)\|(?P<about>.*)", re.DOTALL)

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Payload:
    """The body of a message and the files that go with it, each a name and its bytes.

    `pictures` stand in image blocks of the body, each by its place here instead of an id of Slack's (`PICTURE`).
    """

    json: Json
    files: tuple[tuple[str, bytes], ...] = ()
    pictures: tuple[tuple[str, bytes], ...] = ()


# --- cards -----------------------------------------------------------------------------------------------------------


class _Sheet:
    """What a message or a view may still show: characters, blocks, files."""

    def __init__(self, *, left: int, blocks: int, files: int) -> None:
        self.left, self.blocks, self.room_for_files = left, blocks, files
        self.files: list[tuple[str, bytes]] = []
        self.pictures: list[tuple[str, bytes]] = []

    def text(self, text: str) -> list[Json]:
        """Our markdown as sections."""
        found = sections(text, self.left)[: max(0, self.blocks)]
        self._take(sum(map(size, found)), len(found))
        return [_section(one) for one in found]

    def line(self, text: str) -> list[Json]:
        """Text without markup."""
        line, most = shown(text).strip(), min(limits.SECTION, self.left)
        if size(line) > most:
            line = clip(line, max(1, most // 2))  # a sign may be two code units
        if not line or most < 2 or self.blocks < 1:
            return []
        self._take(size(line), 1)
        return [{"type": "section", "text": _plain(line)}]

    def code(self, code: Code) -> list[Json]:
        """A code as it is if it fits, else its first lines, and all of it as a file of the same name."""
        text, name = shown(code.text).rstrip("\n"), _file_name(code.name)
        if size(text) <= INLINE and size(text) + size(name) <= self.left and self.blocks > 0:
            return self._code(name, text)
        lines, characters = EXCERPT
        excerpt = "\n".join(text.split("\n")[:lines])[:characters].rstrip() + "\n…"
        self.file(name, code.text.encode("utf-8", "replace"))
        return self._code(name, excerpt) if size(excerpt) + size(name) <= self.left and self.blocks > 0 else []

    def file(self, name: str, content: bytes) -> None:
        """A whole file, where there is something in it and there may be one more."""
        if content and len(self.files) < self.room_for_files:
            self.files.append((_file_name(name), content))

    def picture(self, picture: Picture, content: bytes) -> list[Json]:
        if not content or self.blocks < 1:
            return []
        self.blocks -= 1
        self.pictures.append((_file_name(picture.name), content))
        alt = clip(picture.alt, limits.ALT // 2)
        return [{"type": "image", "slack_file": {"id": f"{PICTURE}{len(self.pictures) - 1}"}, "alt_text": alt}]

    def _code(self, name: str, text: str) -> list[Json]:
        self._take(size(name) + size(text), 1)
        title = {"type": "rich_text_section", "elements": [{"type": "text", "text": name, "style": {"code": True}}]}
        body = {"type": "rich_text_preformatted", "elements": [{"type": "text", "text": text or " "}]}
        return [{"type": "rich_text", "elements": [title, body]}]

    def _take(self, characters: int, blocks: int) -> None:
        self.left -= characters
        self.blocks -= blocks


def card(card: Card, *, ping: str = "", contents: Contents = MappingProxyType({})) -> Payload:
    """A card as a message. `ping`: the Slack id of the one person whom it notifies. Room is left for a button a file.

    `contents`: of the files of runs that it names.
    """
    rows = [*_rows(card.buttons), *_choice(card.choice)]
    files = min(FILES, sum(isinstance(block, Code | Attached) for block in card.blocks))
    left = limits.TOTAL - _length(rows) - files * limits.BUTTON  # a button each may bring them
    sheet = _Sheet(left=left, blocks=limits.BLOCKS - SPARE - len(rows), files=files)
    blocks = [*_body(card, sheet, _mention(ping), contents), *rows] or [_section("…")]
    texts = [block.text for block in card.blocks if isinstance(block, Text)]
    made = _payload(blocks, card.title.strip() or " ".join(texts[:1]), tuple(sheet.files))
    return replace(made, pictures=tuple(sheet.pictures))


def pictured(payload: Payload, ids: Sequence[str]) -> Payload:
    """The payload with Slack's ids of its pictures; without those that have none."""
    blocks = []
    for block in payload.json.get("blocks", ()):
        place = str(block.get("slack_file", {}).get("id", "")) if block["type"] == "image" else ""
        if not place.startswith(PICTURE):
            blocks.append(block)
        elif known := next(iter(ids[int(place.removeprefix(PICTURE)) :]), ""):
            blocks.append({**block, "slack_file": {"id": known}})
    return replace(payload, json={**payload.json, "blocks": blocks}, pictures=())


def _body(card: Card, sheet: _Sheet, mention: list[Json], contents: Contents) -> list[Json]:
    """All of a card but its controls."""
    title = clip(card.title, limits.HEADER // 2) if size(shown(card.title)) > limits.HEADER else clip(card.title, limits.HEADER)
    head: list[Json] = [{"type": "header", "text": _plain(title)}] if title else []
    sheet.left -= _length([*head, *mention])
    sheet.blocks -= len(head) + len(mention)
    made: list[list[Json]] = [[] for _ in card.blocks]
    # Codes take what the rest leaves: they can be files.
    for index, block in sorted(enumerate(card.blocks), key=lambda one: isinstance(one[1], Code)):
        match block:
            case Text(text):
                made[index] = sheet.text(text)
            case Steps():
                made[index] = sheet.line(steps_line(block))
            case Bar():
                made[index] = sheet.line(bar_line(block))
            case Code():
                made[index] = sheet.code(block)
            case Attached(name):
                sheet.file(name, held(block, contents))
            case Picture():
                made[index] = sheet.picture(block, held(block, contents))
    return [*head, *mention, *(part for some in made for part in some)]


def steps_line(steps: Steps) -> str:
    return "  ".join(f"{MARKS[state]} {label}" for label, state in steps.steps)


def bar_line(bar: Bar) -> str:
    full = round(bar.fraction * BAR)
    return f"{'█' * full}{'░' * (BAR - full)} {bar.fraction:.0%} {bar.label}".rstrip()


def _plain(text: str) -> Json:
    return {"type": "plain_text", "text": text}


def _section(mrkdwn: str) -> Json:
    """`verbatim` keeps Slack from making links and mentions of what only looks like them."""
    return {"type": "section", "text": {"type": "mrkdwn", "text": mrkdwn, "verbatim": True}}


def _mention(person: str) -> list[Json]:
    return [_section(f"<@{person}>")] if person else []


def _label(text: str, most: int) -> Json:
    text = clip(text, most)
    return _plain(text if size(text) <= most else clip(text, most // 2) or "…") if text else _plain("…")


def _rows(buttons: Sequence[Button]) -> list[Json]:
    """Buttons in one block, which Slack wraps; of two with one token the first."""
    once = list({button.token: button for button in reversed(buttons)}.values())[::-1][: limits.ACTIONS]
    return [{"type": "actions", "elements": [_button(one) for one in once]}] if once else []


def _button(button: Button) -> Json:
    label = _label(button.label, limits.BUTTON)
    return {"type": "button", "text": label, "action_id": button.token, "value": button.token, **STYLES[button.style]}


def _option(label: str, value: str) -> Json:
    return {"text": _label(label, limits.OPTION), "value": value}


def _choice(choice: Choice | None) -> list[Json]:
    if choice is None:
        return []
    options = {one.token: _option(one.label, one.token) for one in reversed(choice.options)}
    select = {
        "type": "static_select",
        "action_id": CHOICE,
        "placeholder": _label(choice.hint, limits.OPTION),
        "options": list(options.values())[::-1],
    }
    return [{"type": "actions", "elements": [select]}]


# --- answers ---------------------------------------------------------------------------------------------------------


def answer(answer: Answer, *, ping: str = "") -> list[Payload]:
    """An answer as messages, its buttons under the last. What stands in all but the last stays as an answer grows.

    Of one that takes more than PIECES the last message shows no more than a beginning, and has the whole as a file.
    """
    markdown, most = prose(answer.text[:LONGEST]), (PIECES + 1) * TEXT
    found = parts(markdown[:most], TEXT) or ["…"]
    files: tuple[tuple[str, bytes], ...] = ()
    if len(found) > PIECES or len(markdown) > most or len(answer.text) > LONGEST:
        last = parts("\n".join(found[PIECES - 1 :]) or "…", SHOWN)[0]
        found = [*found[: PIECES - 1], last + ("\n…" if last.endswith("```") else "…")]
        files = ((ANSWER_FILE, answer.text.encode("utf-8", "replace")),)
    return [
        _payload(
            [*([] if number else _mention(ping)), *_told(text), *(controls(answer.buttons) if last else [])],
            unescaped(text) if number else answer.text,
            files if last else (),
        )
        for number, text in enumerate(found)
        for last in [number == len(found) - 1]
    ]


def parts(markdown: str, most: int) -> list[str]:
    """What `prose` made in pieces of about `most` characters; an entity that would be cut is whole in the second piece."""
    found = pieces(markdown, most)
    for number in range(len(found) - 1):
        if half := re.search(r"&(?:a|am|amp|l|lt|g|gt)?\Z", found[number]):
            found[number], found[number + 1] = found[number][: half.start()] or "…", half[0] + found[number + 1]
    return found


def _told(markdown: str) -> list[Json]:
    """Markdown as blocks: its one table as Slack's own."""
    blocks: list[Json] = []
    for part in tables(markdown):
        if isinstance(part, str):
            blocks.append({"type": "markdown", "text": part})
        else:
            # A cell without text is refused (vercel/chat#373).
            rows = [[{"type": "raw_text", "text": cell or " "} for cell in row] for row in part]
            blocks.append(
                {"type": "table", "rows": rows, "column_settings": [{"align": "left", "is_wrapped": True}] * len(part[0])}
            )
    return blocks


def controls(buttons: Sequence[Button]) -> list[Json]:
    """An answer's buttons in their order: two thumbs side by side are Slack's own feedback buttons. They end a stream, too."""
    blocks: list[Json] = []
    waiting: list[Button] = []
    once = list({button.token: button for button in reversed(buttons)}.values())[::-1][: limits.ACTIONS]
    at = 0
    while at < len(once):
        if _are_thumbs(once[at : at + 2]) and not any(block["type"] == "context_actions" for block in blocks):
            blocks += [*_rows(waiting), _thumbs(*once[at : at + 2])]
            waiting, at = [], at + 2
        else:
            waiting.append(once[at])
            at += 1
    return [*blocks, *_rows(waiting)]


def _are_thumbs(pair: Sequence[Button]) -> bool:
    found = [match for one in pair if (match := _THUMB.fullmatch(one.token))]
    return (
        len(found) == 2
        and [one["thumb"] for one in found] == ["good", "bad"]
        and found[0].group("action", "about") == found[1].group("action", "about")
    )


def _thumbs(good: Button, bad: Button) -> Json:
    element = {
        "type": "feedback_buttons",
        "action_id": FEEDBACK,
        "positive_button": {"text": _label(good.label, limits.BUTTON), "value": good.token},
        "negative_button": {"text": _label(bad.label, limits.BUTTON), "value": bad.token},
    }
    return {"type": "context_actions", "elements": [element]}


def _payload(blocks: list[Json], text: str, files: tuple[tuple[str, bytes], ...]) -> Payload:
    return Payload({"text": fallback(text), "blocks": blocks, "unfurl_links": False, "unfurl_media": False}, files)


def _length(blocks: Sequence[Json]) -> int:
    """The characters of all texts within."""

    def within(value: Any) -> int:
        if isinstance(value, dict):
            return sum(size(one) if key == "text" and isinstance(one, str) else within(one) for key, one in value.items())
        return sum(map(within, value)) if isinstance(value, list) else 0

    return within(list(blocks))


def _file_name(name: str) -> str:
    return clip(re.sub(r"[/\\]", "_", name), 80).strip(". ") or "file.txt"


# --- dialogs and views -----------------------------------------------------------------------------------------------


def dialog(dialog: Dialog, errors: Mapping[str, str] | None = None, *, private_metadata: str = "") -> Json:
    """A dialog as a modal, filled in, with what is wrong in the fields' hints."""
    return {
        "type": "modal",
        "callback_id": dialog.token,
        "title": _label(dialog.title, limits.DIALOG_TITLE),
        "submit": _label(dialog.send, limits.DIALOG_TITLE),
        "private_metadata": private_metadata,
        "notify_on_close": True,
        "blocks": [_input(field, (errors or {}).get(field.name, "")) for field in dialog.fields],
    }


def _input(field: Field, error: str) -> Json:
    # A box that must be ticked could not say no.
    optional = not field.required or field.kind == "check"
    made: Json = {
        "type": "input",
        "block_id": field.name,
        "label": _plain(shown(field.label).strip() or "…"),
        "optional": optional,
        "element": _element(field),
    }
    told = f"✘ {clip(plain(error), limits.HINT // 4)}" if error else ""
    if hint := f"{shown(field.hint)} {told}".strip():
        made["hint"] = _plain(hint)
    return made


def _element(field: Field) -> Json:
    named: Json = {"action_id": VALUE}
    if field.kind == "file":
        # No `filetypes`: what a file may be is judged, and told, where it is read.
        return {"type": "file_input", **named, "max_files": 1}
    if field.kind == "check":
        assert tuple(value for value, _ in field.options) == TICKED, field.options
        tick = _option(field.options[0][1], TICKED[0])
        initial = {"initial_options": [tick]} if field.value == TICKED[0] else {}
        return {"type": "checkboxes", **named, "options": [tick], **initial}
    if any(value for value, _ in field.options):
        return _one_of(field)
    several = field.lines or "\n" in field.value
    made = {"type": "plain_text_input", **named, "multiline": several, "max_length": max(1, min(field.limit, limits.TYPED))}
    return {**made, "initial_value": _sent(field.value)} if field.value else made


def _one_of(field: Field) -> Json:
    once = {value[: limits.OPTION_VALUE]: label for value, label in reversed(field.options) if value}
    options = [_option(label, value) for value, label in once.items()][::-1]
    least, most = limits.RADIOS
    kind = "radio_buttons" if least <= len(options) <= most else "static_select"
    chosen = [one for one in options if one["value"] == field.value]
    return {"type": kind, "action_id": VALUE, "options": options, **({"initial_option": chosen[0]} if chosen else {})}


def _sent(text: str) -> str:
    """The text without halves of pairs, which no JSON of Slack's can carry."""
    return text.encode("utf-8", "replace").decode("utf-8")


def loading(title: str, text: str) -> Json:
    """What is open while a dialog is made: a trigger lives 3 seconds."""
    said = {"type": "section", "text": _plain(clip(text, limits.SECTION // 2) or "…")}
    return {"type": "modal", "title": _label(title, limits.DIALOG_TITLE), "blocks": [said]}


def errors(dialog: Dialog, errors: Mapping[str, str]) -> Json:
    """The answer to a dialog that was sent and is not taken. What is wrong with no field stands at the first one."""
    names = [field.name for field in dialog.fields]
    told: dict[str, str] = {}
    for name, error in errors.items():
        at = name if name in names else names[0]
        told[at] = clip(f"{told.get(at, '')} {plain(error)}", limits.HINT // 4)
    return {"response_action": "errors", "errors": told}


def home(cards: Sequence[Card]) -> Json:
    """The home tab: cards below each other, as many as it holds. Action ids differ; a control's token is its value."""
    sheet = _Sheet(left=limits.VIEW_TEXT, blocks=limits.VIEW_BLOCKS - 1, files=0)
    blocks: list[Json] = []
    for number, one in enumerate(cards):
        rows = [*_rows(one.buttons), *_choice(one.choice)]
        rule: list[Json] = [{"type": "divider"}] if number else []
        # Half a card could say something else: one that might not fit is left out, with those after it.
        if sheet.blocks < len(rule) + len(rows) + 1 + 4 * len(one.blocks) or sheet.left < limits.TOTAL:
            blocks.append(_section("…"))
            break
        sheet.blocks -= len(rule) + len(rows)
        sheet.left -= _length(rows)
        blocks += [*rule, *_body(one, sheet, [], {}), *rows]
    return {"type": "home", "blocks": _once(blocks) or [_section("…")]}


def _once(blocks: list[Json]) -> list[Json]:
    """The blocks with every action id in them but once."""
    seen: set[str] = set()
    found = []
    for block in blocks:
        elements = []
        for element in block.get("elements", ()):
            if name := element.get("action_id"):
                names = [name, *(f"{name}{AGAIN}{number}" for number in range(2, len(seen) + 3))]
                element = {**element, "action_id": next(one for one in names if one not in seen)}
                seen.add(element["action_id"])
            elements.append(element)
        found.append({**block, "elements": elements} if elements else block)
    return found
