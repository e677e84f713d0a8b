"""Every command: its name, who may give it, what it does. Help, completion and each platform's menus read this table."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from bot.core import (
    asking,
    bringing,
    cards,
    chatting,
    documents,
    drafting,
    form,
    gate,
    generating,
    github,
    helping,
    linking,
    moderating,
    notices,
    prechecking,
    privacy,
    pulling,
    setup,
    submitting,
    training,
    triaging,
)
from bot.core.contribute import EXAMPLE, FORMS
from bot.core.known import Known
from bot.core.records import Draft
from bot.core.talk import Answer, Cancel, Effect, Event, Show
from pipeline.taxonomy import SKILLS

COMPLETIONS = 25  # Discord: choices of an autocomplete


@dataclass(frozen=True, slots=True)
class Takes:
    """A part of what stands after a command, for menus that ask for it by itself; the parts, in order, are its text.

    A "person" is one who is named, like @bob; a "file" is no part of the text. `completes`: `complete` knows what it
    could be. What it is called: `takes.<name>`.
    """

    name: str
    kind: Literal["text", "person", "file"] = "text"
    required: bool = False
    completes: bool = False
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Spec:
    """A command. `act` is what it counts as against quotas, if it does; `draft`: it needs one; `operator`: it is theirs;
    `triager`: theirs and operators'.

    `feature` is what it belongs to, which may be paused. Help: `command.<name>`; in menus `menu.<name>`, and where the
    language has another name for it, `menu.<name>.name`.
    """

    name: str
    does: Callable[[Event, Known, str], list[Effect]]
    act: str = ""
    draft: bool = False
    feature: str = "drafts"
    operator: bool = False
    triager: bool = False
    takes: tuple[Takes, ...] = ()


def _begins(form_name: str) -> Callable[[Event, Known, str], list[Effect]]:
    def begins(event: Event, known: Known, text: str) -> list[Effect]:
        if bringing.is_entry(text):
            return bringing.brought(event, known, text)
        return drafting.begin(event, known, form_name, text.strip())

    return begins


def _draft(event: Event, known: Known, text: str) -> list[Effect]:
    if not text.strip():
        return [Show(notices.drafts(known), private=True)]
    if known.draft is None or not is_author(event, known.draft):
        return [Answer(known.words("draft.unknown", id=cards.quoted(text)), private=True)]
    return drafting.resume(event, known, known.draft)


def _edit(event: Event, known: Known, text: str) -> list[Effect]:
    """`/edit`, `/edit 2`, `/edit 2 answer`, `/edit work 1`, `/edit place`, by number, by name, or by what stands."""
    draft = _of(known)
    if not text.strip():
        return drafting.fill_standing(event, known, draft)
    if found := _named(draft, text, known):
        return drafting.edit(event, known, draft, *found)
    return [Answer(known.words("edit.unknown", what=cards.quoted(text)), private=True)]


def _delete(event: Event, known: Known, text: str) -> list[Effect]:
    draft = _of(known)
    found = _named(draft, text, known)
    if found and found[1]:
        return drafting.drop(event, known, draft, *found[:2])
    return [Answer(known.words("example.unknown", what=cards.quoted(text)), private=True)]


def _move(event: Event, known: Known, text: str) -> list[Effect]:
    draft = _of(known)
    numbers = text.split()
    count = len(form.parts(FORMS[draft.form].page(EXAMPLE), draft.answers))
    if len(numbers) != 2 or not all(number.isascii() and number.isdigit() and 1 <= int(number) <= count for number in numbers):
        return [Answer(known.words("move.usage", count=count), private=True)]
    return drafting.move(event, known, draft, int(numbers[0]), int(numbers[1]))


def _place(event: Event, known: Known, text: str) -> list[Effect]:
    draft = _of(known)
    if not text.strip():
        return drafting.edit(event, known, draft, "place", 0, "path")
    return drafting.choose(event, known, draft, "place.path", text)


def _find(event: Event, known: Known, text: str) -> list[Effect]:
    draft = _of(known)
    if draft.form != "knowledge":
        return [Answer(known.words("find.no_document"), private=True)]
    return documents.find(event, known, draft, text.strip())


def _invite(event: Event, known: Known, text: str) -> list[Effect]:
    guest = text.strip().removeprefix("<@").removesuffix(">")
    if guest not in known.names:
        return [Answer(known.words("invite.whom"), private=True)]
    if known.apart and ":@" in _of(known).place:
        return [Answer(known.words("invite.apart"), private=True)]
    return drafting.invite(event, known, _of(known), guest)


def _cancel(event: Event, known: Known, text: str) -> list[Effect]:
    if known.run is None or known.run.state not in ("waiting", "running"):
        return [Answer(known.words("cancel.nothing"), private=True)]
    return [Cancel(known.run.id)]


def _help(event: Event, known: Known, text: str) -> list[Effect]:
    mine = [spec for spec in COMMANDS.values() if spec.feature not in known.off]
    if known.chat.state == "absent":
        mine = [spec for spec in mine if spec.feature != "chat" or spec.operator]
    mine = [spec for spec in mine if not spec.operator or gate.OPERATOR in event.roles]
    mine = [spec for spec in mine if not spec.triager or gate.triages(event)]
    return helping.told(known, [spec.name for spec in mine], text)


def _ask(event: Event, known: Known, text: str) -> list[Effect]:
    return asking.ask(event, known, text) if text.strip() else [Answer(known.words("faq.what"), private=True)]


ABOUT = (Takes("about"),)
ONE_DRAFT = (Takes("draft", completes=True),)
ACTS = ("block", "unblock", "pause", "resume", "say")

COMMANDS = {
    spec.name: spec
    for spec in (
        Spec("ask", _ask, act="ask", feature="faq", takes=(Takes("question", required=True),)),
        Spec("chat", chatting.chat, act="chat", feature="chat", takes=(Takes("question", required=True),)),
        Spec("model", chatting.model, feature="chat", takes=(Takes("model", completes=True),)),
        Spec(
            "compare",
            chatting.compare,
            act="chat",
            feature="chat",
            takes=(Takes("model", completes=True), Takes("other", completes=True), Takes("question")),
        ),
        Spec("forget", chatting.forget, feature=""),
        Spec("setup", setup.show, feature="chat", operator=True),
        Spec("skill", _begins("skill"), act="draft", takes=ABOUT),
        Spec("grounded", _begins("grounded"), act="draft", takes=ABOUT),
        Spec("knowledge", _begins("knowledge"), act="draft", takes=ABOUT),
        Spec("upload", lambda event, known, text: bringing.ask(event, known), takes=(Takes("file", "file"),)),
        Spec("draft", _draft, takes=ONE_DRAFT),
        Spec("edit", _edit, draft=True, takes=(Takes("what", completes=True),)),
        Spec("delete", _delete, draft=True, takes=(Takes("what", required=True, completes=True),)),
        Spec("move", _move, draft=True, takes=(Takes("what", required=True, completes=True), Takes("to", required=True))),
        Spec("place", _place, draft=True, takes=(Takes("path", completes=True),)),
        Spec("find", _find, draft=True, takes=(Takes("words"),)),
        Spec("undo", lambda event, known, text: drafting.undo(event, known, _of(known)), draft=True),
        Spec("preview", lambda event, known, text: drafting.preview(event, known, _of(known)), draft=True),
        Spec("invite", _invite, draft=True, takes=(Takes("who", "person", required=True),)),
        Spec("discard", lambda event, known, text: drafting.discard(event, known, _of(known)), draft=True, takes=ONE_DRAFT),
        Spec("precheck", lambda event, known, text: prechecking.press(event, known, _of(known)), draft=True, takes=ONE_DRAFT),
        Spec("generate", lambda event, known, text: generating.press(event, known, _of(known)), draft=True, takes=ONE_DRAFT),
        Spec(
            "samples",
            lambda event, known, text: generating.listed(event, known, _of(known), text),
            draft=True,
            takes=(Takes("which", choices=("kept", "dropped")),),
        ),
        Spec(
            "more",
            lambda event, known, text: generating.more(event, known, _of(known), text.strip()),
            draft=True,
            takes=(Takes("count", required=True),),
        ),
        Spec("train", lambda event, known, text: training.press(event, known, _of(known)), draft=True, takes=ONE_DRAFT),
        Spec(
            "submit",
            lambda event, known, text: submitting.ask(event, known, _of(known)),
            draft=True,
            feature="submit",
            takes=ONE_DRAFT,
        ),
        Spec("status", pulling.status, feature=""),
        Spec("triage", triaging.triage, feature="submit", triager=True, takes=(Takes("pull"),)),
        Spec("github", github.command, feature="submit", takes=(Takes("act", choices=("link", "unlink")),)),
        Spec("cancel", _cancel, draft=True, feature="", takes=(Takes("run", completes=True),)),
        Spec("quota", lambda event, known, text: gate.quotas(event, known), feature=""),
        Spec("link", linking.link, feature="", takes=(Takes("code"),)),
        Spec("privacy", privacy.privacy, feature="", takes=(Takes("act", choices=("export", "forget")),)),
        Spec(
            "admin",
            moderating.admin,
            feature="",
            operator=True,
            takes=(Takes("act", required=True, choices=ACTS), Takes("who", "person"), Takes("words")),
        ),
        Spec("help", _help, feature="", takes=(Takes("command", completes=True),)),
    )
}


def complete(known: Known, name: str, prefix: str) -> list[str]:
    """What could stand after the command `name` (or, with name "", which commands): from memory, best first, 25 at most."""
    if not name:
        found = [command for command in COMMANDS if command.startswith(prefix)]
    elif name == "help":
        found = [command for command in COMMANDS if command.startswith(prefix.removeprefix("/"))]
    elif name == "place":
        found = _paths(known, prefix)
    elif name in ("model", "compare"):
        found = _models(known, prefix)
    elif name in ("draft", "discard", "precheck", "generate", "train", "submit"):
        found = [draft.id for draft in known.drafts if draft.id.startswith(prefix)]
    elif name == "cancel":
        found = [draft.run for draft in known.drafts if draft.run and draft.run.startswith(prefix)]
    elif name in ("edit", "delete", "move") and known.draft:
        found = [what for what in _targets(known.draft, name) if what.startswith(prefix)]
    else:
        found = []
    return found[:COMPLETIONS]


def _models(known: Known, prefix: str) -> list[str]:
    """Names of models, as a second one after a first too: from what was last seen of them."""
    before, space, begun = prefix.rpartition(" ")
    names = [one.name for one in chatting.offers(known, known.chat)]
    return [f"{before}{space}{name}" for name in names if name.startswith(begun) and name != before]


def _paths(known: Known, prefix: str) -> list[str]:
    """Folders of the level that is being typed and of the next, as people name them: without the root."""
    root = f"{FORMS[known.draft.form].root if known.draft else SKILLS}/"
    names = [path.removeprefix(root) for path in known.tree.folders if path.startswith(root)]
    depth = prefix.count("/")
    return list(dict.fromkeys(name for name in names if name and name.startswith(prefix) and name.count("/") <= depth + 1))


def _targets(draft: Draft, name: str) -> list[str]:
    pages = FORMS[draft.form].asked(draft.answers)
    parts = {page.name: [str(at) for at, _ in enumerate(form.parts(page, draft.answers), 1)] for page in pages if page.least}
    others = [f"{page} {at}" for page, found in parts.items() if page != EXAMPLE for at in found if name != "move"]
    singles = [page.name for page in pages if not page.least] if name == "edit" else []
    return [*parts[EXAMPLE], *others, *singles]


def is_author(event: Event, draft: Draft) -> bool:
    return event.person in draft.authors


def _of(known: Known) -> Draft:
    assert known.draft is not None  # `decide` has seen to it
    return known.draft


def _named(draft: Draft, text: str, known: Known) -> tuple[str, int, str] | None:
    """The page, part and question that people call "2", "2 answer", "work 1", "place"; None if there is none such."""
    words = text.split()
    name = EXAMPLE if words[:1] and words[0].isdigit() else _page(draft, words.pop(0), known) if words else None
    if name is None:
        return None
    page = FORMS[draft.form].page(name)
    if not page.least:
        return name, 0, " ".join(words)
    order = form.parts(page, draft.answers)
    typed = words.pop(0) if words else ""
    if not (typed.isascii() and typed.isdigit() and 1 <= int(typed) <= len(order)):
        return None
    return name, order[int(typed) - 1], " ".join(words)


def _page(draft: Draft, typed: str, known: Known) -> str | None:
    names = [page.name for page in FORMS[draft.form].asked(draft.answers)]
    called = {name: {name, cards.page_name(draft, name, known.words).casefold()} for name in names}
    return next((name for name in names if typed.casefold() in called[name]), None)
