"""A document that somebody sends for their knowledge: put into their own repository on GitHub, where an entry can name it.

Upstream takes knowledge from documents in a git repository, by commit. What is put there is public for good, so it is asked
before, and signed off like every commit; then the draft names repository, commit and file, and the document is read.
"""

from dataclasses import replace

from bot.core import cards, drafting, github, submitting
from bot.core.contribute import KNOWLEDGE_FORM
from bot.core.known import Known
from bot.core.records import Draft
from bot.core.talk import Answer, Ask, Card, Effect, Event, File, Moved, Refuse, Save, Show, Start, Submit, Text, short
from pipeline.errors import Problem

RUN = "publish-"  # how the part of a run's id begins that puts a document there
SENT = "draft.published"  # the token of the sign-off's dialog
ENDINGS = (".md", ".pdf", ".html", ".htm")
MOST = 10 * 2**20  # bytes, as the stage has it
CARRIED = 2**20  # of a token that holds the file itself: where the platform keeps none, the draft does


def is_document(file: File) -> bool:
    return file.name.lower().endswith(ENDINGS)


def is_run(run: str) -> bool:
    return run.partition(".")[2].startswith(RUN)


def offered(event: Event, known: Known, file: File) -> list[Effect]:
    """Offer to publish a document, in the thread of a draft of knowledge; elsewhere say what such a file is good for."""
    draft, name = known.draft, cards.quoted(file.name, 80)
    if draft is None or draft.form != KNOWLEDGE_FORM.name or event.person not in draft.authors:
        return [Answer(known.words("publish.elsewhere", name=name), private=True)]
    if file.size_bytes > MOST or len(file.token) > CARRIED:
        return [Answer(known.words("problem.publish.large", name=name, limit="10 MiB"), place=draft.place, private=True)]
    if not known.hub.repo and not known.hub.login:
        return [Answer(known.words("publish.nowhere", name=name), place=draft.place, private=True)]
    kept = replace(draft, upload=(file.name, str(file.size_bytes), file.token))
    return [Save(kept), Show(_card(kept, known), f"publish.{draft.id}", draft.place)]


def _card(draft: Draft, known: Known) -> Card:
    words, name = known.words, cards.quoted(draft.upload[0], 80)
    buttons = (
        cards.button(words, "publish", f"draft.publish|{draft.id}", "good"),
        cards.button(words, "publish.no", f"draft.unpublish|{draft.id}"),
    )
    return Card(words("publish.title"), (Text(words("publish.text", name=name)),), buttons)


def kept_back(event: Event, known: Known, draft: Draft) -> list[Effect]:
    """Do not publish it, and do not keep it either."""
    card = Card(known.words("publish.kept_back"))
    return [Save(replace(draft, upload=())), Show(card, f"publish.{draft.id}", draft.place)]


def press(event: Event, known: Known, draft: Draft) -> list[Effect]:
    """Publish it, once name and mail are known that sign the commit off."""
    if not draft.upload:
        return [Answer(known.words("publish.gone"), place=draft.place, private=True)]
    if not known.hub.login:
        lacks = github.lacks(replace(known, hub=replace(known.hub, app=False))) or Answer(
            known.words("github.cannot"), private=True
        )
        return [replace(lacks, place=draft.place)]
    if not (known.person.full_name and known.person.mail):
        return [Ask(replace(cards.signer(draft, known), token=f"{SENT}|{draft.id}"))]
    return _start(event, known, draft)


def signed(event: Event, known: Known, draft: Draft, sent: Submit) -> list[Effect]:
    """Take name and mail of the sign-off, as a submission does."""
    person, errors = submitting.signer_of(known, sent)
    if errors:
        asked = cards.signer(draft, replace(known, person=submitting.showable(person)))
        return [Refuse(replace(asked, token=f"{SENT}|{draft.id}"), errors)]
    return [Save(submitting.kept(person, sent)), *_start(event, replace(known, person=person), draft)]


def _start(event: Event, known: Known, draft: Draft) -> list[Effect]:
    if not draft.upload:
        return [Answer(known.words("publish.gone"), place=draft.place, private=True)]
    name, size, token = draft.upload
    about = draft.answers.get("about.domain", "") or draft.answers.get("about.outline", "")[:60]
    inputs = {
        "upload": File(name, int(size), token),
        "about": about,
        "name": known.person.full_name,
        "mail": known.person.mail,
        "signed_at": event.at,
    }
    card = Card(known.words("publish.going", name=cards.quoted(name, 80)))
    run = f"{draft.id}.{RUN}{short(event.id)}"
    return [Show(card, f"publish.{draft.id}", draft.place), Start(run, "publish", inputs, until="publish")]


def moved(event: Event, known: Known, draft: Draft, step: Moved) -> list[Effect]:
    """Have the draft name what was published, and the document read; or say what kept it from being."""
    if step.state == "done":
        facts = step.facts
        named = draft.with_answers(
            {"document.repo": facts["repo"], "document.ref": facts["commit"], "document.patterns": facts["patterns"]}
        )
        done = Card(known.words("publish.done", commit=facts["commit"][:12], url=cards.quoted(facts["repo"])))
        settled = drafting.settle(event, known, replace(named, upload=(), asked=""), lead=known.words("publish.reads"))
        return [Show(done, f"publish.{draft.id}", draft.place), *settled]
    if step.state in ("failed", "cancelled"):
        problem = Problem(step.facts.get("code", ""), step.facts.get("cause", known.words("run.cancelled")), facts=step.facts)
        why = cards.say_problem(known.words, problem)
        again = (cards.button(known.words, "again", f"draft.publish|{draft.id}"),)
        card = Card(known.words("publish.failed"), (Text(why),), again)
        return [Show(card, f"publish.{draft.id}", draft.place, ping=event.person)]
    return []
