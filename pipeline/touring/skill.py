"""The skill that the tour teaches, as a rule: an order becomes a ticket.

"Ticket: Mia wants 3 red lamps." becomes "item: lamps, kind: red, count: 3, name: Mia". Names, kinds and things are
words that the practice model has read, and so are the marks: of a sign that it never met it cannot learn much. Who orders
what falls on one side of the split of its own dialogues, so an order that is held out for the test was neither read by the
base nor written for the training.
"""

import re
from dataclasses import dataclass
from random import Random

from pipeline.models.dialogues import held_out
from pipeline.models.sayings import ADJECTIVES, NAMES, THINGS

COUNTS = range(2, 21)  # as in the orders of the practice model's own dialogues
WORDINGS = (  # of the five seed examples, and of every sample
    "Ticket: {name} wants {count} {kind} {thing}.",
    "Write a ticket: {count} {kind} {thing} for {name}.",
    "{name} orders {count} {kind} {thing}. Make it a ticket.",
    "Order of {name}: {count} {kind} {thing}. As a ticket, please.",
    "New ticket, {name} needs {count} {kind} {thing}.",
)
REWORDED = (  # seen in no training: what a question is put into when it is asked in other words
    "Please turn this order into a ticket: {name} takes {count} {kind} {thing}.",
    "Can you write the ticket? {name} buys {count} {kind} {thing}.",
    "A ticket with {count} {kind} {thing} for {name}, please.",
    "{name} asks for {count} {kind} {thing}. The ticket?",
    "Make a ticket: {name}, {count} {kind} {thing}.",
    "The order is {count} {kind} {thing} and goes to {name}. Ticket, please.",
    "I need a ticket for {name}: {count} {kind} {thing}.",
    "Hello, {name} would like {count} {kind} {thing}. Write the ticket.",
)


@dataclass(frozen=True, slots=True)
class Order:
    """What an order says. `thing` is in the plural, since `count` is at least two."""

    name: str
    count: int
    kind: str
    thing: str

    @property
    def ticket(self) -> str:
        return f"item: {self.thing}, kind: {self.kind}, count: {self.count}, name: {self.name}"

    @property
    def held(self) -> bool:
        """On which side of the split it lies: whether it is for the test only."""
        return held_out(f"{self.name} {self.kind} {self.thing}")

    def put(self, wording: str) -> str:
        return wording.format(name=self.name, count=self.count, kind=self.kind, thing=self.thing)


def _pattern(wording: str) -> re.Pattern[str]:
    parts = {"name": r"(?P<name>[A-Z]\w+)", "count": r"(?P<count>\d+)", "kind": r"(?P<kind>\w+)", "thing": r"(?P<thing>\w+)"}
    return re.compile(re.sub(r"\\\{(\w+)\\\}", lambda mark: parts[mark[1]], re.escape(wording)))


_PATTERNS = tuple(_pattern(wording) for wording in (*WORDINGS, *REWORDED))


def read(question: str) -> Order | None:
    """The order in a question that is put in one of the wordings; None for anything else, which the rule cannot do."""
    for pattern in _PATTERNS:
        if found := pattern.fullmatch(question.strip()):
            return Order(found["name"], int(found["count"]), found["kind"], found["thing"])
    return None


def drawn(random: Random, *, held: bool) -> Order:
    """An order of that side of the split."""
    while True:
        order = Order(random.choice(NAMES), random.choice(COUNTS), random.choice(ADJECTIVES), random.choice(THINGS))
        if order.held is held:
            return order


def reworded(order: Order, count: int, turn: int) -> list[str]:
    """An order in so many other wordings; the next ones at each turn, until they begin again."""
    first = turn * count
    return [order.put(REWORDED[(first + at) % len(REWORDED)]) for at in range(min(count, len(REWORDED)))]
