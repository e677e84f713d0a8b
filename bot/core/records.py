"""The records that the shell keeps for the core: people, conversations, drafts, runs."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

UNDO = 50  # steps back that a draft remembers

DraftState = Literal["open", "submitted", "discarded"]
TurnState = Literal["open", "done", "stopped", "failed", "gone"]


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody, whatever the platform. `mail` and `full_name` are the sign-off; they stand in no draft and no card.

    `blocked` is why an operator keeps them out, "" for nobody did. `tells`: which news of their pull requests are a message
    of their own: every step, only what they must act on, or nothing; cards show all.
    """

    id: str
    name: str
    github: str = ""
    full_name: str = ""
    mail: str = ""
    blocked: str = ""
    tells: Literal["all", "mine", "none"] = "mine"


@dataclass(frozen=True, slots=True)
class Conversation:
    """A place where somebody talks with the bot. `draft` is the one whose card was shown there last.

    `questions` are the last that were put to the FAQ there, newest last, `questions_at` the time of the newest.
    `model` is the one that is talked with there, "" for the one that answers by default; `turn` is the newest question to
    it, put at `turn_at`.
    """

    place: str
    title: str = ""
    parent: str = ""
    draft: str = ""
    people: tuple[str, ...] = ()
    questions: tuple[str, ...] = ()
    questions_at: float = 0.0
    model: str = ""
    turn: str = ""
    turn_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Draft:
    """A contribution that is being written: a dict of answers. What is missing and what stands next is computed.

    `asked` is a field that the person wants asked again; `heard` says which message gave which answers, so that an
    edited or deleted message changes them; `undo` holds, newest last, the earlier values (None: there was none; under ""
    the earlier form).
    `signed` is when the contributor signed off, in seconds since 1970; 0 if not yet; `dco` by which version of the DCO;
    `looked` the revision in which they looked for personal data. `pull` is the pull request, OWNER/NAME#NUMBER, while it is
    open. `card` is the slot of the card that asks for the sign-off, while none was given. `upload` is a document that may be
    published: name, bytes, and what its content is fetched by. `hands` says who gave an answer, where several people write:
    what one of them takes back is known by it.
    """

    id: str
    form: str
    owner: str
    place: str
    at: float
    authors: tuple[str, ...] = ()
    answers: Mapping[str, str] = field(default_factory=dict)
    asked: str = ""
    heard: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    undo: tuple[Mapping[str, str | None], ...] = ()
    state: DraftState = "open"
    revision: int = 0
    signed: float = 0.0
    replaces: bool = False
    run: str = ""
    hands: Mapping[str, str] = field(default_factory=dict)
    dco: str = ""
    looked: int = -1
    pull: str = ""
    upload: tuple[str, ...] = ()
    card: str = ""

    def with_answers(self, change: Mapping[str, str | None], form: str = "") -> "Draft":
        """The draft with those answers set, or taken out where the value is None, as one of another form where it is named.

        One step that undo takes back.
        """
        change = {key: value for key, value in change.items() if self.answers.get(key) != value}
        form = form or self.form
        if not change and form == self.form:
            return self
        before = {key: self.answers.get(key) for key in change} | ({} if form == self.form else {"": self.form})
        return replace(
            self,
            form=form,
            answers=merged(self.answers, change),
            undo=(*self.undo, before)[-UNDO:],
            revision=self.revision + 1,
            signed=0.0,
        )

    def found(self, change: Mapping[str, str | None]) -> "Draft":
        """The draft with answers that nobody gave: a run found them, and undo does not touch them."""
        answers = merged(self.answers, change)
        return self if answers == dict(self.answers) else replace(self, answers=answers, revision=self.revision + 1, signed=0.0)

    def undone(self) -> "Draft":
        *earlier, last = self.undo
        answers = merged(self.answers, {key: value for key, value in last.items() if key})
        back = replace(self, form=last.get("") or self.form, answers=answers, undo=tuple(earlier))
        return replace(back, revision=self.revision + 1, asked="", signed=0.0)


@dataclass(frozen=True, slots=True)
class Spent:
    """Something that counts against a quota was done."""

    person: str
    what: str
    at: float
    event: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A question that was put to the FAQ: what it found, in which state (`digest`) of its entries, and what became of it.

    `hits` are titles, best first; `thumb` is good, bad or ""; `handed` is where maintainers have it, `reply` and `by`
    what one of them answered and who.
    """

    id: str
    person: str
    place: str
    question: str
    at: float
    history: tuple[str, ...] = ()
    hits: tuple[str, ...] = ()
    answered: bool = False
    score: float = 0.0
    digest: str = ""
    thumb: str = ""
    handed: str = ""
    reply: str = ""
    by: str = ""


@dataclass(frozen=True, slots=True)
class Turn:
    """A question that was put to the model, and its answer.

    `events` are those that it came from. `wanted` is the model that was asked for, "" for the default one; `model` and
    `version` say which one answered, `seen` which earlier turns it was given, oldest first. `tries` counts attempts, the
    newest of which stands here. `rival` is the other side of a comparison, `seed` what both were sampled with. One that
    is "gone" was taken back by who said it: its texts are empty.
    """

    id: str
    person: str
    place: str
    question: str
    at: float
    events: tuple[str, ...] = ()
    wanted: str = ""
    rival: str = ""
    seed: int = 0
    tries: int = 1
    state: TurnState = "open"
    answer: str = ""
    model: str = ""
    version: str = ""
    seen: tuple[str, ...] = ()
    thumb: str = ""


@dataclass(frozen=True, slots=True)
class Kept:
    """A maintainer's answer that is to become an entry of the FAQ; `by` is a name, `people` who asked and who answered."""

    id: str
    question: str
    answer: str
    by: str
    at: float
    people: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Paused:
    """A feature that an operator has paused in a guild or workspace (`scope`), and why; "" resumes it."""

    scope: str
    feature: str
    why: str


@dataclass(frozen=True, slots=True)
class Audit:
    """An operator's act: who did what to whom (a person or a feature), where, when and why."""

    id: str
    at: float
    person: str
    what: str
    whom: str
    why: str
    scope: str


@dataclass(frozen=True, slots=True)
class Run:
    """A run as its record has it. `until` is the last stage that it was started for, "" where nobody knows."""

    id: str
    state: str
    facts: Mapping[str, str] = field(default_factory=dict)
    until: str = ""


Saved = Draft | Conversation | Person | Spent | Asked | Turn | Kept | Paused | Audit


def merged(answers: Mapping[str, str], change: Mapping[str, str | None]) -> dict[str, str]:
    return {key: value for key, value in {**answers, **change}.items() if value is not None}
