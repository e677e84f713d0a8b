"""The way out: what is checked and shown before a draft is signed off, and the run that proposes it."""

from dataclasses import replace
from typing import Literal

from bot.core import cards, form
from bot.core.contribute import FORMS, entry
from bot.core.drafting import settle
from bot.core.known import Known
from bot.core.records import Draft, Spent
from bot.core.talk import Answer, Ask, Card, Code, Effect, Event, Look, Refuse, Save, Show, Start, Submit

DCO = "1.1"
ACTIVE = ("waiting", "running", "stopping")
Work = Literal["precheck", "generate", "train", "submit"]
# What a run does that goes on to this stage.
WORK: dict[str, Work] = {"precheck": "precheck", "mix": "generate", "export": "train"}


def before_submit(event: Event, known: Known, draft: Draft) -> list[Effect]:
    """Show what would go out, or what is still missing."""
    if not form.whole(FORMS[draft.form], draft.answers):
        return settle(event, known, replace(draft, asked=""), lead=known.words("submit.not_yet"))
    if refused := busy(known, draft, "submit"):
        return refused
    finding = known.finding()
    if finding is None:
        return [Look("draft", draft)]
    if finding.problems:
        return [Answer(" ".join(cards.say_problem(known.words, problem) for problem in finding.problems), place=draft.place)]
    return [Save(draft), Show(cards.before_submit(draft, known, finding), f"submit.{draft.id}", draft.place)]


def overwrite(event: Event, known: Known, draft: Draft) -> list[Effect]:
    return before_submit(event, known, replace(draft, replaces=True))


def signer(event: Event, known: Known, draft: Draft) -> list[Effect]:
    return [Ask(cards.signer(draft, known))]


def dco(event: Event, known: Known, draft: Draft) -> list[Effect]:
    """Show the text that a sign-off agrees to."""
    code = Code(known.words("dco.text"), "text", "DCO.txt")
    return [Show(Card(known.words("dco.title"), (code,)), private=True)]


def sign(event: Event, known: Known, draft: Draft) -> list[Effect]:
    """Sign with the name and mail that are known, and send it off; ask for them first if they are not."""
    if not (known.person.full_name and known.person.mail):
        return signer(event, known, draft)
    return _send(event, known, draft)


def signed(event: Event, known: Known, draft: Draft, sent: Submit) -> list[Effect]:
    """Take name and mail of the sign-off; sending the dialog off is the consent that it asked for."""
    name, mail = (" ".join(sent.values.get(field, "").split()) for field in ("name", "mail"))
    person = replace(known.person, full_name=name, mail=mail)
    errors = {}
    if not name or any(mark in name for mark in "<>@") or cards.shown(name) != name:
        errors["name"] = known.words("problem.signer.name")
    local, _, domain = mail.partition("@")
    if not (local and "." in domain.strip(".")) or any(mark in mail for mark in " <>") or cards.shown(mail) != mail:
        errors["mail"] = known.words("problem.signer.mail")
    if errors:
        asked = replace(known, person=replace(person, full_name=cards.shown(name)[:100], mail=cards.shown(mail)[:200]))
        return [Refuse(cards.signer(draft, asked), errors)]
    kept = person if sent.values.get("keep", "yes") != "no" else replace(person, full_name="", mail="")
    return [Save(kept), *_send(event, replace(known, person=person), draft)]


def _send(event: Event, known: Known, draft: Draft) -> list[Effect]:
    """Start the run that proposes the draft. Its key is the draft's revision: a second press is the same run."""
    if not form.whole(FORMS[draft.form], draft.answers):
        return before_submit(event, known, draft)
    if refused := busy(known, draft, "submit"):
        return refused
    if draft.state == "submitted" and draft.run == run_of(draft):
        return [Answer(known.words("submit.already"), place=draft.place)]
    person = known.person
    sent = replace(draft, signed=event.at, run=run_of(draft))
    inputs = {
        "entry": entry(draft.form, draft.answers),
        "name": person.full_name,
        "mail": person.mail,
        "signed_at": event.at,
        "dco": DCO,
        "replaces": draft.replaces,
    }
    sign = cards.button(known.words, "preview", f"draft.preview|{draft.id}")
    resolved = Card(known.words("submit.signed", name=cards.clip(person.full_name, 80)), (), (sign,))
    return [
        Save(sent),
        Save(Spent(event.person, "submit", event.at, event.id)),
        Show(resolved, f"submit.{draft.id}", draft.place),
        Start(run_of(draft), "contribution", inputs, until="propose"),
    ]


def busy(known: Known, draft: Draft, wish: Work) -> list[Effect]:
    """What somebody hears who wants something of this revision while its run goes on with something else, or with that.

    Of two things that one run does the first would take the other along if it failed. A submission that goes on is
    asked for again without a word: it is the same one.
    """
    run = known.run
    if run is None or run.id != run_of(draft) or run.state not in ACTIVE:
        return []
    work = WORK.get(run.until, "submit")
    if work == wish == "submit":
        return []
    name = f"{work}.underway" if work == wish else f"busy.{work}"
    return [Answer(known.words(name), place=draft.place, private=True)]


def run_of(draft: Draft) -> str:
    """The run of this revision of the draft: the same revision, the same run."""
    return f"{draft.id}.{draft.revision}"
