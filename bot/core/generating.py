"""Making samples from a draft: the run that does it, thumbs for the first of them, more of them, and all to be read.

The run is that of the draft's revision. Its stages judge and mix what they have, so whoever asks for more gets these along
with the new ones; how many there are to be is named in full, and asking twice is asking once.
"""

from dataclasses import replace
from typing import Literal

from bot.core import cards, drafting, form, gate, notices, samples, setup, submitting
from bot.core.contribute import FORMS, entry
from bot.core.known import Known, Sampled
from bot.core.records import Draft, Run, Spent
from bot.core.talk import Answer, Card, Effect, Event, Look, Moved, Rate, Save, Show, Start

ACT = "generate"
UNTIL = "mix"
STAGES = ("document", "generate", "judge", "mix")
REDONE = ("generate", "judge", "mix")
MOST = 100_000  # samples that may be asked for; the stages after are measured with ten times that many


def offered(known: Known) -> bool:
    """Whether there is a model that samples can be made with, be it that it is only on its way."""
    return known.chat.teacher


def press(event: Event, known: Known, draft: Draft) -> list[Effect]:
    """Make samples of the draft as it stands; those that are made already are shown."""
    if not form.whole(FORMS[draft.form], draft.answers):
        return drafting.settle(event, known, replace(draft, asked=""), lead=known.words("generate.not_yet"))
    if refused := submitting.busy(known, draft, "generate"):
        return refused
    run = submitting.run_of(draft)
    if not _broke_off(known, run):
        found = known.sampled()
        if found is None:
            return [Look("samples", (run, "kept", 0, samples.PAGE))]
        if found.rows and found.judged:
            return [_page(draft, run, "kept", 0, found, known)]
    if known.chat.state == "absent" and not offered(known):
        return setup.absent(event, known)
    if not offered(known):
        return [Answer(known.words("problem.generate.no_model"), place=draft.place, private=True)]
    return gate.gate(event, known, ACT) or _start(event, draft, {"entry": entry(draft.form, draft.answers)})


def _broke_off(known: Known, run: str) -> bool:
    """Whether this run was to make samples and did not come to its end: what it has is then not shown but gone on with."""
    last = known.run
    return last is not None and last.id == run and last.state in ("failed", "cancelled") and last.until in (UNTIL, "")


def _start(event: Event, draft: Draft, inputs: dict[str, object], redo: tuple[str, ...] = ()) -> list[Effect]:
    run = submitting.run_of(draft)
    return [
        Save(replace(draft, run=run)),
        Save(Spent(event.person, ACT, event.at, event.id)),
        Start(run, "contribution", inputs, until=UNTIL, redo=redo),
    ]


# --- more of them


def more(event: Event, known: Known, draft: Draft, text: str) -> list[Effect]:
    """`/more 200`: so many more than the run was asked for."""
    if not (_is_count(text) and 1 <= int(text) <= MOST):
        return [Answer(known.words("generate.more.usage", most=MOST), private=True)]
    run = known.run if known.run and known.run.id == submitting.run_of(draft) else None
    wanted = samples.number(run.facts, "wanted") if run else 0
    if refused := submitting.busy(known, draft, "generate"):
        return refused
    if not wanted:
        return [Answer(known.words("generate.more.none"), private=True)]
    return raised(event, known, draft, submitting.run_of(draft), str(wanted + int(text)))


def raised(event: Event, known: Known, draft: Draft, run: str, total: str) -> list[Effect]:
    """Let a run go on until there are so many samples in all."""
    if run != submitting.run_of(draft) or not _is_count(total):
        return [Answer(known.words("generate.older"), place=draft.place, private=True)]
    if refused := submitting.busy(known, draft, "generate") or gate.gate(event, known, ACT):
        return refused
    return _start(event, draft, {"wanted": total}, REDONE)


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= len(str(MOST)) + 1


# --- what a run says


def moved(event: Event, known: Known, draft: Draft, step: Moved) -> list[Effect]:
    """Show how it goes, and its first samples; at its end a message that says what came of it."""
    run = Run(step.run, step.state, step.facts, UNTIL)
    looks = [Look("thumbs", step.run)] if samples.firsts(step.facts) and known.thumbs() is None else []
    looks += [Look("report", step.run)] if step.state in ("done", "failed") and known.report() is None else []
    if looks:
        return [*looks]
    effects: list[Effect] = [Show(notices.run(draft, run, known.words, step.fraction), f"run.{step.run}", draft.place)]
    if shown := samples.first(draft, step.run, step.facts, known.thumbs() or {}, known.words):
        effects.append(Show(shown, f"samples.{step.run}", draft.place))
    match step.state:
        case "done" | "failed" as state:
            report = known.report()
            assert report is not None  # it was looked for
            said = {"done": samples.end, "failed": samples.failed}[state](draft, run, report, known.words)
            return [*effects, Show(said, place=draft.place, ping=event.person)]
        case "cancelled":
            name = cards.clip(cards.name_of(draft, known.words), 80)
            return [
                *effects,
                Show(Card(known.words("generate.cancelled.end", name=name)), place=draft.place, ping=event.person),
            ]
        case _:
            return effects


# --- what is said of samples


def of_samples(event: Event, known: Known, draft: Draft, verb: str, value: str) -> list[Effect]:
    """Do what a button beside samples says; its value is `RUN|REST`."""
    run, _, rest = value.partition("|")
    which, _, skip = rest.partition(".")
    match verb:
        case "up" | "down":
            return _thumb(known, draft, run, rest, verb)
        case "more":
            return raised(event, known, draft, run, rest)
        case "page" if which in ("kept", "dropped") and _is_count(skip):
            return _list(known, draft, run, which, int(skip))
        case _:
            return [Answer(known.words("press.stale"), private=True)]


def _thumb(known: Known, draft: Draft, run: str, sample: str, verb: Literal["up", "down"]) -> list[Effect]:
    """Keep a thumb, or take it back where it was given already."""
    facts = known.run.facts if known.run and known.run.id == run else {}
    if sample not in [one.at for one in samples.firsts(facts)]:
        return [Answer(known.words("press.stale"), private=True)]
    thumbs = known.thumbs()
    if thumbs is None:
        return [Look("thumbs", run)]
    thumb: Literal["up", "down", ""] = "" if thumbs.get(sample) == verb else verb
    shown = samples.first(draft, run, facts, {**thumbs, sample: thumb}, known.words)
    return [Rate(run, sample, thumb), *([Show(shown, f"samples.{run}", draft.place)] if shown else [])]


def listed(event: Event, known: Known, draft: Draft, text: str) -> list[Effect]:
    """`/samples`, `/samples dropped`: the samples of the draft's last run that made any."""
    which = text.strip().lower() or "kept"
    if which not in ("kept", "dropped"):
        return [Answer(known.words("samples.usage"), private=True)]
    return _list(known, draft, draft.run or submitting.run_of(draft), which, 0)


def _list(known: Known, draft: Draft, run: str, which: str, skip: int) -> list[Effect]:
    found = known.sampled()
    if found is None:
        return [Look("samples", (run, which, skip, samples.PAGE))]
    return [_page(draft, run, which, skip, found, known)]


def _page(draft: Draft, run: str, which: str, skip: int, found: Sampled, known: Known) -> Show:
    last = known.run
    again = last if last and last.id == run == submitting.run_of(draft) and last.state == "done" else None
    return Show(samples.page(draft, run, which, skip, found, known.words, again), f"list.{run}", draft.place)
