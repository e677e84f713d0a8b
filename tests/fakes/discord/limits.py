"""What Discord forbids where its OpenAPI file does not: lengths, counts, and what goes together.

Sizes are those of facts section 2. Text is counted in UTF-16 units: it is not known what Discord counts, and nothing counts
more. Each function returns the flaws that it finds; the codes of the fields are Discord's where threads show them (such as
COMPONENT_CUSTOM_ID_DUPLICATED), and words in their manner elsewhere.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from tests.fakes.discord.refused import Flaw
from tests.fakes.discord.state import V2, Json

Path = tuple[str | int, ...]
CONTENT, EMBEDS_TEXT, ROWS, COMPONENTS, TEXT, DIALOG_PARTS, OPTIONS = 2000, 6000, 5, 40, 4000, 5, 25
COMMAND_TEXT, CHAT_COMMANDS, MENU_COMMANDS = 8000, 100, 15
FILE_BYTES, REQUEST_BYTES, FILES = 10 << 20, 25 << 20, 10
ROW, BUTTON, SELECT, INPUT, DISPLAY, FILE, CONTAINER = 1, 2, 3, 4, 10, 13, 17
LABEL, UPLOAD, RADIO, CHECKS = 18, 19, 21, 22  # parts of dialogs
SELECTS = (SELECT, 5, 6, 7, 8)
LINK, PREMIUM = 5, 6  # styles of buttons that need no custom_id
COMMAND_NAME = re.compile(r"^[-_'\w]{1,32}$")


def units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def walk(components: Iterable[Json], path: Path = ("components",)) -> Iterator[tuple[Path, Json]]:
    """Every component, however deep, with where it stands."""
    for at, one in enumerate(components):
        yield (*path, at), one
        yield from walk(one.get("components") or (), (*path, at, "components"))
        for name in ("accessory", "component"):
            if one.get(name):
                yield from walk([one[name]], (*path, at, name))


def message(said: Json) -> list[Flaw]:
    """What is wrong with a message as it would be: `said` has content, embeds, components and flags."""
    flaws = []
    if units(said.get("content") or "") > CONTENT:
        flaws.append(Flaw(("content",), "BASE_TYPE_MAX_LENGTH", f"Must be {CONTENT} or fewer in length."))
    if sum(units(text) for one in said.get("embeds") or () for text in _texts(one)) > EMBEDS_TEXT:
        flaws.append(Flaw(("embeds",), "MAX_EMBED_SIZE_EXCEEDED", f"Embed size exceeds maximum size of {EMBEDS_TEXT}"))
    components = said.get("components") or []
    flaws += _modern(said, components) if (said.get("flags") or 0) & V2 else _classic(components)
    return flaws + _each(components)


def _texts(embed: Json) -> Iterator[str]:
    yield from (embed.get(name) or "" for name in ("title", "description"))
    yield from ((embed.get(name) or {}).get(inner) or "" for name, inner in (("footer", "text"), ("author", "name")))
    yield from (one.get(name) or "" for one in embed.get("fields") or () for name in ("name", "value"))


def _modern(said: Json, components: list[Json]) -> list[Flaw]:
    flaws = [
        Flaw((name,), "MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2", f"The '{name}' field cannot be used with it")
        for name in ("content", "embeds", "poll", "sticker_ids")
        if said.get(name)
    ]
    whole = list(walk(components))
    if not whole:
        flaws.append(Flaw(("components",), "BASE_TYPE_REQUIRED", "This field is required"))
    if len(whole) > COMPONENTS:
        text = f"The maximum number of components is {COMPONENTS}, nested ones counted"
        flaws.append(Flaw(("components",), "COMPONENT_MAX_TOTAL_COMPONENTS_EXCEEDED", text))
    if sum(units(one.get("content") or "") for _, one in whole if one["type"] == DISPLAY) > TEXT:
        text = f"The total displayable text size exceeds the maximum of {TEXT}"
        flaws.append(Flaw(("components",), "COMPONENT_DISPLAYABLE_TEXT_SIZE_EXCEEDED", text))
    return flaws


def _classic(components: list[Json]) -> list[Flaw]:
    flaws = [
        Flaw(("components", at, "type"), "UNION_TYPE_CHOICES", 'Value of field "type" must be one of (1,).')
        for at, one in enumerate(components)
        if one["type"] != ROW
    ]
    if len(components) > ROWS:
        flaws.append(Flaw(("components",), "BASE_TYPE_MAX_LENGTH", f"Must be {ROWS} or fewer in length."))
    return flaws


def _each(components: list[Json]) -> list[Flaw]:
    """Rules of single components, and what no two of a message may share."""
    flaws: list[Flaw] = []
    for path, one in walk(components):
        if one["type"] == ROW:
            flaws += _row(path, one)
        elif one["type"] == BUTTON:
            flaws += _button(path, one)
        elif one["type"] == SELECT:
            flaws += _select(path, one)
    return flaws + _shared(components)


def _shared(components: list[Json], path: Path = ("components",)) -> list[Flaw]:
    flaws = []
    for name, code in (("custom_id", "COMPONENT_CUSTOM_ID_DUPLICATED"), ("id", "COMPONENT_ID_DUPLICATED")):
        seen: set[Any] = set()
        for where, one in walk(components, path):
            value = one.get(name)
            if value and value in seen:
                flaws.append(Flaw((*where, name), code, f"Component {name.replace('_', ' ')} cannot be duplicated"))
            seen.add(value)
    return flaws


def _row(path: Path, row: Json) -> list[Flaw]:
    kinds = [one["type"] for one in row["components"]]
    if any(kind in SELECTS for kind in kinds) and len(kinds) > 1:
        return [Flaw((*path, "components"), "COMPONENT_LAYOUT_WIDTH_EXCEEDED", "A select fills its row")]
    return []


def _button(path: Path, button: Json) -> list[Flaw]:
    flaws = []
    if button["style"] == LINK:
        if not button.get("url") or button.get("custom_id"):
            flaws.append(Flaw((*path, "url"), "BUTTON_COMPONENT_URL_REQUIRED", "A url is required, and no custom id"))
    elif button["style"] != PREMIUM:
        if not button.get("custom_id"):
            flaws.append(Flaw((*path, "custom_id"), "BUTTON_COMPONENT_CUSTOM_ID_REQUIRED", "A custom id is required"))
        if button.get("url"):
            flaws.append(Flaw((*path, "url"), "BUTTON_COMPONENT_CUSTOM_ID_URL_MUTUALLY_EXCLUSIVE", "Not with a custom id"))
    if not button.get("label") and not button.get("emoji") and button["style"] != PREMIUM:
        flaws.append(Flaw((*path, "label"), "BUTTON_COMPONENT_LABEL_REQUIRED", "A label or an emoji is required"))
    return flaws


def _select(path: Path, select: Json) -> list[Flaw]:
    options = select.get("options") or []
    flaws = [
        Flaw((*path, "options", at), "SELECT_COMPONENT_OPTION_VALUE_DUPLICATED", "The specified option value is already used")
        for at, one in enumerate(options)
        if one["value"] in [earlier["value"] for earlier in options[:at]]
    ]
    least, most = _or(select.get("min_values"), 1), _or(select.get("max_values"), 1)
    if most > len(options):
        flaws.append(Flaw((*path, "options"), "BASE_TYPE_BAD_LENGTH", f"Must be between {most} and {OPTIONS} in length."))
    if least > most or sum(bool(one.get("default")) for one in options) > most:
        flaws.append(Flaw((*path, "max_values"), "SELECT_COMPONENT_TOO_MANY_DEFAULT_VALUES", f"At most {most}"))
    return flaws


def dialog(data: Json) -> list[Flaw]:
    """What is wrong with a modal."""
    parts, flaws = data["components"], []
    if not 1 <= len(parts) <= DIALOG_PARTS:
        flaws.append(Flaw(("data", "components"), "BASE_TYPE_BAD_LENGTH", f"Must be between 1 and {DIALOG_PARTS} in length."))
    for at, one in enumerate(parts):
        if one["type"] == ROW and [inner["type"] for inner in one["components"]] != [INPUT]:
            text = "A row of a dialog has one text input"
            flaws.append(Flaw(("data", "components", at), "COMPONENT_TYPE_INVALID", text))
    for path, one in walk(parts, ("data", "components")):
        if one["type"] == INPUT:
            flaws += _input(path, one)
        elif one["type"] in (SELECT, RADIO):
            flaws += _select(path, one)
        elif one["type"] == CHECKS:
            flaws += _select(path, {"max_values": len(one["options"])} | one)
        elif one["type"] == UPLOAD and _or(one.get("min_values"), 1) > _or(one.get("max_values"), 1):
            flaws.append(Flaw((*path, "max_values"), "NUMBER_TYPE_MIN", "less than min_values"))
    return flaws + _shared(parts, ("data", "components"))


def _input(path: Path, one: Json) -> list[Flaw]:
    value, least, most = one.get("value") or "", one.get("min_length") or 0, one.get("max_length") or TEXT
    if least > most:
        return [Flaw((*path, "max_length"), "NUMBER_TYPE_MIN", f"int value should be greater than or equal to {least}.")]
    if value and not least <= units(value) <= most:
        return [Flaw((*path, "value"), "BASE_TYPE_BAD_LENGTH", f"Must be between {least} and {most} in length.")]
    return []


def commands(known: list[Json]) -> list[Flaw]:
    """What is wrong with a whole set of commands; the number of them is not looked at here."""
    flaws: list[Flaw] = []
    seen: set[tuple[int, str]] = set()
    for at, one in enumerate(known):
        kind = one.get("type") or 1
        if (kind, one["name"]) in seen:
            text = "Application command names must be unique"
            flaws.append(Flaw((at, "name"), "APPLICATION_COMMANDS_DUPLICATE_NAME", text))
        seen.add((kind, one["name"]))
        if kind == 1:
            flaws += _named((at,), one)
        elif one.get("description") or one.get("options"):
            text = "Context menu commands cannot have description"
            flaws.append(Flaw((at, "description"), "APPLICATION_COMMAND_INVALID_DESCRIPTION", text))
        if _written(one) > COMMAND_TEXT:
            text = f"Command exceeds maximum size ({COMMAND_TEXT})"
            flaws.append(Flaw((at,), "APPLICATION_COMMAND_TOO_LARGE", text))
    return flaws


def too_many(known: list[Json]) -> bool:
    kinds = Counter(one.get("type") or 1 for one in known)
    return kinds[1] > CHAT_COMMANDS or max(kinds[2], kinds[3]) > MENU_COMMANDS


def _named(path: Path, one: Json) -> list[Flaw]:
    """Names and descriptions of a command or option, and of all options in it."""
    flaws = []
    names = {(): one["name"]} | {("name_localizations", tongue): name for tongue, name in _tongues(one, "name")}
    for where, name in names.items():
        if not COMMAND_NAME.match(name) or name != name.lower():
            last = where or ("name",)
            flaws.append(Flaw((*path, *last), "APPLICATION_COMMAND_INVALID_NAME", "Command name is invalid"))
    if not one.get("description"):
        flaws.append(Flaw((*path, "description"), "BASE_TYPE_REQUIRED", "This field is required"))
    options = one.get("options") or []
    wanted = [bool(option.get("required")) for option in options]
    if wanted != sorted(wanted, reverse=True):
        text = "Required options must be placed before non-required options"
        flaws.append(Flaw((*path, "options"), "APPLICATION_COMMAND_OPTIONS_REQUIRED_INVALID", text))
    if len({option["name"] for option in options}) < len(options):
        flaws.append(Flaw((*path, "options"), "APPLICATION_COMMAND_OPTIONS_NAME_NOT_UNIQUE", "Option names must be unique"))
    for at, option in enumerate(options):
        flaws += _named((*path, "options", at), option)
        if option.get("autocomplete") and option.get("choices"):
            text = "Autocomplete and choices exclude each other"
            flaws.append(Flaw((*path, "options", at), "APPLICATION_COMMAND_OPTION_AUTOCOMPLETE_NOT_SUPPORTED", text))
    return flaws


def _tongues(one: Json, name: str) -> Iterable[tuple[str, str]]:
    return (one.get(f"{name}_localizations") or {}).items()


def _written(one: Json) -> int:
    """Names, descriptions and values of a command in its longest language, all options and choices counted."""
    own = sum(
        max([units(one.get(name) or ""), *(units(text) for _, text in _tongues(one, name))]) for name in ("name", "description")
    )
    own += units(str(one["value"])) if "value" in one else 0
    return own + sum(_written(inner) for name in ("options", "choices") for inner in one.get(name) or ())


def _or(value: int | None, usual: int) -> int:
    return usual if value is None else value
