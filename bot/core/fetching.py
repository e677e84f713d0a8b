"""When the document of knowledge is to be read: as soon as its answers are in order, and again whenever one changes.

The person goes on meanwhile. What a run gives goes into the answers beside the person's, but not into what undo takes
back.
"""

from bot.core import form
from bot.core.checks import document_of
from bot.core.contribute import KNOWLEDGE_FORM
from bot.core.records import Draft
from bot.core.talk import Effect, Start

GIVEN = ("asked", "run", "trouble", "commit", "read")  # answers of the page `document` that a run gives


def wanted(draft: Draft) -> tuple[Draft, list[Effect]]:
    """The draft with the run that its document now needs, and the start of it; unchanged where it needs none."""
    if draft.form != KNOWLEDGE_FORM.name or draft.answers.get("document.asked") == document_of(draft.answers):
        return draft, []
    without = draft.found({f"document.{name}": None for name in GIVEN})
    page = KNOWLEDGE_FORM.page("document")
    if any(form.problem(item, without.answers) for item in form.page_items(page, draft.answers) if not item.question.given):
        return draft, []
    run = f"{draft.id}.read{draft.revision}"
    patterns = draft.answers["document.patterns"].split("\n")
    inputs = {"repo": draft.answers["document.repo"], "ref": draft.answers.get("document.ref", ""), "patterns": patterns}
    asked = without.found({"document.asked": document_of(draft.answers), "document.run": run})
    return asked, [Start(run, "document", inputs)]


def is_reading(run: str) -> bool:
    return run.partition(".")[2].startswith("read")
