"""Our markdown as Discord's: bold, code, links, lists and fences stay; all else is shown as it was typed.

One rule serves what words, persons and models wrote, since a message does not tell them apart. Nothing that anybody
wrote becomes a heading, a quote, a spoiler, an underline, a mention, a timestamp or a link whose target is hidden:
what begins one is escaped. A single * or _ is no emphasis in our markdown, so it is shown. Addresses are put in <>,
which keeps Discord from showing a preview of them. Discord knows fences of exactly three backticks only: others are
turned into those, and three backticks within one are kept apart by a space of no width.
"""

import re

from bot.core.cards import shown
from bot.split import segments

APART = "\N{ZERO WIDTH SPACE}"  # between signs that Discord would read as one
_MARKDOWN = re.compile(  # each sign can be read in one way only, and labels end: what a model repeats for ever is read in time
    r"\\(?P<plain>[\\*`\[\]])"
    r"|\*\*(?P<bold>(?:\\[^\n]|[^*\\])+)\*\*"
    r"|`(?P<code>[^`]+)`"
    r"|\[(?P<label>[^\]]{1,500})\]\((?P<url>https://[^)\s]+)\)"
)
_URL = re.compile(r"https?://[^\s<>]+", re.IGNORECASE)
# A line's beginning: marks of a list stay, a heading's, a quote's and a subtext's are escaped.
_LEAD = re.compile(r"((?:[ \t]*(?:[-*]|\d{1,9}[.)])[ \t]+)*[ \t]*)(#|>|-#)?")
_SIGNS = re.compile(
    r"[\\*`\[]"
    r"|(?<![^\W_])_|_(?![^\W_])"  # snake_case is no emphasis
    r"|~(?=~)|(?<=~)~|\|(?=\|)|(?<=\|)\|"
    r"|<(?=[@#:/A-Za-z]|$)"  # mentions, emoji, timestamps, addresses
    r"|@(?=everyone|here)"
)
_LANGUAGE = re.compile(r"[a-z0-9_+\-.#]{1,20}", re.IGNORECASE)  # what Discord takes for one


def prose(text: str, *, masked: bool = False) -> str:
    """The text in Discord's markdown. A fence that is open at the end stays open: more may come.

    `masked`: links show their label alone, as in cards, whose links are all ours; else they show their address, too.
    """
    parts = []
    for part in segments(shown(text)):
        if part.fence is None:
            parts.append(_inline(part.text, masked=masked, begins=True))
        else:
            parts.append(fenced(part.text, part.fence.language, closed=part.closed))
    return "\n".join(parts)


def fenced(text: str, language: str = "", *, closed: bool = True) -> str:
    """The text in a fence of Discord's."""
    body = re.sub("`(?=``)", "`" + APART, text)
    opener = f"```{language if _LANGUAGE.fullmatch(language) else ''}\n"
    return f"{opener}{body if body.strip() else ' '}\n```" if closed else f"{opener}{body}"


def literal(text: str, *, begins: bool = True) -> str:
    """Text that is shown as it is. `begins`: at the beginning of a line."""
    made, end = [], 0
    for found in _URL.finditer(text):
        url = _trimmed(found[0])
        if url.endswith("//"):
            continue
        made += [_escaped(text[end : found.start()], begins=begins and end == 0), f"<{url}>"]
        end = found.start() + len(url)
    return "".join([*made, _escaped(text[end:], begins=begins and end == 0)])


def _escaped(text: str, *, begins: bool) -> str:
    first, *rest = text.split("\n")
    return "\n".join([_line(first) if begins else _SIGNS.sub(r"\\\g<0>", first), *(_line(line) for line in rest)])


def _line(line: str) -> str:
    lead = _LEAD.match(line)
    assert lead  # it may be empty
    sign = f"\\{lead[2]}" if lead[2] else ""
    return f"{lead[1]}{sign}{_SIGNS.sub(_backslash, line[lead.end() :])}"


def _backslash(found: re.Match[str]) -> str:
    return f"\\{found[0]}"


def _trimmed(url: str) -> str:
    """An address without the signs that end a sentence, or that closed something around it."""
    while url and (url[-1] in ".,:;!?'\"*_~|`]}\\" or (url[-1] == ")" and url.count("(") < url.count(")"))):
        url = url[:-1]
    return url


def _inline(text: str, *, masked: bool, begins: bool) -> str:
    made = ""
    waiting = ""  # what is shown as it is, up to the next mark
    end = 0
    for mark in _MARKDOWN.finditer(text):
        waiting += text[end : mark.start()]
        end = mark.end()
        if mark.lastgroup == "plain":
            waiting += mark["plain"]
            continue
        made += literal(waiting, begins=_at_line_start(made, begins))
        waiting = ""
        sign = _marked(mark, masked)
        made += APART + sign if sign[0] in "*`" and made.endswith(sign[0]) else sign
    return made + literal(waiting + text[end:], begins=_at_line_start(made, begins))


def _at_line_start(made: str, begins: bool) -> bool:
    return begins if not made else not made.rpartition("\n")[2].strip() and "\n" in made


def _marked(mark: re.Match[str], masked: bool) -> str:
    match mark.lastgroup:
        case "bold":
            return f"**{_inline(mark['bold'], masked=masked, begins=False)}**"
        case "code":
            return f"`{mark['code']}`"
        case _:
            url = mark["url"].replace("<", "%3C").replace(">", "%3E")
            label = literal(mark["label"], begins=False)
            return f"[{label}](<{url}>)" if masked else f"{label} (<{url}>)"
