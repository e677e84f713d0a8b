"""What is typed: an answer to a draft's question, a wish, a question to the FAQ, or one to the model.

A draft that waits comes first where it is the person's own. Outside drafts the FAQ comes first, since what it says has
a source, and the model gets what the FAQ does not know.
"""

from bot.core import asking, bringing, cards, chatting, drafting, form, setup
from bot.core.contribute import FORMS
from bot.core.gate import gate, off
from bot.core.known import Known
from bot.core.reading import pairs
from bot.core.records import Draft
from bot.core.talk import Answer, Effect, Event, Said
from bot.core.trained import draft_of

SURE = 0.9  # the FAQ's score where it must be sure
KEYWORDS = 2  # words that people type as into a search


def said(event: Event, known: Known, said: Said) -> list[Effect]:
    draft = known.draft if known.draft and known.draft.state != "discarded" else None
    mine = draft is not None and event.person in draft.authors
    if said.files or (not said.edited and bringing.is_entry(said.text)):
        return bringing.taken(event, known, said.files or said.text)
    if said.edited:
        return _reworded(event, known, draft if mine else None, said)
    kind, wish = _wish(known, said.text)
    if kind and not known.conversation.parent:
        return gate(event, known, "draft") or drafting.begin(event, known, kind, wish)
    if draft is None or not mine:
        return _outside(event, known, said.text, draft)
    if _to_the_tuned(known, draft, said.text):
        return off(known, "chat") or gate(event, known, "chat") or chatting.ask(event, known, said.text)
    aside = None if off(known, "faq") else asking.aside(event, known, draft, said.text)
    if aside is not None:
        return aside
    if refused := off(known, "drafts"):
        return refused
    return drafting.said(event, known, draft, said.text, said.message, asking.meant(known, draft))


def _to_the_tuned(known: Known, draft: Draft, text: str) -> bool:
    """Whether a text is for the model that the draft has taught: it answers in its thread, and nothing else waits for it."""
    waits = form.stands(FORMS[draft.form], draft.answers, draft.asked)
    return bool(text.strip()) and not waits and draft_of(known.conversation.model) == draft.id and not pairs(text, known.words)


def _reworded(event: Event, known: Known, draft: Draft | None, said: Said) -> list[Effect]:
    """Follow an edit of what gave an answer to a draft, or was asked of the model."""
    changed = drafting.reworded(event, known, draft, said.text, said.message) if draft else []
    if changed or known.turn is None or known.turn.person != event.person:
        return changed
    return off(known, "chat") or chatting.reworded(event, known, known.turn, said.text)


def unsaid(event: Event, known: Known, message: str) -> list[Effect]:
    """Take back what a message that was deleted had answered, or asked of the model."""
    draft = known.draft if known.draft and event.person in known.draft.authors else None
    turn = known.turn if known.turn and event.person == known.turn.person else None
    return (drafting.unsaid(event, known, draft, message) if draft else []) or (chatting.unsaid(turn) if turn else [])


def _outside(event: Event, known: Known, text: str, draft: Draft | None) -> list[Effect]:
    """What is typed where no draft of the person's waits for it: a question, put like one or not."""
    put = asking.is_question(known, text)
    if draft:
        instead: list[Effect] = [not_yours(known, draft)]
    else:
        instead = [Answer(known.words("said.no_draft"), buttons=setup.welcome(event, known).buttons)]
    if not text.strip() or (draft and not put):
        return instead
    if draft is None and chatting.offered(known):
        return _to_anybody(event, known, text)
    return gate(event, known, "ask") or asking.ask(event, known, text, unsure=None if put and not draft else instead)


def _to_anybody(event: Event, known: Known, text: str) -> list[Effect]:
    """The FAQ where somebody wants to know what it answers, the model for everything else.

    The FAQ's search is made for questions about the project. A wish like "one more" finds something there too, so what is
    not put like a question goes to the model; and while one talks with the model, the FAQ must be sure.
    """
    chat = gate(event, known, "chat") or chatting.ask(event, known, text)
    talking = chatting.talking(event, known)
    bare = len(text.split()) <= KEYWORDS and not talking
    if off(known, "faq") or not (asking.wants_to_know(known, text) or bare):
        return chat
    if refused := gate(event, known, "ask"):
        return refused
    sure, offers = SURE if talking or bare else 0.0, asking.is_question(known, text) and not talking
    return asking.ask(event, known, text, unsure=chat, sure=sure, offers=offers)


def _wish(known: Known, text: str) -> tuple[str, str]:
    """The kind of contribution that somebody wants to make, if that is what the text says, and what it is about."""
    bare = " ".join(text.split())
    phrases = [(phrase, kind) for kind in ("skill", "knowledge") for phrase in known.words.spellings(f"intent.{kind}")]
    for phrase, kind in sorted(phrases, key=lambda pair: -len(pair[0])):
        if bare.casefold().startswith(phrase):
            return kind, bare[len(phrase) :].strip(" .:!…")
    return "", ""


def not_yours(known: Known, draft: Draft) -> Answer:
    owner = cards.quoted(known.names.get(draft.owner, draft.owner))
    return Answer(known.words("draft.not_yours", owner=owner, id=draft.id), private=True)
