"""What today's model answers to a draft's questions, all of them: the run that asks, and the table that it ends with.

The run is that of the draft's revision, which `/submit` goes on with. Its table is read from the run's folder whenever it is
shown, so that a press on an old button shows it again and asks nobody.
"""

from dataclasses import replace

from bot.core import cards, drafting, form, gate, notices, setup, submitting
from bot.core.contribute import FORMS, entry
from bot.core.known import Checked, CheckedRow, Known
from bot.core.records import Draft, Run, Spent
from bot.core.talk import BLOCKS, CARD, TITLE, Block, Button, Card, Effect, Event, Look, Moved, Save, Show, Start, Text
from bot.core.words import Words

STAGE = "precheck"
ROWS = 20  # questions that a card shows; with more, less than a line would be left for each
WIDTHS = (300, 200, 140, 100, 70, 50, 35, 25)  # characters of a text in the table: the most with which all fit
FULL = 50  # with fewer, a row is only its question and the model's answer


def offered(known: Known) -> bool:
    """Whether there is a model to ask, be it that it is only on its way."""
    return known.chat.state != "absent"


def press(event: Event, known: Known, draft: Draft) -> list[Effect]:
    """Ask the model all questions of the draft as it stands; what was asked before is shown again."""
    if not form.whole(FORMS[draft.form], draft.answers):
        return drafting.settle(event, known, replace(draft, asked=""), lead=known.words("precheck.not_yet"))
    run = submitting.run_of(draft)
    if refused := submitting.busy(known, draft, "precheck"):
        return refused
    found = known.checked()
    if found is None:
        return [Look("precheck", run)]
    if found.rows:
        return [_table(draft, run, found, known.words)]
    if not offered(known):
        return setup.absent(event, known)
    return gate.gate(event, known, STAGE) or _start(event, known, draft, run)


def _start(event: Event, known: Known, draft: Draft, run: str) -> list[Effect]:
    model = known.chat.models[0].name if known.chat.models else ""
    inputs = {"entry": entry(draft.form, draft.answers), "model": model}
    return [
        Save(replace(draft, run=run)),
        Save(Spent(event.person, STAGE, event.at, event.id)),
        Start(run, "contribution", inputs, until=STAGE),
    ]


def moved(event: Event, known: Known, draft: Draft, step: Moved) -> list[Effect]:
    """Show how it goes; at its end the table, and a message that says so."""
    run = Run(step.run, step.state, step.facts, STAGE)
    effects: list[Effect] = [Show(notices.run(draft, run, known.words, step.fraction), f"run.{step.run}", draft.place)]
    if step.state not in ("done", "failed", "cancelled"):
        return effects
    name = cards.clip(cards.name_of(draft, known.words), 80)
    told = ""
    if step.state == "done":
        found = known.checked()
        if found is None:
            return [Look("precheck", step.run)]
        if draft.run == step.run:  # else a later one has taken its place
            effects.append(_table(draft, step.run, found, known.words))
        told = notices.counted(step.facts, known.words)
    end = Card(known.words(f"precheck.{step.state}.end", name=name, counts=told))
    return [*effects, Show(end, place=draft.place, ping=event.person)]


def _table(draft: Draft, run: str, found: Checked, words: Words) -> Show:
    return Show(table(draft, run, found, words), f"precheck.{draft.id}", draft.place)


def table(draft: Draft, run: str, found: Checked, words: Words) -> Card:
    """The verdict, and each question with the contributor's answer, the model's, and what that means."""
    title = cards.clip(words("precheck.table", name=cards.name_of(draft, words), id=run), TITLE)
    revision = run.rpartition(".")[2]
    older = words("precheck.older", revision=revision) if run != submitting.run_of(draft) else ""
    submit = cards.button(words, "submit", f"draft.submit|{draft.id}", "good")
    return drawn(title, found, words, () if draft.state == "submitted" else (submit,), older)


def drawn(title: str, found: Checked, words: Words, buttons: tuple[Button, ...] = (), older: str = "") -> Card:
    """The table under a title; `older` is a line of its head."""
    if not found.rows:
        return Card(title, (Text(words("precheck.gone")),))
    head = _head(found, words, older)
    rows = _rows(found, words, CARD - len(head))
    each = -(-len(rows) // (BLOCKS - 1))
    blocks: list[Block] = [Text(head)]
    blocks += [Text("\n".join(rows[at : at + each])) for at in range(0, len(rows), each)]
    return Card(title, tuple(blocks), buttons)


def _head(found: Checked, words: Words, older: str) -> str:
    counts = notices.counted(found.counts, words)
    sure = words("precheck.sure", percent=round(100 * found.confidence)) if found.confidence else ""
    lines = [" ".join(filter(None, (words(f"precheck.verdict.{found.verdict}"), sure, f"({counts})")))]
    by = words("precheck.by", model=cards.quoted(found.model, 60) or "?", judge=cards.quoted(found.judge, 60) or "?")
    trials = "" if found.trusted else words("precheck.untrusted")
    return "\n".join(filter(None, (*lines, by, trials, older)))


def _rows(found: Checked, words: Words, room: int) -> list[str]:
    """A text for each question, as long as there is room for all."""
    listed = found.rows[:ROWS]
    more = [words("precheck.more", count=len(found.rows) - ROWS)] if len(found.rows) > ROWS else []
    rows: list[str] = []
    for width in WIDTHS:
        draw = _row if width >= FULL else _line
        rows = [*(draw(number, row, words, width) for number, row in enumerate(listed, 1)), *more]
        if sum(len(row) + 1 for row in rows) <= room:
            break
    return rows  # lines of the smallest width always fit


def _row(number: int, row: CheckedRow, words: Words, width: int) -> str:
    parts = {name: cards.quoted(text, width) or "…" for name, text in _texts(row).items()}
    why = _why(row, words)
    reason = words("precheck.judge", why=why, quote=cards.quoted(row.quote, width)) if row.quote else why
    return words("precheck.row", number=number, sign=words(f"precheck.sign.{row.state}"), reason=reason, **parts)


def _line(number: int, row: CheckedRow, words: Words, width: int) -> str:
    """A row where there is no room for all of it."""
    parts = {name: cards.quoted(text, width) or "…" for name, text in _texts(row).items()}
    return words("precheck.line", number=number, sign=words(f"precheck.sign.{row.state}"), **parts)


def _texts(row: CheckedRow) -> dict[str, str]:
    return {"question": row.question, "wanted": row.wanted, "said": row.said}


def _why(row: CheckedRow, words: Words) -> str:
    name = f"precheck.why.judge.{row.state}" if row.why == "judge" else f"precheck.why.{row.why}"
    return words(name) if words.has(name) else ""
