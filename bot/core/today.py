"""What the model says today to a draft's questions: whether there is a gap that an example can close.

The first example that is whole is put to the model by itself, since that is when people learn what a gap is; for the
others there is a button, because an answer to each would come between them and the next question.
"""

from dataclasses import dataclass

from bot.core import cards, chatting, form
from bot.core.contribute import EXAMPLE, FORMS, GROUNDED, KNOWLEDGE_FORM, MOST_PAIRS
from bot.core.gate import gate
from bot.core.known import Known
from bot.core.records import Draft, Spent
from bot.core.talk import Answer, Button, Effect, Event, Save

STREAM = "today"


@dataclass(frozen=True, slots=True)
class Asking:
    """A question as the model is asked it, by the number that people call its example; `wanted` is the contributor's answer."""

    number: int
    question: str
    wanted: str


def whole(draft: Draft | None) -> list[int]:
    """The examples that have their question and answer, in order."""
    if draft is None:
        return []
    page = FORMS[draft.form].page(EXAMPLE)
    return [part for part in form.parts(page, draft.answers) if asked(draft, part)]


def asked(draft: Draft, part: int) -> list[Asking]:
    """What the model is asked for an example: for a grounded skill with its text; for knowledge without, as people would."""
    page = FORMS[draft.form].page(EXAMPLE)
    number, stem = form.place_of(page, draft.answers, part), f"{EXAMPLE}.{part}"
    names = [str(one) for one in range(1, MOST_PAIRS + 1)] if draft.form == KNOWLEDGE_FORM.name else [""]
    context = draft.answers.get(f"{stem}.context", "") if draft.form == GROUNDED.name else ""
    pairs = [(draft.answers.get(f"{stem}.question{one}", ""), draft.answers.get(f"{stem}.answer{one}", "")) for one in names]
    return [Asking(number, f"{context}\n\n{question}".strip(), answer) for question, answer in pairs if question and answer]


def after(known: Known, draft: Draft) -> tuple[list[Effect], tuple[Button, ...]]:
    """What a change to a draft calls for: the first whole example asked, or a button that asks the newest."""
    if not chatting.offered(known) or known.chat.state != "ready":
        return [], ()
    before = whole(known.draft) if known.draft and known.draft.id == draft.id else []
    fresh = [part for part in whole(draft) if part not in before]
    if not fresh:
        return [], ()
    if before:
        return [], (cards.button(known.words, "today", f"draft.today|{draft.id}.{fresh[-1]}"),)
    every = (cards.button(known.words, "today.all", f"draft.today|{draft.id}"),) if len(fresh) > 1 else ()
    return [_ask(draft, fresh[:1], every)], ()


def press(event: Event, known: Known, draft: Draft, part: str) -> list[Effect]:
    """Ask the model one example, or all that are whole."""
    parts = [one for one in whole(draft) if part in ("", str(one))]
    if not chatting.offered(known) or not parts:
        return [Answer(known.words("press.stale"), private=True)]
    return gate(event, known, "chat") or [Save(Spent(event.person, "chat", event.at, event.id)), _ask(draft, parts)]


def _ask(draft: Draft, parts: list[int], buttons: tuple[Button, ...] = ()) -> Answer:
    subject = " ".join((draft.id, *map(str, parts)))
    return Answer(stream=STREAM, subject=subject, buttons=buttons, place=draft.place)
