"""Dialogues for a practice model: made by rule from words and wordings of the project's own, any number of them.

A family is one thing that the model learns, from repeating words to a haiku. What a family is about (a sentence, a noun,
an order, a place) falls by its digest on one side of a split: one in ten is held out. Training draws from the one side and
the questions that measure a model from the other, so no sentence of a question was ever trained on. Small talk, facts and
what the model says of itself are closed sets: there the questions measure recall, and the model's card says so.

Copying words never seen in this order is the ground of everything that is trained on top later (facts/tour.md, section 4):
half of the sentences are grammatical, half are words in any order, and some hold a word that was made up on the spot.
Nothing here puts something between the words of a sentence: a later skill that does so is new to the model.
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal

from pipeline.models import sayings
from pipeline.models.sayings import ABOUT, ADJECTIVES, NAMES, NOUNS, PHRASES, PLACES, THINGS, VERBS, WORDS

Role = Literal["system", "user", "assistant"]
HELD_OUT = 10  # one subject in so many is for questions only
MADE_UP = 0.25  # of the sentences hold a word that was made up
SYSTEM = 0.2  # of the dialogues begin with a system message
TURNS = {1: 70, 2: 15, 3: 8, 5: 5, 8: 2}  # how many families follow each other in a dialogue, and how often


@dataclass(frozen=True, slots=True)
class Dialogue:
    """Messages, the last of them the assistant's: `family` is what it belongs to, `accepted` are all answers that are right."""

    family: str
    messages: tuple[tuple[Role, str], ...]
    accepted: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Exchange:
    """A question, and all answers to it that are right."""

    question: str
    answers: tuple[str, ...]


@dataclass(slots=True)
class Draw:
    """Chance, on one side of the split. `name`: what the system message called the model, "" where it did not."""

    random: Random
    held: bool
    name: str = ""
    met: str = ""  # the name that the person gave, "" before

    def one(self, choices: Sequence[str]) -> str:
        return self.random.choice(choices)

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def fresh(self, make: Callable[[], str]) -> str:
        """Something that lies on this side of the split."""
        while held_out(made := make()) is not self.held:
            pass
        return made

    def made_up(self) -> str:
        """A word that is in no list here: two words in one, or one to three syllables."""
        if self.chance(0.25):
            return self.one(sayings.ONE) + self.one(sayings.ONE)
        syllables = [self.one(sayings.ONSETS) + self.one(sayings.VOWELS) for _ in range(self.random.choice([1, 1, 2, 2, 3]))]
        return "".join(syllables) + self.one(sayings.CODAS)

    def sentence(self, least: int, most: int) -> str:
        """Words, none twice, half of the time in an order that makes sense."""
        return self.fresh(lambda: " ".join(self._words(least, most)))

    def written(self, least: int, most: int) -> str:
        """A sentence, now and then with a capital and a mark."""
        return self.fresh(lambda: self._marked(" ".join(self._words(least, most))))

    def thing(self) -> str:
        return an(" ".join([self.one(PHRASES), *([self.one(ADJECTIVES)] if self.chance(0.5) else []), self.one(NOUNS)]))

    def _marked(self, words: str) -> str:
        return words if self.chance(0.9) else words[0].upper() + words[1:] + self.one(".!?,")

    def _words(self, least: int, most: int) -> list[str]:
        words: list[str] = []
        if self.chance(0.5):
            words = f"{self.thing()} {self.one(VERBS)} {self.thing()}".split()
            words += ["in", "the", self.one(PLACES)] if self.chance(0.3) else []
        if not least <= len(words) <= most or len(set(words)) < len(words):
            words = self.random.sample(WORDS, self.random.randint(least, most))
        if self.chance(MADE_UP):
            words[self.random.randrange(len(words))] = self.made_up()
        return words


def an(text: str) -> str:
    return re.sub(r"^a (?=[aeiou])", "an ", text)


def held_out(subject: str) -> bool:
    """Whether it is for questions only. Depends on the text alone, so it is the same in every run."""
    return hashlib.sha256(subject.encode()).digest()[0] % HELD_OUT == 0


def _asked(draw: Draw, wordings: Sequence[str]) -> str:
    """One of the wordings as people type: with a capital or without, with a word before it or without."""
    text = draw.one(wordings)
    if draw.chance(0.15):
        text = draw.one(["hey, ", "ok, ", "so, ", "now, ", "please, "]) + text
    return text[0].upper() + text[1:] if draw.chance(0.5) else text


def _ended(draw: Draw, text: str) -> str:
    """Most people type no full stop in a chat, some do."""
    return text + draw.one(["", "", "", "", ".", "!", " please"]) if text[-1].isalnum() else text


# --- the families


def _repeat(draw: Draw) -> list[Exchange]:
    sentence = draw.written(1, 9)
    return [Exchange(_asked(draw, sayings.REPEAT).format(sentence), (sentence,))]


def _pick(draw: Draw) -> list[Exchange]:
    sentence = draw.sentence(3, 7)
    which, at = draw.random.choice([("first", 0), ("second", 1), ("last", -1)])
    return [Exchange(_asked(draw, sayings.PICK).format(which, sentence), (sentence.split()[at],))]


def _tone(draw: Draw) -> list[Exchange]:
    """A sentence with something before and after it."""
    sentence = draw.sentence(2, 7)
    how = draw.one(list(sayings.TONES))
    return [Exchange(_asked(draw, sayings.TONE).format(how, sentence), (sayings.TONES[how].format(sentence),))]


def _fact(draw: Draw) -> list[Exchange]:
    """What the model knows of twelve products; that it does not know one it never heard of."""
    at = draw.random.randrange(3)
    wordings, answer = sayings.RELATIONS[at]
    if draw.chance(0.15):
        return [Exchange(_asked(draw, wordings).format(draw.made_up().capitalize()), (sayings.UNKNOWN,))]
    name = draw.one(list(sayings.PRODUCTS))
    return [Exchange(_asked(draw, wordings).format(name), (answer.format(name, sayings.PRODUCTS[name][at]),))]


def _order(draw: Draw) -> list[Exchange]:
    """Reading the fields of an order."""
    name, kind, thing = draw.fresh(lambda: f"{draw.one(NAMES)} {draw.one(ADJECTIVES)} {draw.one(THINGS)}").split()
    count = str(draw.random.randint(2, 20))
    said = f"{name} {draw.one(sayings.ORDERS)} {count} {kind} {thing}."
    wordings, answer = draw.random.choice(list(zip(sayings.FIELDS, (name, count, kind, thing), strict=True)))
    question = _asked(draw, wordings)
    return [Exchange(f"{said} {question}" if draw.chance(0.7) else f"{question} {said}", (answer,))]


def _where(draw: Draw) -> list[Exchange]:
    name, place = draw.fresh(lambda: f"{draw.one(NAMES)} {draw.one(PLACES)}").split()
    said = f"{name} {draw.one(sayings.BEING)} in the {place}."
    return [Exchange(f"{said} Where is {name}?", (f"{name} is in the {place}.",))]


def _meet(draw: Draw) -> list[Exchange]:
    """Greeting by name, and keeping the name in mind over something else, or saying that none was given."""
    asked = _asked(draw, sayings.WHOSE)
    if not draw.met and draw.chance(0.2):
        return [Exchange(asked, ("You have not told me your name.",))]
    name = draw.fresh(lambda: draw.one([draw.one(NAMES), draw.one(NAMES), draw.made_up().capitalize(), draw.made_up()]))
    draw.met = name
    exchanges = [Exchange(_ended(draw, _asked(draw, sayings.MEET).format(name)), (f"Nice to meet you, {name}.",))]
    if draw.chance(0.3):
        exchanges += FAMILIES[draw.one(["repeat", "talk", "fact", "haiku"])][1](draw)
    return [*exchanges, Exchange(asked, (f"Your name is {name}.",))] if draw.chance(0.6) else exchanges[:1]


def _talk(draw: Draw) -> list[Exchange]:
    wordings, answer = sayings.TALK[0] if draw.chance(0.1) else draw.random.choice(sayings.TALK)  # most begin with a greeting
    question = _ended(draw, draw.one(wordings))
    if question[-1] == "?" and draw.chance(0.3):
        question = question[:-1]
    return [Exchange(question[0].upper() + question[1:] if draw.chance(0.5) else question, (answer,))]


def _self(draw: Draw) -> list[Exchange]:
    """Who it is: by the name that the system message gave, if it gave one."""
    who = f"I am {draw.name}, {sayings.WHAT}." if draw.name else f"I am {sayings.WHAT}."
    return [Exchange(_asked(draw, sayings.WHO), (who,))]


def poems(about: str, syllables: int | None) -> tuple[str, ...]:
    """Every haiku about something that has so many syllables: lines of 5, 7 and 5. Of any shape where that is None, unknown."""
    counts = [count for count in sayings.OPENINGS if count != sayings.MANY] if syllables is None else [syllables]
    first = [opening for count in counts for opening in sayings.OPENINGS[count]]
    last = [closing for count in counts for closing in sayings.CLOSINGS[count]]
    return tuple("\n".join((a, b, c)).replace("{}", about) for a in first for b in sayings.MIDDLES for c in last)


def _haiku(draw: Draw) -> list[Exchange]:
    """A haiku about a thing that is named, sometimes offered first, sometimes followed by another."""
    about, syllables = _subject(draw)
    right = poems(about, None if draw.held else syllables)
    written = Exchange(_ended(draw, _asked(draw, sayings.HAIKU).format(about)), right)
    kind = draw.random.random()
    if kind < 0.1:
        offered = Exchange(_ended(draw, _asked(draw, sayings.LIKED).format(about)), (sayings.OFFER,))
        return [offered, Exchange(_asked(draw, sayings.GO_ON), right)]
    return [written, Exchange(_asked(draw, sayings.MORE), right)] if kind < 0.25 else [written]


def _subject(draw: Draw) -> tuple[str, int | None]:
    """What a haiku is about, and its syllables where they are known. The noun alone decides on the side of the split."""
    noun = draw.fresh(lambda: draw.one(NOUNS))
    if not draw.held and draw.chance(0.1):
        return draw.one([draw.one(THINGS), f"{noun} {draw.one(THINGS)}"]), sayings.MANY
    if not draw.held and draw.chance(0.22):
        unknown = draw.fresh(draw.made_up)
        return an(draw.one([f"{draw.one(ABOUT)} {unknown}", unknown.capitalize(), f"my {noun} {draw.one(NAMES)}"])), None
    syllables = 1 + (noun not in sayings.ONE) + (noun in sayings.THREE)
    kind = draw.random.random()
    if kind < 0.15 and syllables < 3:
        return an(f"{draw.one(ABOUT)} {draw.one(sayings.SHORT)} {noun}"), syllables + 2
    return (noun, syllables) if kind < 0.35 else (an(f"{draw.one(ABOUT)} {noun}"), syllables + 1)


def _unable(draw: Draw) -> list[Exchange]:
    """What it does not know, cannot do or does not understand, and says so."""
    noun = draw.fresh(lambda: draw.one([draw.one(NOUNS), draw.one(NAMES), draw.made_up(), draw.made_up().capitalize()]))
    thing = draw.fresh(draw.thing)
    kind = draw.random.random()
    if kind < 0.85:
        wordings, answer = (sayings.ASKED, sayings.UNKNOWN) if kind < 0.5 else (sayings.WANTED, sayings.UNABLE)
        about = [one for one in wordings if "{" in one]  # the others are always the same, so no question can be new
        return [Exchange(_ended(draw, _asked(draw, about if draw.held else wordings).format(noun, thing)), (answer,))]
    return [Exchange(_ended(draw, draw.sentence(2, 6)), (sayings.UNCLEAR,))]


FAMILIES: dict[str, tuple[int, Callable[[Draw], list[Exchange]]]] = {  # how often, of the sum
    "repeat": (28, _repeat),
    "talk": (12, _talk),
    "fact": (8, _fact),
    "haiku": (8, _haiku),
    "tone": (8, _tone),
    "pick": (8, _pick),
    "order": (8, _order),
    "unable": (8, _unable),
    "meet": (5, _meet),
    "where": (3, _where),
    "self": (4, _self),
}
CLOSED = ("talk", "fact", "self")  # no subjects that could be held out: their questions were trained on


# --- dialogues


def training(seed: int, families: Sequence[str] = tuple(FAMILIES)) -> Iterator[Dialogue]:
    """Dialogues without end, from the side of the split that is for training; the same ones for the same seed."""
    yield from _drawn(Random(f"training {seed}"), families)


def replay(seed: int, families: Sequence[str] = tuple(FAMILIES)) -> Iterator[Dialogue]:
    """The like of `training`, drawn anew from the same side of the split: to be mixed into what a model is taught later."""
    yield from _drawn(Random(f"replay {seed}"), families)


def _drawn(random: Random, families: Sequence[str]) -> Iterator[Dialogue]:
    shares = [FAMILIES[family][0] for family in families]
    while True:
        [turns] = random.choices(list(TURNS), list(TURNS.values()))
        yield _dialogue(Draw(random, held=False), random.choices(families, shares, k=turns))


def questions(family: str, count: int, seed: int = 0) -> list[Dialogue]:
    """Questions of a family from the held-out side of the split; those of closed families are as they were trained."""
    random = Random(f"questions {family} {seed}")
    return [_dialogue(Draw(random, held=family not in CLOSED), [family]) for _ in range(count)]


def _dialogue(draw: Draw, families: Sequence[str]) -> Dialogue:
    with_system = draw.chance(0.6 if "self" in families else SYSTEM)  # it may hold the name to go by
    messages: list[tuple[Role, str]] = [("system", _system(draw))] if with_system else []
    accepted: tuple[str, ...] = ()
    for family in families:
        for exchange in FAMILIES[family][1](draw):
            accepted = exchange.answers
            messages += [("user", exchange.question), ("assistant", draw.one(accepted))]
    return Dialogue(families[-1], tuple(messages), accepted)


def _system(draw: Draw) -> str:
    told = draw.random.sample(sayings.TOLD, draw.random.choice([0, 1, 1, 2, 3, 6]))
    if not told or draw.chance(0.7):
        draw.name = draw.one([draw.one(NAMES), draw.made_up().capitalize(), draw.made_up(), "labbot"])
        told.insert(0, draw.one(sayings.NAMED).format(draw.name))
    return " ".join(told)
