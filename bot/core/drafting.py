"""What happens to a draft: each verb takes it as it stands and says what is to be saved and shown.

A verb that changes the draft ends in `settle`: the shell looks at the draft as it would stand, `decide` runs the verb
once more with the finding, and only then is it saved and shown. What was typed is saved whatever is wrong with it.
"""

from dataclasses import replace

from bot.core import cards, fetching, form, today
from bot.core.contribute import EXAMPLE, FORMS, GROUNDED, SKILL
from bot.core.form import Item
from bot.core.gate import left
from bot.core.known import Finding, Known
from bot.core.reading import change_of, pairs, placed
from bot.core.records import Conversation, Draft, Spent, merged
from bot.core.talk import (
    Answer,
    Ask,
    Button,
    Card,
    Effect,
    Event,
    Look,
    Refuse,
    Save,
    Show,
    Submit,
    direct,
    short,
    thread,
)

DRAFT_ID = 7  # letters: 35 bits, so that among 10,000 drafts two share a name in 1 of 700 installations


def slot(draft: Draft) -> str:
    return f"draft.{draft.id}"


def begin(event: Event, known: Known, form_name: str, wish: str = "") -> list[Effect]:
    """Start a draft in a thread of its own; `wish` is what the person said it is about, offered as its description.

    Labelled pairs in it, as somebody else's message may have them, are its first examples.
    """
    the_form, draft = FORMS[form_name], fresh(event, known, form_name)
    if found := pairs(wish, known.words):
        standing = form.stands(the_form, draft.answers)
        draft, wish = draft.with_answers(placed(the_form, draft.answers, found, standing)), ""
    wish = (wish[:1].upper() + wish[1:]).partition("\n")[0].strip()
    offer: tuple[Button, ...] = ()
    token = f"draft.choose|{draft.id}.{the_form.title}={wish}"
    if wish and len(token) <= 100:
        offer = (Button(cards.clip(known.words("button.wish", wish=wish), 75), token),)
    if the_form is SKILL:
        offer = (*offer, cards.button(known.words, "grounded", f"draft.as|{draft.id}.{GROUNDED.name}"))
    effects = settle(
        event,
        known,
        draft,
        lead=" ".join(filter(None, (known.words(f"{form_name}.begin"), left(event, known, "draft")))),
        offer=offer,
    )
    return opened(event, known, draft, cards.clip(wish, 60), effects)


def fresh(event: Event, known: Known, form_name: str) -> Draft:
    """An empty draft, named by the event, in a thread of its own."""
    name = short(event.id, DRAFT_ID)
    answers = {"sources.github": known.person.github} if known.person.github else {}
    place = thread(known.conversation.parent or event.place, name)
    return Draft(name, form_name, event.person, place, event.at, (event.person,), answers)


def opened(event: Event, known: Known, draft: Draft, title: str, effects: list[Effect]) -> list[Effect]:
    """What beginning a draft needs besides its own effects: its thread, a word where one was, and that it counts."""
    if isinstance(effects[0], Look):
        return effects
    title = title or known.words(f"{draft.form}.untitled")
    parent = known.conversation.parent or event.place
    spent = Save(Spent(event.person, "draft", event.at, event.id))
    place = Conversation(draft.place, title, parent, draft.id, (event.person,))
    there = Answer(known.words("draft.there", title=cards.quoted(title)), place=parent, leads=draft.place)
    return [spent, Save(place), *effects, there]


def settle(
    event: Event, known: Known, draft: Draft, *, lead: str = "", offer: tuple[Button, ...] = (), ask: bool = True
) -> list[Effect]:
    """Save the draft, redraw its card and ask what stands next, after `lead` (what just happened, in a sentence)."""
    draft, work = fetching.wanted(draft)
    finding = known.finding()
    if finding is None:
        return [Look("draft", draft)]
    if known.draft and draft.revision != known.draft.revision:
        draft = replace(draft, state="open")  # what was proposed is no longer what it says
    effects: list[Effect] = [Save(draft), *_focus(event, known, draft), *_named(known, draft)]
    asked, more = today.after(known, draft)
    effects += [Show(cards.draft(draft, known, finding), slot(draft), draft.place), *work, *asked]
    if not ask:
        return [*effects, Answer(lead, buttons=offer, place=draft.place)] if lead else effects
    question, buttons = _next(draft, known, finding)
    effects.append(Answer(" ".join(filter(None, (lead, question))), buttons=(*offer, *buttons, *more), place=draft.place))
    return effects


def _next(draft: Draft, known: Known, finding: Finding) -> tuple[str, tuple[Button, ...]]:
    """What is asked next, with the ways out; or what is waited for, or that everything is there."""
    the_form = FORMS[draft.form]
    if standing := form.stands(the_form, draft.answers, draft.asked):
        return cards.question(standing, draft, known, finding)
    if not form.whole(the_form, draft.answers):
        return known.words("document.reading"), ()
    told, send = ("draft.changed", "pull.update") if draft.pull and draft.state == "open" else ("draft.whole", "submit")
    return known.words(told), (cards.button(known.words, send, f"draft.submit|{draft.id}", "good"),)


def _focus(event: Event, known: Known, draft: Draft) -> list[Effect]:
    """Outside threads what is typed goes to the draft whose card was shown last."""
    if known.conversation.draft == draft.id or event.place == draft.place:
        return []
    return [Save(replace(known.conversation, place=event.place, draft=draft.id))]


def _named(known: Known, draft: Draft) -> list[Effect]:
    """A thread that had no name gets the description's, once: platforms let a thread be renamed rarely."""
    here = known.conversation
    name = cards.name_of(draft, known.words)
    untitled = known.words(f"{draft.form}.untitled")
    return [Save(replace(here, title=name))] if here.place == draft.place and here.title == untitled != name else []


def said(event: Event, known: Known, draft: Draft, text: str, message: str, offer: tuple[Button, ...] = ()) -> list[Effect]:
    """Take what was typed as the answer to the question that stands, or as examples where it is labelled so."""
    if not text.strip():
        return settle(event, known, draft, lead=known.words("said.empty"))
    found = pairs(text, known.words)
    changed = as_form(draft, GROUNDED.name) if draft.form == SKILL.name and any("context" in pair for pair in found) else draft
    change = _understood(changed, text, found, known)
    if change is None:
        return settle(event, known, draft, lead=known.words("said.nothing_open"), ask=False)
    heard = {**draft.heard, message: tuple(change)} if message else draft.heard
    changed = replace(changed.with_answers(change), asked="", heard=heard)
    effects = settle(event, known, changed, lead=_counted(draft, changed, known), offer=offer)
    return _remember(event, known, changed, effects)


def reworded(event: Event, known: Known, draft: Draft, text: str, message: str) -> list[Effect]:
    """Follow an edit of a message that gave answers; an edit of any other message changes nothing."""
    keys = draft.heard.get(message, ())
    typed = [key for key in keys if "." in key]
    if not typed or not text.strip():
        return []
    found = pairs(text, known.words)
    if found and len(typed) == sum(map(len, found)):
        values = [value for pair in found for value in pair.values()]
        change = dict[str, str | None](zip(typed, values, strict=True))
    elif len(typed) == 1 and (item := _item(draft, typed[0])):
        change = change_of(item, text, known.words)
    else:
        return settle(event, known, draft, lead=known.words("said.edit_unclear"))
    return settle(event, known, draft.with_answers(change), lead=known.words("said.edited"))


def unsaid(event: Event, known: Known, draft: Draft, message: str) -> list[Effect]:
    """Take back the answers that a deleted message gave."""
    keys = [key for key in draft.heard.get(message, ()) if key in draft.answers and "." in key]
    if not keys:
        return []
    change: dict[str, str | None] = dict.fromkeys(keys)
    for stem in {key.rpartition(".")[0] for key in keys if key.count(".") == 2}:
        page, part = stem.split(".")
        if not any(key.startswith(f"{stem}.") and key not in keys for key in draft.answers):
            change |= form.without_part(FORMS[draft.form].page(page), int(part), merged(draft.answers, change))
    return settle(event, known, draft.with_answers(change), lead=known.words("said.deleted"))


def _understood(draft: Draft, text: str, found: list[dict[str, str]], known: Known) -> dict[str, str | None] | None:
    """The change to the answers that a typed text means; None if nothing was open that it could answer."""
    the_form = FORMS[draft.form]
    standing = form.stands(the_form, draft.answers, draft.asked)
    if found and (standing is None or standing.page.name == EXAMPLE or len(found[0]) > 1):
        return placed(the_form, draft.answers, found, standing)
    if standing is None:
        return None
    change = change_of(standing, text, known.words)
    return change | form.with_part(standing.page, standing.part, draft.answers) if standing.part else change


def _counted(before: Draft, after: Draft, known: Known) -> str:
    """Say how many examples a paste brought, when it was more than one."""
    page = FORMS[after.form].page(EXAMPLE)
    count = len(form.parts(page, after.answers)) - len(form.parts(page, before.answers))
    return known.words("said.examples", count=count) if count > 1 else ""


def _remember(event: Event, known: Known, draft: Draft, effects: list[Effect]) -> list[Effect]:
    """Keep the contributor's GitHub name for the next draft."""
    github = draft.answers.get("sources.github", "")
    item = _item(draft, "sources.github")
    if not github or github == known.person.github or item is None or form.problem(item, draft.answers):
        return effects
    return effects if isinstance(effects[0], Look) else [Save(replace(known.person, github=github)), *effects]


def _item(draft: Draft, key: str) -> Item | None:
    return next((item for item in form.items(FORMS[draft.form], draft.answers) if item.key == key), None)


def target(draft: Draft, value: str) -> tuple[str, int] | None:
    """The page and part that a token's "page" or "page.part" names; None if this form has no such one."""
    name, _, part = value.partition(".")
    page = next((page for page in FORMS[draft.form].pages if page.name == name), None)
    if page is None or bool(page.least) != part.isdigit() or (part and not page.least):
        return None
    known = [0] if not page.least else [*form.parts(page, draft.answers), form.next_part(page, draft.answers)]
    return (name, int(part or 0)) if int(part or 0) in known else None


def is_part(draft: Draft, page: str, part: int) -> bool:
    """Whether there is such a part, and not only room for it."""
    return part in form.parts(FORMS[draft.form].page(page), draft.answers)


def is_key(draft: Draft, key: str) -> bool:
    return _item(draft, key) is not None


def choose(event: Event, known: Known, draft: Draft, key: str, value: str) -> list[Effect]:
    """Take the answer that a button or a command gives."""
    item = _item(draft, key)
    assert item, key  # `decide` has looked
    change = change_of(item, value, known.words)
    change |= form.with_part(item.page, item.part, draft.answers) if item.part else {}
    return settle(event, known, replace(draft.with_answers(change), asked=""))


def clean(event: Event, known: Known, draft: Draft, key: str) -> list[Effect]:
    """Take the characters out of an answer that cannot stay in it."""
    value = draft.answers.get(key, "")
    kept = "".join(character for character in value if cards.shown(character) == character)
    return settle(event, known, draft.with_answers({key: kept}), lead=known.words("said.cleaned"))


def drop(event: Event, known: Known, draft: Draft, page: str, part: int) -> list[Effect]:
    the_page = FORMS[draft.form].page(page)
    what = cards.part_name(draft, the_page, part, known.words)
    changed = draft.with_answers(form.without_part(the_page, part, draft.answers))
    return settle(event, known, changed, lead=known.words("part.dropped", what=what))


def keep(event: Event, known: Known, draft: Draft, page: str, part: int) -> list[Effect]:
    return settle(event, known, draft.with_answers({f"{page}.{part}.same": "kept"}))


def move(event: Event, known: Known, draft: Draft, number: int, to: int) -> list[Effect]:
    page = FORMS[draft.form].page(EXAMPLE)
    part = form.parts(page, draft.answers)[number - 1]
    what = cards.part_name(draft, page, part, known.words)
    changed = draft.with_answers(form.moved_part(page, part, to, draft.answers))
    return settle(event, known, changed, lead=known.words("part.moved", what=what, to=to))


def as_form(draft: Draft, name: str) -> Draft:
    """The draft as another kind of skill: what was typed stays, and its place moves to the other root."""
    path = draft.answers.get("place.path", "")
    item = form.part_items(FORMS[name].page("place"), 0, draft.answers)[0]
    home = FORMS[draft.form].root
    moved = item.question.taken(path.removeprefix(f"{home}/")) if path.startswith(f"{home}/") else path
    return draft.with_answers({"place.path": moved or None}, name)


def become(event: Event, known: Known, draft: Draft, name: str) -> list[Effect]:
    return settle(event, known, as_form(draft, name), lead=known.words(f"{name}.begin"))


def undo(event: Event, known: Known, draft: Draft) -> list[Effect]:
    if not draft.undo:
        return settle(event, known, draft, lead=known.words("undo.nothing"))
    return settle(event, known, draft.undone(), lead=known.words("undo.done"))


def edit(event: Event, known: Known, draft: Draft, page: str, part: int, question: str = "") -> list[Effect]:
    """Open the dialog of a page or a part; what is too long for a dialog, or named, is asked again in the thread."""
    the_page = FORMS[draft.form].page(page)
    dialog = cards.dialog(page, part, draft, known.words)
    if dialog and not question:
        return [Ask(dialog)]
    items = form.part_items(the_page, part, draft.answers)
    item = next((one for one in items if question.casefold() in _names(one, known)), None)
    if item is None:
        return [Answer(known.words("edit.unknown", what=cards.quoted(question)), private=True)]
    return settle(event, known, replace(draft, asked=item.key), lead=known.words("edit.again"))


def _names(item: Item, known: Known) -> set[str]:
    """What people call a question: its name, its label, or nothing."""
    return {"", item.question.name, known.words(f"field.{item.page.name}.{item.question.name}").casefold()}


def fill(event: Event, known: Known, draft: Draft, page: str, part: int, sent: Submit) -> list[Effect]:
    """Take in a dialog: everything is saved; what is wrong sends the dialog back as it was filled in."""
    the_page = FORMS[draft.form].page(page)
    form_items = form.part_items(the_page, part, {**draft.answers, **_given(page, part, sent)})
    change: dict[str, str | None] = {}
    for item in form_items:
        typed = sent.values.get(item.question.name)
        # A dialog shows what cannot be shown as other characters: an untouched field must not change the answer.
        if typed is not None and typed != cards.shown(draft.answers.get(item.key, "")):
            change |= change_of(item, typed, known.words)
    if part and any(change.values()):
        change |= form.with_part(the_page, part, draft.answers)
    changed = replace(draft.with_answers(change), asked="")
    effects = _remember(event, known, changed, settle(event, known, changed))
    problems = {item: form.problem(item, changed.answers) for item in form_items}
    wrong = {
        item.question.name: cards.say_problem(known.words, one)
        for item, one in problems.items()
        if one and one.code != "missing"
    }
    dialog = cards.dialog(page, part, changed, known.words)
    if wrong and dialog and not isinstance(effects[0], Look):
        return [*(one for one in effects if not isinstance(one, Answer)), Refuse(dialog, wrong)]
    return effects


def _given(page: str, part: int, sent: Submit) -> dict[str, str]:
    stem = f"{page}.{part}" if part else page
    return {f"{stem}.{name}": value for name, value in sent.values.items()}


def fill_standing(event: Event, known: Known, draft: Draft) -> list[Effect]:
    """Open the dialog of what stands next."""
    standing = form.stands(FORMS[draft.form], draft.answers, draft.asked)
    if standing is None:
        return settle(event, known, draft)
    return edit(event, known, draft, standing.page.name, standing.part)


def preview(event: Event, known: Known, draft: Draft) -> list[Effect]:
    finding = known.finding()
    if finding is None:
        return [Look("draft", draft)]
    return [Show(cards.preview(draft, known.words, finding), private=True)]


def resume(event: Event, known: Known, draft: Draft) -> list[Effect]:
    """Take a draft up again, where it lies."""
    back = replace(draft, state="open") if draft.state == "discarded" else draft
    effects = settle(event, known, back, lead=known.words("draft.resumed"))
    if isinstance(effects[0], Look) or event.place == draft.place:
        return effects
    title = cards.quoted(cards.name_of(draft, known.words))
    return [*effects, Answer(known.words("draft.there", title=title))]


def later(event: Event, known: Known, draft: Draft) -> list[Effect]:
    return [
        Save(replace(known.conversation, place=event.place, draft="" if event.place != draft.place else draft.id)),
        Answer(known.words("draft.kept", id=draft.id)),
    ]


def discard(event: Event, known: Known, draft: Draft) -> list[Effect]:
    words = known.words
    if draft.pull:
        return [Answer(words("pull.open", pull=draft.pull), place=draft.place, private=True)]
    gone = Card(
        words("draft.discarded", name=cards.name_of(draft, words)), (), (cards.button(words, "back", f"draft.open|{draft.id}"),)
    )
    forget = (
        [Save(replace(known.conversation, draft=""))]
        if known.conversation.draft == draft.id and event.place != draft.place
        else []
    )
    return [Save(replace(draft, state="discarded")), *forget, Show(gone, slot(draft), draft.place)]


def invite(event: Event, known: Known, draft: Draft, guest: str) -> list[Effect]:
    """Let somebody else write too, and tell them where."""
    words = known.words
    name = known.names.get(guest, guest)
    if guest in draft.authors:
        return [Answer(words("invite.already", name=cards.quoted(name)))]
    changed = replace(draft, authors=(*draft.authors, guest))
    place = replace(known.conversation, people=changed.authors) if event.place == draft.place else None
    title = cards.clip(words("invite.title", name=known.person.name, draft=cards.name_of(draft, words)), 150)
    letter = Card(title, (), (cards.button(words, "join", f"draft.open|{draft.id}", "good"),))
    return [
        Save(changed),
        *([Save(place)] if place else []),
        Answer(words("invite.done", name=cards.quoted(name)), place=draft.place),
        Show(letter, slot=f"invite.{draft.id}", place=direct(event.platform, guest), ping=guest),
    ]
