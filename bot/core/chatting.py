"""Talking with the model: a question becomes a turn and a message that streams; what is said about it comes back here.

The shell writes the answers (`bot.chat`). Each attempt at a turn is a message of its own, named "TURN.TRIES": buttons and
edits of an earlier attempt are stale by that name.
"""

import re
from collections.abc import Mapping
from dataclasses import replace

from bot.core import cards, setup
from bot.core.gate import OPERATOR, gate, off
from bot.core.known import Known, Served, Serving, turn_name
from bot.core.records import Spent, Turn
from bot.core.talk import (
    LABEL,
    OPTIONS,
    TOKEN,
    Answer,
    Ask,
    Button,
    Cancel,
    Dialog,
    Effect,
    Event,
    Field,
    Forget,
    Look,
    Refuse,
    Save,
    Submit,
    short,
)
from bot.core.trained import Adapter, draft_of, run_of
from bot.core.words import Words

STREAM = "chat"
COMPARED = "compare"  # the same, for the two of a comparison, which wait for no other answer
FOLLOWS_S = 1800.0  # what is typed after that long is no more part of a talk with the model
SEEDS = 2**31  # a seed fits a signed 32-bit number, which every engine takes
LISTED = 12  # models that are listed with a button each
QUESTION = 3000  # characters of a question in a dialog


def offered(known: Known) -> bool:
    """Whether there is a model to talk with here, be it that it is only on its way."""
    return known.chat.state != "absent" and "chat" not in known.off


def talking(event: Event, known: Known) -> bool:
    """Whether what was said last here, a while ago at most, was said to the model."""
    here = known.conversation
    return here.turn_at > here.questions_at and event.at - here.turn_at < FOLLOWS_S


def subject(turn: Turn) -> str:
    """What the message of this attempt at a turn is about."""
    return f"{turn.id}.{turn.tries}"


def attempt(subject: str) -> tuple[str, int]:
    """The turn and the number of the attempt that a subject, or a button's value, names."""
    name, _, tries = subject.partition(".")
    return name, int(tries) if tries.isdecimal() else 0


def chat(event: Event, known: Known, text: str) -> list[Effect]:
    """`/chat TEXT`: always the model."""
    if known.chat.state == "absent":
        return setup.absent(event, known)
    return ask(event, known, text) if text.strip() else [Answer(known.words("chat.what"), private=True)]


def ask(event: Event, known: Known, question: str) -> list[Effect]:
    """Put a question to the model. What was asked of the FAQ before it is no longer what a follow-up leans on."""
    turn = Turn(
        id=turn_name(event),
        person=event.person,
        place=event.place,
        question=question.strip(),
        at=event.at,
        events=(event.id,),
        wanted=known.conversation.model,
    )
    here = replace(known.conversation, place=event.place, turn=turn.id, turn_at=event.at, questions=())
    return [Save(turn), Save(here), *_answer(event, known, turn)]


def _answer(event: Event, known: Known, turn: Turn, *, save: bool = False) -> list[Effect]:
    """The message in which an attempt is answered, and that it counts."""
    stop = cards.button(known.words, "stop", f"chat.stop|{subject(turn)}", "danger")
    streamed = Answer(stream=COMPARED if turn.rival else STREAM, subject=subject(turn), buttons=(stop,))
    saved: list[Effect] = [Save(turn)] if save else []
    return [*saved, Save(Spent(event.person, "chat", event.at, event.id)), streamed]


def _again(event: Event, turn: Turn, question: str) -> Turn:
    """The next attempt at a turn, with nothing left of the one before."""
    events, tries = (*turn.events, event.id), turn.tries + 1
    return replace(turn, question=question, events=events, tries=tries, state="open", answer="", thumb="", seen=())


# --- what is said about a turn


def reworded(event: Event, known: Known, turn: Turn, text: str) -> list[Effect]:
    """Follow an edit of the newest question, or of one that waits: its answer is written anew, a running one stops."""
    newest = known.conversation.turn == turn.id
    if not text.strip() or text.strip() == turn.question or turn.state == "gone" or not (newest or turn.state == "open"):
        return []
    if refused := gate(event, known, "chat"):
        return refused
    return [*_stop(turn), *_answer(event, known, _again(event, turn, text.strip()), save=True)]


def unsaid(turn: Turn) -> list[Effect]:
    """Take a question that was deleted out of the conversation with the model, and its answer."""
    if turn.state == "gone":
        return []
    return [*_stop(turn), Save(replace(turn, state="gone", question="", answer="", thumb="", seen=()))]


def _stop(turn: Turn) -> list[Effect]:
    return [Cancel(subject(turn))] if turn.state == "open" else []


def press(event: Event, known: Known, verb: str, value: str) -> list[Effect]:
    """Do what a button under an answer says."""
    if verb == "use":
        return model(event, known, value)
    turn = known.turn
    if turn is None or turn.state == "gone" or attempt(value) != (turn.id, turn.tries):
        return [Answer(known.words("press.stale"), private=True)]
    if event.person != turn.person and OPERATOR not in event.roles:
        return [Answer(known.words("chat.not_yours"), private=True)]
    running = turn.state == "open"
    match verb:
        case "stop" if running:
            return [Cancel(subject(turn))]
        case "again" if not running and (turn.rival or turn.id == known.conversation.turn):
            return gate(event, known, "chat") or _answer(event, known, _again(event, turn, turn.question), save=True)
        case "good" | "bad" if turn.state == "done":
            return [Save(replace(turn, thumb=verb)), Answer(known.words(f"chat.{verb}"), private=True)]
        case _:
            return [Answer(known.words("press.stale"), private=True)]


def buttons(turn: Turn, words: Words) -> tuple[Button, ...]:
    """What can be done about a turn that is no longer written."""
    name = subject(turn)
    again = cards.button(words, "regenerate", f"chat.again|{name}")
    thumbs = (Button(words("button.good"), f"chat.good|{name}"), Button(words("button.bad"), f"chat.bad|{name}"))
    match turn.state:
        case "done" if turn.rival:
            return thumbs
        case "done":
            return (again, *thumbs)
        case "stopped" | "failed":
            return (again,)
        case _:
            return ()


def forget(event: Event, known: Known, text: str) -> list[Effect]:
    """`/forget`: what this person and the model said in this conversation."""
    return [Forget(event.person, event.place)]


# --- which model


def model(event: Event, known: Known, text: str) -> list[Effect]:
    """`/model`: which there are and which is used here; `/model NAME`: use that one here."""
    serving = known.serving()
    if serving is None:
        return [Look("serving", "")]
    if serving.state == "absent":
        return setup.absent(event, known)
    if not serving.models:
        return [Answer(known.words("chat.no_list"), private=True)]
    if not (name := text.strip()):
        listed = _listed(known, serving, known.words("model.here", name=cards.quoted(used(known, serving))))
        return [replace(listed, open=True)]
    if _is_theirs(known, name):
        return tune_in(event, known, name)
    if name not in [one.name for one in offers(known, serving)]:
        return [_listed(known, serving, known.words("model.unknown", name=cards.quoted(name)))]
    told = Answer(known.words("model.set", name=cards.quoted(name)))
    return [Save(replace(known.conversation, place=event.place, model=name)), told]


def used(known: Known, serving: Serving) -> str:
    """The model that answers here."""
    return known.conversation.model or (serving.models[0].name if serving.models else "")


def _listed(known: Known, serving: Serving, lead: str) -> Answer:
    here, lines, found = used(known, serving), [lead], list[Button]()
    for one in offers(known, serving)[:LISTED]:
        name = "model.adapter" if one.parent else "model.base"
        lines.append(known.words(name, name=cards.quoted(one.name), parent=cards.quoted(one.parent)))
        if one.name != here and len(f"chat.use|{one.name}") <= TOKEN:
            found.append(Button(cards.clip(one.name, LABEL), f"chat.use|{one.name}"))
    return Answer("\n".join(lines), buttons=tuple(found), private=True)


def offers(known: Known, serving: Serving) -> tuple[Served, ...]:
    """The models that somebody may choose: of those that were taught here, whatever others have taught is theirs alone."""
    return tuple(one for one in serving.models if not run_of(one.name) or _is_theirs(known, one.name))


def _is_theirs(known: Known, name: str) -> bool:
    """Whether a name is that of a model taught by a draft of this person's, or of the one that answers here."""
    mine = [*(one.id for one in known.drafts), *([known.draft.id] if _is_mine(known) and known.draft else [])]
    return bool(run_of(name)) and (draft_of(name) in mine or name == known.conversation.model)


def _is_mine(known: Known) -> bool:
    return known.draft is not None and known.person.id in known.draft.authors


# --- a model that was taught here


def tune_in(event: Event, known: Known, name: str) -> list[Effect]:
    """Let a model that was taught here answer in this conversation. It is loaded when it is first asked."""
    adapter, serving = known.adapter(), known.serving()
    if adapter is None or serving is None:
        return _looks(known, name)
    if refused := _unfit(event, known, adapter, serving):
        return refused
    lines = [known.words("tuned.set", name=cards.quoted(name), base=cards.quoted(adapter.base))]
    if not (serving.ours or adapter.base in _bases(serving)):
        lines.append(known.words("tuned.perhaps", base=cards.quoted(adapter.base)))
    back = [one for one in _bases(serving)[:1] if len(f"chat.use|{one}") <= TOKEN]
    buttons = tuple(cards.button(known.words, "tuned.back", f"chat.use|{one}") for one in back)
    here = replace(known.conversation, place=event.place, model=name)
    return [Save(here), Answer(" ".join(lines), buttons=buttons)]


def beside_base(event: Event, known: Known, name: str) -> list[Effect]:
    """Ask what is to be answered by a model that was taught here and by its base, side by side."""
    adapter, serving = known.adapter(), known.serving()
    if adapter is None or serving is None:
        return _looks(known, name)
    if refused := _unfit(event, known, adapter, serving):
        return refused
    bases = _bases(serving)
    if not bases:
        return [Answer(known.words("chat.no_list"), private=True)]
    base = adapter.base if adapter.base in bases else bases[0]
    return [Ask(comparing(known, serving, {"first": base, "second": name}))]


def _looks(known: Known, name: str) -> list[Effect]:
    looks = (Look("adapter", run_of(name)), Look("serving", ""))
    return [one for one in looks if one.what not in known.found]


def _unfit(event: Event, known: Known, adapter: Adapter, serving: Serving) -> list[Effect]:
    """What somebody hears of a model that was taught here and cannot answer now."""
    if serving.state == "absent":
        return setup.absent(event, known)
    if not adapter.there:
        return [Answer(known.words("problem.adapter.gone"), private=True)]
    bases = _bases(serving)
    if serving.ours and bases and adapter.base not in bases:
        served = cards.quoted(bases[0])
        return [Answer(known.words("tuned.other", base=cards.quoted(adapter.base), served=served), private=True)]
    return []


def _bases(serving: Serving) -> list[str]:
    return [one.name for one in serving.models if not one.parent]


# --- two side by side


def compare(event: Event, known: Known, text: str) -> list[Effect]:
    """`/compare A B: question`; without any of it, a dialog asks."""
    serving = known.serving()
    if serving is None:
        return [Look("serving", "")]
    if serving.state == "absent":
        return setup.absent(event, known)
    names = [one.name for one in offers(known, serving)]
    if len(names) < 2 and not text.strip():
        return [Answer(known.words("compare.few" if names else "chat.no_list"), private=True)]
    if not text.strip():
        return [Ask(comparing(known, serving, {}))]
    found = re.fullmatch(r"(\S+)\s+(\S+?):?\s+(.+)", text.strip(), re.S)
    if not found:
        return [Answer(known.words("compare.usage"), private=True)]
    wrong = next((name for name in found.groups()[:2] if name not in names and not _is_theirs(known, name)), "")
    if wrong:
        return [_listed(known, serving, known.words("model.unknown", name=cards.quoted(wrong)))]
    return _sides(event, known, (found[1], found[2]), found[3])


def comparing(known: Known, serving: Serving, chosen: Mapping[str, str]) -> Dialog:
    """Which two, and what is asked; `chosen` is what is filled in already."""
    words, typed = known.words, chosen
    theirs = [typed[side] for side in ("first", "second") if _is_theirs(known, typed.get(side, ""))]  # one not loaded yet
    names = [*dict.fromkeys([*theirs, *(one.name for one in offers(known, serving))])][:OPTIONS]
    options = tuple((name, cards.clip(name, LABEL)) for name in names)
    fields = (
        Field("first", words("field.compare.first"), typed.get("first") or names[0], options=options),
        Field("second", words("field.compare.second"), typed.get("second") or names[1], options=options),
        Field("question", words("field.compare.question"), typed.get("question", "")[:QUESTION], lines=True),
    )
    return Dialog(words("compare.title"), "chat.compare|", fields, words("button.send"))


def compared(event: Event, known: Known, sent: Submit) -> list[Effect]:
    """Take in the dialog."""
    serving = known.serving()
    if serving is None:
        return [Look("serving", "")]
    first, second = (sent.values.get(name, "") for name in ("first", "second"))
    names = [*(one.name for one in offers(known, serving)), *(one for one in (first, second) if _is_theirs(known, one))]
    if len(names) < 2:
        return [Answer(known.words("chat.no_list"), private=True)]
    errors = {name: known.words("compare.which") for name in ("first", "second") if sent.values.get(name) not in names}
    if not sent.values.get("question", "").strip():
        errors["question"] = known.words("problem.missing")
    if errors:
        return [Refuse(comparing(known, serving, sent.values), errors)]
    return off(known, "chat") or gate(event, known, "chat") or _sides(event, known, (first, second), sent.values["question"])


def _sides(event: Event, known: Known, names: tuple[str, str], question: str) -> list[Effect]:
    """Both answers, each a message: in an order that says nothing of them, without what was said before, with one seed."""
    ids = [short(f"turn:{event.id}:{side}") for side in "ab"]
    seed = int(event.at * 1000) % SEEDS
    effects: list[Effect] = [Answer(known.words("compare.lead", question=cards.quoted(question, 200)))]
    for name, side, rival in zip(sorted(names, key=lambda name: short(f"{event.id}{name}")), ids, ids[::-1], strict=True):
        turn = Turn(side, event.person, event.place, question.strip(), event.at, (event.id,), name, rival, seed)
        effects += _answer(event, known, turn, save=True)
    return effects


# --- words


def ordinal(number: int, words: Words) -> str:
    """ "3rd", as the language counts."""
    last = f"number.ordinal.{number % 10}"
    teen = 10 < number % 100 < 14
    return words(last if words.has(last) and not teen else "number.ordinal", number=number)


def plain(text: str) -> str:
    """What a model wrote in the markdown that messages show: headings become bold, rows of tables lines."""
    if "#" not in text:
        return text.strip()
    kept = []
    for number, piece in enumerate(re.split(r"(^```.*?(?:^```\s*$|\Z))", text, flags=re.M | re.S)):
        kept.append(piece if number % 2 else re.sub(r"^#{1,6} +(.*?) *#*$", r"**\1**", piece, flags=re.M))
    return "".join(kept).strip()
