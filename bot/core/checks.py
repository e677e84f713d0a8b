"""What an answer must be: small functions of its value, all answers and its key, which give a problem or None.

They refuse what a file or a taxonomy cannot hold. What triage might ask about is advice, and comes from the pipeline.
"""

import re

from bot.core.form import Answers, Check, Page, parts
from bot.core.talk import short
from pipeline import licences
from pipeline.errors import Invalid, Problem
from pipeline.taxonomy import normal_path, unwritable

_LOGIN = re.compile(r"[A-Za-z0-9](?:-?[A-Za-z0-9]){0,38}")  # GitHub's rule for user names
_LINK = re.compile(r"https?://[^\s/]+\.[^\s]+")
_BIDI = re.compile("[\u202a-\u202e\u2066-\u2069]")  # they make text read as what it is not (CVE-2021-42574)
_HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")  # git's full names of commits, SHA-1 and SHA-256


def writable(value: str, answers: Answers, key: str) -> Problem | None:
    """Refuse characters that no YAML file holds, and those that turn the direction of what stands around them."""
    if found := _BIDI.search(value):
        name = f"U+{ord(found[0]):04X}"
        return Problem("text.bidi", name, key, facts={"character": name, "at": str(found.start() + 1)})
    return unwritable(value, key)


def new(value: str, answers: Answers, key: str) -> Problem | None:
    """Refuse a question that was asked before, unless the contributor keeps it on purpose."""
    page, part, _ = key.split(".")
    if answers.get(f"{page}.{part}.same"):
        return None
    for earlier in parts_before(page, int(part), answers):
        for asked in _questions(page, earlier, answers):
            if asked == key:
                return None
            if bare(answers[asked]) == bare(value):
                number = str(parts_before(page, None, answers).index(earlier) + 1)
                return Problem("example.same", f"the same as example {number}", key, facts={"number": number})
    return None


def differs(value: str, answers: Answers, key: str) -> Problem | None:
    """Refuse an example, or a pair of one passage, that is another one to the letter: the schemas take no two equal ones."""
    page, part, name = key.split(".")
    mine = _texts(page, int(part), answers)
    pair = (mine.get(name.replace("answer", "question")), value)
    rest = {one: text for one, text in mine.items() if one.startswith("answer") and one != name}
    twice = any((mine.get(one.replace("answer", "question")), text) == pair for one, text in rest.items())
    earlier = [one for one in parts_before(page, int(part), answers)[:-1] if _texts(page, one, answers) == mine]
    if not (earlier or twice):
        return None
    number = str(parts_before(page, None, answers).index(earlier[0] if earlier else int(part)) + 1)
    return Problem("example.twice", f"example {number} once more", key, facts={"number": number})


def parts_before(page: str, part: int | None, answers: Answers) -> list[int]:
    """The numbers of a page's parts up to and with `part`; all of them if it is None or not there."""
    order = parts(Page(page, ()), answers)
    return order[: order.index(part) + 1] if part in order else [*order, *([part] if part else [])]


def _questions(page: str, part: int, answers: Answers) -> list[str]:
    """The keys of a part's questions, in their order."""
    stem = f"{page}.{part}.question"
    return sorted((key for key in answers if key.startswith(stem)), key=lambda key: int(key.removeprefix(stem) or 0))


def _texts(page: str, part: int, answers: Answers) -> dict[str, str]:
    stem = f"{page}.{part}."
    return {key.removeprefix(stem): value for key, value in answers.items() if key.startswith(stem) and key != f"{stem}same"}


def bare(question: str) -> str:
    return " ".join(re.findall(r"\w+", question.casefold()))


def leaf(root: str) -> Check:
    """Refuse a place by upstream's rules; one that is in order is kept as upstream writes it, so compare with that."""

    def check(value: str, answers: Answers, key: str) -> Problem | None:
        try:
            normal_path(value, root)
        except Invalid as refused:
            return refused.problems[0]
        return None

    return check


def login(value: str, answers: Answers, key: str) -> Problem | None:
    if "@" in value:
        return Problem("login.mail", "a mail address would be public", key)
    return None if _LOGIN.fullmatch(value) else Problem("login.shape", "no GitHub user name", key, facts={"value": value})


def link(value: str, answers: Answers, key: str) -> Problem | None:
    return None if _LINK.fullmatch(value) else Problem("link.shape", "no web address", key)


def link_or_own(value: str, answers: Answers, key: str) -> Problem | None:
    """Upstream writes "-" for a work of the contributor's own."""
    return None if value == "-" else link(value, answers, key)


def licence(value: str, answers: Answers, key: str) -> Problem | None:
    return licences.problem(value, key)


def one_of(*options: str) -> Check:
    def check(value: str, answers: Answers, key: str) -> Problem | None:
        known = ", ".join(options)
        return None if value in options else Problem("option.unknown", f"not one of {known}", key, facts={"options": known})

    return check


# --- the document of knowledge


def repository(value: str, answers: Answers, key: str) -> Problem | None:
    """Refuse what is no https address, and say why one could not be read."""
    if not re.fullmatch(r"https://[^\s/@]+/\S+", value):
        return Problem("repo.shape", "no https address of a git repository", key)
    trouble = answers.get("document.trouble", "")
    if trouble and answers.get("document.asked") == document_of(answers):
        return Problem("document.trouble", trouble, key, facts={"cause": trouble})
    return None


def patterns(value: str, answers: Answers, key: str) -> Problem | None:
    """Refuse globs that lead out of the repository, and those that find nothing data generation reads (.md, .pdf)."""
    for one in value.split("\n"):
        outside = one.startswith(("/", "~")) or ".." in one.split("/") or "\\" in one
        if outside or not one.endswith((".md", ".pdf", "*")):
            return Problem("pattern.shape", "no pattern of .md or .pdf files", key, facts={"pattern": one})
    return None


def commit(value: str, answers: Answers, key: str) -> Problem | None:
    return None if _HASH.fullmatch(value) else Problem("commit.shape", "no full name of a commit", key)


def document_of(answers: Answers) -> str:
    """A name for what is to be read: the same repository, reference and patterns have the same one."""
    return short("\0".join(answers.get(f"document.{name}", "") for name in ("repo", "ref", "patterns")))
