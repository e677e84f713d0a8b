"""`/triage`: what waits, by age; and, of a pull request, what a triager would look for, found before they look."""

from bot.core import cards, examining, pulled
from bot.core.known import Known
from bot.core.talk import Answer, Card, Effect, Event, Look, Show, Text
from bot.core.talk import Digest as Daily
from bot.core.words import Words
from pipeline.pulls import DAY_S, LABELS, Waiting

LISTED = 20
TEXT = 2900


def triage(event: Event, known: Known, text: str) -> list[Effect]:
    """`/triage` lists what waits, `/triage 1412` looks at that one."""
    if number := examining.named(text, known):
        return examining.ask(event, known, "triage", number)
    if text.strip() and known.hub.repo:
        return [Answer(known.words("triage.usage"), private=True)]
    if not known.hub.repo:
        return [Answer(known.words("triage.nowhere"), private=True)]
    if "waiting" not in known.found:
        return [Look("waiting", "")]
    rows = known.found["waiting"]
    if rows is None:
        return [Answer(known.words("triage.away"), private=True)]
    assert isinstance(rows, tuple)
    return [Show(listing(rows, known.hub.repo, event.at, known.words), private=True)]


def digest(event: Event, known: Known, act: Daily) -> list[Effect]:
    """Once a day, where the triagers are; nothing where nothing waits."""
    return [Show(listing(act.rows, act.repo, event.at, known.words))] if act.rows else []


def listing(rows: tuple[Waiting, ...], repo: str, now: float, words: Words) -> Card:
    """What waits for triage, the oldest first, with the labels that say why."""
    lines, length = list[str](), 0
    for row in sorted(rows, key=lambda one: one.created)[:LISTED]:
        line = _line(row, now, words)
        if length + len(line) > TEXT:
            break
        lines.append(line)
        length += len(line) + 1
    if len(rows) > len(lines):
        lines.append(words("triage.more", count=len(rows) - len(lines)))
    return Card(
        words("triage.title", repo=cards.clip(repo, 80), count=len(rows)), (Text("\n".join(lines) or words("triage.none")),)
    )


def _line(row: Waiting, now: float, words: Words) -> str:
    days = max(0, int((now - row.created) / DAY_S))
    labels = ", ".join(cards.quoted(pulled.meaning(one, words), 80) for one in row.labels if one in LABELS)
    title, by = cards.quoted(row.title, 60), cards.quoted(row.author, 40)
    return words("triage.line", number=row.number, url=row.url, title=title, by=by, days=days, labels=labels or "-")
