"""A draft goes on on the platform where one of its authors takes it up, wherever it was begun; its card there says so."""

from dataclasses import replace

from bot.core import cards
from bot.core.drafting import slot
from bot.core.known import Known
from bot.core.records import Conversation, Draft
from bot.core.talk import Card, Effect, Event, Look, Moved, Pulled, Save, Show, platform_of, thread


def taken_up(event: Event, known: Known) -> Known:
    """What is known, with a draft of theirs that lies on another platform in a thread of this one."""
    draft = known.draft
    if draft is None or isinstance(event.act, Moved | Pulled) or event.person not in draft.authors or not _abroad(event, draft):
        return known
    parent = known.conversation.parent or event.place
    return replace(known, draft=replace(draft, place=thread(parent, draft.id), card=""))


def _abroad(event: Event, draft: Draft) -> bool:
    return ":" in draft.place and platform_of(draft.place) != event.platform


def moved(event: Event, before: Known, known: Known, effects: list[Effect]) -> list[Effect]:
    """The effects, and what moves the draft along where they are about it; `before` is what was known as it lay."""
    draft, lay = known.draft, before.draft
    if draft is None or lay is None or draft.place == lay.place or any(isinstance(effect, Look) for effect in effects):
        return effects
    saves = any(isinstance(one, Save) and isinstance(one.what, Draft) and one.what.id == draft.id for one in effects)
    if not saves and not any(getattr(effect, "place", "") == draft.place for effect in effects):
        return effects
    name = cards.name_of(draft, known.words)
    here = known.conversation
    if here.place != draft.place:
        here = Conversation(draft.place, cards.quoted(name), here.parent or event.place)
    left = Card(
        known.words("draft.moved", name=name), (), (cards.button(known.words, "open", f"draft.open|{draft.id}", id=draft.id),)
    )
    kept: list[Effect] = [Save(replace(here, draft=draft.id, people=draft.authors)), *([] if saves else [Save(draft)])]
    return [*kept, *effects, Show(left, slot(draft), lay.place)]
