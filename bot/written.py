"""What the effects of an event write: records, messages, and rows of the outbox, as one transaction."""

from collections.abc import Mapping, Sequence

from bot.core.rules import Role
from bot.core.talk import Account, Cancel, Effect, Event, Follow, Forget, Link, Look, Rate, Save, Show, Start, platform_of
from bot.rows import Order, heard_message, message_of, order_of
from bot.store import BELL, Store, Writes


async def written(store: Store, roles: Mapping[str, Role], event: Event, effects: Sequence[Effect]) -> Writes:
    """Everything the effects mean. What is for a place of another platform goes into that one's outbox, and it is rung for."""
    writes = Writes()
    writes.add("DEL", f"bot:asked:{event.person}")
    if heard := heard_message(event):
        store.say(writes, heard)
    shows = [effect for effect in effects if isinstance(effect, Show) and effect.slot]
    standing = await store.slots((show.place or event.place, show.slot) for show in shows)
    for index, effect in enumerate(effects, 1):
        match effect:
            case Save(what):
                store.save(writes, what, roles)
            case Start() | Cancel() | Rate() | Forget() | Link() | Account() | Follow():
                store.order(writes, event.platform, event.place, order_of(event, effect))
            case Look():
                raise AssertionError("looked at already")
            case _:
                message = message_of(event, index, effect, standing)
                store.say(writes, message)
                platform = platform_of(message.place) if ":" in message.place else event.platform
                store.order(writes, platform, event.place, Order("say", message.place, message.key))
                if platform != event.platform:
                    writes.add("PUBLISH", BELL, f"{platform}|{event.place}")
    return writes
