"""What the core is told before it decides: the records that the shell keeps, as it read them for one event.

More than 400 lines: what there is to know is in one place, a value each.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from bot.core.records import Asked, Conversation, Draft, Person, Run, Turn
from bot.core.rules import EVERYONE, Role
from bot.core.talk import Command, Event, File, Moved, Press, Pulled, Said, Submit, Unsaid, short
from bot.core.trained import Adapter, Curve, Exported, Scores
from bot.core.words import Words
from pipeline import taxonomy
from pipeline.errors import Problem
from pipeline.pulls import Followed, Pull, Rules
from pipeline.taxonomy import Tree, Work

TRIAGE = "triage-"  # that looks at a pull request; its number comes after it
SETUP = "model-"  # how the id of a run begins that sets a model up; its name comes after it


@dataclass(frozen=True, slots=True)
class Finding:
    """A draft as it stands, looked at: its files' text, what their writer refuses, places for it, whether one is taken.

    `advice` is what triage would ask about; it blocks nothing.
    """

    yaml: str = ""
    problems: tuple[Problem, ...] = ()
    places: tuple[str, ...] = ()
    taken: bool = False
    advice: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A passage of a document: its own text, to the letter."""

    id: str
    file: str
    heading: str
    text: str
    words: int


@dataclass(frozen=True, slots=True)
class Brought:
    """A file that somebody sent, read: the entry that is in it, or its works, or why there is none.

    `document` is a file that is no entry, and could be what knowledge is taken from. `changes` is what was made of it, in the
    order in which people should hear it; `diff` how its text was mended.
    """

    entry: taxonomy.Entry | None = None
    works: tuple[Work, ...] = ()
    changes: tuple[Problem, ...] = ()
    diff: str = ""
    problem: Problem | None = None
    document: File | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the FAQ: its first sentences, the rest as markdown, a link or ""."""

    id: str
    title: str
    link: str
    short: str
    rest: str


@dataclass(frozen=True, slots=True)
class Reply:
    """What the FAQ says to a question. `hits`, best first: the first `count` answer it; `digest` names its entries' state.

    `offered`: not sure enough to answer, and near enough to show.
    """

    answered: bool
    offered: bool
    score: float
    hits: tuple[Entry, ...]
    count: int
    digest: str


@dataclass(frozen=True, slots=True)
class Served:
    """A model that can be talked with by its name; `parent` is the model that it adapts, "" if it is none of that kind."""

    name: str
    parent: str = ""


@dataclass(frozen=True, slots=True)
class Serving:
    """How the model of the chat stands, and which there are, the default one first.

    "absent": nothing is set up. "starting": it comes, or comes back. `models` may be empty while it does not answer.
    `grounded`: it may write the answers of the FAQ. `teacher`: there is a model that samples can be made with. `ours`: they
    are served by labbot itself, and go by the names that they have here.
    """

    state: Literal["absent", "starting", "ready"] = "absent"
    models: tuple[Served, ...] = ()
    grounded: bool = False
    teacher: bool = False
    ours: bool = True


@dataclass(frozen=True, slots=True)
class Offer:
    """A model that can be set up, its sizes as people read them.

    `runs`: whether it fits this machine, "yes", "full" (if other programs ended), "no", or "" where nobody knows.
    """

    name: str
    title: str
    about: str
    licence: str
    licence_url: str
    size: str
    memory: str
    runs: str
    here: bool = False
    chosen: bool = False
    made_here: bool = False


CheckedState = Literal["known", "gap", "uncertain"]
CheckedVerdict = Literal["worth", "known", "mixed", "uncertain"]


@dataclass(frozen=True, slots=True)
class CheckedRow:
    """A question of a precheck: what decided on it (`why`, see pipeline.judging.weighing), and the judge's own words or ""."""

    question: str
    wanted: str
    said: str
    state: CheckedState
    why: str
    quote: str = ""


@dataclass(frozen=True, slots=True)
class Checked:
    """What a precheck found; without rows where there was none, or it is gone. `confidence` is 0 to 1.

    `trusted`: the judge passed its trials.
    """

    rows: tuple[CheckedRow, ...] = ()
    verdict: CheckedVerdict = "uncertain"
    confidence: float = 0.0
    counts: Mapping[str, str] = field(default_factory=dict)
    model: str = ""
    judge: str = ""
    trusted: bool = True


@dataclass(frozen=True, slots=True)
class Sample:
    """A sample that a run made. One that was dropped says at which step and why (pipeline.generating.rows), and of what

    sample or seed it says too much again, 0 for none; `reason` is the last judge's own words or "".
    """

    number: int
    seed: int
    question: str
    answer: str
    context: str = ""
    kept: bool = True
    at: str = ""
    why: str = ""
    of: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Sampled:
    """Some of a run's samples, and whether there are more of the kind behind them; without rows where there are none.

    `judged`: the run came as far as to look at its samples as a whole.
    """

    rows: tuple[Sample, ...] = ()
    more: bool = False
    judged: bool = True


@dataclass(frozen=True, slots=True)
class Report:
    """The page that a run left, "" where it is too large to be sent, and where it lies; "" where there is none."""

    text: str = ""
    where: str = ""


@dataclass(frozen=True, slots=True)
class Coded:
    """Whose a code of `/link` is, "" for nobody's, and when it was made (seconds).

    `overlaps`: whoever typed it and whoever made it have accounts on one platform, on which a person has one only.
    """

    person: str = ""
    at: float = 0.0
    overlaps: bool = False


@dataclass(frozen=True, slots=True)
class Hub:
    """How somebody is on GitHub: their login, "" while none is linked; whether accounts can be linked here (`links`), whether

    the operator's App opens pull requests for those who have none (`app`), where they go, OWNER/NAME or "" for nowhere, and
    what they need there.
    """

    login: str = ""
    links: bool = False
    app: bool = False
    repo: str = ""
    rules: Rules = Rules()  # noqa: RUF009, it is frozen


@dataclass(frozen=True, slots=True)
class Spot:
    """What a line of a proposed qna.yaml belongs to: a page of the draft, and of an example how manieth it is (from 1; 0: the

    whole page); what the line says.
    """

    page: str
    part: int
    text: str


@dataclass(frozen=True, slots=True)
class PullFound:
    """A draft's pull request, None where there is none; `spots`: what the lines of its qna.yaml belong to, by their numbers."""

    followed: Followed | None = None
    pull: Pull | None = None
    spots: Mapping[int, Spot] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Known:
    """All that `decide` may use besides the event; `tree` is for completion.

    `used` holds times (seconds) of acts within the longest quota; `asked` is the question that a button or a thread is
    about, `turn` the one to the model that a button, an edit or a deletion is about; `chat` is what was last seen of the
    models that one can talk with; `others` are people whom a command names; `off` are features that are paused, with
    why; `note` names the words in which the platform's help says how one is heard there, `apart` says that nobody but
    its person sees a direct conversation, `seated` that who sits there keeps their id, `open` whether labbot is to speak
    in this channel; `maintainers` is the place where questions go that the FAQ cannot answer, "" for none; `hub` is how the
    person is on GitHub.
    """

    person: Person
    conversation: Conversation
    words: Words
    draft: Draft | None = None
    drafts: tuple[Draft, ...] = ()
    run: Run | None = None
    asked: Asked | None = None
    turn: Turn | None = None
    chat: Serving = field(default_factory=Serving)
    others: Mapping[str, Person] = field(default_factory=dict)
    off: Mapping[str, str] = field(default_factory=dict)
    open: bool = True
    note: str = ""
    apart: bool = False
    seated: bool = False
    maintainers: str = ""
    maintainer_people: tuple[str, ...] = ()
    hub: Hub = Hub()
    names: Mapping[str, str] = field(default_factory=dict)
    used: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    roles: Mapping[str, Role] = field(default_factory=lambda: {EVERYONE: Role(EVERYONE)})
    tree: Tree = field(default_factory=Tree)
    found: Mapping[str, object] = field(default_factory=dict)

    def finding(self) -> Finding | None:
        found = self.found.get("draft")
        assert found is None or isinstance(found, Finding)
        return found

    def excerpts(self) -> tuple[Excerpt, ...] | None:
        found = self.found.get("passages")
        assert found is None or isinstance(found, tuple)
        return found

    def reply(self) -> Reply | None:
        found = self.found.get("faq")
        assert found is None or isinstance(found, Reply)
        return found

    def entry(self) -> Entry | None:
        found = self.found.get("entry")
        assert found is None or isinstance(found, Entry)
        return found

    def serving(self) -> Serving | None:
        found = self.found.get("serving")
        assert found is None or isinstance(found, Serving)
        return found

    def offers(self) -> tuple[Offer, ...] | None:
        found = self.found.get("models")
        assert found is None or isinstance(found, tuple)
        return found

    def checked(self) -> Checked | None:
        found = self.found.get("precheck")
        assert found is None or isinstance(found, Checked)
        return found

    def sampled(self) -> Sampled | None:
        found = self.found.get("samples")
        assert found is None or isinstance(found, Sampled)
        return found

    def report(self) -> Report | None:
        found = self.found.get("report")
        assert found is None or isinstance(found, Report)
        return found

    def thumbs(self) -> Mapping[str, str] | None:
        found = self.found.get("thumbs")
        assert found is None or isinstance(found, Mapping)
        return found

    def curve(self) -> Curve | None:
        found = self.found.get("curve")
        assert found is None or isinstance(found, Curve)
        return found

    def scores(self) -> Scores | None:
        found = self.found.get("scores")
        assert found is None or isinstance(found, Scores)
        return found

    def exported(self) -> Exported | None:
        found = self.found.get("export")
        assert found is None or isinstance(found, Exported)
        return found

    def adapter(self) -> Adapter | None:
        found = self.found.get("adapter")
        assert found is None or isinstance(found, Adapter)
        return found

    def pulled(self) -> PullFound | None:
        found = self.found.get("pull")
        assert found is None or isinstance(found, PullFound)
        return found

    def brought(self) -> tuple[Brought, ...] | None:
        found = self.found.get("file")
        assert found is None or isinstance(found, tuple)
        return found


def asks(event: Event) -> str:
    """The id of the question that a button or a dialog is about; "" if none."""
    match event.act:
        case Press(token) | Submit(token) if token.startswith("faq."):
            return token.partition("|")[2].partition(".")[0]
        case _:
            return ""


def turn_name(event: Event) -> str:
    """The id of the turn that a question begins; one that is typed is named by its message, so that an edit finds it."""
    match event.act:
        case Said(message=message) | Unsaid(message) if message:
            return short(f"turn:{event.place}:{message}")
        case _:
            return short(f"turn:{event.id}")


def tells(event: Event) -> str:
    """The id of the question to the model that a button, an edited or a deleted message is about; "" if none."""
    match event.act:
        case Press(token) if token.startswith("chat."):
            return token.partition("|")[2].partition(".")[0]
        case Said(edited=True) | Unsaid():
            return turn_name(event)
        case _:
            return ""


_NUMBER = re.compile(r"(?:^\s*#?|/pull/)([1-9][0-9]{0,6})(?![0-9A-Za-z])")  # of a pull request


def runs(event: Event, draft: Draft | None) -> str:
    """The id of the run that the event is about: a step or a button names it, else the draft's; "" if none."""
    match event.act:
        case Moved(run):
            return run
        case Press(token) if token.startswith("run."):
            return token.partition("|")[2]
        case Press(token) if token.startswith(("sample.", "tuned.")):
            return token.split("|")[1] if "|" in token else ""
        case Press(token) if token.startswith("setup.start|"):
            return f"{SETUP}{token.partition('|')[2]}"
        case Press(token) if token.startswith("triage."):
            return f"{TRIAGE}{token.partition('|')[2]}"
        case Command("triage" | "precheck" | "generate", text) if not draft and (number := _NUMBER.search(text)):
            return f"{TRIAGE}{number[1]}"
        case _:
            return draft.run if draft else ""


def concerns(event: Event, conversation: Conversation) -> str:
    """The id of the draft that the event is about: a button or a dialog names it, else the conversation's; "" if none."""
    match event.act:
        case Moved(run):
            return run.partition(".")[0]
        case Pulled(draft):
            return draft
        case Press(token) | Submit(token) if token.startswith(("draft.", "run.", "sample.", "tuned.", "pull.")):
            return token.partition("|")[2].partition(".")[0]
        case Press(token) if token.startswith("faq.mine|"):
            return token.rpartition(".")[2]
        case Command("draft" | "discard" | "precheck" | "generate" | "train" | "submit" | "cancel", text) if text.strip():
            return text.split()[0].lower().partition(".")[0]
        case _:
            return conversation.draft
