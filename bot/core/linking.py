"""`/link`: somebody who talks with labbot on two platforms is one person to it, from a code typed on the other side on."""

import hashlib

from bot.core.gate import span
from bot.core.known import Coded, Known
from bot.core.records import Spent
from bot.core.talk import Answer, Effect, Event, Link, Look, Save

TRY = "link"  # what a wrong code counts as
TRIES, TRIES_S = 5, 600.0  # wrong codes that somebody may type within that time
CODE, CODE_S = 8, 600.0  # letters of a code: 40 bits; how long one is good
LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # none that look alike
_ROUNDS = 20_000  # 10 ms of work: all codes there are cannot be tried on a stolen hash before it is worth nothing


def link(event: Event, known: Known, text: str) -> list[Effect]:
    """`/link` gives a code, `/link CODE` takes it, `/link off` parts the account that types it from the others."""
    typed = text.strip()
    if not typed:
        return [Link("code")]
    if known.seated:
        return _told(known, "link.seated")
    return _off(event, known) if typed.casefold() == "off" else _take(event, known, typed)


def _take(event: Event, known: Known, typed: str) -> list[Effect]:
    wrong = [at for at in known.used.get(TRY, ()) if at > event.at - TRIES_S]
    if len(wrong) >= TRIES:
        return [Answer(known.words("link.tries", wait=span(known, wrong[-TRIES] + TRIES_S - event.at)), private=True)]
    named = digest(typed)
    found = known.found.get("code")
    if found is None:
        return [Look("code", (named, event.person))]
    assert isinstance(found, Coded)
    if not found.person or event.at - found.at > CODE_S:
        return [Save(Spent(event.person, TRY, event.at, event.id)), *_told(known, "link.wrong")]
    if found.person == event.person:
        return _told(known, "link.own")
    if found.overlaps:
        return _told(known, "link.taken")
    return [Link("take", named, found.person)]


def _off(event: Event, known: Known) -> list[Effect]:
    found = known.found.get("accounts")
    if found is None:
        return [Look("accounts", event.person)]
    assert isinstance(found, tuple)
    if not set(found) - {event.platform}:
        return _told(known, "link.none")
    return [Link("off")]


def _told(known: Known, name: str) -> list[Effect]:
    return [Answer(known.words(name), private=True)]


def digest(typed: str) -> str:
    """By what a code is kept, however it was typed: nothing else of it is."""
    plain = "".join(letter for letter in typed.upper() if letter.isalnum())[: 2 * CODE]
    return hashlib.pbkdf2_hmac("sha256", plain.encode("utf-8", "surrogatepass"), b"labbot link", _ROUNDS).hex()
