"""Everything that can go wrong, by who must act.

    LabError
    ├── Invalid      the person: carries every problem found, each with its place and its way out
    ├── Temporary    nobody: wait, it is tried again
    └── Failed       us: the traceback is in the log under the id that the person is shown

A `Problem` is a value, not an exception: checkers return lists of them and never print. Its `message` is English for
logs, the command line and JSON; the bot says the sentence of its `code` in the person's language.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong (`code`, `message`), where (`where`: a path, a field, a key) and what to do (`fix`)."""

    code: str
    message: str
    where: str = ""
    fix: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return " ".join(part for part in (self.where and f"{self.where}:", self.message, self.fix) if part)


class LabError(Exception):
    """The root; never raised itself."""


class Invalid(LabError):
    """Something a person gave cannot be taken as it is."""

    def __init__(self, *problems: Problem) -> None:
        assert problems
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems

    @property
    def facts(self) -> dict[str, str]:
        """The code and the facts of the first problem, by which it is said in a person's language."""
        return {**self.problems[0].facts, "code": self.problems[0].code}


class Temporary(LabError):
    """Something outside is away or busy; the same attempt may succeed later.

    `kind`: "busy" where it turned a request away that it had not begun, "away" where it was not reached at all.
    `wait_s`: how long it asks to wait, None where it does not say.
    """

    def __init__(self, message: str = "", *, kind: Literal["", "busy", "away"] = "", wait_s: float | None = None) -> None:
        super().__init__(message)
        self.kind, self.wait_s = kind, wait_s


class Failed(LabError):
    """Our mistake, or a machine's: nobody who talks to the bot can mend it."""


def plain(text: str) -> str:
    """A text of a person's or a model's on one line, without what a terminal would take for a command."""
    return "".join(sign if sign.isprintable() else "?" for sign in text)


def out_of_memory(error: BaseException) -> bool:
    """Python's own, torch's on a GPU (OutOfMemoryError) and on a CPU, which is a plain RuntimeError with these words."""
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(error)
