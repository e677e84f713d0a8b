"""Entries of a taxonomy and the rules of its tree of paths.

An entry is what one leaf folder holds: seed examples (`qna.yaml`) and the works they come from (`attribution.txt`).
The path rules are upstream's: `<root>/<domain>/.../<leaf>`, lower case, underscores for spaces, one leaf one kind,
`grounded/` for skills with a context, no contribution to `foundational_skills/` (taxonomy repository, README and
docs/contributing; domains by its top folders). Values in, values out, but for `read_tree`, which lists a checkout.
"""

import os
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import Invalid, Problem

SKILLS = "compositional_skills"
KNOWLEDGE = "knowledge"
GROUNDED = "grounded"
GROUNDED_SKILLS = f"{SKILLS}/{GROUNDED}"  # skills whose examples have a context: a leaf has one kind, so have folders
CLOSED = "foundational_skills"  # upstream takes no contributions there, and its checks do not look at it
UNSURE = "miscellaneous_unknown"  # upstream's own folder for "triagers will decide"
MIN_SEEDS = 5  # minItems of seed_examples, instructlab-schema v3
MIN_PAIRS = 3  # minItems of questions_and_answers there; data generation reads the first three and no more
MAX_PATH = 200  # characters; git takes more, people and Windows do not
MAX_PART = 60

# Top folders of upstream's skills (a Dewey-like division), with words by which a description betrays its domain.
DOMAINS = {
    "arts": "art music song film movie paint draw theatre dance photo story novel fiction",
    "engineering": "engine machine circuit bridge build design manufacture repair car electric",
    "geography": "country city map travel river mountain place capital region route",
    "history": "history war king ancient century historic revolution empire",
    "linguistics": "word language grammar spell translate synonym rhyme sentence rewrite summar tone write letter mail",
    "philosophy": "ethic moral logic argument philosoph reason",
    "religion": "religion church bible faith prayer",
    "science": "science physic chemi biolog animal plant cell planet weather experiment",
    "technology": "software computer network data file table format json log server app internet",
}

NEW_NAMES = {SKILLS: "new_skill", GROUNDED_SKILLS: "new_skill", KNOWLEDGE: "new_knowledge"}

# Characters no YAML file can carry, escaped or not: NUL and halves of a surrogate pair.
_UNWRITABLE = re.compile("[\x00\ud800-\udfff]")
_PART = re.compile(r"[a-z0-9][a-z0-9_-]*")
_DULL = frozenset(
    "a about all an and any are as at be been by can do does for from give given has have how i in into is it its make"
    " more new not of on one or our out short should so some someone that the their them then these they this to turn"
    " up use using want was what when which who will with write you your teach model question answer".split()
)


@dataclass(frozen=True, slots=True)
class SeedExample:
    question: str
    answer: str
    context: str = ""


@dataclass(frozen=True, slots=True)
class Work:
    """One block of attribution.txt. `link` is "-" for own work; `licence` is an SPDX id."""

    title: str
    link: str
    licence: str
    creators: str
    revision: str = ""


@dataclass(frozen=True, slots=True)
class Skill:
    """The leaf of a skill. `leaf` is its path below the taxonomy, `compositional_skills/arts/...`.

    It is grounded where its examples have a context, else freeform; no leaf is both.
    """

    leaf: str
    created_by: str
    description: str
    examples: tuple[SeedExample, ...]
    works: tuple[Work, ...]


@dataclass(frozen=True, slots=True)
class Passage:
    """A seed example of knowledge: a passage of the document, and questions that it answers."""

    context: str
    pairs: tuple[SeedExample, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """Where the text of knowledge lies: a git repository, the full hash of a commit, globs of its files."""

    repo: str
    commit: str
    patterns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Knowledge:
    """The leaf of a piece of knowledge, below `knowledge/`. `outline` says what the document is about."""

    leaf: str
    created_by: str
    domain: str
    outline: str
    passages: tuple[Passage, ...]
    document: Document
    works: tuple[Work, ...]

    @property
    def description(self) -> str:
        return self.outline


Entry = Skill | Knowledge


@dataclass(frozen=True, slots=True)
class Tree:
    """The folders of a taxonomy below its roots, and those of them that are leaves (hold a qna.yaml)."""

    folders: tuple[str, ...] = ()
    leaves: tuple[str, ...] = ()


def root_of(entry: Entry) -> str:
    """The folder under which entries of that kind lie."""
    if isinstance(entry, Knowledge):
        return KNOWLEDGE
    return GROUNDED_SKILLS if any(example.context for example in entry.examples) else SKILLS


def normal_path(typed: str, root: str = SKILLS) -> str:
    """Write a typed path as upstream does: "Linguistics/Order tickets" -> "compositional_skills/linguistics/order_tickets".

    Changes only what has one meaning; raises Invalid with a problem for everything that has none.
    """
    path = typed.strip().removeprefix("./").rstrip("/").removesuffix("/qna.yaml").rstrip("/")
    if problem := _outside(path):
        raise Invalid(problem)
    parts = [_slug(part) for part in path.split("/")]
    if root == GROUNDED_SKILLS:  # "arts/x", "grounded/arts/x" and "compositional_skills/arts/x" can only be one place
        parts = [*root.split("/"), *_without(parts, SKILLS, GROUNDED)]
    elif parts[0] not in (SKILLS, KNOWLEDGE, CLOSED):
        parts.insert(0, root)
    path = "/".join(parts)
    if problems := path_problems(path, root):
        raise Invalid(*problems)
    return path


def path_problems(path: str, root: str = SKILLS) -> list[Problem]:
    """Say what is wrong with the path of a leaf of the kind that lives under `root` (SKILLS, GROUNDED_SKILLS, KNOWLEDGE)."""
    if problem := _outside(path):
        return [problem]
    parts = path.split("/")
    problems = [
        _problem("path.part", path, f"{part!r} is no folder name here", "Use a to z, 0 to 9 and underscores.", part=part)
        for part in parts
        if not _PART.fullmatch(part) or len(part) > MAX_PART
    ]
    if parts[0] == CLOSED:
        problems.append(_problem("path.closed", path, f"{CLOSED} takes no contributions", f"Choose a place in {root}."))
    elif parts[0] != root.partition("/")[0] or (root == GROUNDED_SKILLS and parts[1:2] != [GROUNDED]):
        problems.append(_problem("path.root", path, f"this kind of entry lies in {root}/", f"Begin with {root}/.", root=root))
    if root == SKILLS and parts[1:2] == [GROUNDED]:
        problems.append(_problem("path.grounded", path, "grounded/ is for skills with a context", "Leave grounded/ out."))
    if len(parts) < 3 + root.count("/"):
        problems.append(
            _problem("path.short", path, "a path names a domain and a folder of its own", "For example linguistics/synonyms.")
        )
    if len(path) > MAX_PATH:
        problems.append(_problem("path.long", path, f"{len(path)} characters", f"Keep it under {MAX_PATH}."))
    return problems


def read_tree(checkout: Path) -> Tree:
    """List the folders of `checkout` below both open roots. Follows no symlink; an absent root is an empty one."""
    folders: list[str] = []
    leaves: list[str] = []
    todo = [SKILLS, KNOWLEDGE]
    while todo:
        path = todo.pop()
        if (checkout / path).is_symlink():  # a root
            continue
        try:
            with os.scandir(checkout / path) as found:
                entries = list(found)
        except (FileNotFoundError, NotADirectoryError):
            continue
        folders.append(path)
        if any(entry.name == "qna.yaml" for entry in entries):
            leaves.append(path)
        todo += [f"{path}/{entry.name}" for entry in entries if entry.is_dir(follow_symlinks=False)]
    return Tree(tuple(sorted(folders)), tuple(sorted(leaves)))


def suggest(text: str, tree: Tree, root: str = SKILLS, most: int = 3) -> tuple[str, ...]:
    """Suggest places for a new leaf about `text`, the likeliest first: known folders, then domains, then "unsure"."""
    words = _words(text)
    name = "_".join(dict.fromkeys(words[:3]))[:MAX_PART].rstrip("_") or NEW_NAMES[root]
    stems = {_stem(word) for word in words}
    ranked = sorted(((-_kinship(folder, stems), folder) for folder in _homes(tree, root)), key=lambda pair: pair)
    homes = [folder for kinship, folder in ranked if kinship < 0]
    domains = sorted(
        (domain for domain, hints in DOMAINS.items() if _hits(hints, stems)), key=lambda domain: -_hits(DOMAINS[domain], stems)
    )
    homes += [f"{root}/{domain}" for domain in domains] + [f"{root}/{UNSURE}"]
    places = (f"{home}/{name}" for home in dict.fromkeys(homes))
    return tuple(place for place in places if not path_problems(place, root))[:most]


def unwritable(text: str, where: str) -> Problem | None:
    """Name the first character of `text` that no YAML file can hold, if there is one."""
    if not (found := _UNWRITABLE.search(text)):
        return None
    name, at = f"U+{ord(found[0]):04X}", str(found.start() + 1)
    message = f"character {at} is {name}, which a YAML file cannot hold"
    return Problem("text.unwritable", message, where, "Take it out.", {"character": name, "at": at})


def _homes(tree: Tree, root: str) -> list[str]:
    """Folders in which a new leaf of that root may lie: neither the root, nor a leaf, nor in `grounded`."""
    leaves = set(tree.leaves)
    return [
        folder
        for folder in tree.folders
        if folder.startswith(f"{root}/") and folder not in leaves and not (root == SKILLS and _under(GROUNDED_SKILLS, folder))
    ]


def _under(root: str, folder: str) -> bool:
    return folder == root or folder.startswith(f"{root}/")


def _without(parts: list[str], *leading: str) -> list[str]:
    """The parts without those that lead, in that order, where they do."""
    for name in leading:
        parts = parts[1:] if parts[:1] == [name] else parts
    return parts


def _kinship(folder: str, stems: set[str]) -> int:
    return sum(_stem(word) in stems for word in re.split(r"[/_-]", folder)[1:])


def _hits(hints: str, stems: set[str]) -> int:
    return sum(_stem(hint) in stems for hint in hints.split())


def _words(text: str) -> list[str]:
    found = re.findall(r"[a-z0-9]+", _plain(text).lower())
    return [word for word in found if word not in _DULL and len(word) > 2]


def _stem(word: str) -> str:
    return word[:6]  # enough to join "summary" with "summarise"; a stemmer would be one more dependency


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()


def _slug(part: str) -> str:
    return re.sub(r"[\s_]+", "_", _plain(part.strip()).lower())


def _outside(path: str) -> Problem | None:
    parts = path.split("/")
    if path.startswith(("/", "~")) or "\\" in path or ":" in path or "\0" in path or ".." in parts or "." in parts:
        fix = "Name it from the taxonomy down, for example linguistics/synonyms."
        return _problem("path.outside", path, "that path could leave the taxonomy", fix)
    if "" in parts:
        return _problem("path.empty", path, "a folder name is missing", "For example linguistics/synonyms.")
    return None


def _problem(code: str, path: str, message: str, fix: str, **facts: str) -> Problem:
    return Problem(code, message, where=path, fix=fix, facts={"path": path, **facts})
