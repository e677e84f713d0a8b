"""What operators may do: block and unblock people, pause and resume features, speak as the bot; each act is written down."""

from dataclasses import replace

from bot.core import cards
from bot.core.gate import FEATURES
from bot.core.known import Known
from bot.core.records import Audit, Paused, Person
from bot.core.talk import Answer, Card, Effect, Event, Save, Show, Text, short

LONG = 1500  # characters of an announcement
UNSAID = "-"  # why somebody is blocked where nobody said it


def admin(event: Event, known: Known, text: str) -> list[Effect]:
    """`block @name why`, `unblock @name`, `pause feature why`, `resume feature`, `say text`."""
    verb, _, rest = text.strip().partition(" ")
    what, _, why = rest.strip().partition(" ")
    match verb:
        case "block" | "unblock":
            return _block(event, known, verb, what, why.strip())
        case "pause" | "resume" if what in FEATURES:
            return _pause(event, known, verb, what, why.strip())
        case "say" if rest.strip():
            said = Card(known.words("admin.says"), (Text(cards.prose(rest.strip()[:LONG])),))
            return [_audit(event, verb, "", rest.strip()), Show(said)]
        case _:
            return [Answer(known.words("admin.usage", features=", ".join(FEATURES)), private=True)]


def scope(event: Event) -> str:
    """Where a pause holds: a guild or a workspace; at the terminal everywhere."""
    return event.workspace or event.platform


def _block(event: Event, known: Known, verb: str, whom: str, why: str) -> list[Effect]:
    person = known.others.get(whom.removeprefix("<@").removesuffix(">"))
    if person is None or person.id == event.person:
        return [Answer(known.words("admin.whom"), private=True)]
    changed: Person = replace(person, blocked=(why or UNSAID) if verb == "block" else "")
    done = known.words(f"admin.{verb}", name=cards.quoted(person.name))
    return [Save(changed), _audit(event, verb, person.id, why), Answer(done, private=True)]


def _pause(event: Event, known: Known, verb: str, feature: str, why: str) -> list[Effect]:
    why = (why or known.words("admin.no_reason")) if verb == "pause" else ""
    done = known.words(f"admin.{verb}", what=known.words(f"feature.{feature}"))
    return [Save(Paused(scope(event), feature, why)), _audit(event, verb, feature, why), Answer(done, private=True)]


def _audit(event: Event, what: str, whom: str, why: str) -> Save:
    return Save(Audit(short(f"audit:{event.id}"), event.at, event.person, what, whom, why, scope(event)))
