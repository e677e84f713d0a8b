"""Our markdown as Slack's: bold, code, links, lists and fences stay; all else is shown as it was typed.

Slack has two languages. A `markdown` block is standard markdown, which Slack translates; a `mrkdwn` text, as in the
sections of cards, is its own. One rule serves what words, persons and models wrote: nothing that anybody wrote becomes
a mention, a heading, a quote, a rule, or a link whose target is hidden. `&<>` always become entities, which both
languages undo; without a bare < no mention and no link of Slack's can begin. A span is markup within one line only.

mrkdwn knows no escape: a sign between two spaces of no width begins and ends nothing (slack-api-docs#34, and
claude-threads#92 for ~). A quote's &gt; is read as one even so, and is kept from the line's beginning by a soft hyphen
(jsx-slack, about-escape-and-exact-mode). Fences of both have exactly three backticks; three within one are kept apart.
"""

import re
from abc import ABC, abstractmethod

from bot.core.cards import clip, shown
from bot.platforms.slack import limits
from bot.split import Segment, pieces, segments, size

APART = "\N{ZERO WIDTH SPACE}"  # between signs that Slack would read as one
SOFT = "\N{SOFT HYPHEN}"  # before a quote's sign at the beginning of a line
FALLBACK = 150  # characters of the text that a notification shows
_MARKDOWN = re.compile(  # each sign can be read in one way only, and labels end: what a model repeats for ever is read in time
    r"\\(?P<plain>[\\*`\[\]])"
    r"|\*\*(?P<bold>(?:\\[^\n]|[^*\\\n])+)\*\*"
    r"|`(?P<code>[^`\n]+)`"
    r"|\[(?P<label>[^\]\n]{1,500})\]\((?P<url>https://[^)\s]{1,2000})\)"
)
_UNDECIDED = re.compile(  # what may become one of these when the line goes on
    r"\\\Z|\*\*?\Z|\*\*(?:\\.|[^*\\])+\\?\*?\Z|`[^`]*\Z"
    r"|\[[^\]]{0,500}\Z|\[[^\]]{1,500}\](?:\((?:h|ht|htt|http|https|https:|https:/|https://[^)\s]*)?)?\Z"
)
_URL = re.compile(r"https?://[^\s<>|]+", re.IGNORECASE)
_WORD = re.compile(r"[^\W\d_]+")
_ADDRESS = re.compile(r"(?:h|ht|htt|https?)\Z", re.IGNORECASE)  # what may begin one
_MASS = re.compile(r"(?<!\w)@(?=channel|here|everyone)", re.IGNORECASE)
_MENTION = re.compile(r"<(?=@[UW]|#C|!(?:channel|here|everyone|subteam|date))")  # in code, where no entity is undone
_LANGUAGE = re.compile(r"[a-z0-9_+\-.#]{1,20}", re.IGNORECASE)
# A line's beginning: marks of a list stay, a heading's is escaped.
_LEAD = re.compile(r"((?:[ \t]*(?:[-*+]|\d{1,9}[.)])[ \t]+)*[ \t]*)(#)?")
_RULE = re.compile(r"([ \t]*)((?:=+|-+|[-*_](?:[ \t]*[-*_]){2,})[ \t]*)")  # a line, or what makes the one above it a heading
_MAY_LEAD = re.compile(r"[\s\-*+\d.)#=_]*")
_SIGNS = re.compile(r"[\\*`\[~]|(?<![^\W_])_|_(?![^\W_])")  # snake_case is no emphasis
_MRKDWN_SIGNS = re.compile(r"`|(?<![^\W_])[*_~](?!\s)|(?<!\s)[*_~](?![^\W_])")  # a sign beside a sign is no letter
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


class _Target(ABC):
    """One of Slack's two languages."""

    def of(self, text: str, *, masked: bool) -> str:
        """The text. A fence that is open at the end stays open: more may come."""
        return "\n".join(
            self.fence(part) if part.fence else "\n".join(self.line(line, masked=masked) for line in part.text.split("\n"))
            for part in segments(shown(text))
        )

    def line(self, text: str, *, masked: bool, begins: bool = True) -> str:
        """A line, its spans as markup; `begins`: from its beginning on."""
        made, waiting, end = "", "", 0
        if begins and (rule := _RULE.fullmatch(text)):
            return self.rule(rule[1], rule[2])
        for mark in _MARKDOWN.finditer(text):
            waiting += text[end : mark.start()]
            end = mark.end()
            if mark.lastgroup == "plain":
                waiting += mark["plain"]
                continue
            before, after = _around(mark["bold"] or "")
            made += self.literal(waiting + before, begins=begins and not made)
            waiting = after
            made = self.joined(made, self.marked(mark, masked=masked), after or text[end : end + 1])
        return made + self.literal(waiting + text[end:], begins=begins and not made)

    def marked(self, mark: re.Match[str], *, masked: bool) -> str:
        match mark.lastgroup:
            case "bold":
                inner = mark["bold"].strip()
                return self.bold(self.line(inner, masked=masked, begins=False)) if inner else " "
            case "code":
                return self.code(mark["code"])
            case _:
                url, label = _safe(mark["url"]), mark["label"]
                return self.link(label, url) if masked else f"{self.literal(label, begins=False)} ({self.address(url)})"

    def literal(self, text: str, *, begins: bool = True) -> str:
        """A line, or a part of one, that is shown as it is but for its addresses."""
        made, end = [], 0
        for found in _URL.finditer(text):
            url = _trimmed(found[0])
            if not url.endswith("//"):
                made += [self.escaped(text[end : found.start()], begins=begins and end == 0), self.address(_safe(url))]
                end = found.start() + len(url)
        return "".join([*made, self.escaped(text[end:], begins=begins and end == 0)])

    def rule(self, indent: str, signs: str) -> str:
        """A line of signs that is none of Slack's."""
        return indent + signs

    @abstractmethod
    def escaped(self, text: str, *, begins: bool) -> str: ...

    @abstractmethod
    def joined(self, before: str, sign: str, after: str) -> str:
        """What was made before, and the sign; `after` is the next character of the text."""

    @abstractmethod
    def bold(self, text: str) -> str: ...

    @abstractmethod
    def code(self, text: str) -> str: ...

    @abstractmethod
    def link(self, label: str, url: str) -> str: ...

    @abstractmethod
    def address(self, url: str) -> str: ...

    @abstractmethod
    def fence(self, part: Segment) -> str: ...


class _Markdown(_Target):
    def rule(self, indent: str, signs: str) -> str:
        return f"{indent}\\{signs}"

    def escaped(self, text: str, *, begins: bool) -> str:
        text = _MASS.sub("@" + APART, text)
        lead = _LEAD.match(text) if begins else None
        head = f"{lead[1]}{f'{chr(92)}#' if lead[2] else ''}" if lead else ""
        rest = text[lead.end() :] if lead else text
        return head + _entities(_SIGNS.sub(r"\\\g<0>", rest))

    def joined(self, before: str, sign: str, after: str) -> str:
        apart = APART if sign[0] in "*`" and before.endswith(sign[0]) else ""
        return before + apart + sign

    def bold(self, text: str) -> str:
        return f"**{text}**"

    def code(self, text: str) -> str:
        return f"`{_MENTION.sub('<' + APART, text)}`"

    def link(self, label: str, url: str) -> str:
        return f"[{self.literal(label, begins=False)}](<{url}>)"

    def address(self, url: str) -> str:
        return f"<{url}>"

    def fence(self, part: Segment) -> str:
        assert part.fence
        language = part.fence.language if _LANGUAGE.fullmatch(part.fence.language) else ""
        return fenced(part.text, language, closed=part.closed)


class _Mrkdwn(_Target):
    def escaped(self, text: str, *, begins: bool) -> str:
        text = _MASS.sub("@" + APART, text)
        soft = SOFT if begins and text.lstrip().startswith(">") else ""
        return soft + _entities(_MRKDWN_SIGNS.sub(f"{APART}\\g<0>{APART}", text))

    def joined(self, before: str, sign: str, after: str) -> str:
        """A sign within a word, or beside another, is none: it is kept apart."""
        if sign[0] not in "*`":
            return before + sign
        return f"{before}{_between(before[-1:])}{sign}{_between(after)}"

    def bold(self, text: str) -> str:
        return f"*{text}*"

    def code(self, text: str) -> str:
        return f"`{_entities(text)}`"

    def link(self, label: str, url: str) -> str:
        # Signs are read in a label, too; a bar or an end of line would end it.
        return f"<{_entities(url)}|{self.escaped(label.replace('|', '¦'), begins=False)}>"

    def address(self, url: str) -> str:
        return f"<{_entities(url)}>"

    def fence(self, part: Segment) -> str:
        """mrkdwn's fences name no language: it would be shown."""
        return fenced(_entities(part.text), closed=part.closed)


def _around(bold: str) -> tuple[str, str]:
    """The spaces that a bold text begins and ends with: within its signs they would make them none."""
    return (" " if bold[:1].isspace() else "", " " if bold[-1:].isspace() else "") if bold.strip() else ("", "")


def _between(character: str) -> str:
    return APART if character.isalnum() or (character and character in "*_~`") else ""


_MARKDOWN_BLOCK, _MRKDWN = _Markdown(), _Mrkdwn()


def prose(text: str, *, masked: bool = False) -> str:
    """The text for a `markdown` block. `masked`: links show their label alone, else their address, too."""
    return _MARKDOWN_BLOCK.of(text, masked=masked)


def mrkdwn(text: str, *, masked: bool = True) -> str:
    """The text for a `mrkdwn` text object with `verbatim`."""
    return _MRKDWN.of(text, masked=masked)


def fenced(text: str, language: str = "", *, closed: bool = True) -> str:
    """The text in a fence of Slack's."""
    body = _MENTION.sub("<" + APART, re.sub("`(?=``)", "`" + APART, text))
    return f"```{language}\n{body}\n```" if closed else f"```{language}\n{body}"


def plain(text: str) -> str:
    """Our markdown without its marks, of links the label."""
    return _MARKDOWN.sub(lambda mark: plain(mark["bold"]) if mark["bold"] else mark[mark.lastgroup or 0], _unlinked(text))


def _unlinked(text: str) -> str:
    return re.sub(r"\[([^\]\n]{1,500})\]\(https://[^)\s]+\)", r"\1", text)


def fallback(text: str) -> str:
    """The `text` of a message beside its blocks: what a notification says; one line, short, and no markup."""
    return _entities(_MASS.sub("@" + APART, clip(plain(text[: 20 * FALLBACK]), FALLBACK))) or "…"


def sections(text: str, room: int) -> list[str]:
    """The text as `mrkdwn` texts of at most SECTION characters each, `room` in sum; what is too much ends in "…"."""
    made: list[str] = []
    for length in (limits.SECTION, 1500, 600, 200):
        made = [mrkdwn(piece) for piece in pieces(text, length)]
        if all(size(one) <= limits.SECTION for one in made) and sum(map(size, made)) <= room:
            return made
    return _within(made, room)


def _within(parts: list[str], room: int) -> list[str]:
    """As many of the parts as there is room for, put together again, and "…"."""
    found: list[str] = []
    for part in parts:
        if size(part) + 3 > room:
            break
        room -= size(part) + 1
        if found and size(found[-1]) + 3 + size(part) <= limits.SECTION:
            found[-1] += f"\n{part}"
        else:
            found.append(part)
    if found and not found[-1].endswith("```"):
        found[-1] += "…"
        return found
    return [*found, "…"] if room > 0 else found


# --- what streams


def streamed(text: str) -> str:
    """The text as the markdown of a stream: what `prose` makes of it."""
    return prose(text)


def stable(text: str) -> str:
    """The longest beginning of `streamed(text)` that is sure to stay, however the text goes on.

    Lines that ended are sure, but for the break after them. In the last one a span or a fence may still become another: it
    waits; of the last word so does all but the letters that it begins with, which stay what they are.
    """
    at = text.rfind("\n") + 1
    before = segments(text[:at])
    fence = before[-1].fence if before and not before[-1].closed else None
    return streamed(text[: at + _sure(text[at:], in_fence=fence is not None)])


def _sure(line: str, *, in_fence: bool) -> int:
    """How many characters of a line that may go on are sure."""
    line = shown(line)
    word = _letters(line, len(line))
    if in_fence:
        return 0 if re.fullmatch(r"[\s`~]*", line) else word
    if line.lstrip()[:1] in ("`", "~"):
        return 0
    at = marked = 0
    while at < word:
        if mark := _MARKDOWN.match(line, at):
            at = marked = mark.end()
        elif _UNDECIDED.match(line, at):
            # The word around it may be an address that goes on.
            word = _letters(line, at)
        else:
            at += 1
    sure = max(marked, word)
    return 0 if _MAY_LEAD.fullmatch(line[:sure]) else sure


def _letters(line: str, end: int) -> int:
    """How far a line is sure up to the word that reaches to `end`, with its first letters: those of no address to come."""
    begin = max((here.end() for here in re.finditer(r"\s", line[:end])), default=0)
    letters = _WORD.match(line, begin, end)
    return begin + len(_ADDRESS.sub("", letters[0])) if letters else begin


# --- signs


def unescaped(markdown: str) -> str:
    """What `prose` made of a text, as it is shown."""
    markdown = re.sub(r"(?<!\\)\*\*|(?<!\\)`|<(?=https?://)|(?<=\S)>", "", markdown)
    markdown = re.sub(r"\\([^0-9A-Za-z\s])", r"\1", markdown)
    return markdown.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _entities(text: str) -> str:
    return re.sub("[&<>]", lambda sign: _ENTITIES[sign[0]], text)


def _safe(url: str) -> str:
    """An address with nothing in it that ends one."""
    return url.replace("<", "%3C").replace(">", "%3E").replace("|", "%7C")


def _trimmed(url: str) -> str:
    """An address without the signs that end a sentence, or that closed something around it."""
    while url and (url[-1] in ".,:;!?'\"*_~`]}\\" or (url[-1] == ")" and url.count("(") < url.count(")"))):
        url = url[:-1]
    return url
