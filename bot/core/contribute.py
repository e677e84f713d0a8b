"""The forms of contributions, what their answers must be, and the way from a draft to a taxonomy entry."""

import re
from collections.abc import Callable, Iterator

from bot.core.form import Answers, Form, Item, Page, Question, parts
from bot.core.words import Words
from pipeline.errors import Invalid, Problem
from pipeline.taxonomy import MIN_SEEDS, SKILLS, SeedExample, Skill, Work, normal_path, unwritable

# Upstream's list (taxonomy repository, CONTRIBUTING); the SPDX id each is written as.
LICENCES = ("Apache-2.0", "MIT", "CC-BY-4.0", "CC-BY-SA-4.0", "CC0-1.0", "CDLA-Permissive-2.0")
OWN_LICENCE = "Apache-2.0"  # the taxonomy's own
_LOGIN = re.compile(r"[A-Za-z0-9](?:-?[A-Za-z0-9]){0,38}")  # GitHub's rule for user names
_LINK = re.compile(r"https?://[^\s/]+\.[^\s]+")
_BIDI = re.compile("[\u202a-\u202e\u2066-\u2069]")  # they make text read as what it is not (CVE-2021-42574)


def writable(value: str, answers: Answers, key: str) -> Problem | None:
    """Refuse characters that no YAML file holds, and those that turn the direction of what stands around them."""
    if found := _BIDI.search(value):
        name = f"U+{ord(found[0]):04X}"
        return Problem("text.bidi", name, key, facts={"character": name, "at": str(found.start() + 1)})
    return unwritable(value, key)


def new(value: str, answers: Answers, key: str) -> Problem | None:
    """Refuse a question that an earlier example asks already, unless the contributor keeps it on purpose."""
    part = int(key.split(".")[1])
    if answers.get(f"example.{part}.same"):
        return None
    for earlier in parts(EXAMPLES, answers):
        if earlier == part:
            return None
        if _bare(answers.get(f"example.{earlier}.question", "")) == _bare(value):
            number = str(parts(EXAMPLES, answers).index(earlier) + 1)
            return Problem("example.same", f"the same as example {number}", key, facts={"number": number})
    return None


def leaf(value: str, answers: Answers, key: str) -> Problem | None:
    """Refuse a place by upstream's rules; one that is in order is kept as upstream writes it, so compare with that."""
    try:
        normal_path(value, SKILLS)
    except Invalid as refused:
        return refused.problems[0]
    return None


def login(value: str, answers: Answers, key: str) -> Problem | None:
    if "@" in value:
        return Problem("login.mail", "a mail address would be public", key)
    return None if _LOGIN.fullmatch(value) else Problem("login.shape", "no GitHub user name", key, facts={"value": value})


def link(value: str, answers: Answers, key: str) -> Problem | None:
    return None if _LINK.fullmatch(value) else Problem("link.shape", "no web address", key)


def one_of(*options: str) -> Callable[[str, Answers, str], Problem | None]:
    def check(value: str, answers: Answers, key: str) -> Problem | None:
        known = ", ".join(options)
        return None if value in options else Problem("option.unknown", f"not one of {known}", key, facts={"options": known})

    return check


def _others_work(answers: Answers) -> bool:
    return answers.get("sources.origin") == "other"


def _bare(question: str) -> str:
    return " ".join(re.findall(r"\w+", question.casefold()))


EXAMPLES = Page(
    "example", (Question("question", (writable, new), lines=True), Question("answer", (writable,), lines=True)), least=MIN_SEEDS
)
SKILL = Form(
    "skill",
    (
        Page("about", (Question("description", (writable,), lines=True),)),
        EXAMPLES,
        Page(
            "sources",
            (
                Question("origin", (one_of("own", "other"),), options=("own", "other")),
                Question("title", (writable,), when=_others_work),
                Question("link", (link, writable), when=_others_work),
                Question("licence", (one_of(*LICENCES),), options=LICENCES, when=_others_work),
                Question("creators", (writable,), when=_others_work),
                Question("github", (login,)),
            ),
        ),
        Page("place", (Question("path", (leaf,)),)),
    ),
)
FORMS = {form.name: form for form in (SKILL,)}


def value_of(item: Item, typed: str, words: Words) -> str:
    """Read what was typed as the answer to an item; what cannot be understood stays as it was typed."""
    text = typed.strip()
    match item.question.name:
        case "path":
            try:
                return normal_path(text, SKILLS)
            except Invalid:
                return text
        case "github":
            return text.removeprefix("https://github.com/").removeprefix("@").rstrip("/")
        case _ if item.question.options:
            return _option(item, text, words)
        case _:
            return text


def _option(item: Item, text: str, words: Words) -> str:
    bare = re.sub(r"[\s._-]+", "-", text.casefold())
    for option in item.question.options:
        name = f"option.{option}.typed"
        spellings = words.spellings(name) if words.has(name) else ()
        if text.casefold() in spellings or bare == re.sub(r"[._-]+", "-", option.casefold()):
            return option
    return text


def entry(answers: Answers) -> Skill:
    """The taxonomy entry of a complete skill, or what there is of one that is not."""
    examples = tuple(
        SeedExample(answers.get(f"example.{part}.question", ""), answers.get(f"example.{part}.answer", ""))
        for part in parts(EXAMPLES, answers)
    )
    return Skill(
        leaf=answers.get("place.path", ""),
        created_by=answers.get("sources.github", ""),
        description=answers.get("about.description", ""),
        examples=examples,
        works=(_work(answers),),
    )


def _work(answers: Answers) -> Work:
    if _others_work(answers):
        title, url, licence, creators = (
            answers.get(f"sources.{name}", "") for name in ("title", "link", "licence", "creators")
        )
        return Work(title, url, licence, creators)
    return Work(answers.get("about.description", ""), "-", OWN_LICENCE, answers.get("sources.github", ""))


def pairs(text: str, words: Words) -> list[dict[str, str]]:
    """Read seed examples pasted as "question: ... answer: ...", one or many, in a line or over several.

    Returns dicts of "question" and "answer"; an empty list where the text does not begin with such a label. Inside a
    text a label counts only where the other one is due, so that an answer may speak of a question.
    """
    marks = list(_marks(text, words))
    if not marks or text[: marks[0][1]].strip():
        return []
    found: list[dict[str, str]] = []
    for (name, _, begin), following in zip(marks, [*marks[1:], None], strict=True):
        value = _unnumbered(text[begin : following[1] if following else len(text)])
        if name == "question" or not found or "answer" in found[-1]:
            found.append({})
        found[-1][name] = value
    return [pair for pair in found if any(pair.values())]


def _marks(text: str, words: Words) -> Iterator[tuple[str, int, int]]:
    """Labels with where they begin and end: any at the start of a line, within a line the full word that is due."""
    names = {spelling: name for name in ("question", "answer") for spelling in words.spellings(f"label.{name}")}
    known = "|".join(sorted(map(re.escape, names), key=len, reverse=True))
    lead = r"[ \t]*(?:[-*#]+[ \t]*|\(?\d+[.):][ \t]*)*\**"
    label = re.compile(rf"(?:(?P<start>^{lead})|(?<=\s))(?P<name>{known})\**[ \t]*(?:\d+[ \t]*)?:\**", re.I | re.M)
    due = ""
    for mark in label.finditer(text):
        name = names[mark["name"].lower()]
        at_start = mark["start"] is not None
        if at_start or (name == due and len(mark["name"]) > 1 and (name == "answer" or _answered(text, mark.end(), words))):
            yield name, mark.start(), mark.end()
            due = "answer" if name == "question" else "question"


def _answered(text: str, begin: int, words: Words) -> bool:
    known = "|".join(re.escape(word) for word in words.spellings("label.answer") if len(word) > 1)
    return re.search(rf"\s(?:{known})\s*:", text[begin:], re.I) is not None


def _unnumbered(text: str) -> str:
    """What stands between two labels, without the number or bullet that belongs to the next one."""
    return re.sub(r"\n[ \t]*(?:[-*#]+|\(?\d+[.):])[ \t]*$", "", text.rstrip()).strip()
