"""What the shell needs of a platform: a voice, streams of text, and where its maintainers are asked."""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from bot.core.talk import Event, File
from bot.rows import Message

Stream = Callable[[Message], AsyncIterator[str]]


@dataclass(frozen=True, slots=True)
class Maintainers:
    """Where questions go that the FAQ cannot answer, and who reads them there; a `place` of "" is nowhere."""

    place: str = ""
    people: tuple[str, ...] = ()


# What is left out or paused for an event's workspace, with why, and whether labbot is to speak in its channel.
Policy = Callable[[Event], tuple[Mapping[str, str], bool]]


def everything_open(event: Event) -> tuple[Mapping[str, str], bool]:
    return {}, True


class Voice(Protocol):
    """How a platform says things. An address is whatever finds the message again; both calls raise Temporary."""

    async def post(self, message: Message) -> str:
        """Show a new message. The same key within the platform's window is the same message: no second one appears."""

    async def edit(self, address: str, message: Message) -> None: ...

    async def find(self, message: Message) -> str:
        """The address of a message that an earlier process may have posted; "" if it did not."""

    async def ask(self, message: Message) -> None:
        """Open a dialog, or send it back with its errors. One whose moment has passed is dropped."""

    async def forget(self, person: str) -> None:
        """Take away what the platform's side keeps of a person besides the store."""

    async def fetch(self, file: File) -> bytes:
        """The content of a file that somebody sent. Raises Invalid where it is gone, Temporary where it may come."""
