"""A request as the parts of the fake that answer it see it, and the record of it that a test reads."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.discord.gateway import Gateway
from tests.fakes.discord.refused import Refused
from tests.fakes.discord.state import Channel, Json, Message, World


@dataclass(frozen=True)
class Upload:
    name: str
    content: bytes
    kind: str


@dataclass
class Request:
    """`route` is the template of the path, "" where the fake knows none; `at` the event loop's time when it came.

    `status` is 0 while there is no answer, and where the connection was reset before anything was done; `files` are the
    uploads by their number.
    """

    method: str
    path: str
    at: float
    route: str = ""
    ids: dict[str, str] = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)
    json: Any = None
    files: dict[int, Upload] = field(default_factory=dict)
    fault: str = ""
    status: int = 0
    code: int | None = None  # of Discord's, where it was refused
    violations: list[str] = field(default_factory=list)


@dataclass
class Call:
    world: World
    gateway: Gateway
    request: Request

    @property
    def json(self) -> Json:
        found: Json = self.request.json or {}
        return found

    @property
    def channel(self) -> Channel:
        """The channel of the path, where the bot sees it."""
        found = self.world.channels.get(self.request.ids["channel_id"])
        if found is None:
            raise Refused(10003)
        self.world.need(found)
        return found

    def message(self, channel: Channel) -> Message:
        """The message of the path; an ephemeral one is not there for the bot's token."""
        found = self.world.messages.get(self.request.ids["message_id"])
        if found is None or found.channel is not channel or found.to:
            raise Refused(10008)
        return found


Answer = tuple[int, Any]
Handler = Callable[[Call], Answer | Awaitable[Answer]]
Routes = dict[tuple[str, str], Handler]
