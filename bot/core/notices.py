"""The cards besides the draft's own: runs, documents, files that were sent, lists; made from words and records."""

import math
import re
from collections.abc import Mapping

from bot.core import cards, github, samples, tuned
from bot.core.contribute import KNOWLEDGE_FORM
from bot.core.known import Brought, Entry, Excerpt, Known
from bot.core.records import Asked, Draft, Run
from bot.core.talk import (
    CARD,
    DIALOG_TITLE,
    FIELD_HINT,
    FIELD_TEXT,
    LABEL,
    TITLE,
    Bar,
    Block,
    Button,
    Card,
    Code,
    Dialog,
    Field,
    Text,
)
from bot.core.words import Words
from pipeline.errors import Problem

TOLD = 2500  # characters of a list of changes; Slack's sections take 3,000
KINDS = {  # by the last stage of a run: what its words are called, and the button that tries it again
    "precheck": ("precheck", "precheck"),
    "mix": ("generate", "generate"),
    "export": ("train", "train"),
}
SAID = (
    "run",
    "github.",
    "leaf.",
)  # problems of a submission that are said in the person's words: its cause says more to operators
ROOM = 10  # blocks of an entry's text; a card takes 12


def run(record: Draft, run: Run, words: Words, fraction: float = 0.0) -> Card:
    """The card of a run, edited at every step; its buttons are gone when it is done."""
    kind, verb = KINDS.get(run.until, ("run", "submit"))
    title = cards.clip(words(f"{kind}.title", name=cards.name_of(record, words), id=run.id), TITLE)
    text = "\n".join(filter(None, (_told(record, run, words), stands(run, words))))
    blocks: list[Block] = [Text(text)]
    if run.state == "running":
        blocks.append(Bar(fraction, cards.clip(words(f"{kind}.bar") if verb == kind else run.facts.get("stage", ""), LABEL)))
    cancel = cards.button(words, "cancel", f"run.cancel|{run.id}", "danger")
    again = cards.button(words, "again", f"draft.{verb}|{record.id}")
    mended = (*_mends(record, run, words), again)
    buttons = {"waiting": (cancel,), "running": (cancel,), "failed": mended, "cancelled": (again,)}.get(run.state, ())
    return Card(title, tuple(blocks), buttons)


def _mends(record: Draft, run: Run, words: Words) -> tuple[Button, ...]:
    """What would mend a submission that failed, before it is tried again."""
    code = run.facts.get("code", "")
    if code in github.MENDS:
        return (cards.button(words, "github.link", "github.link|", "good"),)
    if code in ("github.author", "github.mail"):
        what = cards.page_name(record, "sources", words)
        return (cards.button(words, "pull.edit", f"draft.edit|{record.id}.sources", what=what),)
    return (cards.button(words, "elsewhere", f"draft.edit|{record.id}.place"),) if code.startswith("leaf.") else ()


def _told(record: Draft, run: Run, words: Words) -> str:
    document = record.form == KNOWLEDGE_FORM.name
    match run.until:
        case "precheck":
            return _precheck(run, words)
        case "mix":
            return samples.told(run, words, document=document)
        case "export":
            return tuned.told(run, words, document=document)
        case _:
            return _submit(record, run, words)


def proposed(record: Draft, run: Run) -> str:
    """What a run that proposes has come to, as its words are called: a pull request that was open has more commits now."""
    if run.state != "done" or "url" not in run.facts:
        return f"run.{run.state}"
    return "run.updated" if record.pull == f"{run.facts['repo']}#{run.facts['number']}" else "run.opened"


def _submit(record: Draft, run: Run, words: Words) -> str:
    facts = {key: cards.quoted(value, 200) for key, value in run.facts.items()}
    if run.facts.get("code", "").startswith(SAID):
        facts["cause"] = cards.say_problem(words, Problem(run.facts["code"], facts["cause"], facts=run.facts))
    facts = {**dict.fromkeys(("stage", "branch", "commit", "cause", "pull", "login", "pause_s"), ""), **facts}
    step = f"run.step.{run.facts.get('step', '')}"
    facts["stage"] = words(step, **facts) if words.has(step) else facts["stage"]
    rest = words("pull.unlabelled") if run.state == "done" and "unlabelled" in facts else ""
    return "\n".join(filter(None, (words(proposed(record, run), **facts), rest)))


def _precheck(run: Run, words: Words) -> str:
    """How a precheck stands: what has come of its answers and votes, or how it ended."""
    facts = {key: cards.quoted(value, 200) for key, value in run.facts.items()}
    if run.state == "running" and "answers" in facts:
        votes = words("precheck.votes", **facts) if facts.get("ballots", "0") != "0" else ""
        return " ".join(filter(None, (words("precheck.answers", **facts), votes)))
    if run.state == "done":
        return words("precheck.done", counts=counted(run.facts, words))
    if run.state == "failed":
        problem = Problem(run.facts.get("code", ""), run.facts.get("cause", ""), facts=run.facts)
        return words("run.failed", cause=cards.say_problem(words, problem))
    return words(f"run.{run.state}" if run.state != "running" else "precheck.asking")


def counted(counts: Mapping[str, str], words: Words) -> str:
    """ "4 gaps, 1 known": how many questions of a precheck are what, without those that are none."""
    found = [(state, counts.get(state, "0")) for state in ("gap", "known", "uncertain")]
    one = {state: f"precheck.count.{state}{'.1' if count == '1' else ''}" for state, count in found}
    return ", ".join(words(one[state], count=count) for state, count in found if count != "0")


def stands(run: Run, words: Words) -> str:
    """Why a run waits again, its place in its lane and the time until it is done, as far as they are known."""
    if run.state == "waiting" and run.facts.get("again"):
        facts = {key: cards.quoted(run.facts.get(key, ""), 200) for key in ("again", "pause_s", "try", "tries")}
        return words("stands.again", **facts)
    return "\n".join(filter(None, (words("stands.lost") if run.facts.get("lost") else "", _place(run, words))))


def _place(run: Run, words: Words) -> str:
    place = run.facts.get("position", "") if run.state == "waiting" else ""
    low_s, high_s = (_number(run.facts.get(name, "")) for name in ("low_s", "high_s"))
    wait = _span(low_s, high_s, words) if high_s and run.state in ("waiting", "running") else ""
    if run.state == "waiting" and run.facts.get("paused"):
        return words("stands.paused", place=place)
    if place and wait:
        return words("stands.both", place=place, wait=wait)
    return words("stands.place", place=place) if place else words("stands.wait", wait=wait) if wait else ""


def _number(text: str) -> float:
    try:
        return max(0.0, float(text))
    except ValueError:
        return 0.0


def _span(low_s: float, high_s: float, words: Words) -> str:
    """ "1 to 2 minutes": a time in the unit of its longer end, rounded up."""
    unit, size = ("hours", 3600) if high_s > 5400 else ("minutes", 60) if high_s > 60 else ("seconds", 1)
    low, high = (max(1, math.ceil(one / size)) for one in (low_s, high_s))
    exact = "one" if high == 1 else "same" if low == high else "range"
    return words(f"stands.{unit}.{exact}", low=low, high=high)


def reading(record: Draft, run: Run, words: Words, fraction: float) -> Card:
    """The card of the run that reads a document."""
    facts = {key: cards.quoted(value, 200) for key, value in run.facts.items()}
    facts["commit"] = facts.get("commit", "")[:12]
    state = run.state if words.has(f"reading.{run.state}") else "running"
    text = words(f"reading.{state}", **{"cause": "", "listed": "", **facts})
    blocks: list[Block] = [Text("\n".join(filter(None, (text, stands(run, words)))))]
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


# --- questions


def rest(entry: Entry, words: Words) -> Card:
    """What an entry of the FAQ says besides its first sentences; the operator's markdown, brought to what cards show."""
    blocks: list[Block] = []
    left = CARD
    for number, piece in enumerate(re.split(r"^(?:```|~~~).*$", entry.rest, flags=re.M)):
        text = piece.strip("\n") if number % 2 else _plain(piece)
        if text.strip() and left > 0 and len(blocks) < ROOM:
            text = _cut(text, min(left, TOLD))
            blocks.append(Code(text, "", "example.txt") if number % 2 else Text(text))
            left -= len(text)
    if entry.link:
        blocks.append(Text(words("faq.source", source=f"[{cards.quoted(entry.title)}]({entry.link})")))
    return Card(cards.clip(entry.title, TITLE), tuple(blocks))


def _plain(markdown: str) -> str:
    """Markdown without what cards do not show: headings become bold, rows of tables lines, images their text."""
    text = re.sub(r"^#+\s+(.*?)\s*#*$", r"**\1**", markdown, flags=re.M)
    text = re.sub(r"^\s*\|?(?:\s*:?-{3,}:?\s*\|)+\s*(?::?-{3,}:?)?\s*$\n?", "", text, flags=re.M)
    text = re.sub(r"^\s*\|(.*)\|\s*$", lambda row: " · ".join(cell.strip() for cell in row[1].split("|")), text, flags=re.M)
    text = re.sub(r"!\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"^(\s*)[*+] ", r"\1- ", text, flags=re.M)
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def forwarded(asked: Asked, known: Known) -> Card:
    """A question as maintainers get it: whose, what, and what is near it."""
    words = known.words
    near = ", ".join(cards.quoted(title) for title in asked.hits[:3])
    name = known.person.name if known.person.id == asked.person else known.names.get(asked.person, asked.person)
    lines = (words("faq.ask.near", near=near) if near else words("faq.ask.none"), words("faq.ask.how"))
    blocks = (Text(cards.quoted(asked.question, 1000) or "…"), Text("\n".join(lines)))
    answer = cards.button(words, "answer", f"faq.answer|{asked.id}", "good")
    return Card(cards.clip(words("faq.ask.title", name=name), TITLE), blocks, (answer,))


def answering(asked: Asked, known: Known) -> Dialog:
    """Where a maintainer writes the answer."""
    words = known.words
    hint = cards.clip(asked.question, FIELD_HINT)
    field = Field("text", words("field.answer"), cards.shown(asked.reply)[:FIELD_TEXT], hint, lines=True)
    return Dialog(cards.clip(words("faq.answering"), DIALOG_TITLE), f"faq.reply|{asked.id}", (field,), words("button.send"))


def replied(asked: Asked, known: Known) -> Card:
    """What a maintainer answered, for the one who asked."""
    title = known.words("faq.reply.title", name=known.person.name, question=asked.question)
    return Card(cards.clip(title, TITLE), (Text(_cut(cards.prose(asked.reply))),))


def _cut(text: str, most: int = TOLD) -> str:
    return text if len(text) <= most else text[: text.rfind("\n", 0, most)] + "\n…"


def welcome(words: Words, more: tuple[Button, ...] = (), *, chat: bool = False) -> Card:
    """The first card; `chat`: there is a model to talk with."""
    blocks = (Text(words("welcome.text")), Text(words("welcome.chat"))) if chat else (Text(words("welcome.text")),)
    return Card(
        words("welcome.title"),
        blocks,
        (
            cards.button(words, "skill", "skill.start|", "good"),
            cards.button(words, "knowledge", "knowledge.start|", "good"),
            cards.button(words, "drafts", "draft.list|"),
            cards.button(words, "help", "help.show|"),
            *more,
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
