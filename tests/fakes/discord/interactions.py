"""Interactions: what a person did at a command, a button, a dialog; and what the bot answers to it.

A first answer must come within `World.patience_s` of real time (else 10062), and only once (40060); the token lives for
15 minutes of the fake's clock (50027 afterwards). What the answers show is kept in the Interaction that a test has.
"""

import asyncio
from copy import deepcopy
from dataclasses import dataclass, field, replace

from tests.fakes.discord import compose, limits
from tests.fakes.discord.call import Answer, Call, Routes
from tests.fakes.discord.messages import reply_to
from tests.fakes.discord.refused import FORM, Refused, wrong
from tests.fakes.discord.state import EPHEMERAL, LOADING, Channel, Json, Message, User, World

COMMAND, COMPONENT, COMPLETION, SUBMIT = 2, 3, 4, 5
SAYS, DEFERS, DEFERS_UPDATE, UPDATES, COMPLETES, OPENS = 4, 5, 6, 7, 8, 9
ANSWERS = {
    COMMAND: {SAYS, DEFERS, OPENS},
    COMPONENT: {SAYS, DEFERS, DEFERS_UPDATE, UPDATES, OPENS},
    COMPLETION: {COMPLETES},
    SUBMIT: {SAYS, DEFERS},
}
TOKEN_S, CHOICES = 900, 25


@dataclass(eq=False)
class Interaction:
    """`message` is the one whose part was used, `opener` the interaction whose answer was the dialog now sent in."""

    world: World
    id: str
    kind: int
    token: str
    user: User
    channel: Channel
    data: Json
    began: float  # of the event loop's clock
    made_s: float  # of the fake's
    message: Message | None = None
    opener: "Interaction | None" = None
    acked: asyncio.Event = field(default_factory=asyncio.Event)
    acked_after_s: float = 0.0
    callback: Json | None = None
    said: Message | None = None  # what @original is

    @property
    def original(self) -> Json | None:
        """The message that the answer is, as it is now; None where there is none."""
        there = self.said is not None and self.said.id in self.world.messages
        return deepcopy(self.said.json) if self.said is not None and there else None

    @property
    def modal(self) -> Json | None:
        answer = self.callback or {}
        return answer["data"] if answer.get("type") == OPENS else None

    @property
    def choices(self) -> list[Json] | None:
        answer = self.callback or {}
        return answer["data"].get("choices", []) if answer.get("type") == COMPLETES else None

    @property
    def answers(self) -> set[int]:
        """The types that the callback may have."""
        more = {DEFERS_UPDATE, UPDATES} if self.kind == SUBMIT and self.message else set()
        return ANSWERS[self.kind] | more

    @property
    def metadata(self) -> Json:
        said = {"id": self.id, "type": self.kind, "user": self.user.json, "authorizing_integration_owners": {}}
        if self.kind == COMPONENT and self.message:
            said["interacted_message_id"] = self.message.id
        if self.kind == SUBMIT and self.opener:
            said["triggering_interaction_metadata"] = self.opener.metadata
        if "target_id" in self.data:
            said["target_message_id"] = self.data["target_id"]
        return said


def callback(call: Call) -> Answer:
    world, asked = call.world, call.json
    heard: Interaction | None = world.heard.get(call.request.ids["interaction_token"])
    now = asyncio.get_running_loop().time()
    if heard is None or heard.id != call.request.ids["interaction_id"]:
        raise Refused(10062)
    if heard.acked.is_set():
        raise Refused(40060)
    if now - heard.began > world.patience_s:
        raise Refused(10062)
    kind, data = asked["type"], asked.get("data") or {}
    if kind not in heard.answers:
        raise wrong(("type",), "BASE_TYPE_CHOICES", f"Value must be one of {sorted(heard.answers)}.")
    _do(call, heard, kind, data)
    heard.callback, heard.acked_after_s = deepcopy(asked), now - heard.began
    heard.acked.set()
    if call.request.query.get("with_response", "").lower() not in ("true", "1"):
        return 204, None
    return 200, _told(heard, kind)


def _do(call: Call, heard: Interaction, kind: int, data: Json) -> None:
    world = call.world
    if kind == SAYS:
        heard.said = _post(call, heard, _composed(call, heard.channel, data), data)
    elif kind == DEFERS:
        flags = (int(data.get("flags") or 0) & EPHEMERAL) | LOADING
        heard.said = _post(call, heard, {"flags": flags}, data)
    elif kind in (DEFERS_UPDATE, UPDATES):
        heard.said = heard.message
        if kind == UPDATES and heard.message is not None:
            if heard.message.id not in world.messages:
                raise Refused(10008)
            fields = _composed(call, heard.channel, data, heard.message)
            world.change(heard.message, fields | {"edited_timestamp": world.now_iso})
    elif kind == COMPLETES and len(data.get("choices") or ()) > CHOICES:
        raise wrong(("data", "choices"), "BASE_TYPE_MAX_LENGTH", f"Must be {CHOICES} or fewer in length.")
    elif kind == OPENS and (flaws := limits.dialog(data)):
        raise Refused(FORM, flaws)


def _composed(call: Call, channel: Channel, data: Json, before: Message | None = None) -> Json:
    said, flaws = compose.fields(call.world, channel, data, call.request.files, before)
    if flaws:
        raise Refused(FORM, [replace(flaw, path=("data", *flaw.path)) for flaw in flaws])
    return said


def _post(call: Call, heard: Interaction, said: Json, data: Json) -> Message:
    """Post what the bot says to an interaction; an ephemeral message is in nobody's channel but the person's."""
    world = call.world
    to = heard.user.id if (data.get("flags") or 0) & EPHEMERAL else ""
    fields: Json = {"type": 0}
    if heard.kind == COMMAND:
        fields["type"] = 23 if "target_id" in heard.data else 20
    elif heard.message is not None and not heard.message.to and heard.message.id in world.messages:
        fields |= reply_to(heard.message)
    fields |= {"author": world.bot.json, "application_id": world.bot.id, "webhook_id": world.bot.id}
    fields |= {"interaction_metadata": heard.metadata} | said
    return world.post(heard.channel, fields, to=to, hook=heard.token)


def _told(heard: Interaction, kind: int) -> Json:
    said: Json = {"id": heard.id, "type": heard.kind, "channel_id": heard.channel.id}
    if heard.channel.guild:
        said["guild_id"] = heard.channel.guild.id
    if heard.said is None:
        return {"interaction": said}
    flags = int(heard.said.json["flags"])
    said |= {"response_message_id": heard.said.id, "response_message_loading": bool(flags & LOADING)}
    said["response_message_ephemeral"] = bool(heard.said.to)
    resource = {"type": SAYS if kind in (SAYS, DEFERS) else UPDATES, "message": deepcopy(heard.said.json)}
    return {"interaction": said, "resource": resource}


def _hook(call: Call) -> Interaction:
    """The interaction whose token stands in the path of a webhook."""
    ids, world = call.request.ids, call.world
    heard: Interaction | None = world.heard.get(ids["webhook_token"])
    if ids["webhook_id"] != world.bot.id or heard is None or not heard.acked.is_set():
        raise Refused(10015)
    if world.now_s - heard.made_s > TOKEN_S:
        raise Refused(50027)
    return heard


def _aimed(call: Call) -> Message:
    """The message of the path: @original, or one that was sent with the same token."""
    heard, id = _hook(call), call.request.ids.get("message_id", "@original")
    found = heard.said if id == "@original" else call.world.messages.get(id)
    if found is None or found.id not in call.world.messages or (found.hook != heard.token and found is not heard.said):
        raise Refused(10008)
    return found


def read(call: Call) -> Answer:
    return 200, deepcopy(_aimed(call).json)


def edit(call: Call) -> Answer:
    found = _aimed(call)
    if found.channel.archived:
        raise Refused(50083)
    said = compose.whole(call.world, found.channel, call.json, call.request.files, found)
    call.world.change(found, said | {"edited_timestamp": call.world.now_iso})
    return 200, deepcopy(found.json)


def remove(call: Call) -> Answer:
    call.world.remove(_aimed(call))
    return 204, None


def follow_up(call: Call) -> Answer:
    heard = _hook(call)
    said = compose.whole(call.world, heard.channel, call.json, call.request.files)
    return 200, deepcopy(_post(call, heard, said, call.json).json)


HOOK = "/webhooks/{webhook_id}/{webhook_token}"
ROUTES: Routes = {
    ("POST", "/interactions/{interaction_id}/{interaction_token}/callback"): callback,
    ("POST", HOOK): follow_up,
    **{
        key: handler
        for path in (f"{HOOK}/messages/@original", HOOK + "/messages/{message_id}")
        for key, handler in ((("GET", path), read), (("PATCH", path), edit), (("DELETE", path), remove))
    },
}
