"""The way out: what is checked and shown before a draft is signed off, and the run that proposes it."""

from dataclasses import replace
from typing import Literal

from bot.core import cards, form, github
from bot.core.contribute import FORMS, entry
from bot.core.drafting import settle
from bot.core.known import Finding, Known
from bot.core.records import Draft, Person, Spent
from bot.core.talk import Answer, Ask, Card, Code, Effect, Event, Look, Refuse, Save, Show, Start, Submit, short

DCO = "1.1"
PRIVATE = frozenset(f"screen.{kind}" for kind in ("secret", "mail", "phone", "card", "iban", "address", "name"))
LOGIN = "sources.github"  # the answer that becomes `created_by`
ACTIVE = ("waiting", "running", "stopping")
Work = Literal["precheck", "generate", "train", "submit"]
# What a run does that goes on to this stage.
WORK: dict[str, Work] = {"precheck": "precheck", "mix": "generate", "export": "train"}


def ask(event: Event, known: Known, draft: Draft) -> list[Effect]:
    """Show what would go out where it is looked for, below what was said last; a card that asks already asks no more."""
    return before_submit(event, known, draft, anew=True)


def before_submit(event: Event, known: Known, draft: Draft, *, anew: bool = False) -> list[Effect]:
    """Show what would go out, or what is still missing."""
    if not form.whole(FORMS[draft.form], draft.answers):
        return settle(event, known, replace(draft, asked=""), lead=known.words("submit.not_yet"))
    if refused := busy(known, draft, "submit"):
        return refused
    if lacks := github.lacks(known):
        return [replace(lacks, place=draft.place)]
    draft = as_linked(known, draft)
    if looks := [one for one in _looks(known, draft) if one.what not in known.found]:
        return [*looks]
    finding = known.finding()
    assert finding, "it was looked for"
    if finding.problems:
        return [Answer(" ".join(cards.say_problem(known.words, problem) for problem in finding.problems), place=draft.place)]
    slot = draft.card if draft.card and not anew else f"submit.{draft.id}.{short(event.id)}"
    before = [Show(Card(known.words("submit.below")), draft.card, draft.place)] if draft.card not in ("", slot) else []
    return [Save(replace(draft, card=slot)), *before, Show(cards.before_submit(draft, known, finding), slot, draft.place)]


def _looks(known: Known, draft: Draft) -> list[Look]:
    """What the card before a submission is made from; what the model answers stands in a pull request only."""
    run = run_of(draft)
    answers = [Look("precheck", run), Look("scores", run)] if known.hub.repo else []
    return [Look("draft", draft), *answers]


def as_linked(known: Known, draft: Draft) -> Draft:
    """The draft with its contributor called as they are on GitHub: `created_by` is that login, and never a mail address.

    Its questions are the same: what was found out about them counts, unless that very version was sent off already.
    """
    if not (known.hub.repo and known.hub.login):
        return draft
    named = draft.found({LOGIN: known.hub.login})
    return named if draft.signed else replace(named, revision=draft.revision)


def looked(event: Event, known: Known, draft: Draft) -> list[Effect]:
    """The contributor says that they looked for personal data, in this version of it."""
    draft = as_linked(known, draft)
    return before_submit(event, known, replace(draft, looked=draft.revision))


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
    person, errors = signer_of(known, sent)
    if errors:
        return [Refuse(cards.signer(draft, replace(known, person=showable(person))), errors)]
    return [Save(kept(person, sent)), *_send(event, replace(known, person=person), draft)]


def signer_of(known: Known, sent: Submit) -> tuple[Person, dict[str, str]]:
    """Who signs, as the dialog says; and what is wrong with that, by field."""
    name, mail = (" ".join(sent.values.get(field, "").split()) for field in ("name", "mail"))
    errors = {}
    if not name or any(mark in name for mark in "<>@") or cards.shown(name) != name:
        errors["name"] = known.words("problem.signer.name")
    local, _, domain = mail.partition("@")
    if not (local and "." in domain.strip(".")) or any(mark in mail for mark in " <>") or cards.shown(mail) != mail:
        errors["mail"] = known.words("problem.signer.mail")
    return replace(known.person, full_name=name, mail=mail), errors


def showable(person: Person) -> Person:
    """The person with a name and a mail that a dialog can show again."""
    return replace(person, full_name=cards.shown(person.full_name)[:100], mail=cards.shown(person.mail)[:200])


def kept(person: Person, sent: Submit) -> Person:
    """The person with name and mail as they are to be kept: not at all where they said so."""
    return person if sent.values.get("keep", "yes") != "no" else replace(person, full_name="", mail="")


def _send(event: Event, known: Known, draft: Draft) -> list[Effect]:
    """Start the run that proposes the draft. Its key is the draft's revision: a second press is the same run."""
    if not form.whole(FORMS[draft.form], draft.answers):
        return before_submit(event, known, draft)
    if refused := busy(known, draft, "submit"):
        return refused
    if draft.state == "submitted" and draft.run == run_of(draft):
        return [Answer(known.words("submit.already"), place=draft.place)]
    if lacks := github.lacks(known):
        return [replace(lacks, place=draft.place)]
    person, draft = known.person, as_linked(known, draft)
    if known.hub.repo and draft.looked != draft.revision:
        return before_submit(event, known, draft)
    finding = known.finding()
    if known.hub.repo and finding is None:
        return [Look("draft", draft)]
    sent = replace(draft, signed=event.at, run=run_of(draft), dco=DCO, card="")
    inputs = {
        "entry": entry(draft.form, draft.answers),
        "name": person.full_name,
        "mail": person.mail,
        "signed_at": event.at,
        "dco": DCO,
        "replaces": draft.replaces,
        "looked": draft.looked == draft.revision,
        **({"hints": hints(finding)} if finding else {}),
    }
    sign = cards.button(known.words, "preview", f"draft.preview|{draft.id}")
    resolved = Card(known.words("submit.signed", name=cards.clip(person.full_name, 80)), (), (sign,))
    return [
        Save(sent),
        Save(Spent(event.person, "submit", event.at, event.id)),
        Show(resolved, draft.card, draft.place),
        Start(run_of(draft), "contribution", inputs, until="propose", redo=_again(known, draft)),
    ]


def _again(known: Known, draft: Draft) -> tuple[str, ...]:
    """What is performed anew: a proposal of this very version that was made, and taken back since."""
    run = known.run
    made = run is not None and run.id == run_of(draft) and run.state == "done" and run.until == "propose"
    return ("propose",) if made else ()


def hints(finding: Finding) -> dict[str, int]:
    """How many findings of the screening are about people and secrets, and how many about topics to avoid."""
    kinds = [one.code.removeprefix("screen.") for one in finding.advice if "topic" in one.facts or one.code in PRIVATE]
    private = sum(f"screen.{kind}" in PRIVATE for kind in kinds)
    return {"private": private, "topics": len(kinds) - private}


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
