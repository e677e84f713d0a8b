"""What the shell needs of a platform: a voice, streams of text, and where its maintainers are asked."""

from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from bot.core.talk import Answer, Event, File
from bot.rows import Message

How = Literal["done", "stopped", "failed"]


class Stream(Protocol):
    """Writes a message little by little: each Answer is the message as it stands, the newest is what is shown."""

    def write(self, message: Message) -> AsyncGenerator[Answer, None]:
        """Write; closing the generator stops whatever writes. It is closed before `end` is called."""

    async def end(self, message: Message, last: Answer, how: How) -> Message | None:
        """Save what stays, in one transaction, and return the message as it is now; None if it is gone.

        `last` is what was shown last. Called once for each `write` that came to its end, was stopped or failed, and
        again where the store was away (Temporary).
        """


@dataclass(frozen=True, slots=True)
class Maintainers:
    """Where questions go that the FAQ cannot answer, and who reads them there; a `place` of "" is nowhere."""

    place: str = ""
    people: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Manners:
    """How a platform is: `note` names words of its help, `apart`: nobody but its person sees a direct conversation.

    `seated`: who sits there keeps their id of ours for as long as the process goes on.
    """

    note: str = ""
    apart: bool = False
    seated: bool = False


# What is left out or paused for an event's workspace, with why, and whether labbot is to speak in its channel.
Policy = Callable[[Event], tuple[Mapping[str, str], bool]]


def everything_open(event: Event) -> tuple[Mapping[str, str], bool]:
    return {}, True


class Voice(Protocol):
    """How a platform says things. An address is whatever finds the message again; both calls raise Temporary."""

    async def post(self, message: Message) -> str:
        """Show a new message. The same key within the platform's window is the same message: no second one appears."""

    async def edit(self, address: str, message: Message) -> str:
        """Show a message anew. Returns its address, which is another one where the old message is gone."""

    async def find(self, message: Message) -> str:
        """The address of a message that an earlier process may have posted; "" if it did not."""

    async def ask(self, message: Message) -> None:
        """Open a dialog, or send it back with its errors. One whose moment has passed is dropped."""

    async def forget(self, person: str) -> None:
        """Take away what the platform's side keeps of a person besides the store.

        "": nothing of anybody, but some go by another id from now on, so who is who is to be asked anew.
        """

    async def over(self, event: Event) -> None:
        """Everything that an event asked for is said, or being written."""

    async def pause(self, message: Message) -> None:
        """Show a message that is being written as far as it is, and that it is finished after a restart."""

    async def fetch(self, file: File) -> bytes:
        """The content of a file that somebody sent. Raises Invalid where it is gone, Temporary where it may come."""
