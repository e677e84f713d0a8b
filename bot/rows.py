"""What conversations and the outbox hold: a message, and an order to carry something out."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bot.core.talk import Answer, Card, Dialog, Event, short
from bot.pack import register


@register
@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation. `who` is "" for the bot; `number` orders them (milliseconds x 100 + index).

    `revision` grows with every edit; `live` says that a stream still writes it; `to` is the one who may see it, "" for
    everybody; `event` is the event it answers. A Dialog is never part of a conversation, it is asked once.
    """

    key: str
    place: str
    number: int
    at: float
    who: str
    body: Card | Answer | Dialog
    slot: str = ""
    ping: str = ""
    to: str = ""
    event: str = ""
    locale: str = "en"
    revision: int = 0
    live: bool = False
    errors: Mapping[str, str] = field(default_factory=dict)


@register
@dataclass(frozen=True, slots=True)
class Order:
    """A row of the outbox: show the message `key` of `place`, or start or cancel a run (`what` is its packed effect)."""

    do: str  # "say", "start" or "cancel"
    place: str
    key: str = ""
    what: str = ""
    person: str = ""
    locale: str = ""
    workspace: str = ""
    roles: tuple[str, ...] = ()


def message_key(event: Event, index: int) -> str:
    """The key of an event's index-th message: the same event says the same. 24 letters fit Discord's nonce."""
    return short(f"{event.platform}:{event.id}#{index}", 24)
