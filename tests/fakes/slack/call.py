"""A request as the parts of the fake that answer it see it, and the record of it that a test reads."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.slack.refused import Refused
from tests.fakes.slack.state import KINDS, Channel, Json, Message, Team, User, World


@dataclass
class Request:
    """`team` is the workspace's id, "" where the token says none; `at` the event loop's time when it came.

    `status` is 0 while there is no answer, and where the connection was reset before anything was done; `error` is Slack's.
    """

    method: str
    at: float
    team: str = ""
    args: Json = field(default_factory=dict)
    fault: str = ""
    status: int = 0
    error: str = ""
    violations: list[str] = field(default_factory=list)


@dataclass
class Call:
    world: World
    team: Team
    request: Request

    @property
    def args(self) -> Json:
        return self.request.args

    def flag(self, name: str) -> bool:
        return str(self.args.get(name, "")).lower() in ("true", "1")

    def need(self, what: str, channel: Channel) -> None:
        """Raises Refused without the scope for a kind of channel: `what` is history, read or write."""
        scopes = [f"{KINDS[channel.type]}:{what}"]
        if what == "write" and channel.type == "channel":
            scopes = ["channels:manage", "channels:write"]
        if not self.team.scopes.intersection(scopes):
            self.world.need(self.team, scopes[0])

    def channel(self, name: str = "channel", *, member: bool = False) -> Channel:
        """The channel of an argument, where the bot sees it. `member`: and is in it. Raises Refused."""
        id = str(self.args.get(name) or "")
        found = self.team.channels.get(id)
        if found is None or (found.private and self.team.bot_user not in found.members):
            raise Refused("channel_not_found")
        if member and self.team.bot_user not in found.members:
            raise Refused("not_in_channel")
        return found

    def user(self, name: str = "user") -> User:
        found = self.team.users.get(str(self.args.get(name) or ""))
        if found is None:
            raise Refused("user_not_found")
        return found

    def message(self, channel: Channel, name: str = "ts") -> Message:
        found = self.world.find(self.team, channel.id, str(self.args.get(name) or ""))
        if found is None:
            raise Refused("message_not_found")
        return found

    def thread(self, channel: Channel) -> Json:
        """The thread to write in, {} for none; of a reply its parent's, and that is noted: Slack asks for the parent."""
        ts = self.args.get("thread_ts")
        if not ts:
            return {}
        found = self.world.find(self.team, channel.id, str(ts))
        if found is None:
            raise Refused("thread_not_found")
        if found.thread not in ("", found.ts):
            self.request.violations.append(f"thread_ts {ts} is of a reply, not of its parent")
            return {"thread_ts": found.thread}
        return {"thread_ts": found.ts}


Handler = Callable[[Call], Json | Awaitable[Json]]
Methods = dict[str, Handler]


def page(call: Call, things: list[Any], usual: int, most: int = 1000) -> tuple[list[Any], Json]:
    """A page of a list, and the fields that lead to the next. The cursor is the place to go on at."""
    limit = int(call.args.get("limit") or usual)
    if not 0 < limit <= most:
        raise Refused("invalid_limit")
    cursor = str(call.args.get("cursor") or "0")
    if not cursor.isdigit():
        raise Refused("invalid_cursor")
    begin = int(cursor)
    after = begin + limit
    more = after < len(things)
    return things[begin:after], {"response_metadata": {"next_cursor": str(after) if more else ""}}
