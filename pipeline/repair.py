"""Mends the YAML of a qna.yaml that no parser takes, and drops no word of it.

The parse error leads: each step makes changes at or just above the place where the parser gave up, and keeps the first
kind of change after which it gets further. What is mended is what contributors get wrong: texts of block scalars that
are not indented, ": " and quotes inside plain text, tabs, keys a space off, lists at the top, fences and prose around.
A text of which YAML would silently leave out a part (an anchor nobody uses, a tag, an empty block) counts as broken too.
More than 400 lines, for the steps and the fixers share their patterns: what a key, a block and its end are.
"""

import difflib
import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import yaml

from pipeline.check import SIZE_BYTES, unsafe

SIZE_CHARS = SIZE_BYTES // 4
STEPS = 200
PARSED_CHARS = 2**25  # that all attempts together may parse: some seconds of libyaml's time
HALVES = 12  # changes that move nothing, after which a second one is tried
SLIP = 3  # columns that a key may be off
NEAR = 3  # keys above the place of an error at which its cause is looked for

TEXTS = ("question", "answer", "context", "task_description", "document_outline", "domain", "created_by")
LISTS = ("seed_examples", "questions_and_answers", "document", "version", "repo", "commit", "patterns", "attribution")
_ROOT = ("version", "created_by", "task_description", "seed_examples", "domain", "document_outline", "document")
_LEAD = r"(?P<lead>[ \t]*(?:-[ \t]+)*)"
_KEYS = "|".join((*TEXTS, *LISTS))
_KEY = re.compile(rf"{_LEAD}(?P<key>{_KEYS})(?P<colon>[ ]*:[ ]*)(?<=[ :])(?P<value>(?<= )\S.*|)$")
_ANY_KEY = re.compile(rf"{_LEAD}(?P<key>[A-Za-z_][\w -]*)(?P<colon>[ ]*:[ ]+)(?P<value>\S.*)$")
_ITEM = re.compile(r"(?P<lead>[ \t]*(?:-[ \t]+)+)(?P<key>)(?P<colon>)(?P<value>\S.*)$")
_TIGHT = re.compile(rf"(?P<before>{_LEAD}(?:{_KEYS}))(?:(?P<colon>[ ]*[:=\uff1a][ ]*)(?P<value>\S.*)?)?$")
_EXAMPLE = re.compile(r"\s*-\s+(?:question|answer|context|questions_and_answers)[ ]*:|-\s")
_BEGUN = re.compile(rf"{_LEAD}(?:{_KEYS})[ ]*:")
_BLOCK = re.compile(r"(?P<sign>[|>])(?P<how>[-+0-9]*)(?P<rest>\s*(?:#.*)?)$")
_FENCE = re.compile(r"(?:```|~~~)\s*(?:ya?ml|text|txt)?\s*$", re.I)
_INDENT = re.compile("^[ \t\u00a0\u1680\u2000-\u200d\u202f\u205f\u2060\u3000\ufeff]+")
_SPACE = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")
_UNREADABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # PyYAML's own list
_BREAK = re.compile("[\x0b\x0c\x1c-\x1f\x85\u2028\u2029]")  # line ends for YAML or for the program that wrote the text
_INNER = re.compile(r'\\(?:[0abtnvfre "/\\N_LP\n]|x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8})|[\\"]', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Fix:
    """A kind of change (`repair.*`) and the line, from 1, of the text as it was given."""

    code: str
    line: int


@dataclass(frozen=True, slots=True)
class Repaired:
    text: str
    fixes: tuple[Fix, ...]


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a text cannot be read as a mapping, by a code of the checker, or loses words; line and column from 1."""

    code: str
    reason: str
    line: int = 1
    column: int = 1


@dataclass(frozen=True, slots=True)
class _State:
    """The lines between two steps. `grown`: at which lines others were put in; `spent`: characters parsed so far."""

    lines: tuple[str, ...]
    fault: Fault | None
    fixes: tuple[Fix, ...] = ()
    grown: tuple[int, ...] = ()
    spent: int = 0


_Lines = tuple[str, ...]
_Fixer = Callable[[_Lines, int], Iterator[_Lines]]  # the lines, and the index of that at which the parser gave up


def fault(text: str) -> Fault | None:
    """The first thing that keeps PyYAML from reading `text` as a mapping with all its words, if there is one."""
    return _seen(text, yaml.SafeLoader)


def repair(text: str) -> Repaired | None:
    """Mend a text that has a fault. None where it has none, and where it cannot be mended within the bounds."""
    if len(text) > SIZE_CHARS or not fault(text):
        return None
    lines, fixes = _readable(text)
    state: _State | None = _State(lines, _first(lines), fixes)
    for _ in range(STEPS):
        if state is None or state.fault is None:
            break
        state = _step(state)
    if state is None or state.fault or not state.fixes:
        return None
    return Repaired("\n".join(state.lines), state.fixes)


def diff(before: str, after: str) -> str:
    """What changed, as a unified diff with two lines around, without the header that names files."""
    changed = difflib.unified_diff(_split(before), _split(after), n=2, lineterm="")
    return "\n".join(line for number, line in enumerate(changed) if number > 1)


# --- what is wrong


def _split(text: str) -> list[str]:
    return re.split("\r\n|\r|\n", text)


def _readable(text: str) -> tuple[_Lines, tuple[Fix, ...]]:
    """The lines without what no YAML can hold: characters of no text are left out, foreign line ends are spaces."""
    lines = [_UNREADABLE.sub("", _BREAK.sub(" ", line.replace("\ufeff", ""))) for line in _split(text)]
    changed = [
        Fix("repair.characters", at) for at, (old, new) in enumerate(zip(_split(text), lines, strict=True), 1) if old != new
    ]
    return tuple(lines), tuple(changed[:1])


def _seen(text: str, loader: Any) -> Fault | None:
    if found := _UNREADABLE.search(text):
        return _at(text, found.start(), f"character U+{ord(found[0]):04X} is not allowed")
    try:
        if code := unsafe(text):
            return Fault(code, "")
        root = yaml.compose(text, Loader=loader)
        lost = _lost(text, loader)
    except yaml.YAMLError as error:
        return _syntax(error)
    except (RecursionError, ValueError) as error:
        return Fault("yaml.syntax", str(error))
    if root is None:
        return Fault("file.empty", "")
    return lost if isinstance(root, yaml.MappingNode) else Fault("yaml.top", "")


def _at(text: str, index: int, reason: str) -> Fault:
    before = _split(text[:index])
    return Fault("yaml.syntax", reason, len(before), len(before[-1]) + 1)


def _syntax(error: yaml.YAMLError) -> Fault:
    """Scalars and brackets that never end are at fault where they begin, everything else where the parser stopped."""
    mark = getattr(error, "problem_mark", None)
    context = getattr(error, "context_mark", None)
    said = str(getattr(error, "context", None) or "")
    if context and (mark is None or said.startswith("while scanning") or "flow" in said or "quoted" in said):
        mark = context
    reason = str(getattr(error, "problem", None) or str(error).partition("\n")[0])
    return Fault("yaml.syntax", reason, mark.line + 1, mark.column + 1) if mark else Fault("yaml.syntax", reason)


def _lost(text: str, loader: Any) -> Fault | None:
    """Where YAML reads less than there is: `& co` as an anchor, `!new` as a tag, a block whose text is not indented."""
    used: set[str] = set()
    anchors: dict[str, Any] = {}
    events = list(yaml.parse(text, Loader=loader))
    for event in events:
        if isinstance(event, yaml.AliasEvent):
            used.add(event.anchor or "")
        elif isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent):
            if event.tag and not event.tag.startswith("tag:yaml.org,2002:"):
                return _mark(event, "a word with ! is read as a tag")
            if event.anchor:
                anchors.setdefault(event.anchor, event)
    unused = [event for name, event in anchors.items() if name not in used]
    return _mark(unused[0], "a word with & is read as an anchor") if unused else _hollow(_split(text), events)


def _mark(event: Any, reason: str) -> Fault:
    return Fault("yaml.lost", reason, event.start_mark.line + 1, event.start_mark.column + 1)


def _hollow(lines: list[str], events: list[Any]) -> Fault | None:
    """A block without a text before a line that is no key we know; text after a # that begins a word; keys after odd spaces."""
    for event in events:
        if not isinstance(event, yaml.ScalarEvent) or not event.start_mark or not event.end_mark:
            continue
        at, last = event.start_mark.line, event.end_mark.line
        if event.style in ("|", ">") and not event.value:
            below = next((n for n in range(at + 1, len(lines)) if lines[n].strip()), None)
            if below is not None and not _KEY.match(lines[below]) and not lines[below].lstrip().startswith("#"):
                return Fault("yaml.lost", "the text of this block is not indented", below + 1)
        elif not event.style and last < len(lines):
            key = _KEY.match(lines[at])
            if key and key["key"] in TEXTS and re.match(r"\s+#[^\s#]", lines[last][event.end_mark.column :]):
                return _mark(event, "text after # is read as a comment")
            if event.value[:1] and _SPACE.match(event.value) and _KEY.match(_respaced(lines[at], 2)):
                return _mark(event, "this is not indented by spaces")
    return None


# --- the steps


def _first(lines: _Lines) -> Fault | None:
    """libyaml's fault, being forty times faster than PyYAML's own parser, which has the last word."""
    text = "\n".join(lines)
    return _seen(text, yaml.CSafeLoader) or fault(text)


def _left(lines: _Lines, found: Fault | None) -> tuple[int, int, int]:
    """How much is left to mend: less in any of the three, from the left, is further down; so steps cannot go in circles."""
    if found is None:
        return (0, 0, 0)
    kind = {"yaml.lost": 1, "yaml.top": 2, "yaml.syntax": 3}.get(found.code, 4)
    line = lines[found.line - 1] if found.line <= len(lines) else ""
    return (kind, len(lines) - found.line, len(line) - found.column)


def _step(state: _State) -> _State | None:
    """The state after the first kind of change that gets the parser further, by that of its ways that gets it furthest.

    Where none does, two changes at once may: a first one that leaves the fault where it is, and one that moves it.
    """
    left, idle = _left(state.lines, state.fault), list[_State]()
    best, spent = _tried(state, left, idle)
    for half in idle[:HALVES]:
        if best or spent > PARSED_CHARS:
            break
        best, spent = _tried(replace(half, spent=spent), left, [])
    return replace(best, spent=spent) if best and spent <= PARSED_CHARS else None


def _tried(state: _State, left: tuple[int, int, int], idle: list[_State]) -> tuple[_State | None, int]:
    """The best state after one change that leaves less than `left`, and what was parsed; `idle` takes what leaves as much."""
    best, spent, whole = None, state.spent, left
    at = min(state.fault.line if state.fault else 1, len(state.lines)) - 1
    for code, fixer in _FIXERS:
        for lines in dict.fromkeys(fixer(state.lines, at)):
            spent += sum(map(len, lines))
            if lines == state.lines or spent > PARSED_CHARS:
                continue
            found = _first(lines)
            now = _left(lines, found)
            if now < left:
                best, left = _mended(state, code, lines, found), now
            elif now == whole:
                idle.append(_mended(state, code, lines, found))
        if best:
            break
    return best, spent


def _mended(state: _State, code: str, lines: _Lines, found: Fault | None) -> _State:
    at = next((n for n, (old, new) in enumerate(zip(state.lines, lines, strict=False)) if old != new), len(state.lines) - 1)
    fix = Fix(code, at + 1 - sum(place < at for place in state.grown))
    grown = (*state.grown, *[at] * (len(lines) - len(state.lines)))
    return _State(lines, found, (*state.fixes, fix), grown)


# --- what every fixer looks at


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" \t"))


def _column(found: re.Match[str]) -> int:
    return len(found["lead"])


def _put(lines: _Lines, at: int, *new: str, until: int | None = None) -> _Lines:
    return (*lines[:at], *new, *lines[at + 1 if until is None else until :])


def _keys_above(lines: _Lines, at: int, most: int = NEAR) -> list[tuple[int, re.Match[str]]]:
    """The lines with keys at `at` and above, the nearest first."""
    found = ((number, key) for number in range(at, -1, -1) if (key := _KEY.match(lines[number])))
    return list(itertools.islice(found, most))


def _end(lines: _Lines, at: int, column: int) -> int:
    """The line after what belongs to the key in line `at`: that of the next key which stands about where one can stand."""
    opened = {column} | {_column(key) for line in lines[:at] if (key := _KEY.match(line)) and _column(key) < column}
    for number in range(at + 1, len(lines)):
        key = _BEGUN.match(lines[number])
        if key and any(-1 <= one - _column(key) <= SLIP for one in opened):
            return number
        if key and "-" in key["lead"] and key["lead"].index("-") <= column:
            return number
    return len(lines)


def _shifted(line: str, by: int) -> str:
    if not line.strip():
        return line
    return " " * by + line if by > 0 else line[min(-by, _indent(line)) :]


def _raised(lines: _Lines, least: int) -> _Lines:
    """Lines that are indented by less than `least`, indented by that."""
    return tuple(" " * least + line.lstrip(" \t") if line.strip() and _indent(line) < least else line for line in lines)


# --- the fixers, the surest first


def _spaces(lines: _Lines, at: int) -> Iterator[_Lines]:
    """Tabs and foreign spaces in the indentation: in the lines around the error, then in all."""
    first = last = at
    while first > 0 and "\t" in lines[first - 1][: _indent(lines[first - 1])]:
        first -= 1
    while last + 1 < len(lines) and "\t" in lines[last + 1][: _indent(lines[last + 1])]:
        last += 1
    for begin, end in ((0, len(lines)), (first, last + 1)):
        for width in (2, 4, 8, 1, 0):
            yield (*lines[:begin], *(_respaced(line, width) for line in lines[begin:end]), *lines[end:])


def _respaced(line: str, width: int) -> str:
    """The line with its indentation in spaces; what has no width, or is no space at all, leaves none."""
    return _INDENT.sub(lambda found: re.sub("[^ ]", "", _SPACE.sub(" ", found[0].replace("\t", " " * width))), line)


def _wrapping(lines: _Lines, at: int) -> Iterator[_Lines]:
    """A ``` fence around the file, and prose above and below it, which becomes comments."""
    begin = next((n for n, line in enumerate(lines) if _BEGUN.match(line) or _TIGHT.match(line)), 0)
    opens = [n for n in range(begin) if _FENCE.match(lines[n])]
    last = next((n for n in range(len(lines) - 1, -1, -1) if _BEGUN.match(lines[n])), 0)
    closes = [n for n in range(last, len(lines)) if _FENCE.match(lines[n])]
    end = closes[-1] if closes else len(lines)
    if opens or closes or begin:
        inside = lines[begin:end]
        yield (*(_noted(line) for line in lines[:begin]), *inside, *(_noted(line) for line in lines[end:]))


def _noted(line: str) -> str:
    if _FENCE.match(line):
        return ""
    return f"# {line}" if line.strip() and not line.startswith(("#", "---", "%YAML")) else line


def _colons(lines: _Lines, at: int) -> Iterator[_Lines]:
    """`question:What` and `seed_examples` alone: the colon, or the space after it, is missing."""
    for number in range(at, max(at - NEAR, -1), -1):
        found = _TIGHT.match(lines[number])
        if found and not _KEY.match(lines[number]):
            yield _put(lines, number, f"{found['before']}: {found['value'] or ''}".rstrip())


def _blocks(lines: _Lines, at: int) -> Iterator[_Lines]:
    """The text of a block scalar (`answer: |`) that is not indented, or not in all of its lines."""
    headers = [(n, key) for n, key in _keys_above(lines, at, most=2 * NEAR) if _BLOCK.match(key["value"])]
    for number, key in headers[:2]:
        end = _end(lines, number, _column(key))
        body = lines[number + 1 : end]
        indents = [_indent(line) for line in body if line.strip()]
        if not indents or (min(indents) > _column(key) and indents[0] == min(indents)):
            continue
        need = _column(key) + 2
        moved = tuple(_shifted(line, need - min(indents)) for line in body)
        if indents[0] > min(indents):
            if indents[0] > _column(key):
                yield _put(lines, number, lines[number], *_raised(body, indents[0]), until=end)
            sign = _BLOCK.sub(r"\g<sign>2\g<how>\g<rest>", key["value"])
            yield _put(lines, number, lines[number][: key.start("value")] + sign, *moved, until=end)
        else:
            yield _put(lines, number, lines[number], *moved, until=end)


def _aligned(lines: _Lines, at: int) -> Iterator[_Lines]:
    """A key that stands a little left or right of where its siblings stand, alone or with what belongs to it."""
    below = [n for n in range(at + 1, min(at + 2 * NEAR, len(lines))) if _KEY.match(lines[n])][:1]
    for number in (*(n for n, _ in _keys_above(lines, at)), *below):
        key = _KEY.match(lines[number])
        assert key
        end = _end(lines, number, _column(key))
        for by in _slips(lines, number, key):
            line = _shifted(lines[number], by)
            yield _put(lines, number, line)
            yield _put(lines, number, line, *(_shifted(one, by) for one in lines[number + 1 : end]), until=end)


def _slips(lines: _Lines, at: int, key: re.Match[str]) -> list[int]:
    """By how much the line could be off: like lines elsewhere first, then the lines around it."""
    others = [other for n, line in enumerate(lines) if n != at and (other := _KEY.match(line))]
    same = [one for one in others if one["key"] == key["key"] and ("-" in one["lead"]) == ("-" in key["lead"])]
    near = [found for _, found in _keys_above(lines, at - 1, most=2 * NEAR)]
    alike = same if "-" in key["lead"] else [*same, *near]
    slips = dict.fromkeys(_column(one) - _column(key) for one in alike)
    return sorted((by for by in slips if 0 < abs(by) <= SLIP), key=abs)


def _listed(lines: _Lines, at: int) -> Iterator[_Lines]:
    """Examples without `seed_examples:` above them, and root keys that are items of a list."""
    rooted = [n for n, line in enumerate(lines) if line.startswith("- ") and (key := _KEY.match(line)) and key["key"] in _ROOT]
    yield tuple(f" {line[1:]}" if n in rooted else line for n, line in enumerate(lines))
    if not any((key := _KEY.match(line)) and key["key"] == "seed_examples" for line in lines):
        first = next((n for n, line in enumerate(lines) if line.startswith("[") or _EXAMPLE.match(line)), None)
        if first is not None:
            rest = (
                lines[first:] if lines[first].lstrip().startswith("-") else tuple(_shifted(line, 2) for line in lines[first:])
            )
            yield (*lines[:first], "seed_examples:", *rest)


def _quoted(lines: _Lines, at: int) -> Iterator[_Lines]:
    """A value that YAML reads as something else: in quotes, or its own quotes mended, or as a block."""
    found = _keys_above(lines, at)
    found += [(at, other) for rule in (_ANY_KEY, _ITEM) if (other := rule.match(lines[at])) and not _KEY.match(lines[at])]
    for number, key in found:
        end = _value_end(lines, number, _column(key))
        head, body = lines[number][: key.start("value")], lines[number + 1 : end]
        first = key["value"].rstrip()
        if not first:
            if any(line.strip() for line in body) and key["key"] in TEXTS:
                yield _put(lines, number, f"{head.rstrip()} |")
        elif first[0] in "|>" and not _BLOCK.match(first):
            yield from _blocked(lines, number, end, key)
            yield _put(lines, number, *_in_quotes(head, (first, *body)), until=end)
        elif not _BLOCK.match(first):
            yield _put(lines, number, *_in_quotes(head, (first, *body)), until=end)
            yield _put(lines, number, *_plain_quotes(head, (first, *body)), until=end)


def _value_end(lines: _Lines, at: int, column: int) -> int:
    end = _end(lines, at, column)
    stop = next((n for n in range(at + 1, end) if lines[n].strip() and _indent(lines[n]) <= column), end)
    while stop > at + 1 and not lines[stop - 1].strip():
        stop -= 1
    return stop


def _blocked(lines: _Lines, at: int, end: int, key: re.Match[str]) -> Iterator[_Lines]:
    """`answer: | text`: the text moves to the next line; a row of a table keeps its first bar."""
    first, body = key["value"].rstrip(), lines[at + 1 : end]
    indents = [_indent(line) for line in body if line.strip()]
    need = max(_column(key) + 2, min(indents, default=0))
    text = first if first.count("|") > 1 else first[1:].strip()
    yield _put(lines, at, f"{lines[at][: key.start('value')]}{first[0]}", " " * need + text, *_raised(body, need), until=end)


def _in_quotes(head: str, value: _Lines) -> _Lines:
    """A value whose own quotes are kept where it has a pair around it, and what is inside is told apart from them."""
    text = "\n".join(value)
    if text[0] == '"' and ((len(text) > 1 and text.rstrip().endswith('"')) or text.count('"') == 1):
        inner = text.rstrip()[1:-1] if text.count('"') > 1 else text[1:]
        text = '"' + _INNER.sub(lambda found: found[0] if len(found[0]) > 1 else f"\\{found[0]}", inner) + '"'
        return tuple((head + text).split("\n"))
    if text[0] == "'" and len(text) > 1 and text.rstrip().endswith("'"):
        text = text.rstrip()[1:-1].replace("''", "'")
    return _plain_quotes(head, tuple(text.split("\n")))


def _plain_quotes(head: str, value: _Lines) -> _Lines:
    text = "\n".join(value).replace("'", "''")
    return tuple(f"{head}'{text}'".split("\n"))


def _continued(lines: _Lines, at: int) -> Iterator[_Lines]:
    """Text that goes on below its key, not indented."""
    for number, key in _keys_above(lines, at, most=2):
        end = _end(lines, number, _column(key))
        body = lines[number + 1 : end]
        if key["key"] not in TEXTS or _BLOCK.match(key["value"]) or not any(line.strip() for line in body):
            continue
        raised = _raised(body, _column(key) + 2)
        head = lines[number][: key.start("value")]
        yield _put(lines, number, lines[number], *raised, until=end)
        if key["value"]:
            yield _put(lines, number, *_in_quotes(head, (key["value"].rstrip(), *raised)), until=end)
        else:
            yield _put(lines, number, f"{head.rstrip()} |", *raised, until=end)


def _joined(lines: _Lines, at: int) -> Iterator[_Lines]:
    """`---` or `...` in the middle: what follows belongs to the same entry."""
    for number in (at, at - 1):
        if number >= 0 and re.match(r"(---|\.\.\.)(\s|$)", lines[number]):
            yield _put(lines, number, lines[number][3:].strip())


_FIXERS: tuple[tuple[str, _Fixer], ...] = (
    ("repair.spaces", _spaces),
    ("repair.wrapping", _wrapping),
    ("repair.colons", _colons),
    ("repair.block", _blocks),
    ("repair.indent", _aligned),
    ("repair.list", _listed),
    ("repair.quoted", _quoted),
    ("repair.continued", _continued),
    ("repair.documents", _joined),
)
