"""Reads any qna.yaml that a contributor has as an entry, as much of one as it holds, and tells everything it changed.

Every version, the old flat form of knowledge, misspelt keys, missing dashes and broken YAML (`pipeline.repair`) are
understood where they have one meaning. Values are read from YAML's nodes, so that `Yes`, `3` and dates stay the text
that stands in the file. What belongs nowhere comes back with its text in a change: nothing of a file is lost.
More than 400 lines, a good part of them tables of names and messages.
"""

import re
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

import yaml

from pipeline.attribution import squashed
from pipeline.check import SIZE_BYTES
from pipeline.codes import CODES
from pipeline.errors import Problem
from pipeline.repair import Fault, Repaired, diff, fault, repair
from pipeline.taxonomy import KNOWLEDGE, MIN_PAIRS, SKILLS, Document, Entry, Knowledge, Passage, SeedExample, Skill

SHOWN = 5  # lines around a place that cannot be read

_ROOT = ("version", "created_by", "task_description", "seed_examples", "domain", "document_outline", "document", "attribution")
_PAIR = ("question", "answer", "context")
_SEED = (*_PAIR, "questions_and_answers", "attribution")
_SOURCE = ("repo", "commit", "patterns")
_TOP = (*_ROOT, *_SEED)  # one example may stand at the top without the key above it, and so may the document
_OTHER_NAMES = {  # of keys, without plural, case and signs: those that differ by more than that
    "q": "question", "a": "answer", "qna": "questions_and_answers", "qa": "questions_and_answers", "example": "seed_examples",
    "qanda": "questions_and_answers", "repository": "repo", "pattern": "patterns", "path": "patterns", "file": "patterns",
    "description": "task_description", "author": "created_by", "outline": "document_outline",
}  # fmt: skip
_SPOKEN = re.compile(r"\s*(?:question|q)\s*[:.]\s*(\S.*?)\s+(?:answer|a)\s*[:.]\s*(\S.*)", re.I | re.S)
_STR = "tag:yaml.org,2002:str"
_NULL = "tag:yaml.org,2002:null"

MEANINGS = {
    "intake.name": "The file is called {found}; it is read as a qna.yaml.",
    "intake.version": "The file says version {found!r}; the entry is version 3.",
    "intake.key-renamed": "{found} is read as {name}.",
    "intake.key-unknown": "{name} belongs nowhere in an entry; it says: {text}",
    "intake.not-text": "{count} values that are no text for YAML are taken as they stand there, the first is: {text}",
    "intake.null": "{count} values are the word {text}, which means nothing to YAML; they are left empty.",
    "intake.old-knowledge": "{count} questions in the old form of knowledge are grouped into passages.",
    "intake.outline": "The task description of the knowledge became its outline.",
    "intake.pairs-split": "{count} examples began without a dash.",
    "intake.joined": "{count} parts of {name} stood apart and are put together.",
    "intake.listed": "{name} was one text and became a list.",
    "intake.twice": "{name} stands twice and the last counts; the other said: {text}",
    "intake.attribution": "The file holds its attribution, which belongs into attribution.txt: {text}",
    "intake.comment": "{count} comments are not part of the entry: {text}",
    "intake.repaired": "The file was no YAML and was mended in {count} places.",
    "intake.nothing": "Nothing in this file belongs to an entry.",
}


@dataclass(frozen=True, slots=True)
class Taken:
    """What was read. `grounded`: a skill with contexts. `diff`: what had to be mended. `problem`: why there is no entry."""

    entry: Entry | None
    grounded: bool = False
    changes: tuple[Problem, ...] = ()
    diff: str = ""
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class _Note:
    """One change. Notes of the same code, `found` and `name` are told as one."""

    code: str
    found: str = ""
    name: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class _Reading:
    """A text that is being read, and the notes taken on the way."""

    text: str
    notes: list[_Note] = field(default_factory=list)

    def note(self, code: str, *, found: str = "", name: str = "", text: str = "") -> None:
        self.notes.append(_Note(code, found, name, text))


@dataclass(frozen=True, slots=True)
class _Row:
    """A seed as it was read. `flat`: question and answer stood beside the context, not in questions_and_answers."""

    context: str
    pairs: tuple[SeedExample, ...]
    flat: bool


_Fields = list[tuple[str, yaml.Node]]


def take(text: str, name: str = "qna.yaml") -> Taken:
    """Read the text of a file called `name`, whose path tells the leaf. Never raises: `problem` says why nothing was read."""
    text = text.removeprefix("\ufeff")
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > SIZE_BYTES:
        return Taken(None, problem=_refused(Fault("file.large", ""), text, name, size=str(size), limit=str(SIZE_BYTES)))
    found = fault(text)
    mended = repair(text) if found else None
    if found and not mended and found.code != "yaml.lost":
        return Taken(None, problem=_refused(found, text, name))
    reading = _Reading(mended.text if mended else text)
    _note_file(reading, name, mended)
    entry = _entry(reading, leaf_of(name))
    if entry is None:
        return Taken(None, problem=_refused(Fault("intake.nothing", ""), text, name))
    grounded = isinstance(entry, Skill) and any(example.context for example in entry.examples)
    return Taken(entry, grounded, _told(reading.notes), diff(text, mended.text) if mended else "")


def leaf_of(name: str) -> str:
    """The leaf in the path of a file: from the last root in it to the folder. "" where it names none."""
    folders = name.replace("\\", "/").split("/")[:-1]
    roots = [number for number, folder in enumerate(folders) if folder in (SKILLS, KNOWLEDGE)]
    return "/".join(folders[roots[-1] :]) if roots else ""


# --- what is told


def _note_file(reading: _Reading, name: str, mended: Repaired | None) -> None:
    if (last := name.replace("\\", "/").rpartition("/")[2]) != "qna.yaml":
        reading.note("intake.name", found=last)
    for fix in mended.fixes if mended else ():
        reading.note("intake.repaired", text=f"{fix.code}:{fix.line}")
    for comment in _comments(reading.text):
        reading.note("intake.comment", text=comment)


def _comments(text: str) -> Iterator[str]:
    """The comments of a YAML text: what begins with # between its tokens."""
    if "#" not in text:
        return
    end = 0
    try:
        for token in yaml.scan(text, Loader=yaml.SafeLoader):
            for found in re.finditer(r"(?:^|(?<=\s))#+(.*)", text[end : token.start_mark.index]):
                yield found[1].strip()
            if isinstance(token, yaml.ScalarToken) and token.style in ("|", ">"):
                header = re.match(r"[|>][-+0-9]*[ \t]+#+(.*)", text[token.start_mark.index :])
                yield from [header[1].strip()] if header else []
            end = token.end_mark.index
    except (yaml.YAMLError, RecursionError):  # the parser has taken this text, so its scanner does
        return


def _told(notes: Iterable[_Note]) -> tuple[Problem, ...]:
    """One change for each kind, in the order in which they came up."""
    groups: dict[tuple[str, str, str], list[_Note]] = {}
    for note in notes:
        groups.setdefault((note.code, note.found, note.name), []).append(note)
    changes = []
    for (code, found, name), group in groups.items():
        text = "\n".join(dict.fromkeys(note.text for note in group if note.text))
        facts = {"found": found, "name": name, "count": str(len(group)), "text": text}
        if code == "intake.repaired":
            facts["fixes"] = facts.pop("text").replace("\n", " ")
        changes.append(Problem(code, MEANINGS[code].format_map({**facts, "text": _short(text)}), facts=facts))
    return tuple(changes)


def _short(text: str) -> str:
    return textwrap.shorten(text, 80)


def _refused(found: Fault, text: str, name: str, **facts: str) -> Problem:
    """Why a text cannot be read, with the lines around the place: each with its number, from 1."""
    lines = re.split("\r\n|\r|\n", text)
    first = max(0, min(found.line - 1 - SHOWN // 2, len(lines) - SHOWN))
    shown = "\n".join(
        f"{number:>4}  {lines[number - 1][:200]}" for number in range(first + 1, first + 1 + SHOWN) if number <= len(lines)
    )
    facts |= {"line": str(found.line), "column": str(found.column), "lines": shown, "reason": found.reason}
    words = CODES.get(found.code)
    message = words.meaning.format(**facts) if words else MEANINGS[found.code]
    return Problem(found.code, message, f"{name}:{found.line}", words.fix.format(**facts) if words else "", facts)


# --- nodes


def _source(reading: _Reading, node: yaml.Node) -> str:
    """The piece of the file that a node is."""
    begin, end = node.start_mark, node.end_mark
    return textwrap.dedent(" " * begin.column + reading.text[begin.index : end.index]).strip()


def _text(reading: _Reading, node: yaml.Node) -> str:
    """The text of a node: of scalars the value, of all else the piece of the file; nothing where it is only white space."""
    if not isinstance(node, yaml.ScalarNode):
        text = _source(reading, node)
        reading.note("intake.not-text", text=text)
        return text
    text = str(node.value)
    if node.tag == _NULL and node.style is None:
        if text.strip():
            reading.note("intake.null", text=text)
        return ""
    if node.tag != _STR and text.strip():
        reading.note("intake.not-text", text=text)
    return text if text.strip() else ""


def _said(reading: _Reading, node: yaml.Node) -> str:
    """What a node says, for telling."""
    return str(node.value) if isinstance(node, yaml.ScalarNode) else _source(reading, node)


def _named(reading: _Reading, node: yaml.Node, names: tuple[str, ...]) -> str:
    """The name that a key is meant to be, or "" where it is none of `names`."""
    if not isinstance(node, yaml.ScalarNode):
        return ""
    key = str(node.value)
    if key in names:
        return key
    bare = squashed(key)
    name = next((name for name in names if squashed(name) == bare), _OTHER_NAMES.get(bare, ""))
    if name not in names:
        return ""
    reading.note("intake.key-renamed", found=key, name=name)
    return name


def _fields(reading: _Reading, node: yaml.MappingNode, names: tuple[str, ...]) -> _Fields:
    """The keys of a mapping that are known there, with their values; the others are told."""
    found = []
    for key, value in node.value:
        if name := _named(reading, key, names):
            if name == "attribution":
                reading.note("intake.attribution", text=_said(reading, value))
            else:
                found.append((name, value))
        else:
            reading.note("intake.key-unknown", name=_said(reading, key), text=_said(reading, value))
    return found


def _once(reading: _Reading, fields: _Fields) -> dict[str, yaml.Node]:
    """Each key with its last value; what the others said is told."""
    last = dict(fields)
    for name, node in fields:
        if node is not last[name]:
            reading.note("intake.twice", name=name, text=_said(reading, node))
    return last


# --- entries


def _entry(reading: _Reading, leaf: str) -> Entry | None:
    root = yaml.compose(reading.text, Loader=yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode):
        return None
    bare = any(key.value == "repo" for key, _ in root.value)
    fields = _fields(reading, root, (*_TOP, *_SOURCE) if bare else _TOP)
    if not fields:
        return None
    lists = [node for name, node in fields if name == "seed_examples"]
    for _ in lists[1:]:
        reading.note("intake.joined", name="seed_examples")
    rows = _joined(reading, [row for node in lists for row in _rows(reading, node)])
    rows += _row(reading, [one for one in fields if one[0] in _SEED])
    sources = _once(reading, [one for one in fields if one[0] in _SOURCE])
    values = _once(reading, [one for one in fields if one[0] in _ROOT and one[0] != "seed_examples"])
    _note_version(reading, values.pop("version", None))
    old = sources or {"domain", "document", "document_outline"} & set(values)
    if old or any(not row.flat for row in rows) or leaf.startswith(f"{KNOWLEDGE}/") or leaf == KNOWLEDGE:
        return _knowledge(reading, leaf, values, rows, sources)
    examples = tuple(replace(pair, context=pair.context or row.context) for row in rows for pair in row.pairs)
    texts = {name: _text(reading, node) for name, node in values.items()}
    return Skill(leaf, texts.get("created_by", ""), texts.get("task_description", ""), examples, ())


def _note_version(reading: _Reading, node: yaml.Node | None) -> None:
    found = _said(reading, node).strip() if node else ""
    if found != "3":
        reading.note("intake.version", found=found)


def _knowledge(
    reading: _Reading, leaf: str, values: dict[str, yaml.Node], rows: list[_Row], sources: dict[str, yaml.Node]
) -> Knowledge:
    document = _document(reading, values.pop("document", None), sources)
    texts = {name: _text(reading, node) for name, node in values.items()}
    outline, task = texts.get("document_outline", ""), texts.get("task_description", "")
    if task and not outline:
        outline = task
        reading.note("intake.outline")
    elif task:
        reading.note("intake.key-unknown", name="task_description", text=task)
    passages = tuple(_passages(reading, rows))
    return Knowledge(leaf, texts.get("created_by", ""), texts.get("domain", ""), outline, passages, document, ())


def _document(reading: _Reading, node: yaml.Node | None, fields: dict[str, yaml.Node]) -> Document:
    """Where the text lies. A list of mappings is read as one; a mere address is the repository's."""
    for part in node.value if isinstance(node, yaml.SequenceNode) else [node] if node else []:
        if isinstance(part, yaml.MappingNode):
            fields |= _once(reading, [*fields.items(), *_fields(reading, part, _SOURCE)])
        elif isinstance(part, yaml.ScalarNode) and re.match(r"\w+://|git@", part.value) and "repo" not in fields:
            fields = {**fields, "repo": part}
        elif _said(reading, part).strip() and part.tag != _NULL:
            reading.note("intake.key-unknown", name="document", text=_said(reading, part))
    texts = {name: _text(reading, value) for name, value in fields.items() if name != "patterns"}
    return Document(texts.get("repo", ""), texts.get("commit", ""), _patterns(reading, fields.get("patterns")))


def _patterns(reading: _Reading, node: yaml.Node | None) -> tuple[str, ...]:
    if node is None:
        return ()
    if isinstance(node, yaml.SequenceNode):
        return tuple(text for one in node.value if (text := _text(reading, one)))
    text = _text(reading, node)
    if text:
        reading.note("intake.listed", name="patterns")
    return tuple(line for line in text.splitlines() if line.strip()) if "\n" in text else (text,) if text else ()


def _passages(reading: _Reading, rows: list[_Row]) -> Iterator[Passage]:
    """Rows as passages: flat ones next to each other are grouped, by their context or else by three."""
    context, pairs = "", list[SeedExample]()
    for row in rows:
        if (pairs or context) and (not row.flat or row.context != context or (not context and len(pairs) >= MIN_PAIRS)):
            yield Passage(context, tuple(pairs))
            context, pairs = "", []
        if row.flat:
            context = row.context
            pairs += (pair for pair in row.pairs if pair.question or pair.answer)
            reading.note("intake.old-knowledge")
        else:
            yield Passage(row.context, row.pairs)
    if pairs or context:
        yield Passage(context, tuple(pairs))


# --- examples


def _rows(reading: _Reading, node: yaml.Node) -> list[_Row]:
    """The seeds below seed_examples, whether they are a list, one mapping without a dash, or mappings with names."""
    return [row for one in _items(node) for row in _seed(reading, one)]


def _items(node: yaml.Node) -> Iterator[yaml.Node]:
    """The members of a list, also of lists in it; a mapping of mappings is a list with names."""
    inner = [node]
    for _ in range(2):
        inner = [one for part in inner for one in (part.value if isinstance(part, yaml.SequenceNode) else [part])]
    for one in inner:
        if (
            isinstance(one, yaml.MappingNode)
            and one.value
            and all(isinstance(value, yaml.MappingNode) for _, value in one.value)
        ):
            yield from (value for _, value in one.value)
        else:
            yield one


def _seed(reading: _Reading, node: yaml.Node) -> list[_Row]:
    if pair := _spoken(node):
        return [_Row("", (pair,), flat=True)]
    if isinstance(node, yaml.MappingNode):
        return _row(reading, _fields(reading, node, _SEED))
    if node.tag != _NULL and _said(reading, node).strip():
        reading.note("intake.key-unknown", name="seed_examples", text=_said(reading, node))
    return []


def _spoken(node: yaml.Node) -> SeedExample | None:
    """A seed without keys: `Question: ... Answer: ...` in one text, or a question as the key of its answer."""
    if isinstance(node, yaml.ScalarNode):
        found = _SPOKEN.fullmatch(node.value)
        return SeedExample(found[1], found[2]) if found else None
    if isinstance(node, yaml.MappingNode) and len(node.value) == 1:
        key, value = node.value[0]
        scalars = isinstance(key, yaml.ScalarNode) and isinstance(value, yaml.ScalarNode)
        if scalars and value.value.strip() and key.value.rstrip().endswith("?"):
            return SeedExample(key.value, value.value)
    return None


def _row(reading: _Reading, fields: _Fields) -> list[_Row]:
    """One mapping as seeds: a key of an example that comes again begins the next one, where a dash is missing."""
    groups: list[_Fields] = [[]] if fields else []
    for one in fields:
        if any(name == one[0] for name, _ in groups[-1]):
            groups.append([])
            reading.note("intake.pairs-split")
        groups[-1].append(one)
    shared = [node for name, node in fields if name == "context"]
    rows = []
    for group in groups:
        values = dict(group)
        context = values.get("context") or (shared[0] if len(shared) == 1 else None)
        flat = "questions_and_answers" not in values
        pairs = () if flat else tuple(_pairs(reading, values["questions_and_answers"]))
        if "question" in values or "answer" in values:
            pairs = (*pairs, _pair(reading, {name: node for name, node in values.items() if name != "context"}))
        rows.append(_Row(_text(reading, context) if context else "", pairs or (SeedExample("", ""),) * flat, flat))
    return rows


def _pairs(reading: _Reading, node: yaml.Node) -> Iterator[SeedExample]:
    for one in _items(node):
        if pair := _spoken(one):
            yield pair
        elif isinstance(one, yaml.MappingNode):
            group: dict[str, yaml.Node] = {}
            for name, value in _fields(reading, one, (*_PAIR, "attribution")):
                if name in group:
                    reading.note("intake.pairs-split")
                    yield _pair(reading, group)
                    group = {}
                group[name] = value
            if group:
                yield _pair(reading, group)
        elif one.tag != _NULL and _said(reading, one).strip():
            reading.note("intake.key-unknown", name="questions_and_answers", text=_said(reading, one))


def _pair(reading: _Reading, values: dict[str, yaml.Node]) -> SeedExample:
    return SeedExample(*(_text(reading, values[name]) if name in values else "" for name in _PAIR))


def _joined(reading: _Reading, rows: list[_Row]) -> list[_Row]:
    """Rows in which the parts of an example, having a dash each, are one again."""
    joined: list[_Row] = []
    for row in rows:
        if joined and (whole := _whole(joined[-1], row)):
            reading.note("intake.joined", name="example")
            joined[-1] = whole
        else:
            joined.append(row)
    return joined


def _whole(first: _Row, second: _Row) -> _Row | None:
    """Two rows as one, where the first lacks something and the second says nothing twice."""
    if not (first.flat and second.flat and len(first.pairs) == len(second.pairs) == 1):
        return None
    one, other = first.pairs[0], second.pairs[0]
    both = (one.question and other.question) or (one.answer and other.answer) or (first.context and second.context)
    if both or (one.question and one.answer):
        return None
    pair = SeedExample(one.question or other.question, one.answer or other.answer)
    return _Row(first.context or second.context, (pair,), flat=True)
