"""The files of runs that a card brings along: pictures, and what is too much to be kept with a message.

They are read when it is sent.
"""

from collections.abc import Awaitable, Callable, Mapping

from bot.core.talk import Attached, Card, Picture

Read = Callable[[str, str], Awaitable[bytes]]  # by run and path; b"" where it is not there, or too large to be sent
Contents = Mapping[tuple[str, str], bytes]


async def nothing(run: str, path: str) -> bytes:
    return b""


async def contents(card: Card, read: Read) -> Contents:
    """What a card's files hold, by run and path; those that are not there are left out."""
    wanted = [(one.run, one.path) for one in card.blocks if isinstance(one, Attached | Picture) and one.path]
    found = {at: await read(*at) for at in dict.fromkeys(wanted)}
    return {at: content for at, content in found.items() if content}


def held(block: Attached | Picture, found: Contents) -> bytes:
    """What is to be sent of a block: its own text, or the file that it names; b"" where there is nothing to send."""
    text = block.text.encode("utf-8", "replace") if isinstance(block, Attached) else b""
    return text or found.get((block.run, block.path), b"")
