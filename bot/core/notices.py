"""The cards besides the draft's own: runs, documents, files that were sent, lists; made from words and records."""

from bot.core import cards
from bot.core.known import Brought, Excerpt, Known
from bot.core.records import Draft, Run
from bot.core.talk import LABEL, TITLE, Bar, Block, Card, Code, Text
from bot.core.words import Words

TOLD = 2500  # characters of a list of changes; Slack's sections take 3,000


def run(record: Draft, run: Run, words: Words, fraction: float = 0.0) -> Card:
    """The card of a run, edited at every step; its buttons are gone when it ended."""
    title = cards.clip(words("run.title", name=cards.name_of(record, words), id=run.id), TITLE)
    facts = {key: cards.quoted(value, 200) for key, value in run.facts.items()}
    text = words(f"run.{run.state}", **{"stage": "", "branch": "", "commit": "", "cause": "", "pull": "", **facts})
    blocks: list[Block] = [Text(text)]
    if run.state == "running":
        blocks.append(Bar(fraction, cards.clip(run.facts.get("stage", ""), LABEL)))
    buttons = {
        "waiting": (cards.button(words, "cancel", f"run.cancel|{run.id}", "danger"),),
        "running": (cards.button(words, "cancel", f"run.cancel|{run.id}", "danger"),),
        "failed": (cards.button(words, "again", f"draft.submit|{record.id}"),),
    }.get(run.state, ())
    return Card(title, tuple(blocks), buttons)


def reading(record: Draft, run: Run, words: Words, fraction: float) -> Card:
    """The card of the run that reads a document."""
    facts = {key: cards.quoted(value, 200) for key, value in run.facts.items()}
    facts["commit"] = facts.get("commit", "")[:12]
    state = run.state if words.has(f"reading.{run.state}") else "running"
    text = words(f"reading.{state}", **{"cause": "", "listed": "", **facts})
    blocks: list[Block] = [Text(text)]
    if run.state == "running":
        blocks.append(Bar(fraction, cards.clip(words("reading.bar"), LABEL)))
    stop = (cards.button(words, "cancel", f"run.cancel|{run.id}", "danger"),) if run.state in ("waiting", "running") else ()
    return Card(
        cards.clip(words("reading.title", repo=cards.shown(record.answers.get("document.repo", ""))), TITLE),
        tuple(blocks),
        stop,
    )


def excerpts(record: Draft, query: str, found: tuple[Excerpt, ...], words: Words) -> Card:
    """Passages of a document, to be taken as contexts."""
    blocks: list[Block] = []
    buttons = []
    for number, one in enumerate(found, 1):
        lead = words("find.line", number=number, heading=cards.quoted(one.heading or one.file, 60), words=one.words)
        blocks.append(Text(f"{lead}\n{cards.quoted(one.text, 400)}"))
        buttons.append(cards.button(words, "take", f"draft.take|{record.id}.{one.id}", number=number))
    title = words("find.title", query=query) if query else words("find.first")
    return Card(cards.clip(title, TITLE), tuple(blocks), tuple(buttons))


def brought(found: Brought, record: Draft, words: Words) -> Card:
    """What was made of a file that somebody sent: every change, and how its text was mended."""
    lines = [words("brought.change", what=cards.say_problem(words, one)) for one in found.changes] or [words("brought.as_is")]
    blocks: list[Block] = [Text(_cut("\n".join(lines)))]
    if found.diff:
        blocks.append(Code(found.diff, "diff", "mended.diff"))
    return Card(cards.clip(words("brought.title", name=cards.name_of(record, words)), TITLE), tuple(blocks))


def not_brought(found: Brought, words: Words) -> Card:
    """Why nothing could be made of a file, with the lines around the place."""
    assert found.problem
    blocks: list[Block] = [Text(cards.say_problem(words, found.problem))]
    if lines := found.problem.facts.get("lines"):
        blocks.append(Code(cards.shown(lines), "yaml", "lines.yaml"))
    return Card(words("brought.not"), tuple(blocks))


def _cut(text: str, most: int = TOLD) -> str:
    return text if len(text) <= most else text[: text.rfind("\n", 0, most)] + "\n…"


def welcome(words: Words) -> Card:
    return Card(
        words("welcome.title"),
        (Text(words("welcome.text")),),
        (
            cards.button(words, "skill", "skill.start|", "good"),
            cards.button(words, "knowledge", "knowledge.start|", "good"),
            cards.button(words, "drafts", "draft.list|"),
            cards.button(words, "help", "help.show|"),
        ),
    )


def drafts(known: Known) -> Card:
    """The person's open drafts, newest last, each a press away."""
    words = known.words
    if not known.drafts:
        return Card(
            words("drafts.title"), (Text(words("drafts.none")),), (cards.button(words, "skill", "skill.start|", "good"),)
        )
    listed = known.drafts[-cards.LISTED :]
    lines = [
        words("drafts.line", id=one.id, name=cards.quoted(cards.name_of(one, words)), state=words(f"drafts.{one.state}"))
        for one in listed
    ]
    buttons = tuple(cards.button(words, "open", f"draft.open|{one.id}", id=one.id) for one in listed)
    return Card(words("drafts.title"), (Text("\n".join(lines)),), buttons)
