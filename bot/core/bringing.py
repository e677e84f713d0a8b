"""Files and pasted entries: what is in them goes into a draft, and what was made of them is told."""

import re
from dataclasses import replace

from bot.core import cards, drafting, gate, notices, publishing
from bot.core.contribute import EXAMPLE, WORK, answers_of, form_of, works_answers
from bot.core.form import Form
from bot.core.known import Brought, Known
from bot.core.records import Draft
from bot.core.talk import Answer, Ask, Dialog, Effect, Event, Field, File, Look, Refuse, Show, Submit
from pipeline.taxonomy import Work

# A pasted entry begins with a key of the schemas (after a fence, `---` or remarks) and lists seed examples.
_BEGIN = re.compile(
    r"\s*(?:```\w*\s*\n)?(?:---\s*\n|#.*\n)*\s*(?:version|created_by|task_description|domain|document\w*|seed_examples)\s*:"
)


def is_entry(text: str) -> bool:
    """Whether a typed text is a whole qna.yaml rather than an answer."""
    return bool(_BEGIN.match(text)) and "seed_examples" in text and "\n" in text.strip()


def ask(event: Event, known: Known) -> list[Effect]:
    """`/upload`: a dialog that takes files, where a platform shows none to drop one on."""
    return [Ask(_dialog(known))]


def _dialog(known: Known) -> Dialog:
    words = known.words
    field = Field("file", words("field.file"), hint=words("hint.file"), kind="file")
    return Dialog(words("upload.title"), "file.bring|", (field,), words("button.send"))


def sent(event: Event, known: Known, sent: Submit) -> list[Effect]:
    """Take in what the dialog brought."""
    if not sent.files:
        return [Refuse(_dialog(known), {"file": known.words("problem.missing")})]
    return taken(event, known, sent.files)


def taken(event: Event, known: Known, what: tuple[File, ...] | str) -> list[Effect]:
    """Files, or a text in their place, unless drafts are paused or, where they begin one, used up."""
    goes_on = known.conversation.parent and known.draft and event.person in known.draft.authors
    refused = gate.off(known, "drafts") if goes_on else gate.gate(event, known, "draft")
    return refused or brought(event, known, what)


def brought(event: Event, known: Known, what: tuple[File, ...] | str) -> list[Effect]:
    """Take in files, or the text of one: into the draft of this thread, else into one of its own."""
    found = known.brought()
    if found is None:
        return [Look("file", what)]
    if document := next((one.document for one in found if one.document), None):
        return publishing.offered(event, known, document)
    works = next((one.works for one in found if one.works), ())
    told: list[Effect] = [Show(notices.not_brought(one, known.words)) for one in found if one.problem]
    for one in found:
        if one.entry is not None:
            return [*told, *_entry(event, known, one, answers_of(one.entry) | works_answers(works), form_of(one.entry))]
    return [*told, *_works(event, known, works)] if works else told


def _entry(event: Event, known: Known, found: Brought, answers: dict[str, str], form: Form) -> list[Effect]:
    """A draft that holds what the entry says; in a thread that has one, as its next step, which /undo takes back."""
    there = known.draft if known.conversation.parent and known.draft and _takes(known.draft, event, form) else None
    draft = _filled(there or drafting.fresh(event, known, form.name), answers, form)
    lead = known.words("brought.replaced" if there and there.answers.get(EXAMPLE) else "brought.taken")
    effects = drafting.settle(event, known, draft, lead=lead)
    if isinstance(effects[0], Look):
        return effects
    told = Show(notices.brought(found, draft, known.words), place=draft.place)
    effects = [*effects[:-1], told, effects[-1]]  # the question that stands comes last
    return effects if there else drafting.opened(event, known, draft, cards.clip(answers.get(form.title, ""), 60), effects)


def _takes(draft: Draft, event: Event, form: Form) -> bool:
    """Whether the draft of a thread is what the file is meant for: its author's, and of that kind or still without examples."""
    skills = ("skill", "grounded")
    alike = form.name == draft.form or (form.name in skills and draft.form in skills)
    return event.person in draft.authors and (alike or not draft.answers.get(EXAMPLE))


def _filled(draft: Draft, answers: dict[str, str], form: Form) -> Draft:
    """The draft with these answers in place of its examples; of the rest, what they say nothing about stays."""
    gone: dict[str, str | None] = {key: None for key in draft.answers if key.startswith(f"{EXAMPLE}.")}
    return replace(draft.with_answers(gone | answers, form.name), asked="", heard={})


def _works(event: Event, known: Known, works: tuple[Work, ...]) -> list[Effect]:
    """The sources of an attribution.txt, for the draft that is open here."""
    draft = known.draft
    if draft is None or event.person not in draft.authors:
        return [Answer(known.words("brought.no_draft"), private=True)]
    gone: dict[str, str | None] = {key: None for key in draft.answers if key.split(".")[0] == WORK}
    changed = replace(draft.with_answers(gone | works_answers(works)), asked="")
    return drafting.settle(event, known, changed, lead=known.words("brought.works", count=len(works)))
