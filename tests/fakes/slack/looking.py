"""What a test reads of the fake Slack: what stands where, and what a person has before them."""

from copy import deepcopy

from tests.fakes.slack import limits
from tests.fakes.slack.people import Person
from tests.fakes.slack.state import Channel, File, Json, Session, World


class Looking:
    world: World

    def messages(self, channel: Channel, thread: Json | None = None, reader: Person | None = None) -> list[Json]:
        """What stands in a channel or in the thread of a message, oldest first; ephemeral ones too where `reader` sees them."""
        mine = [one for one in self.world.messages.values() if one.channel is channel]
        seen = [one for one in mine if not one.to or (reader and one.to == reader.id)]
        if thread is not None:
            root = thread.get("thread_ts") or thread["ts"]
            seen = [one for one in seen if root in (one.ts, one.thread)]
        return [deepcopy(one.json) for one in sorted(seen, key=lambda one: float(one.ts))]

    def home(self, person: Person) -> Json | None:
        return deepcopy(person.user.home.json) if person.user.home else None

    def views(self, person: Person) -> list[Json]:
        """The dialogs that a person has open, the topmost last; with `errors` where one was sent back."""
        return [deepcopy(one.json) | {"errors": dict(one.errors)} for one in person.user.stack]

    def session(self, channel: Channel, thread: Json | str) -> Session | None:
        """The agent session of a thread. After an hour nobody is shown as at work."""
        found = self.world.sessions.get((channel.id, _root(thread)))
        if found and found.status == "processing" and self.world.now_s - found.at > limits.SESSION_S:
            found.status = "active"
        return found

    def status(self, channel: Channel, thread: Json | str) -> str:
        """What assistant.threads.setStatus shows in a thread: "" after two minutes, and once something was said."""
        said, at = self.world.statuses.get((channel.id, _root(thread)), ("", 0.0))
        later = [ts for ts in channel.messages if self.world.messages[ts].thread == _root(thread) and float(ts) > at]
        spoken = any(self.world.messages[ts].json.get("bot_id") for ts in later)
        return "" if spoken or self.world.now_s - at > limits.STATUS_S else said

    def prompts(self, channel: Channel, thread: Json | None = None) -> list[Json]:
        return self.world.prompts.get((channel.id, _root(thread) if thread else ""), [])

    def file(self, shown: Json) -> File:
        """The bytes of a file; a test may make them slow, or more than was said."""
        return self.world.files[shown["id"]]


def _root(thread: Json | str) -> str:
    return thread if isinstance(thread, str) else str(thread.get("thread_ts") or thread["ts"])
