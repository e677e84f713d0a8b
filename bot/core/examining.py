"""A look at one pull request, whosever it is: `/triage 1412`, and `/precheck` and `/generate` with its number.

Such a run belongs to no draft. Its id is RUN and the number, so that a pull request has one, whoever asks: what was found out
about the same files is there already. First its files are read and judged; what comes after is asked for when that is done.
"""

import re

from bot.core import cards, gate, notices, prechecking, samples
from bot.core.known import TRIAGE, Known
from bot.core.records import Run, Spent
from bot.core.talk import (
    LABEL,
    TITLE,
    Answer,
    Bar,
    Block,
    Button,
    Card,
    Effect,
    Event,
    Look,
    Moved,
    Save,
    Show,
    Start,
    Text,
    is_thread,
    short,
    thread,
)
from bot.core.triaged import Triaged, card
from pipeline.errors import Problem

RUN = TRIAGE
RECIPE = "triage"
KINDS = {"triage": "precheck", "precheck": "precheck", "generate": "mix"}  # what is asked, and the stage that it ends with
GENERATING = ("document", "generate", "judge", "mix")
ENDED = ("done", "failed", "cancelled")
_NUMBER = re.compile(r"#?([1-9][0-9]{0,6})")
_URL = re.compile(r"<?https?://[^/\s]+/([^/\s]+/[^/\s]+)/pull/([1-9][0-9]{0,6})(?:[/?#]\S*)?>?")


def named(text: str, known: Known) -> str:
    """The number of the pull request that is meant: 1412, #1412 or its address; "" for none, and where there are none."""
    text = text.strip()
    if not known.hub.repo:
        return ""
    if found := _NUMBER.fullmatch(text):
        return found[1]
    found = _URL.fullmatch(text)
    return found[2] if found and found[1].lower() == known.hub.repo.lower() else ""


def ask(event: Event, known: Known, kind: str, number: str) -> list[Effect]:
    """Begin with its files. Whoever neither triages nor has an account on GitHub has no pull request of theirs to look at."""
    if not gate.triages(event) and not known.hub.login:
        return [Answer(known.words("refused.role"), private=True)]
    if known.run and known.run.id == f"{RUN}{number}" and known.run.state in ("waiting", "running", "stopping"):
        return [Answer(known.words("triage.busy", number=number), private=True)]
    act = "generate" if kind == "generate" else "precheck"
    refused = gate.gate(event, known, act)
    if refused and kind != "triage":
        return refused
    then = "look" if refused else kind
    spent: list[Effect] = [] if refused or not _there(known, kind) else [Save(Spent(event.person, act, event.at, event.id))]
    begun = Answer(known.words(f"triage.begun.{kind}", number=number), place=_place(event, number))
    return [
        *spent,
        _start(event, number, "examine", {"number": number, "event": f"{event.platform}:{event.id}", "then": then}),
        begun,
    ]


def _there(known: Known, kind: str) -> bool:
    """Whether there is a model for it."""
    return known.chat.teacher if kind == "generate" else prechecking.offered(known)


def _place(event: Event, number: str) -> str:
    """Where it is told: in a thread of its own, unless it was asked for in one."""
    return event.place if is_thread(event.place) else thread(event.place, f"{RUN}{number}")


def _start(event: Event, number: str, until: str, inputs: dict[str, object]) -> Start:
    """A run that is done does again what is asked for: the receipts of its stages make free what has not changed."""
    redo = GENERATING if until == "mix" else (until,)
    return Start(f"{RUN}{number}", RECIPE, inputs, until=until, redo=redo)


# --- what a run says


def moved(event: Event, known: Known, step: Moved) -> list[Effect]:
    """Show how it goes; at the end of its first part the table, and what was asked for beyond it."""
    number = step.run.removeprefix(RUN)
    stage = _stage(known, step)
    if stage == "examine" and step.state == "done":
        return _examined(event, known, step, number)
    if stage == "comment":
        return _commented(event, known, step, number)
    shown: list[Effect] = [Show(_card(event, known, step, stage, number), f"run.{step.run}.{stage}", _place(event, number))]
    if step.state != "done":
        return shown
    return _asked(event, known, step, number, shown) if stage == "precheck" else _made(event, known, step, number, shown)


def _stage(known: Known, step: Moved) -> str:
    """What the run is at: "examine", "precheck", "mix" for all that makes samples, or "comment"."""
    said = step.stage or step.facts.get("stage", "")
    told = (
        "comment"
        if "url" in step.facts
        else "examine"
        if "then" in step.facts
        else "precheck"
        if "verdict" in step.facts
        else ""
    )
    recorded = known.run.until if known.run and known.run.id == step.run else ""
    found = told or said or recorded or "examine"
    return "mix" if found in GENERATING else found


def _examined(event: Event, known: Known, step: Moved, number: str) -> list[Effect]:
    """The table; a stranger hears only of their own pull request."""
    author, place = step.facts.get("author", ""), _place(event, number)
    if not gate.triages(event) and (not known.hub.login or known.hub.login.lower() != author.lower()):
        return [Answer(known.words("triage.others", number=number), place=place, private=True)]
    found = known.found.get("triage")
    if found is None:
        return [Look("triage", step.run)]
    assert isinstance(found, Triaged)
    done = Show(_card(event, known, step, "examine", number), f"run.{step.run}.examine", place)
    table = Show(card(found, known.words, _buttons(event, known, found)), f"triage.{number}", place)
    return [done, table, *_next(event, known, step, number)]


def _buttons(event: Event, known: Known, found: Triaged) -> tuple[Button, ...]:
    words, number = known.words, found.number
    makes = (cards.button(words, "generate", f"triage.generate|{number}"),) if known.chat.teacher and found.first else ()
    may = found.comments and gate.triages(event)
    posts = (cards.button(words, "triage.comment", f"triage.comment|{number}"),) if may else ()
    return (cards.button(words, "triage.again", _looks(event, number)), *makes, *posts)


def _looks(event: Event, number: str | int) -> str:
    """The token that has it looked at again: its author asks by `/precheck`, as they did before."""
    return f"triage.{'triage' if gate.triages(event) else 'precheck'}|{number}"


def _next(event: Event, known: Known, step: Moved, number: str) -> list[Effect]:
    """What was asked for beyond the table, where there is an entry and a model for it."""
    kind, place = step.facts.get("then", ""), _place(event, number)
    if kind not in KINDS:
        return []
    if not step.facts.get("leaf") or not _there(known, kind):
        name = "triage.no_entry" if not step.facts.get("leaf") else "triage.no_model"
        return [] if kind == "triage" else [Answer(known.words(name, number=number), place=place)]
    inputs: dict[str, object] = {name: step.facts[name] for name in ("leaf", "root") if name in step.facts}
    model = known.chat.models[0].name if known.chat.models else ""
    return [_start(event, number, KINDS[kind], {**inputs, "model": model} if kind != "generate" else inputs)]


def _asked(event: Event, known: Known, step: Moved, number: str, shown: list[Effect]) -> list[Effect]:
    found = known.checked()
    if found is None:
        return [Look("precheck", step.run)]
    title = cards.clip(known.words("triage.precheck", number=number), TITLE)
    place = _place(event, number)
    told = Card(known.words("triage.precheck.end", number=number, counts=notices.counted(step.facts, known.words)))
    table = Show(prechecking.drawn(title, found, known.words), f"triage.{number}.precheck", place)
    return [*shown, table, Show(told, place=place, ping=event.person)]


def _made(event: Event, known: Known, step: Moved, number: str, shown: list[Effect]) -> list[Effect]:
    report = known.report()
    if report is None:
        return [Look("report", step.run)]
    title = known.words("triage.generate.end", number=number, counts=samples.counted(step.facts, known.words))
    told = Card(cards.clip(title, TITLE), samples.with_page(step.run, report, (), known.words))
    return [*shown, Show(told, place=_place(event, number), ping=event.person)]


def _commented(event: Event, known: Known, step: Moved, number: str) -> list[Effect]:
    if step.state == "done":
        text = known.words("triage.commented", number=number, url=step.facts.get("url", ""))
    elif step.state == "failed":
        text = known.words("pull.act.failed", cause=_cause(known, step))
    else:
        return []
    return [Answer(text, place=_place(event, number))]


def _cause(known: Known, step: Moved) -> str:
    return cards.say_problem(known.words, Problem(step.facts.get("code", ""), step.facts.get("cause", ""), facts=step.facts))


def _card(event: Event, known: Known, step: Moved, stage: str, number: str) -> Card:
    """How the run stands."""
    words, run = known.words, Run(step.run, step.state, step.facts, stage)
    blocks: list[Block] = [Text("\n".join(filter(None, (_told(known, run, step), notices.stands(run, words)))))]
    if run.state == "running":
        blocks.append(Bar(step.fraction, cards.clip(words(f"triage.stage.{stage}"), LABEL)))
    going = run.state in ("waiting", "running")
    again = (cards.button(words, "again", _looks(event, number)),) if run.state in ("failed", "cancelled") else ()
    stops = going and gate.triages(event)
    cancel = (cards.button(words, "cancel", f"run.cancel|{run.id}", "danger"),) if stops else ()
    return Card(cards.clip(words("triage.run", number=number), TITLE), tuple(blocks), cancel or again)


def _told(known: Known, run: Run, step: Moved) -> str:
    words, stage = known.words, run.until
    match run.state:
        case "failed":
            return words("run.failed", cause=_cause(known, step))
        case "running" | "done" if stage == "mix":
            return samples.told(run, words)
        case "running" if stage == "precheck" and "answers" in run.facts:
            return words("precheck.answers", **{name: cards.quoted(value, 40) for name, value in run.facts.items()})
        case "waiting" | "stopping":
            return words(f"run.{run.state}")
        case "cancelled":
            return words("triage.cancelled")
        case state:
            return words(f"triage.{state}.{stage}")


# --- what is pressed


def press(event: Event, known: Known, verb: str, number: str) -> list[Effect]:
    """Look again, make samples of it, or post the table."""
    if not _NUMBER.fullmatch(number) or not known.hub.repo:
        return [Answer(known.words("press.stale"), private=True)]
    if verb in KINDS:
        if verb == "triage" and not gate.triages(event):
            return [Answer(known.words("refused.role"), private=True)]
        return ask(event, known, verb, number)
    if verb != "comment" or not gate.triages(event):
        return [Answer(known.words("refused.role" if verb == "comment" else "press.stale"), private=True)]
    asked: dict[str, object] = {"event": f"{event.platform}:{short(event.id)}"}
    return [Start(f"{RUN}{number}", RECIPE, asked, until="comment", redo=("comment",))]
