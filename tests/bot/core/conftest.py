"""The core without a shell: one conversation whose effects are carried out on plain values."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from bot import settings
from bot.core.contribute import entry
from bot.core.decide import decide
from bot.core.known import Finding, Known
from bot.core.records import Conversation, Draft, Person, Run, Spent
from bot.core.rules import Role
from bot.core.talk import Act, Answer, Ask, Effect, Event, Look, Refuse, Save, Show
from bot.core.words import Words, pick
from pipeline import qna
from pipeline.errors import Invalid

HOME = Path(__file__).resolve().parent.parent.parent.parent
TABLES = settings.words(HOME / "configs" / "words")


@pytest.fixture
def words() -> Words:
    return pick(TABLES, "en")


@dataclass
class Talk:
    """Somebody's conversation with `decide`: acts go in, effects come out, what is saved is known the next time."""

    words: Words
    person: Person = field(default_factory=lambda: Person("p1", "alice"))
    conversation: Conversation = field(default_factory=lambda: Conversation("terminal:@p1"))
    draft: Draft | None = None
    run: Run | None = None
    names: dict[str, str] = field(default_factory=lambda: {"p1": "alice", "p2": "bob"})
    used: dict[str, tuple[float, ...]] = field(default_factory=dict)
    roles: dict[str, Role] = field(default_factory=lambda: {"everyone": Role("everyone")})
    taken: bool = False
    count: int = 0

    def __call__(self, act: Act, by: str = "p1", event: str = "") -> list[Effect]:
        """What is decided about an act; the look-ups it asks for are made as the shell makes them."""
        self.count += 1
        heard = Event(event or f"e{self.count}", 1000.0 + self.count, by, self.conversation.place, act)
        person = self.person if by == self.person.id else Person(by, self.names.get(by, by))
        known = Known(
            person, self.conversation, self.words, self.draft, run=self.run, names=self.names, used=self.used, roles=self.roles
        )
        effects = decide(heard, known)
        if looks := [effect for effect in effects if isinstance(effect, Look)]:
            effects = decide(heard, replace(known, found={look.what: self._found(look) for look in looks}))
        assert not any(isinstance(effect, Look) for effect in effects)
        for effect in effects:
            if isinstance(effect, Save):
                self._save(effect)
        return effects

    def _found(self, look: Look) -> Finding:
        assert isinstance(look.subject, Draft)
        try:
            return Finding(qna.write(entry(look.subject.answers)), (), ("compositional_skills/linguistics/x",), self.taken)
        except Invalid as error:
            return Finding("", error.problems, (), self.taken)

    def _save(self, effect: Save) -> None:
        match effect.what:
            case Draft():
                self.draft = effect.what
            case Person():
                self.person = effect.what
            case Conversation() if effect.what.parent or effect.what.place == self.conversation.place:
                self.conversation = effect.what
            case Spent(_, what, at, _):
                self.used[what] = (*self.used.get(what, ()), at)


@pytest.fixture
def talk(words: Words) -> Talk:
    return Talk(words)


def texts(effects: list[Effect]) -> list[str]:
    """What is said in prose."""
    return [effect.text for effect in effects if isinstance(effect, Answer)]


def cards(effects: list[Effect]) -> list[Show]:
    return [effect for effect in effects if isinstance(effect, Show)]


def dialogs(effects: list[Effect]) -> list[Ask | Refuse]:
    return [effect for effect in effects if isinstance(effect, Ask | Refuse)]
