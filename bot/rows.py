"""What conversations and the outbox hold: messages and orders, and how an event and its effects become them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from bot.core.talk import (
    Account,
    Answer,
    Ask,
    Cancel,
    Card,
    Command,
    Dialog,
    Event,
    Follow,
    Forget,
    Link,
    Moved,
    Rate,
    Refuse,
    Said,
    Show,
    Start,
    short,
)
from bot.pack import pack, register


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
    """A row of the outbox: show the message `key` of `place`, or do `what`, a packed effect."""

    do: str  # "say", "start", "cancel", "rate", "forget", "link", "account" or "follow"
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


def heard_message(event: Event) -> Message | None:
    """What a person typed, as a message of the conversation."""
    match event.act:
        case Said(text, files) if text.strip() or files:
            body = Answer(text="\n".join([*filter(str.strip, [text]), *(f"[{file.name}]" for file in files)]))
        case Command("link", text) if text.strip():
            body = Answer(text="/link …")  # a code is kept nowhere
        case Command(name, text):
            body = Answer(text=f"/{name} {text}".strip())
        case _:
            return None
    return Message(message_key(event, 0), event.place, _number(event, 0), event.at, event.person, body, event=event.id)


def message_of(
    event: Event, index: int, effect: Show | Answer | Ask | Refuse, standing: Mapping[tuple[str, str], Message]
) -> Message:
    """The message of an effect: a new one, or the next revision of the one that stands in its slot."""
    key, number = message_key(event, index), _number(event, index)
    body: Answer | Dialog
    match effect:
        case Show(card, slot, place, ping, private):
            place = place or event.place
            to = event.person if private else ""
            if slot and (old := standing.get((place, slot))):
                if isinstance(event.act, Moved) and old.body == card and not ping:
                    return old  # a run that says what it said before changes nothing; an edit would, at the platforms
                return replace(old, body=card, revision=old.revision + 1, event=event.id, ping=ping)
            return Message(key, place, number, event.at, "", card, slot, ping, to, event.id, locale=event.locale)
        case Answer():
            place, body, to = effect.place or event.place, effect, event.person if effect.private else ""
        case Ask(dialog) | Refuse(dialog):
            place, body, to = event.place, dialog, event.person
    live = isinstance(effect, Answer) and bool(effect.stream)
    errors = effect.errors if isinstance(effect, Refuse) else {}
    return Message(key, place, number, event.at, "", body, "", "", to, event.id, locale=event.locale, live=live, errors=errors)


def _number(event: Event, index: int) -> int:
    return int(event.at * 1000) * 100 + index


def order_of(event: Event, effect: Start | Cancel | Rate | Forget | Link | Account | Follow) -> Order:
    return Order(
        type(effect).__name__.lower(),
        event.place,
        event.id,
        what=pack(effect),
        person=event.person,
        locale=event.locale,
        workspace=event.workspace,
        roles=event.roles,
    )
