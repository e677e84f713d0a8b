"""The forms of contributions: what each kind asks for, and the way from a draft to a taxonomy entry and back.

In every form the page `example` holds the seed examples, under the schema's names: a skill's question and answer, before
them the context of a grounded one, and for knowledge a context with three pairs, since that many are read of it.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace

from bot.core.checks import (
    bare,
    commit,
    differs,
    leaf,
    licence,
    link,
    link_or_own,
    login,
    new,
    one_of,
    patterns,
    repository,
    writable,
)
from bot.core.form import Answers, Form, Page, Question, always, parts
from pipeline import licences
from pipeline.errors import Invalid
from pipeline.taxonomy import (
    GROUNDED_SKILLS,
    KNOWLEDGE,
    MIN_PAIRS,
    MIN_SEEDS,
    SKILLS,
    Document,
    Entry,
    Passage,
    SeedExample,
    Skill,
    Work,
    normal_path,
)
from pipeline.taxonomy import Knowledge as KnowledgeEntry

OWN_LICENCE = "Apache-2.0"  # the taxonomy's own
MOST_PAIRS = 12  # of one passage; a file may bring more than the three that are read
# Addresses of a file or a folder in the web view of a git host: repository, reference, path.
_IN_REPO = re.compile(
    r"(?P<repo>https://[^\s/]+(?:/[^\s/]+){2,}?)/(?:-/)?(?:src/(?:branch|commit|tag)|blob|tree|raw)/(?P<ref>[^\s/]+)(?:/(?P<path>\S*))?"
)
NOWHERE = ("", "na", "n a", "none", "self authored", "own work", "not applicable")  # what people write for a link
EXAMPLE = "example"
WORK = "work"


# --- how what was typed is taken


def _place(root: str) -> Callable[[str], str]:
    def taken(typed: str) -> str:
        try:
            return normal_path(typed, root)
        except Invalid:
            return typed

    return taken


def _login(typed: str) -> str:
    return typed.removeprefix("https://github.com/").removeprefix("@").rstrip("/")


def _repository(typed: str) -> str:
    found = _IN_REPO.fullmatch(typed)
    return (found["repo"] if found else typed).rstrip("/")


def _in_repository(typed: str) -> dict[str, str]:
    """The reference and the pattern that the address of a file or a folder names, besides its repository."""
    if not (found := _IN_REPO.fullmatch(typed)):
        return {}
    path = (found["path"] or "").rstrip("/")
    pattern = path if path.endswith((".md", ".pdf")) else f"{path}/*.md".lstrip("/")
    return {"document.ref": found["ref"], "document.patterns": pattern}


def _patterns(typed: str) -> str:
    return "\n".join(one for one in re.split(r"[\s,]+", typed.replace('"', " ").replace("'", " ")) if one)


# --- the forms


def _others_work(answers: Answers) -> bool:
    return answers.get("sources.origin") == "other"


def _there(number: int) -> Callable[[Answers, int], bool]:
    """A pair beyond those that are read is asked for only where a file brought it."""

    def when(answers: Answers, part: int) -> bool:
        return any(answers.get(f"{EXAMPLE}.{part}.{one}{number}") for one in ("question", "answer"))

    return when


def _pair(number: int) -> Iterator[Question]:
    when = always if number <= MIN_PAIRS else _there(number)
    yield Question(f"question{number}", (writable, new), lines=True, when=when)
    yield Question(f"answer{number}", (writable, differs), lines=True, when=when)


def _sources(*more: Question) -> tuple[Page, Page]:
    return (
        Page(
            "sources",
            (
                Question("origin", (one_of("own", "other"),), options=("own", "other")),
                Question("github", (login,), taken=_login),
            ),
        ),
        Page(
            WORK,
            (
                Question("title", (writable,)),
                Question("link", (link_or_own, writable)),
                *more,
                Question("licence", (writable, licence), options=licences.ALLOWED, taken=licences.normal),
                Question("creators", (writable,)),
            ),
            least=1,
            when=_others_work,
        ),
    )


def _skill(name: str, root: str, *questions: Question) -> Form:
    pair = (Question("question", (writable, new), lines=True), Question("answer", (writable, differs), lines=True))
    return Form(
        name,
        root,
        "about.description",
        (
            Page("about", (Question("description", (writable,), lines=True),)),
            Page(EXAMPLE, (*questions, *pair), least=MIN_SEEDS),
            *_sources(Question("revision", (writable,), optional=True)),
            Page("place", (Question("path", (leaf(root),), taken=_place(root)),)),
        ),
    )


SKILL = _skill("skill", SKILLS)
GROUNDED = _skill("grounded", GROUNDED_SKILLS, Question("context", (writable,), lines=True))
KNOWLEDGE_FORM = Form(
    "knowledge",
    KNOWLEDGE,
    "about.outline",
    (
        Page("about", (Question("outline", (writable,), lines=True), Question("domain", (writable,)))),
        Page(
            "document",
            (
                Question("repo", (repository, writable), taken=_repository, more=_in_repository),
                Question("ref", (writable,), optional=True),
                Question("patterns", (patterns, writable), lines=True, taken=_patterns),
                Question("commit", (commit,), given=True),
            ),
        ),
        Page(
            EXAMPLE,
            (
                Question("context", (writable,), lines=True),
                *(question for number in range(1, MOST_PAIRS + 1) for question in _pair(number)),
            ),
            least=MIN_SEEDS,
        ),
        *_sources(Question("revision", (link, writable))),
        Page("place", (Question("path", (leaf(KNOWLEDGE),), taken=_place(KNOWLEDGE)),)),
    ),
)
FORMS = {form.name: form for form in (SKILL, GROUNDED, KNOWLEDGE_FORM)}


# --- a draft's answers and an entry


def entry(form: str, answers: Answers) -> Entry:
    """The taxonomy entry of a complete draft, or what there is of one that is not."""
    return _knowledge(answers) if form == KNOWLEDGE_FORM.name else _skill_entry(form, answers)


def _skill_entry(form: str, answers: Answers) -> Skill:
    names = ("question", "answer", "context") if form == GROUNDED.name else ("question", "answer")
    examples = tuple(
        SeedExample(*(answers.get(f"{EXAMPLE}.{part}.{name}", "") for name in names)) for part in _parts(EXAMPLE, answers)
    )
    return Skill(
        leaf=answers.get("place.path", ""),
        created_by=answers.get("sources.github", ""),
        description=answers.get("about.description", ""),
        examples=examples,
        works=_works(answers, answers.get("about.description", ""), "-"),
    )


def _knowledge(answers: Answers) -> KnowledgeEntry:
    document = Document(
        answers.get("document.repo", ""),
        answers.get("document.commit", ""),
        tuple(answers.get("document.patterns", "").split("\n")),
    )
    return KnowledgeEntry(
        leaf=answers.get("place.path", ""),
        created_by=answers.get("sources.github", ""),
        domain=answers.get("about.domain", ""),
        outline=answers.get("about.outline", ""),
        passages=tuple(_passage(part, answers) for part in _parts(EXAMPLE, answers)),
        document=document,
        works=_works(answers, answers.get("about.outline", ""), document.repo),
    )


def _passage(part: int, answers: Answers) -> Passage:
    numbers = [number for number in range(1, MOST_PAIRS + 1) if number <= MIN_PAIRS or _there(number)(answers, part)]
    pairs = (
        SeedExample(*(answers.get(f"{EXAMPLE}.{part}.{name}{number}", "") for name in ("question", "answer")))
        for number in numbers
    )
    return Passage(answers.get(f"{EXAMPLE}.{part}.context", ""), tuple(pairs))


def _works(answers: Answers, title: str, url: str) -> tuple[Work, ...]:
    """What attribution.txt names: the sources, or the contributor's own work of that title."""
    if not _others_work(answers):
        return (Work(title, url, OWN_LICENCE, answers.get("sources.github", "")),)
    names = ("title", "link", "licence", "creators", "revision")
    return tuple(Work(*(answers.get(f"{WORK}.{part}.{name}", "") for name in names)) for part in _parts(WORK, answers))


def _parts(page: str, answers: Answers) -> list[int]:
    return parts(Page(page, ()), answers)


def form_of(found: Entry) -> Form:
    """The form that such an entry fills in."""
    if isinstance(found, KnowledgeEntry):
        return KNOWLEDGE_FORM
    return GROUNDED if any(example.context for example in found.examples) else SKILL


def answers_of(found: Entry) -> dict[str, str]:
    """The answers that an entry gives, as much as it holds: the way back from `entry`."""
    answers = {"place.path": found.leaf, "sources.github": found.created_by}
    if isinstance(found, KnowledgeEntry):
        answers |= {"about.outline": found.outline, "about.domain": found.domain}
        answers |= {"document.repo": found.document.repo, "document.ref": found.document.commit}
        answers |= {"document.patterns": "\n".join(found.document.patterns)}
        for part, passage in enumerate(_split(found.passages), 1):
            answers |= _passage_answers(part, passage)
    else:
        answers |= {"about.description": found.description}
        for part, example in enumerate(found.examples, 1):
            stem = f"{EXAMPLE}.{part}"
            answers |= {f"{stem}.context": example.context, f"{stem}.question": example.question}
            answers |= {f"{stem}.answer": example.answer}
    count = len(_split(found.passages) if isinstance(found, KnowledgeEntry) else found.examples)
    answers |= {EXAMPLE: " ".join(map(str, range(1, count + 1))), **works_answers(found.works)}
    return {key: value for key, value in answers.items() if value} | _repeated(answers, count)


def _repeated(answers: dict[str, str], count: int) -> dict[str, str]:
    """Keep examples whose question was asked before: whoever wrote it twice into a file meant it."""
    seen: set[str] = set()
    same = {}
    for part in range(1, count + 1):
        stem = f"{EXAMPLE}.{part}"
        asked = [bare(text) for key, text in answers.items() if key.startswith(f"{stem}.question") and text]
        if seen & set(asked) or len(set(asked)) < len(asked):
            same[f"{stem}.same"] = "kept"
        seen |= set(asked)
    return same


def _split(passages: tuple[Passage, ...]) -> list[Passage]:
    """The same with no more pairs a passage than the form has room for."""
    return [
        replace(passage, pairs=passage.pairs[begin : begin + MOST_PAIRS])
        for passage in passages
        for begin in range(0, max(1, len(passage.pairs)), MOST_PAIRS)
    ]


def _passage_answers(part: int, passage: Passage) -> dict[str, str]:
    answers = {f"{EXAMPLE}.{part}.context": passage.context}
    for number, pair in enumerate(passage.pairs, 1):
        answers |= {f"{EXAMPLE}.{part}.question{number}": pair.question, f"{EXAMPLE}.{part}.answer{number}": pair.answer}
    return answers


def works_answers(works: tuple[Work, ...]) -> dict[str, str]:
    """The answers that an attribution gives; one work that lies nowhere is the contributor's own."""
    if not works:
        return {}
    works = tuple(replace(work, link="-") if bare(work.link) in NOWHERE else work for work in works)
    if len(works) == 1 and works[0].link == "-":
        return {"sources.origin": "own"}
    answers = {"sources.origin": "other", WORK: " ".join(str(part) for part, _ in enumerate(works, 1))}
    for part, work in enumerate(works, 1):
        stem = f"{WORK}.{part}"
        answers |= {f"{stem}.title": work.title, f"{stem}.link": work.link, f"{stem}.creators": work.creators}
        answers |= {f"{stem}.licence": licences.normal(work.licence), f"{stem}.revision": work.revision}
    return answers
