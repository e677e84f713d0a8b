"""What labbot knows of somebody, for them: shown, handed over as one file, or forgotten."""

from bot.core import cards
from bot.core.known import Known
from bot.core.talk import Answer, Card, Code, Effect, Event, Forget, Look, Show, Text


def privacy(event: Event, known: Known, text: str) -> list[Effect]:
    """`/privacy`, `/privacy export`, `/privacy forget`."""
    words = known.words
    match text.strip():
        case "export":
            return export(event, known)
        case "forget":
            sure = cards.button(words, "forget", f"privacy.forget|{event.person}", "danger")
            return [Show(Card(words("privacy.sure"), (Text(words("privacy.forget")),), (sure,)), private=True)]
        case _:
            export_, ask = (cards.button(words, name, f"privacy.{name}|{event.person}") for name in ("export", "forget_me"))
            return [Show(Card(words("privacy.title"), (Text(words("privacy.text")),), (export_, ask)), private=True)]


def press(event: Event, known: Known, verb: str, whose: str) -> list[Effect]:
    """Buttons of one's own: nobody else's press does anything."""
    if whose != event.person:
        return [Answer(known.words("press.stale"), private=True)]
    match verb:
        case "export":
            return export(event, known)
        case "forget_me":
            return privacy(event, known, "forget")
        case "forget":
            return [Forget(event.person)]
        case _:
            return [Answer(known.words("press.stale"), private=True)]


def export(event: Event, known: Known) -> list[Effect]:
    """Everything that is kept of the person, as one JSON."""
    found = known.found.get("mine")
    if found is None:
        return [Look("mine", event.person)]
    assert isinstance(found, str)
    said = Card(known.words("privacy.export"), (Code(found, "json", "labbot-export.json"),))
    return [Show(said, private=True)]
