"""Setting a model up from the first card: which there are, and the run that makes or downloads one.

Such a run belongs to no draft. Its id begins with RUN and names the model, so that its steps are understood by it alone.
"""

from bot.core import cards, notices
from bot.core.gate import OPERATOR
from bot.core.known import SETUP, Known, Offer
from bot.core.records import Run
from bot.core.talk import (
    BLOCKS,
    CARD,
    LABEL,
    TITLE,
    Answer,
    Bar,
    Block,
    Button,
    Card,
    Effect,
    Event,
    Look,
    Moved,
    Show,
    Start,
    Text,
    direct,
    short,
)
from bot.core.words import Words
from pipeline.errors import Problem

RUN = SETUP
LINK = 100  # characters of a link that a card has room for
BLANK = (
    "title",
    "licence",
    "package",
    "spent",
    "name",
    "done",
    "total",
    "rate",
    "left",
    "step",
    "steps",
    "loss",
)  # facts not known yet


def may(event: Event, known: Known) -> bool:
    """Whether to offer it: there is none yet, and this person may set one up."""
    return known.chat.state == "absent" and "chat" not in known.off and OPERATOR in event.roles


def welcome(event: Event, known: Known) -> Card:
    """The first card; its offer of a model is gone when there is one."""
    there = known.chat.state != "absent" and "chat" not in known.off
    return notices.welcome(known.words, (_open(known.words),) if may(event, known) else (), chat=there)


def _open(words: Words) -> Button:
    return cards.button(words, "setup", "setup.show|")


def absent(event: Event, known: Known) -> list[Effect]:
    """There is no model: for whoever may, with the way to one."""
    if may(event, known):
        return [Answer(known.words("setup.absent"), buttons=(_open(known.words),), private=True)]
    return [Answer(known.words("chat.absent"), private=True)]


def show(event: Event, known: Known, text: str) -> list[Effect]:
    """`/setup`: every model that can be had, with what it needs and whether it runs here."""
    offers = known.offers()
    if offers is None:
        return [Look("models", event.locale)]
    words, texts, buttons = known.words, [known.words("setup.lead")], list[Button]()
    for one in offers:
        texts.append(_told(one, words))
        if len(texts) > BLOCKS or sum(map(len, texts)) > CARD:
            texts.pop()  # `labpipe model list` shows all
            break
        if one.runs != "no" and not one.chosen:
            buttons.append(Button(cards.clip(one.title, LABEL), f"setup.start|{one.name}"))
    return [Show(Card(words("setup.title"), tuple(map(Text, texts)), tuple(buttons)), private=True)]


def _told(one: Offer, words: Words) -> str:
    """What somebody should know who chooses a model."""
    licence = cards.quoted(one.licence, 40)
    licence = f"[{licence}]({one.licence_url})" if 0 < len(one.licence_url) <= LINK else licence
    size = words("setup.made" if one.made_here else "setup.size", size=one.size)
    fits = words(f"setup.runs.{one.runs}", memory=one.memory) if one.runs else ""
    state = words("setup.chosen" if one.chosen else "setup.here") if one.here else ""
    facts = " · ".join(filter(None, (size, licence, fits, state)))
    name = f"**{cards.quoted(one.title, 50)}** ({cards.quoted(one.name, 64)})"
    return f"{name}\n{cards.quoted(one.about, 200)}\n{facts}"


def press(event: Event, known: Known, verb: str, name: str) -> list[Effect]:
    """Start setting a model up; the same model is the same run, unless it was done before and is wanted again."""
    offers = known.offers()
    if verb == "show" or offers is None:
        return show(event, known, "")
    offer = next((one for one in offers if one.name == name), None)
    if verb != "start" or offer is None:
        return [Answer(known.words("press.stale"), private=True)]
    if offer.runs == "no":
        return [Answer(known.words("setup.too_large", name=cards.quoted(offer.title), memory=offer.memory), private=True)]
    again = known.run is not None and known.run.state == "done"
    run = f"{RUN}{name}.{short(event.id, 5)}" if again else f"{RUN}{name}"
    return [Start(run, "model", {"name": name}), Answer(known.words("setup.begun", name=cards.quoted(offer.title)))]


def moved(event: Event, known: Known, moved: Moved) -> list[Effect]:
    """Show how it goes; at its end, tell the person who began it."""
    name = moved.run.removeprefix(RUN).partition(".")[0]
    run = Run(moved.run, moved.state, moved.facts)
    effects: list[Effect] = [Show(card(name, run, known.words, moved.fraction), slot=f"run.{moved.run}")]
    if moved.state not in ("done", "failed", "cancelled"):
        return effects
    title = cards.clip(moved.facts.get("title", name), 80)
    if moved.state == "done":
        effects.append(Show(notices.welcome(known.words, chat=True), slot="home", place=direct(event.platform, event.person)))
    return [*effects, Show(Card(known.words(f"setup.{moved.state}.end", name=title)), ping=event.person)]


def card(name: str, run: Run, words: Words, fraction: float) -> Card:
    """The run as it stands: what is being done, how far it is, how long it takes."""
    facts = dict.fromkeys(BLANK, "") | {key: cards.quoted(value, 200) for key, value in run.facts.items()}
    blocks: list[Block] = []
    if run.state == "waiting" and (stands := notices.stands(run, words)):
        blocks.append(Text(stands))
    elif run.state == "running":
        act = f"setup.act.{facts.get('act', '')}"
        left = words("setup.left", left=facts["left"]) if facts["left"] else ""
        blocks.append(Text(words(act if words.has(act) else "setup.act", **facts)))
        blocks.append(Bar(fraction, cards.clip(left, LABEL)))
    elif run.state == "failed":
        problem = Problem(facts.get("code", ""), run.facts.get("cause", ""), facts=run.facts)
        blocks.append(Text(words("run.failed", cause=cards.say_problem(words, problem))))
    else:
        blocks.append(Text(words(f"setup.{run.state}", **facts)))
    buttons = {
        "waiting": (cards.button(words, "cancel", f"run.cancel|{run.id}", "danger"),),
        "running": (cards.button(words, "cancel", f"run.cancel|{run.id}", "danger"),),
        "failed": (cards.button(words, "again", f"setup.start|{name}"), cards.button(words, "other_model", "setup.show|")),
        "cancelled": (_open(words),),
    }.get(run.state, ())
    return Card(cards.clip(words("setup.run", name=name), TITLE), tuple(blocks), buttons)
