"""event x known -> effects: the whole conduct of the bot, with no I/O, no clock and no chance in it.

Where an answer needs a look at something there is a `Look` among the effects: the shell looks, drops the rest and calls
`decide` again with the finding in `known.found`. What was found is never asked for again, so the rounds come to an end.
"""

from dataclasses import replace
from typing import assert_never

from bot.core import (
    asking,
    bringing,
    cards,
    chatting,
    documents,
    drafting,
    examining,
    fetching,
    generating,
    hearing,
    moving,
    notices,
    prechecking,
    privacy,
    publishing,
    pulling,
    setup,
    submitting,
    today,
    training,
    triaging,
)
from bot.core.commands import COMMANDS, is_author
from bot.core.contribute import FORMS
from bot.core.gate import OPERATOR, barred, gate, off, triages
from bot.core.known import Known
from bot.core.records import Draft, Run
from bot.core.talk import (
    Answer,
    Cancel,
    Card,
    Command,
    Digest,
    Effect,
    Event,
    Look,
    Moved,
    Opened,
    Press,
    Pulled,
    Rated,
    Said,
    Save,
    Show,
    Stopped,
    Submit,
    Unsaid,
)

PRESSED = {  # buttons that are commands, with what stands after those
    "skill.start": ("skill", ""),
    "knowledge.start": ("knowledge", ""),
    "draft.list": ("draft", ""),
    "help.show": ("help", ""),
    "github.link": ("github", "link"),
    "github.unlink": ("github", "unlink"),
    "status.show": ("status", ""),
}
NAMED = ("submit", "discard", "precheck", "generate", "train")  # commands behind which a draft may be named
SENDING = (
    "submit",
    "overwrite",
    "looked",
    "signer",
    "sign",
    "publish",
)  # the buttons of a draft that belong to the feature `submit`


def decide(event: Event, known: Known) -> list[Effect]:
    """Say what is to be done about an event. The same event and the same knowledge give the same effects."""
    if (refused := barred(event, known)) is not None:
        return refused
    here = moving.taken_up(event, known)
    return [_signed(effect, event, known) for effect in moving.moved(event, known, here, _decide(event, here))]


def _signed(effect: Effect, event: Event, known: Known) -> Effect:
    """Note in a draft that several people write who gave the answers that are new."""
    if not (isinstance(effect, Save) and isinstance(effect.what, Draft) and len(effect.what.authors) > 1):
        return effect
    draft, before = effect.what, known.draft.answers if known.draft else {}
    new = {key for key, value in draft.answers.items() if before.get(key) != value}
    owner = {key: draft.owner for key in draft.answers if key not in draft.hands}  # written before anybody came along
    hands = {**owner, **draft.hands, **dict.fromkeys(new, event.person)}
    return Save(replace(draft, hands={key: hand for key, hand in hands.items() if key in draft.answers}))


def _decide(event: Event, known: Known) -> list[Effect]:
    match event.act:
        case Command(name, text):
            return _command(event, known, name, text)
        case Press(token):
            return _press(event, known, token)
        case Submit() as sent:
            return _submit(event, known, sent)
        case Said() as said:
            return hearing.said(event, known, said)
        case Unsaid(message):
            return hearing.unsaid(event, known, message)
        case Opened():
            return pulling.home(event, known)
        case Stopped(message):
            return [Cancel(message)]
        case Moved() | Pulled() | Digest() | Rated():
            return _told(event, known, event.act)
        case _:
            assert_never(event.act)


def _told(event: Event, known: Known, act: Moved | Pulled | Digest | Rated) -> list[Effect]:
    """What comes of what no person did just now."""
    match act:
        case Moved():
            return _moved(event, known, act)
        case Pulled():
            return pulling.heard(event, known, known.draft, act) if known.draft else []
        case Digest():
            return triaging.digest(event, known, act)
        case Rated():
            return []  # thumbs are drawn under answers of the FAQ and of a model only, and both keep their own


def _command(event: Event, known: Known, name: str, text: str) -> list[Effect]:
    spec = COMMANDS.get(name)
    if spec is None:
        return [Answer(known.words("command.unknown", name=cards.quoted(name)), private=True)]
    if (spec.operator and OPERATOR not in event.roles) or (spec.triager and not triages(event)):
        return [Answer(known.words("refused.role"), private=True)]
    if refused := off(known, spec.feature) or gate(event, known, spec.act or name, counts=bool(spec.act)):
        return refused
    if name in examining.KINDS and spec.draft and (number := examining.named(text, known)):
        return examining.ask(event, known, name, number)
    if spec.draft and not _mine(event, known):
        return [_no_draft(known)]
    if name in NAMED and text.strip() and known.draft and known.draft.id != text.split()[0].lower():
        return [_no_draft(known)]
    return spec.does(event, known, text)


def _press(event: Event, known: Known, token: str) -> list[Effect]:
    """Do what a button says, however old it is: everything it needs is in its token and in the store."""
    action, _, value = token.partition("|")
    if action in PRESSED:
        return _command(event, known, *PRESSED[action])
    if action == "run.cancel":
        return _cancel(event, known, value)
    kind, _, verb = action.partition(".")
    match kind:
        case "setup":
            return _operated(event, known) or setup.press(event, known, verb, value)
        case "privacy":
            return privacy.press(event, known, verb, value)
        case "chat":
            return off(known, "chat") or chatting.press(event, known, verb, value)
        case "triage":
            return off(known, "submit") or examining.press(event, known, verb, value)
        case "faq":
            return off(known, "faq") or asking.press(event, known, verb, value.partition(".")[2])
        case "draft" | "sample" | "tuned" | "pull" if known.draft:
            return _of_draft(event, known, known.draft, action, value)
        case _:
            return [_stale(known)]


def _cancel(event: Event, known: Known, run: str) -> list[Effect]:
    if run.startswith(examining.RUN) and not triages(event):
        return [Answer(known.words("refused.role"), private=True)]
    if run.startswith(setup.RUN) and OPERATOR not in event.roles:
        return [Answer(known.words("refused.role"), private=True)]
    if known.draft and not is_author(event, known.draft) and OPERATOR not in event.roles:
        return [hearing.not_yours(known, known.draft)]
    return [Cancel(run)] if known.run and known.run.state in ("waiting", "running") else [_stale(known)]


def _of_draft(event: Event, known: Known, draft: Draft, action: str, value: str) -> list[Effect]:
    """Do what a button of a draft says, or one beside the samples that were made of it."""
    if not is_author(event, draft):
        return [hearing.not_yours(known, draft)]
    kind, _, verb = action.partition(".")
    if refused := off(known, "drafts") or (off(known, "submit") if verb in SENDING else []):
        return refused
    if kind == "sample":
        return generating.of_samples(event, known, draft, verb, value)
    if kind == "tuned":
        return training.of_tuned(event, known, draft, verb, value)
    if kind == "pull":
        return pulling.press(event, known, draft, verb, value.partition(".")[2])
    return _draft_press(event, known, draft, verb, value.partition(".")[2])


def _operated(event: Event, known: Known) -> list[Effect]:
    """The refusal of what only operators may do about models."""
    if OPERATOR not in event.roles:
        return [Answer(known.words("refused.role"), private=True)]
    return off(known, "chat") or gate(event, known, "setup", counts=False)


def _draft_press(event: Event, known: Known, draft: Draft, verb: str, rest: str) -> list[Effect]:
    simple = {
        "form": drafting.fill_standing,
        "preview": drafting.preview,
        "undo": drafting.undo,
        "later": drafting.later,
        "discard": drafting.discard,
        "open": drafting.resume,
        "precheck": prechecking.press,
        "generate": generating.press,
        "train": training.press,
        "submit": submitting.ask,
        "overwrite": submitting.overwrite,
        "reread": documents.again,
        "find": lambda event, known, draft: documents.find(event, known, draft, ""),
        "today": lambda event, known, draft: today.press(event, known, draft, rest),
        "publish": publishing.press,
        "unpublish": publishing.kept_back,
        "looked": submitting.looked,
        "dco": submitting.dco,
        "signer": submitting.signer,
    }
    if verb in simple:
        return simple[verb](event, known, draft)
    if verb == "sign":
        return gate(event, known, "submit") or submitting.sign(event, known, draft)
    target = drafting.target(draft, rest)
    match verb:
        case "edit" if target:
            return drafting.edit(event, known, draft, *target)
        case "choose" if "=" in rest and drafting.is_key(draft, rest.partition("=")[0]):
            return drafting.choose(event, known, draft, *rest.split("=", 1))
        case "clean" if rest in draft.answers:
            return drafting.clean(event, known, draft, rest)
        case "drop" | "keep" if target and drafting.is_part(draft, *target):
            return {"drop": drafting.drop, "keep": drafting.keep}[verb](event, known, draft, *target)
        case "as" if rest in FORMS:
            return drafting.become(event, known, draft, rest)
        case "take":
            return documents.take(event, known, draft, rest)
        case "meant" if rest in draft.answers:
            return asking.was_meant(event, known, draft, rest)
        case _:
            return drafting.settle(event, known, draft, lead=known.words("press.stale"))


def _submit(event: Event, known: Known, sent: Submit) -> list[Effect]:
    if sent.token.startswith("faq."):
        return asking.reply(event, known, sent)
    if sent.token.startswith("file."):
        return bringing.sent(event, known, sent)
    if sent.token.startswith("chat."):
        return chatting.compared(event, known, sent)
    if not known.draft:
        return [_stale(known)]
    if not is_author(event, known.draft):
        return [hearing.not_yours(known, known.draft)]
    if refused := off(known, "drafts"):
        return refused
    return _sent(event, known, known.draft, sent)


def _sent(event: Event, known: Known, draft: Draft, sent: Submit) -> list[Effect]:
    """Take what a dialog of a draft brings."""
    action, _, value = sent.token.partition("|")
    target = drafting.target(draft, value.partition(".")[2])
    match action:
        case "draft.fill" if target:
            return drafting.fill(event, known, draft, *target, sent)
        case "pull.said":
            return pulling.said(event, known, draft, sent)
        case publishing.SENT:
            return off(known, "submit") or publishing.signed(event, known, draft, sent)
        case "draft.signed":
            return gate(event, known, "submit") or submitting.signed(event, known, draft, sent)
        case _:
            return [_stale(known)]


def _moved(event: Event, known: Known, moved: Moved) -> list[Effect]:
    """Show a step of a run in its card; at the end say so in a new message, since edits notify nobody."""
    if moved.run.startswith(setup.RUN):
        return setup.moved(event, known, moved)
    if moved.run.startswith(examining.RUN):
        return examining.moved(event, known, moved)
    draft = known.draft
    if draft is None:
        return []
    if fetching.is_reading(moved.run):
        return documents.moved(event, known, draft, moved)
    if publishing.is_run(moved.run):
        return publishing.moved(event, known, draft, moved)
    if pulling.is_act(moved.run):
        return pulling.acted(event, known, draft, moved)
    until = _until(known, draft, moved)
    if until == prechecking.STAGE:
        return prechecking.moved(event, known, draft, moved)
    if until in training.STAGES:
        return training.moved(event, known, draft, moved)
    if until in generating.STAGES:
        return generating.moved(event, known, draft, moved)
    return _proposed(event, known, draft, moved)


def _proposed(event: Event, known: Known, draft: Draft, moved: Moved) -> list[Effect]:
    """How a proposal goes; at its end a message, the draft's card, and the pull request that is followed from then on."""
    run = Run(moved.run, moved.state, moved.facts, "propose")
    card = notices.run(draft, run, known.words, moved.fraction)
    effects: list[Effect] = [Show(card, f"run.{moved.run}", draft.place)]
    if moved.state not in ("done", "failed", "cancelled"):
        return effects
    name, facts = cards.clip(cards.name_of(draft, known.words), 80), moved.facts
    end = notices.proposed(draft, run)
    told = Card(known.words(f"{end}.end", name=name, number=facts.get("number", "")))
    effects.append(Show(told, place=draft.place, ping=event.person))
    if moved.state != "done":
        return effects
    if draft.run == moved.run == submitting.run_of(draft):
        effects += drafting.settle(event, known, replace(draft, state="submitted"), ask=False)
    if "url" not in facts or any(isinstance(effect, Look) for effect in effects):
        return effects
    return pulling.opened(effects, draft, moved)


def _until(known: Known, draft: Draft, moved: Moved) -> str:
    """What a draft's run is for. Its step says so where it can: the record may have gone on to the next by now.

    One that was refused has no record of that; then what is signed was to be submitted.
    """
    stage = moved.stage or moved.facts.get("stage", "")
    recorded = known.run.until if known.run and known.run.id == moved.run else ""
    if stage in training.STAGES or (recorded == training.UNTIL and stage in generating.STAGES):
        return training.UNTIL  # which begins with samples where something about them is new
    told = "propose" if "branch" in moved.facts else prechecking.STAGE if "verdict" in moved.facts else stage
    guessed = "" if draft.signed or moved.run != submitting.run_of(draft) else prechecking.STAGE
    return told or recorded or guessed


def _mine(event: Event, known: Known) -> bool:
    return known.draft is not None and is_author(event, known.draft)


def _no_draft(known: Known) -> Answer:
    return Answer(known.words("draft.none_here"), buttons=notices.welcome(known.words).buttons[:2], private=True)


def _stale(known: Known) -> Answer:
    return Answer(known.words("press.stale"), private=True)
