"""How a text that grows is cut into messages: where one ends, and how the next goes on."""

from bot.split import Fence, segments, size

SOFT, HARD = 8000, 10_000  # characters of a message: from the first on it ends with a line, at the second in any case
WORD = 200  # characters


def in_words(text: str) -> str:
    """A text up to its last whole word, since a stream may end there; a word without end is cut."""
    end = max(text.rfind(" "), text.rfind("\n")) + 1
    return text[:end] if len(text) - end < WORD else text


def piece(rest: str, hard: int, soft: int) -> tuple[str, bool]:
    """What a message takes of a text that goes on, and whether it is full by then: with a line if it can be."""
    if size(rest) <= soft:
        return rest, False
    if (line := rest.rfind("\n", 0, max(0, soft)) + 1) > 0:
        return rest[:line], True
    if (line := rest.find("\n", 0, max(0, hard)) + 1) > 0:
        return rest[:line], True
    if size(rest) <= hard:
        return rest, False
    return rest[: max(0, rest.rfind(" ", 0, max(0, hard // 2)) + 1) or max(0, hard // 2)], True


def opener(shown: str) -> str:
    """What opens the fence anew that is open at the end of a text; "" if none is."""
    fence = _left_open(shown)
    return f"{fence.opener}\n" if fence else ""


def closer(shown: str) -> str:
    """What closes the fence that is open at the end of a text; "" if none is."""
    fence = _left_open(shown)
    return f"{'' if shown.endswith(chr(10)) else chr(10)}{fence.marker}" if fence else ""


def _left_open(shown: str) -> Fence | None:
    found = segments(shown)
    return found[-1].fence if found and not found[-1].closed else None
