"""The core without a shell: one conversation whose effects are carried out on plain values."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from bot import settings
from bot.core.contribute import entry
from bot.core.decide import decide
from bot.core.known import (
    Brought,
    Checked,
    Entry,
    Excerpt,
    Finding,
    Hub,
    Known,
    Offer,
    PullFound,
    Reply,
    Report,
    Sampled,
    Serving,
    asks,
    tells,
)
from bot.core.publishing import is_document
from bot.core.records import Asked, Conversation, Draft, Kept, Person, Run, Spent, Turn
from bot.core.rules import Role
from bot.core.talk import Act, Answer, Ask, Effect, Event, Look, Refuse, Save, Show
from bot.core.trained import Adapter, Curve, Exported, Scores
from bot.core.words import Words, pick
from bot.look import brought
from pipeline import qna
from pipeline.errors import Invalid
from pipeline.pulls import Followed, Pull

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
    excerpts: tuple[Excerpt, ...] = ()
    replies: dict[str, Reply] = field(default_factory=dict)
    entries: dict[str, Entry] = field(default_factory=dict)
    asked: dict[str, Asked] = field(default_factory=dict)
    kept: list[Kept] = field(default_factory=list)
    turns: dict[str, Turn] = field(default_factory=dict)
    chat: Serving = field(default_factory=Serving)
    offers: tuple[Offer, ...] = ()
    checked: dict[str, Checked] = field(default_factory=dict)
    sampled: dict[object, Sampled] = field(default_factory=dict)  # by what is looked for
    report: Report = field(default_factory=Report)
    curve: Curve = field(default_factory=Curve)
    scores: Scores = field(default_factory=Scores)
    exported: Exported = field(default_factory=Exported)
    adapter: Adapter = field(default_factory=Adapter)
    thumbs: dict[str, str] = field(default_factory=dict)
    hub: Hub = field(default_factory=Hub)
    pulled: PullFound = field(default_factory=PullFound)
    pulls: tuple[tuple[Followed, Pull | None], ...] = ()
    drafts: tuple[Draft, ...] = ()
    as_role: tuple[str, ...] = ("everyone",)
    maintainers: str = ""
    note: str = ""
    apart: bool = False
    count: int = 0

    def __call__(self, act: Act, by: str = "p1", event: str = "") -> list[Effect]:
        """What is decided about an act; the look-ups it asks for are made as the shell makes them."""
        self.count += 1
        heard = Event(event or f"e{self.count}", 1000.0 + self.count, by, self.conversation.place, act, roles=self.as_role)
        known = self._known(heard)
        effects = decide(heard, known)
        while looks := [effect for effect in effects if isinstance(effect, Look)]:
            assert not any(look.what in known.found for look in looks)
            known = replace(known, found={**known.found, **{look.what: self._found(look) for look in looks}})
            effects = decide(heard, known)
        for effect in effects:
            if isinstance(effect, Save):
                self._save(effect)
        return effects

    def looked(self, act: Act, by: str = "p1") -> list[Effect]:
        """What is decided about an act before anything is looked up; nothing of it is kept."""
        heard = Event(f"e{self.count + 1}", 1000.0 + self.count + 1, by, self.conversation.place, act)
        return decide(heard, self._known(heard))

    def answered(self, text: str) -> Turn:
        """The model has answered the newest question."""
        name = self.conversation.turn
        self.turns[name] = replace(self.turns[name], state="done", answer=text)
        return self.turns[name]

    def _known(self, heard: Event) -> Known:
        person = self.person if heard.person == self.person.id else Person(heard.person, self.names[heard.person])
        known = Known(
            person, self.conversation, self.words, self.draft, run=self.run, names=self.names, used=self.used, roles=self.roles
        )
        known = replace(known, turn=self.turns.get(tells(heard)), chat=self.chat, hub=self.hub, drafts=self.drafts)
        about = self.asked.get(asks(heard))
        known = replace(known, note=self.note, apart=self.apart, asked=about)
        return replace(known, maintainers=self.maintainers, maintainer_people=("p2",) if self.maintainers else ())

    def _found(self, look: Look) -> object:
        if look.what == "file":
            if isinstance(look.subject, str):
                return (brought(look.subject, "qna.yaml"),)
            return tuple(Brought(document=f) if is_document(f) else brought(f.token, f.name) for f in look.subject)
        if look.what == "passages":
            return tuple(one for one in self.excerpts if look.subject[1] in ("", f"#{one.id}") or look.subject[1] in one.text)
        if look.what == "faq":
            return self.replies.get(look.subject[0], Reply(False, False, 0.0, (), 1, "d1"))
        if look.what == "precheck":
            return self.checked.get(look.subject, Checked())
        if look.what == "samples":
            return self.sampled.get(look.subject, Sampled())
        plain = {"report": self.report, "thumbs": self.thumbs, "pull": self.pulled, "pulls": self.pulls}
        plain |= {"serving": self.chat, "models": self.offers}
        plain |= {"curve": self.curve, "scores": self.scores, "export": self.exported, "adapter": self.adapter}
        if look.what in plain:
            return plain[look.what]
        if look.what == "entry":
            return self.entries.get(look.subject)
        assert isinstance(look.subject, Draft)
        made = entry(look.subject.form, look.subject.answers)
        try:
            return Finding(qna.write(made), (), ("compositional_skills/linguistics/x",), self.taken)
        except Invalid as error:
            return Finding("", error.problems, (), self.taken)

    def _save(self, effect: Save) -> None:
        match effect.what:
            case Draft():
                self.draft = effect.what
            case Asked(name):
                self.asked[name] = effect.what
            case Turn(name):
                self.turns[name] = effect.what
            case Kept():
                self.kept.append(effect.what)
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
