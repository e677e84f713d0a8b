"""A step that looks before it does anything is done again where its answer was lost, or somebody else was quicker."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from pipeline.errors import Invalid, Temporary

TRIES = 4
CODES = ("github.exists", "github.unfit", "github.conflict")  # what a step is refused with that was done already

T = TypeVar("T")
Sleep = Callable[[float], Awaitable[None]]


async def settled(step: Callable[[], Awaitable[T]], sleep: Sleep) -> T:
    """Do it, at most TRIES times. Raises what the last one does; a limit of GitHub's at once, which was waited for already."""
    for number in range(1, TRIES + 1):
        try:
            return await step()
        except Temporary as error:
            if number == TRIES or error.kind == "busy":
                raise
        except Invalid as error:
            if number == TRIES or error.problems[0].code not in CODES:
                raise
        await sleep(number)
    raise AssertionError("the last try returns or raises")
