"""A form is data: pages of questions. What is missing next is computed from the answers, never stored.

Answers are one flat dict of texts. A page asked once has keys `page.question`; a page asked several times has
`page.NUMBER.question`, with the order of its numbers in the answer `page` ("1 3 2"). A number names a part for good:
moving parts changes the order only, so buttons and edited messages go on meaning the same part.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pipeline.errors import Problem

Answers = Mapping[str, str]
Check = Callable[[str, Answers, str], Problem | None]  # value, all answers, key
State = str  # "done", "now", "open" or "wrong", as talk.Steps has it


def always(answers: Answers, part: int = 0) -> bool:
    return True


def nothing(text: str) -> dict[str, str]:
    return {}


@dataclass(frozen=True, slots=True)
class Question:
    """One thing to ask.

    `options` are the values of a choice; `when` says of which parts it is asked at all. `taken` makes of what was typed
    what is kept; `more` says what else the same text answers, by key. An `optional` one may stay empty. What is `given`
    nobody is asked for: a run finds it.
    """

    name: str
    checks: tuple[Check, ...] = ()
    options: tuple[str, ...] = ()
    lines: bool = False
    when: Callable[[Answers, int], bool] = always
    taken: Callable[[str], str] = str.strip
    more: Callable[[str], Mapping[str, str]] = nothing
    optional: bool = False
    given: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """Questions that belong together; `least` parts of them are wanted, 0 for a page asked once."""

    name: str
    questions: tuple[Question, ...]
    least: int = 0
    when: Callable[[Answers], bool] = always


@dataclass(frozen=True, slots=True)
class Form:
    """`root` is the folder of the taxonomy under which such entries lie, `title` the key of the answer that names a draft."""

    name: str
    root: str
    title: str
    pages: tuple[Page, ...]

    def page(self, name: str) -> Page:
        return next(page for page in self.pages if page.name == name)

    def asked(self, answers: Answers) -> tuple[Page, ...]:
        """The pages that these answers call for."""
        return tuple(page for page in self.pages if page.when(answers))


@dataclass(frozen=True, slots=True)
class Item:
    """A question in its place: `key` is its answer's, `part` the number of its part, 0 on a page asked once."""

    page: Page
    question: Question
    part: int
    key: str


def parts(page: Page, answers: Answers) -> list[int]:
    """The numbers of a repeated page's parts, in their order."""
    return [int(number) for number in answers.get(page.name, "").split()]


def next_part(page: Page, answers: Answers) -> int:
    return max(parts(page, answers), default=0) + 1


def place_of(page: Page, answers: Answers, part: int) -> int:
    """How people count that part: 1 for the first in order; the one after the last if it is not there yet."""
    order = parts(page, answers)
    return order.index(part) + 1 if part in order else len(order) + 1


def items(form: Form, answers: Answers) -> list[Item]:
    """Everything that is asked, in order; of a page that lacks parts also the next one."""
    return [item for page in form.asked(answers) for item in page_items(page, answers)]


def page_items(page: Page, answers: Answers) -> list[Item]:
    if not page.least:
        return part_items(page, 0, answers)
    order = parts(page, answers)
    wanted = order if len(order) >= page.least else [*order, next_part(page, answers)]
    return [item for part in wanted for item in part_items(page, part, answers)]


def part_items(page: Page, part: int, answers: Answers) -> list[Item]:
    stem = f"{page.name}.{part}" if part else page.name
    questions = (question for question in page.questions if question.when(answers, part))
    return [Item(page, question, part, f"{stem}.{question.name}") for question in questions]


def problem(item: Item, answers: Answers) -> Problem | None:
    """What is wrong with the answer of one item; a missing one has the code "missing"."""
    value = answers.get(item.key, "")
    if not value:
        return None if item.question.optional else Problem("missing", "not answered yet", item.key)
    return next((found for check in item.question.checks if (found := check(value, answers, item.key))), None)


def stands(form: Form, answers: Answers, asked: str = "") -> Item | None:
    """The item that a person is to answer next: the one asked for again, else the first that is missing or wrong."""
    everything = items(form, answers)
    again = next((item for item in everything if item.key == asked), None)
    return again or next((item for item in everything if not item.question.given and problem(item, answers)), None)


def whole(form: Form, answers: Answers) -> bool:
    """Whether every answer is there and in order, those that runs give too."""
    return not any(problem(item, answers) for item in items(form, answers))


def page_state(form: Form, page: Page, answers: Answers, asked: str = "") -> State:
    standing = stands(form, answers, asked)
    if standing and standing.page is page:
        return "now"
    found = [problem(item, answers) for item in page_items(page, answers)]
    if not any(found):
        return "done"
    return "wrong" if any(one and one.code != "missing" for one in found) else "open"


def with_part(page: Page, part: int, answers: Answers) -> dict[str, str | None]:
    """The change that puts a part into the order, if it is not there."""
    order = parts(page, answers)
    return {} if part in order else {page.name: _order([*order, part])}


def without_part(page: Page, part: int, answers: Answers) -> dict[str, str | None]:
    """The change that takes a part out, answers and all."""
    gone: dict[str, str | None] = {key: None for key in answers if key.startswith(f"{page.name}.{part}.")}
    return gone | {page.name: _order([number for number in parts(page, answers) if number != part])}


def moved_part(page: Page, part: int, to: int, answers: Answers) -> dict[str, str | None]:
    """The change that makes a part the `to`-th (counted from 1)."""
    order = [number for number in parts(page, answers) if number != part]
    order.insert(max(0, to - 1), part)
    return {page.name: _order(order)}


def _order(numbers: list[int]) -> str | None:
    return " ".join(map(str, numbers)) or None
