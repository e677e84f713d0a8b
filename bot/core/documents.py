"""The document of knowledge once it is read: what the run found, and passages picked from its text."""

from dataclasses import replace

from bot.core import cards, drafting, form, notices
from bot.core.contribute import EXAMPLE, FORMS
from bot.core.known import Known
from bot.core.records import Draft, Run
from bot.core.talk import Answer, Button, Effect, Event, Look, Moved, Show
from pipeline.errors import Problem

SHOWN = 5  # passages that a search shows


def again(event: Event, known: Known, draft: Draft) -> list[Effect]:
    """Read the document once more, after trouble."""
    return drafting.settle(event, known, draft.found({"document.asked": None}), lead=known.words("document.again"))


def moved(event: Event, known: Known, draft: Draft, step: Moved) -> list[Effect]:
    """Show how the reading goes; take what it found, or its trouble, unless the draft has moved on to another document."""
    run = Run(step.run, step.state, step.facts)
    effects: list[Effect] = [Show(notices.reading(draft, run, known.words, step.fraction), f"run.{step.run}", draft.place)]
    if draft.answers.get("document.run") != step.run or step.state not in ("done", "failed", "cancelled"):
        return effects
    facts, offer = step.facts, tuple[Button, ...]()
    if step.state == "done":
        found = draft.found({"document.commit": facts["commit"], "document.read": facts["listed"], "document.trouble": None})
        lead = known.words("document.done", words=int(facts["words"]))
        offer = (cards.button(known.words, "find", f"draft.find|{draft.id}"),)
    else:
        problem = Problem(facts.get("code", ""), facts.get("cause", known.words("run.cancelled")), facts=facts)
        found = draft.found({"document.trouble": cards.say_problem(known.words, problem)})
        lead = ""
    # A person in the middle of a passage is not asked it once more, only told; unless nothing else is left to do.
    ask = step.state != "done" or form.stands(FORMS[draft.form], found.answers, found.asked) is None
    return [*effects, *drafting.settle(event, known, found, lead=lead, offer=offer, ask=ask)]


def find(event: Event, known: Known, draft: Draft, query: str) -> list[Effect]:
    """Show passages of the document that speak of `query`, each a press away from being a context."""
    if not draft.answers.get("document.commit"):
        return [Answer(known.words("find.nothing_read"), place=draft.place, private=True)]
    excerpts = known.excerpts()
    if excerpts is None:
        return [Look("passages", (draft.answers["document.run"], query, SHOWN))]
    if not excerpts:
        return [Answer(known.words("find.none", query=cards.quoted(query)), private=True)]
    return [Show(notices.excerpts(draft, query, excerpts, known.words), private=True)]


def take(event: Event, known: Known, draft: Draft, name: str) -> list[Effect]:
    """Make a passage of the document the context that is still missing, or that of a new example."""
    excerpts = known.excerpts()
    if excerpts is None:
        return [Look("passages", (draft.answers.get("document.run", ""), f"#{name}", 1))]
    if not excerpts:
        return [Answer(known.words("press.stale"), private=True)]
    page = FORMS[draft.form].page(EXAMPLE)
    part = _without_context(draft)
    change: dict[str, str | None] = {f"{EXAMPLE}.{part}.context": excerpts[0].text}
    changed = draft.with_answers(change | form.with_part(page, part, draft.answers))
    return drafting.settle(event, known, replace(changed, asked=""), lead=known.words("find.taken"))


def _without_context(draft: Draft) -> int:
    page = FORMS[draft.form].page(EXAMPLE)
    order = form.parts(page, draft.answers)
    lacking = [part for part in order if not draft.answers.get(f"{EXAMPLE}.{part}.context")]
    return lacking[0] if lacking else form.next_part(page, draft.answers)
