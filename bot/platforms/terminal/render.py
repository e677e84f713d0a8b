"""Cards and messages as terminal text: rich renderables for the full screen, plain lines for pipes and screen readers."""

import re

from rich.text import Text as RichText

from bot.core.cards import shown
from bot.core.talk import Answer, Attached, Bar, Block, Button, Card, Choice, Code, Dialog, Picture, Steps, Text

MARKS = {"done": "✔", "now": "▸", "open": "·", "wrong": "✘"}
BAR = 20  # characters of a progress bar
_MARKDOWN = re.compile(
    r"\\(?P<plain>[\\*`\[\]])|\*\*(?P<bold>(?:\\[^\n]|[^*\\])+)\*\*|`(?P<code>[^`]+)`|\[(?P<label>[^\]]+)\]\((?P<url>https://[^)\s]+)\)"
)


def styled(text: str) -> RichText:
    """Our markdown subset as styled text; what a person typed was escaped and comes out as it was."""
    made = RichText()
    end = 0
    for mark in _MARKDOWN.finditer(text):
        made.append(shown(text[end : mark.start()]))
        end = mark.end()
        match mark.lastgroup:
            case "plain":
                made.append(mark["plain"])
            case "bold":
                made.append(styled(mark["bold"]).plain, "bold")
            case "code":
                made.append(shown(mark["code"]), "cyan")
            case _:
                made.append(f"{shown(mark['label'])} ({mark['url']})", "underline")
    return made.append(shown(text[end:]))


def plain(text: str) -> str:
    return styled(text).plain


def steps_line(steps: Steps) -> str:
    """Where one stands, in a line: "✔ About · ▸ Examples 1/5 · ...", counted where nothing marks them."""
    return "  ".join(f"{MARKS[state]} {label}" for label, state in steps.steps)


def bar_line(bar: Bar) -> str:
    full = round(bar.fraction * BAR)
    return f"{'█' * full}{'░' * (BAR - full)} {bar.fraction:.0%} {bar.label}".rstrip()


def lines_of(block: Block) -> list[str]:
    match block:
        case Text(text):
            return plain(text).split("\n")
        case Steps():
            return [steps_line(block)]
        case Code(text, _, name):
            return [f"--- {name}", *shown(text).rstrip("\n").split("\n"), "---"]
        case Attached(name, _, where):
            return [f"{name}: {shown(where)}"]
        case Picture(name):
            return [*shown(block.drawn).split("\n"), f"{name}: {shown(block.where)}"]
        case Bar():
            return [bar_line(block)]


def labels(buttons: tuple[Button, ...], choice: Choice | None = None) -> str:
    """The buttons as they are named: "[Form] [Preview]  Change ...: [About] [Example 1]"."""
    row = " ".join(f"[{button.label}]" for button in buttons)
    return f"{row}  {choice.hint} {' '.join(f'[{one.label}]' for one in choice.options)}".strip() if choice else row


def card_lines(card: Card) -> list[str]:
    """A card as lines, each with the bar that marks a card which is edited in place."""
    body = [card.title, *(line for block in card.blocks for line in lines_of(block))]
    if row := labels(card.buttons, card.choice):
        body.append(row)
    return [f"┃ {line}" for line in body]


def answer_lines(answer: Answer) -> list[str]:
    row = labels(answer.buttons)
    return [*(plain(answer.text).split("\n") if answer.text else []), *([row] if row else [])]


def dialog_lines(dialog: Dialog, errors: dict[str, str]) -> list[str]:
    """A dialog as lines: each field with its hint, what is in it, and what is wrong with it."""
    lines = [f"┏ {dialog.title}"]
    for field in dialog.fields:
        hint = f" ({field.hint})" if field.hint else ""
        options = f" {' | '.join(label for _, label in field.options)}" if field.options else ""
        lines.append(f"┃ {field.label}{hint}{options}")
        if field.value:
            lines += [f"┃   · {line}" for line in shown(field.value).split("\n")]
        if field.name in errors:
            lines.append(f"┃   ✘ {plain(errors[field.name])}")
    return lines
