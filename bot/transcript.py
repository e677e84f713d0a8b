"""Transcripts: conversations as text that a person can read, that every platform plays and that name none.

    # anything                      a remark, unless it is one of these:
    # person bob role=triager locale=de
    # clock +1h                     time passes (s, min, h, d)
    # down redis      # up redis    a part of the house goes away and comes back; so does "model"
    # model says TEXT               the model's next answer; at "||" in it the model waits until
    # model goes on                 it is told to (without being told it says what it was asked)
    # model breaks off TEXT         the same, and then its connection is cut
    # model busy 3                  so many others are before whoever asks from now on, or waits; 0 for none
    # model lists a, b of a         the models there are, adapters with what they adapt
    # model teaches off=0.2         it makes samples, too; so many of them are of that fate (tests/fakes/teacher.py)
    # github alice linked           whose account is linked; from "# github app" on, an App acts for whoever has linked none
    # github hosts alice            her documents lie where git is spoken (no account is linked by a code then)
    # github device approve alice   she types in the code that was shown; or: deny
    # github dora joins             she becomes a member of the repository
    # github check lint failed qna.yaml:3 TEXT   a check of the newest pull request; or: passed, running
    # github dora approves          so do: requests TEXT, says TEXT, says at 3 TEXT (a line of its qna.yaml), merges, closes
    # github labels NAME            a label; or: unlabels
    # github revokes alice          her token is good no longer
    # github archives               the repository takes nothing in; or: hides, opens
    # github moves                  somebody else's commit is on the base branch; "takes LEAF": it makes that leaf
    # set roles.everyone.weight=2   a setting of bot.yaml, from here on
    # needs docs                    played only where `--name docs=...` says what <docs> stands for
    # restart         # crash       the process ends as asked, or at once
    alice> text                     alice types; indented lines go on with it
    alice@home> text                she types it in her own conversation, not in the thread she is in
    alice[press] Label    alice[fill] field=text | field=text    alice[file] path
    alice[edit] text      alice[unsay]    what she typed last is changed, or deleted
    bot: text                       the bot says this next ("..." stands for anything, <name> for a word that stays the same)
    bot@bob: text                   it says this to bob

What the bot says besides is no mistake: each line of its must come, in order, among what it says after the last act.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from pipeline.errors import Invalid, Problem

_ACT = re.compile(r"(?P<who>[a-z][\w-]*)(?:@(?P<place>[\w#-]+))?(?P<verb>> ?|\[\w+\] ?)(?P<rest>.*)", re.S)
_BOT = re.compile(r"bot(?:@(?P<to>[\w#-]+))?: ?(?P<rest>.*)", re.S)
_DIRECTIVES = ("person", "clock", "down", "up", "model", "github", "set", "needs", "restart", "crash")
_UNITS = {"s": 1, "min": 60, "h": 3600, "d": 86_400}


@dataclass(frozen=True, slots=True)
class Does:
    """Somebody types, presses, fills in or sends a file: `line` is what a terminal would be given."""

    number: int
    who: str
    line: str
    place: str = ""


@dataclass(frozen=True, slots=True)
class Expects:
    """The bot says something that `text` describes; `to` is the person it is said to, "" for who acted last."""

    number: int
    text: str
    to: str = ""


@dataclass(frozen=True, slots=True)
class Directs:
    number: int
    name: str
    rest: str


Line = Does | Expects | Directs


def parse(text: str, name: str) -> list[Line]:
    """Read a transcript. Raises Invalid with every line that is none."""
    found: list[Line] = []
    problems = []
    for number, line in _joined(text.split("\n")):
        try:
            if one := _line(number, line):
                found.append(one)
        except ValueError as error:
            problems.append(Problem("transcript.line", str(error), f"{name}:{number}", "labbot play --help tells the forms."))
    if problems:
        raise Invalid(*problems)
    return found


def _joined(lines: Iterable[str]) -> list[tuple[int, str]]:
    """Lines with those that go on with them."""
    joined: list[tuple[int, str]] = []
    for number, line in enumerate(lines, 1):
        if line[:1] in (" ", "\t") and joined and line.strip():
            joined[-1] = (joined[-1][0], f"{joined[-1][1]}\n{line.strip()}")
        elif line.strip():
            joined.append((number, line))
    return joined


def _line(number: int, line: str) -> Line | None:
    if line.startswith("#"):
        name, _, rest = line[1:].strip().partition(" ")
        return Directs(number, name, rest.strip()) if name in _DIRECTIVES else None
    if bot := _BOT.fullmatch(line):
        return Expects(number, bot["rest"], bot["to"] or "")
    if act := _ACT.fullmatch(line):
        verb = act["verb"].strip()
        typed = act["rest"] if verb == ">" else f"{verb} {act['rest']}"
        return Does(number, act["who"], typed, act["place"] or "")
    raise ValueError(f"neither said by a person nor by the bot: {line!r}")


def seconds(text: str) -> float:
    """ "+1h" -> 3600.0. Raises Invalid for anything else."""
    found = re.fullmatch(r"\+(\d+)(s|min|h|d)", text)
    if not found:
        raise Invalid(Problem("transcript.clock", f"no span of time: {text!r}", fix="Write +30s, +5min, +1h or +2d."))
    return float(found[1]) * _UNITS[found[2]]


class Bindings:
    """What <names> in a transcript stand for: bound by the first line that matches, the same from then on."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}

    def filled(self, text: str) -> str:
        return re.sub(r"<(\w+)>", lambda mark: self.values.get(mark[1], mark[0]), text)

    def match(self, pattern: str, said: str) -> bool:
        """Whether what was said is what the pattern describes; white space does not count."""
        parts = re.split(r"(\s*\.\.\.\s*|<\w+>)", " ".join(self.filled(pattern).split()))
        names: list[str] = []
        rule = "".join(_rule(part, names) for part in parts)
        found = re.fullmatch(rule, " ".join(said.split()), re.S)
        if found:
            self.values |= {name: found[name] for name in names}
        return found is not None


def _rule(part: str, names: list[str]) -> str:
    if part.strip() == "...":
        return ".*?"
    if not (name := re.fullmatch(r"<(\w+)>", part)):
        return re.escape(part)
    if name[1] in names:
        return f"(?P={name[1]})"
    names.append(name[1])
    return rf"(?P<{name[1]}>[\w.-]+)"
