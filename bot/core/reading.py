"""What typed text means: the value of one answer, or several examples pasted at once."""

import re
from collections.abc import Iterator, Mapping

from bot.core.contribute import EXAMPLE, MOST_PAIRS
from bot.core.form import Answers, Form, Item, Page, next_part, parts, with_part
from bot.core.words import Words

LABELS = ("context", "question", "answer")  # in the order in which an example has them


def change_of(item: Item, typed: str, words: Words) -> dict[str, str | None]:
    """The answers that a typed text gives: the item's, and what else it says; what cannot be understood stays as typed."""
    value = _option(item, typed.strip(), words) if item.question.options else ""
    value = value or item.question.taken(typed.strip()) or typed.strip()
    return {item.key: value or None, **item.question.more(typed.strip())}


def _option(item: Item, text: str, words: Words) -> str:
    """The option that is meant; "" if it is none of them."""
    bare = re.sub(r"[\s._-]+", "-", text.casefold())
    for option in item.question.options:
        name = f"option.{option}.typed"
        spellings = words.spellings(name) if words.has(name) else ()
        if text.casefold() in spellings or bare == re.sub(r"[\s._-]+", "-", option.casefold()):
            return option
    return ""


def pairs(text: str, words: Words) -> list[dict[str, str]]:
    """Read seed examples pasted as "question: ... answer: ...", one or many, in a line or over several.

    Returns dicts of "context", "question" and "answer", a context once for the pairs that follow it; an empty list where
    the text does not begin with such a label. Inside a text a label counts only where it is due, so that an answer may
    speak of a question.
    """
    marks = list(_marks(text, words))
    if not marks or text[: marks[0][1]].strip():
        return []
    found: list[dict[str, str]] = [{}]
    for (name, _, begin), following in zip(marks, [*marks[1:], None], strict=True):
        value = _unnumbered(text[begin : following[1] if following else len(text)])
        if any(later in found[-1] for later in LABELS[LABELS.index(name) :]):
            found.append({})
        found[-1][name] = value
    return [pair for pair in found if any(pair.values())]


def _marks(text: str, words: Words) -> Iterator[tuple[str, int, int]]:
    """Labels with where they begin and end: any at the start of a line, within a line the full word that is due."""
    names = {spelling: name for name in LABELS for spelling in words.spellings(f"label.{name}")}
    known = "|".join(sorted(map(re.escape, names), key=len, reverse=True))
    lead = r"[ \t]*(?:[-*#]+[ \t]*|\(?\d+[.):][ \t]*)*\**"
    label = re.compile(rf"(?:(?P<start>^{lead})|(?<=\s))(?P<name>{known})\**[ \t]*(?:\d+[ \t]*)?:\**", re.I | re.M)
    due: tuple[str, ...] = ()
    after: dict[str, tuple[str, ...]] = {"context": ("question",), "question": ("answer",), "answer": ("question",)}
    for mark in label.finditer(text):
        name = names[mark["name"].lower()]
        at_start = mark["start"] is not None
        if not at_start and (name not in due or len(mark["name"]) == 1):
            continue
        needs = {"context": "question", "question": "" if at_start else "answer"}.get(name)
        if not needs or _followed(text, mark.end(), needs, words):
            yield name, mark.start(), mark.end()
            if name == "context":  # who begins with one goes on with more
                after["answer"] = ("question", "context")
            due = after[name]


def _followed(text: str, begin: int, name: str, words: Words) -> bool:
    """Whether that label comes later: a context without a question, or a second question without an answer, is prose."""
    known = "|".join(re.escape(word) for word in words.spellings(f"label.{name}") if len(word) > 1)
    return re.search(rf"(?:^|\s)(?:{known})[ \t]*(?:\d+[ \t]*)?:", text[begin:], re.I | re.M) is not None


def _unnumbered(text: str) -> str:
    """What stands between two labels, without the number or bullet that belongs to the next one."""
    return re.sub(r"\n[ \t]*(?:[-*#]+|\(?\d+[.):])[ \t]*$", "", text.rstrip()).strip()


# --- where pasted pairs go


def placed(form: Form, answers: Answers, found: list[dict[str, str]], standing: Item | None) -> dict[str, str | None]:
    """The change that puts pasted pairs into a draft: the first into the example that stands, unless that has its own."""
    page = form.page(EXAMPLE)
    now, change, part = dict(answers), dict[str, str | None](), 0
    for pair in found:
        part = _part_of(page, now, pair, standing, part)
        names = _slots(page, part, now, pair)
        step: dict[str, str | None] = {f"{EXAMPLE}.{part}.{names[name]}": value for name, value in pair.items()}
        step |= with_part(page, part, now)
        change |= step
        now |= {key: value for key, value in step.items() if value is not None}
    return change


def _part_of(page: Page, answers: Answers, pair: Mapping[str, str], standing: Item | None, before: int) -> int:
    """The part that a pair belongs to; `before` is the one that the pair before it in the paste went to."""
    here = standing if standing and standing.page is page and not before else None
    if _paired(page) and "context" not in pair:
        order = parts(page, answers)
        return (
            before
            or (here.part if here and here.question.name != "context" else 0)
            or (order or [next_part(page, answers)])[-1]
        )
    if here and not any(f"{EXAMPLE}.{here.part}.{name}" in answers for name in pair if name != here.question.name):
        return here.part
    return next_part(page, answers)


def _slots(page: Page, part: int, answers: Answers, pair: Mapping[str, str]) -> dict[str, str]:
    """The questions that the texts of a pair answer; a passage has several pairs, and the first that is free takes it."""
    if not _paired(page):
        return {name: name for name in LABELS}

    def taken(number: int) -> bool:
        return any(answers.get(f"{EXAMPLE}.{part}.{name}{number}") for name in pair if name != "context")

    number = next((number for number in range(1, MOST_PAIRS) if not taken(number)), MOST_PAIRS)
    return {"context": "context", "question": f"question{number}", "answer": f"answer{number}"}


def _paired(page: Page) -> bool:
    return any(question.name == "question1" for question in page.questions)
