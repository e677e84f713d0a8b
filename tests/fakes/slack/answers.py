"""What the app answers to what a person did: with its ack, or later at a response_url (five times within half an hour)."""

import secrets
from dataclasses import dataclass
from typing import Any

from tests.fakes.slack import blocks as judge
from tests.fakes.slack import limits
from tests.fakes.slack.delivery import Heard
from tests.fakes.slack.methods import views
from tests.fakes.slack.refused import Refused
from tests.fakes.slack.state import Channel, Json, Message, User, View, World
from tests.fakes.slack.stored import stored


@dataclass
class Response:
    """An address to answer at. `message`: the one that the act was done at."""

    heard: Heard
    channel: Channel
    user: User
    message: Message | None
    made_at: float
    used: int = 0


def address(world: World, heard: Heard, channel: Channel, user: User, message: Message | None) -> str:
    id = secrets.token_urlsafe(12)
    world.replies[id] = Response(heard, channel, user, message, world.now_s)
    return f"{world.base}/response/{id}"


def at_address(world: World, id: str, said: Any) -> tuple[int, Json]:
    """Take a POST to a response_url: the status and the body of the answer. Raises Refused for bad blocks."""
    found: Response | None = world.replies.get(id)
    if found is None or world.now_s - found.made_at > limits.RESPONSE_S:
        return 404, {"ok": False, "error": "expired_url"}
    if found.used >= limits.RESPONSES:
        return 404, {"ok": False, "error": "used_url"}
    if not isinstance(said, dict):
        return 400, {"ok": False, "error": "invalid_payload"}
    found.used += 1
    if said.get("delete_original"):
        if found.message is not None and found.message.ts in world.messages:
            world.remove(found.message)
    elif said.get("replace_original") and found.message is not None:
        world.change(found.message, stored(limits.body_of(said)))
    else:
        say(world, found, said)
    return 200, {"ok": True}


def say(world: World, to: Response, said: Json) -> None:
    """Show what was answered: to the person alone, or to all in the channel."""
    open_ = said.get("response_type") == "in_channel"
    body = stored(limits.body_of(said)) | ({"thread_ts": said["thread_ts"]} if said.get("thread_ts") else {})
    world.post(to.channel, body | world.bot_fields(to.channel.team), to="" if open_ else to.user.id)


def to_command(world: World, channel: Channel, user: User, violations: list[str]) -> Any:
    """What is done with the ack of a command: its text is shown."""

    def take(heard: Heard) -> None:
        said = {"text": heard.response} if isinstance(heard.response, str) else heard.response
        if not isinstance(said, dict) or not (said.get("text") or said.get("blocks")):
            return
        try:
            say(world, Response(heard, channel, user, None, world.now_s), said)
        except Refused as refused:
            heard.error = "dispatch_failed"
            violations.append(f"the ack of a command: {refused}")

    return take


class Submission:
    """What is done with the ack of a dialog that was sent in: nothing in it closes the view."""

    def __init__(self, world: World, view: View, violations: list[str]) -> None:
        self.world, self.view, self.violations = world, view, violations

    def __call__(self, heard: Heard) -> None:
        said = heard.response if isinstance(heard.response, dict) else {}
        action = said.get("response_action")
        if action is None or action == "clear":
            views.close(self.world, self.view.user, self.view, everything=action == "clear")
        elif action == "errors":
            self._errors(heard, said.get("errors"))
        elif action in ("update", "push"):
            self._another(heard, action, said.get("view"))
        else:
            self._wrong(heard, f"response_action {action!r}")

    def _another(self, heard: Heard, action: str, given: Any) -> None:
        user = self.view.user
        flaws = judge.of_view(given)
        if flaws or given["type"] != "modal":
            return self._wrong(heard, f"{flaws or 'not a modal'}")
        if action == "update":
            views.replace(self.world, self.view, given)
        elif len(user.stack) >= limits.STACK:
            return self._wrong(heard, "a fourth view")
        else:
            views.show(self.world, self.view.team, user, given)
        heard.view_id = user.stack[-1].id

    def _errors(self, heard: Heard, errors: Any) -> None:
        known = {one["block_id"] for one in self.view.json["blocks"] if one["type"] == "input"}
        sound = isinstance(errors, dict) and errors and all(isinstance(one, str) and one for one in errors.values())
        if not sound or set(errors) - known:
            return self._wrong(heard, f"errors {errors!r} of the fields {sorted(known)}")
        self.view.errors = dict(errors)
        self.world.record("view", None, self.view.json | {"errors": self.view.errors}, self.view.user.id)

    def _wrong(self, heard: Heard, what: str) -> None:
        heard.error = "dispatch_failed"
        self.violations.append(f"the ack of a view: {what}")
