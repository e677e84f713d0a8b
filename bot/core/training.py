"""Training an adapter on the samples of a draft: the run that does it, and what can be done with the model that was taught.

The run is that of the draft's revision. What it left is read from its folder whenever it is shown, so that a button does the
same however old it is. Asked for again, it trains anew only where there are other samples, or other settings.
"""

from dataclasses import replace
from typing import Literal

from bot.core import cards, chatting, form, gate, notices, samples, submitting, tuned
from bot.core.contribute import FORMS, entry
from bot.core.drafting import settle
from bot.core.known import Known
from bot.core.records import Draft, Run, Spent
from bot.core.talk import Answer, Card, Effect, Event, Look, Moved, Save, Show, Start
from bot.core.trained import name_of

ACT = "train"
UNTIL = "export"
STAGES = ("train", "evaluate", "export")
LEFT: tuple[Literal["scores", "curve", "report"], ...] = ("scores", "curve", "report")  # what a run is told with at its end


def press(event: Event, known: Known, draft: Draft) -> list[Effect]:
    """Train on the samples of the draft as it stands; of what is trained already the scores are shown."""
    if not form.whole(FORMS[draft.form], draft.answers):
        return settle(event, known, replace(draft, asked=""), lead=known.words("train.not_yet"))
    if refused := submitting.busy(known, draft, "train"):
        return refused
    run = submitting.run_of(draft)
    last = known.run
    if last and (last.id, last.state, last.until) == (run, "done", UNTIL):
        there = known.adapter()
        if there is None:
            return [Look("adapter", run)]
        if there.there:
            return _scored(known, draft, run)
    found = known.sampled()
    if found is None:
        return [Look("samples", (run, "kept", 0, samples.PAGE))]
    if not (found.rows and found.judged):
        make = cards.button(known.words, "generate", f"draft.generate|{draft.id}", "good")
        return [Answer(known.words("train.nothing"), buttons=(make,), place=draft.place, private=True)]
    return gate.gate(event, known, ACT) or _start(event, draft, run)


def _start(event: Event, draft: Draft, run: str) -> list[Effect]:
    return [
        Save(replace(draft, run=run)),
        Save(Spent(event.person, ACT, event.at, event.id)),
        Start(run, "contribution", {"entry": entry(draft.form, draft.answers)}, until=UNTIL, redo=STAGES),
    ]


def _scored(known: Known, draft: Draft, run: str, ping: str = "") -> list[Effect]:
    """What came of it, with the curve, the page to read, and what can be done next."""
    scores, curve, report = known.scores(), known.curve(), known.report()
    if scores is None or curve is None or report is None:
        return [Look(what, run) for what in LEFT if what not in known.found]
    return [Show(tuned.end(draft, run, scores, curve, report, known.words), place=draft.place, ping=ping)]


# --- what a run says


def moved(event: Event, known: Known, draft: Draft, step: Moved) -> list[Effect]:
    """Show how it goes, with the newest picture of its curve; at its end a message that says what came of it."""
    curve = known.curve()
    if curve is None and step.facts.get("curve"):
        return [Look("curve", step.run)]
    run = Run(step.run, step.state, step.facts, UNTIL)
    card = notices.run(draft, run, known.words, step.fraction)
    effects: list[Effect] = [Show(tuned.with_curve(card, run.id, curve, known.words), f"run.{step.run}", draft.place)]
    match step.state:
        case "done":
            end = _scored(known, draft, step.run, event.person)
            return end if isinstance(end[0], Look) else [*effects, *end]
        case "failed":
            said = tuned.failed(draft, known.words)
        case "cancelled":
            name = cards.clip(cards.name_of(draft, known.words), 80)
            said = Card(known.words("train.cancelled.end", name=name))
        case _:
            return effects
    return [*effects, Show(said, place=draft.place, ping=event.person)]


# --- with the model that was taught


def of_tuned(event: Event, known: Known, draft: Draft, verb: str, value: str) -> list[Effect]:
    """Do what a button beside the scores of a run says; its value is `RUN` or `RUN|REST`."""
    run, _, rest = value.partition("|")
    match verb:
        case "chat":
            return gate.off(known, "chat") or chatting.tune_in(event, known, name_of(run))
        case "compare":
            return gate.off(known, "chat") or chatting.beside_base(event, known, name_of(run))
        case "seeds" if rest.isascii() and rest.isdigit() and len(rest) <= 4:
            return _seeds(known, draft, run, int(rest))
        case "files":
            return _files(known, draft, run)
        case _:
            return [Answer(known.words("press.stale"), private=True)]


def _seeds(known: Known, draft: Draft, run: str, skip: int) -> list[Effect]:
    found = known.scores()
    if found is None:
        return [Look("scores", run)]
    return [Show(tuned.seeds(draft, run, found, skip, known.words), f"seeds.{run}", draft.place)]


def _files(known: Known, draft: Draft, run: str) -> list[Effect]:
    found = known.exported()
    if found is None:
        return [Look("export", run)]
    return [Show(tuned.files(draft, run, found, known.words), f"files.{run}", draft.place)]
