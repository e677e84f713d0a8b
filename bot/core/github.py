"""`/github`: whose account labbot opens pull requests with, linked by a code that is typed in at GitHub, or forgotten."""

from bot.core import cards, form
from bot.core.contribute import FORMS
from bot.core.known import Known
from bot.core.records import Draft
from bot.core.talk import Account, Answer, Button, Effect, Event
from bot.core.words import Words

MENDS = ("github.revoked", "github.unlinked")  # what can be mended by linking an account


def command(event: Event, known: Known, text: str) -> list[Effect]:
    """`/github` says how it is, `/github link` begins, `/github unlink` ends."""
    match text.strip().casefold():
        case "link":
            return link(known)
        case "unlink":
            return unlink(known)
        case _:
            return [_is(known)]


def link(known: Known) -> list[Effect]:
    """Begin; an account that is linked already may be one that GitHub takes no more, or that somebody wants to change."""
    return [Account("link")] if known.hub.links else [_is(known)]


def linked(login: str, draft: Draft | None, words: Words) -> Answer:
    """What somebody hears whose account is linked now; where a whole draft of theirs waited for that, it can go out."""
    waits = draft is not None and draft.state == "open" and form.whole(FORMS[draft.form], draft.answers)
    buttons = (cards.button(words, "submit", f"draft.submit|{draft.id}", "good"),) if draft and waits else ()
    return Answer(words("github.linked", login=login), buttons=buttons, private=True)


def unlink(known: Known) -> list[Effect]:
    return [Account("unlink")] if known.hub.login else [_is(known)]


def button(known: Known) -> Button:
    return cards.button(known.words, "github.link", "github.link|", "good")


def _is(known: Known) -> Answer:
    """How somebody is on GitHub, with what they can do about it."""
    if known.hub.login:
        off = cards.button(known.words, "github.unlink", "github.unlink|")
        return Answer(known.words("github.is", login=known.hub.login), buttons=(off,), private=True)
    if known.hub.links:
        return Answer(known.words("github.offers"), buttons=(button(known),), private=True)
    return Answer(known.words("github.cannot"), private=True)


def lacks(known: Known) -> Answer | None:
    """What keeps somebody from a pull request: no account, and no App that would open it; None where nothing does."""
    hub = known.hub
    if not hub.repo or hub.login or hub.app:
        return None
    if not hub.links:
        return Answer(known.words("github.cannot"), private=True)
    return Answer(known.words("github.first"), buttons=(button(known),), private=True)
