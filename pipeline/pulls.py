"""Pull requests as values: how one stands, what was said of it, what is news to its contributor, and what it waits for.

Pure: read by `pipeline.github`, told by the bot's core. Whatever happened, in whichever order it was heard of, the news are
the difference between how a pull request stood when its contributor was last told and how it stands now: an event that is
lost, doubled or late changes nothing.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

State = Literal["open", "merged", "closed"]
Result = Literal["waiting", "running", "passed", "failed", "skipped"]


@dataclass(frozen=True, slots=True)
class Note:
    """What a check says to a line of a file; `line` counts from 1, 0 for the whole file."""

    path: str
    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Check:
    """A check of the newest commit. `notes` only of one that failed; `id`: GitHub's of a check run, "" of a commit's status."""

    name: str
    result: Result
    url: str = ""
    summary: str = ""
    notes: tuple[Note, ...] = ()
    id: str = ""


@dataclass(frozen=True, slots=True)
class Remark:
    """Something that was said. `kind`: below the pull request, as a review, or to a line of a file.

    `verdict`: of a review "approved" or "changes", "dismissed" once somebody took it back; "" for everything else. `member`:
    whoever said it belongs to the repository (owner, member or collaborator), so that an LGTM of theirs counts. `reply`: the
    id of the remark that it answers, "" for none.
    """

    id: str
    kind: Literal["comment", "review", "line"]
    by: str
    at: float
    text: str = ""
    verdict: Literal["approved", "changes", "dismissed", ""] = ""
    member: bool = False
    bot: bool = False
    path: str = ""
    line: int = 0
    reply: str = ""
    url: str = ""

    @property
    def name(self) -> str:
        """What it is found by: GitHub counts the ids of each kind for themselves."""
        return f"{self.kind}-{self.id}"


@dataclass(frozen=True, slots=True)
class Pull:
    """A pull request as it stands. Times in seconds since 1970; `remarks` oldest first.

    `moved` is when somebody last did something, `pushed` when its newest commit came and `marked` when each label did, by
    GitHub's clock and no later than that was seen; `read` is when we last looked, by ours.
    """

    repo: str
    number: int
    title: str
    url: str
    state: State
    author: str
    head: str
    branch: str
    base: str
    created: float
    moved: float
    commits: int = 1
    labels: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()
    remarks: tuple[Remark, ...] = ()
    pushed: float = 0.0
    read: float = 0.0
    marked: tuple[tuple[str, float], ...] = ()


Kind = Literal[
    "opened",
    "commits",
    "checks.running",
    "checks.failed",
    "checks.passed",
    "label",
    "unlabel",
    "remark",
    "lgtm",
    "approved",
    "changes",
    "stale",
    "stale.soon",
    "merged",
    "closed",
    "reopened",
    "lost",
]


@dataclass(frozen=True, slots=True)
class News:
    """One thing that happened. `what`: a label, a check's name, or a remark's. `needs`: the contributor must act.

    "lost": it cannot be read any more; `what` is the code of the problem.
    """

    kind: Kind
    what: str = ""
    needs: bool = False


@dataclass(frozen=True, slots=True)
class Rules:
    """What the taxonomy asks for: LGTMs of members, and the days of silence after which its bot marks and closes."""

    lgtms: int = 2
    stale_days: float = 15.0
    close_days: float = 31.0


@dataclass(frozen=True, slots=True)
class Followed:
    """A pull request of a draft, whom it is told to and where; `since` is when that began."""

    draft: str
    person: str
    repo: str
    pull: int
    platform: str
    place: str
    workspace: str = ""
    locale: str = "en"
    since: float = 0.0


@dataclass(frozen=True, slots=True)
class Waiting:
    """A row of the triagers' digest: an open pull request and what it waits for."""

    number: int
    title: str
    url: str
    author: str
    created: float
    labels: tuple[str, ...] = field(default=())


# --- labels

DAY_S = 86_400.0
SOON_S = 3 * DAY_S  # before the repository's bot marks one stale, its contributor hears of it
CHANGES, STALE = "triage-requested-changes", "stale"

# Upstream's labels, each with a sentence of ours (`tag.NAME`); one that is not here is told by its name.
LABELS = frozenset(
    {
        *("triage-needed", CHANGES, "triage-follow-up", "triage-uncertain", "triage-approved", "triage-rejected"),
        *("topic-failure", "legal-hold", "precheck-generate-ready", "sdg-unsuccessful", "pr-unsuccessful"),
        *("community-build-ready", STALE, "skill", "knowledge", "documentation", "ci", "enhancement", "unverified"),
        *("good-first-issue", "help wanted", "github_actions"),
    }
)
NEEDS = frozenset({CHANGES, "triage-rejected", "topic-failure", "sdg-unsuccessful", "pr-unsuccessful", STALE})
READY = frozenset({"triage-approved", "community-build-ready"})
SPARED = frozenset({"community-build-ready", "good-first-issue"})  # the stale bot leaves these alone


# --- how one stands

Turn = Literal["nobody", "author", "checks", "triage", "review", "merge"]

_QUOTED = re.compile(r"^\s*>.*$|```.*?(?:```|\Z)", re.M | re.S)
_UNSURE = "but|if|once|after|when|except|apart|unless|until|not|nearly|cancel"
_LGTM = re.compile(rf"^\W*(?:lgtm|looks good to me)\b(?!.*\b(?:{_UNSURE})\b)")
_BACK = re.compile(r"^\s*/lgtm cancel\b")


def failing(pull: Pull) -> tuple[Check, ...]:
    """The checks of the newest commit that failed."""
    return tuple(check for check in pull.checks if check.result == "failed")


def agrees(remark: Remark) -> bool:
    """Whether it approves, or says LGTM in a line of its own words that sets no condition."""
    return remark.verdict == "approved" or (not remark.verdict and remark.kind != "line" and _says(_LGTM, remark.text))


def agreed(pull: Pull) -> tuple[str, ...]:
    """The members who agree, in the order in which they did: by their newest verdict, their author's own does not count."""
    found: dict[str, None] = {}
    for remark in pull.remarks:
        if not remark.member or remark.bot or remark.by == pull.author:
            continue
        if agrees(remark):
            found.setdefault(remark.by)
        elif remark.verdict or _says(_BACK, remark.text):
            found.pop(remark.by, None)
    return tuple(found)


def waits(pull: Pull, rules: Rules) -> Turn:
    """Whose turn it is: its author's, the checks', somebody's who triages, reviews or merges; nobody's once it is over."""
    if pull.state != "open":
        return "nobody"
    if failing(pull) or _wanted(pull):
        return "author"
    if any(check.result in ("waiting", "running") for check in pull.checks):
        return "checks"
    count = len(agreed(pull))
    if count >= rules.lgtms or "community-build-ready" in pull.labels:
        return "merge"
    return "review" if count or "triage-approved" in pull.labels else "triage"


def stale_at(pull: Pull, rules: Rules) -> float | None:
    """When the repository's bot marks it stale if nobody does anything; None where it does not."""
    spared = pull.state != "open" or STALE in pull.labels or SPARED & {*pull.labels}
    return None if spared else pull.moved + rules.stale_days * DAY_S


def closes_at(pull: Pull, rules: Rules) -> float | None:
    """When the bot closes one that it has marked stale; None where it has not."""
    return pull.moved + rules.close_days * DAY_S if pull.state == "open" and STALE in pull.labels else None


def _says(pattern: re.Pattern[str], text: str) -> bool:
    """Whether a line of it does, quotations and code aside."""
    return any(pattern.search(line) for line in _QUOTED.sub("", text).lower().splitlines())


def _wanted(pull: Pull) -> bool:
    """Whether somebody asked its author for something, and they have neither pushed nor said a word since."""
    acted = max([pull.pushed, *(remark.at for remark in pull.remarks if remark.by == pull.author)])
    marked = dict(pull.marked)
    if any(label in NEEDS and (label != CHANGES or marked.get(label, pull.moved) >= acted) for label in pull.labels):
        return True
    verdicts = {remark.by: remark for remark in pull.remarks if remark.verdict and remark.by != pull.author}
    return any(remark.verdict == "changes" and remark.at >= acted for remark in verdicts.values())


def _soon(pull: Pull, rules: Rules, at: float) -> bool:
    """Whether it waited at that time for its author, and is soon taken for stale."""
    stale = stale_at(pull, rules)
    return stale is not None and at >= stale - SOON_S and waits(pull, rules) == "author"


# --- what is new


def news(before: Pull | None, after: Pull, rules: Rules, now: float) -> tuple[News, ...]:
    """What its contributor has not been told: the difference between how it stood when they were, and how it stands.

    `before` is None for one that nothing was told of yet. `now`: seconds since 1970. What came and went in between is none.
    """
    first = replace(after, state="open", labels=(), checks=(), remarks=(), read=0.0)
    old = before or first
    return (
        *([News("opened")] if before is None else []),
        *_commits(old, after),
        *_checks(old, after),
        *_labels(old, after),
        *_remarks(old, after),
        *_agreed(old, after, rules),
        *([News("stale.soon", needs=True)] if _soon(after, rules, now) and not _soon(old, rules, old.read) else []),
        *_state(old, after),
    )


def same(one: Pull, other: Pull) -> bool:
    """Whether both would be shown alike: when somebody last looked, or did something that is not told, makes no difference."""
    return replace(one, read=0.0, moved=0.0, marked=()) == replace(other, read=0.0, moved=0.0, marked=())


def _commits(before: Pull, after: Pull) -> Iterator[News]:
    if before.head and before.head != after.head:
        yield News("commits", after.head)


def _checks(before: Pull, after: Pull) -> Iterator[News]:
    old = {check.name: check.result for check in before.checks} if before.head == after.head else {}
    for check in failing(after):
        if old.get(check.name) != "failed":
            yield News("checks.failed", check.name, needs=True)
    was, is_ = (_whole([*results]) for results in (old.values(), (check.result for check in after.checks)))
    if was != is_ and is_ in ("running", "passed"):
        yield News("checks.running" if is_ == "running" else "checks.passed")


def _whole(results: list[Result]) -> str:
    if "failed" in results:
        return "failed"
    if "running" in results or "waiting" in results:
        return "running"
    return "passed" if "passed" in results else ""


def _labels(before: Pull, after: Pull) -> Iterator[News]:
    for label in after.labels:
        if label not in before.labels:
            yield News("stale" if label == STALE else "label", label, label in NEEDS)
    for label in before.labels:
        if label not in after.labels:
            yield News("unlabel", label)


def _remarks(before: Pull, after: Pull) -> Iterator[News]:
    old = {remark.name: remark.verdict for remark in before.remarks}
    for remark in after.remarks:
        if remark.by == after.author or old.get(remark.name) == remark.verdict:
            continue
        if remark.verdict == "changes":
            yield News("changes", remark.name, needs=True)
        elif remark.member and agrees(remark):
            yield News("lgtm", remark.name)
        elif remark.verdict != "dismissed":
            yield News("remark", remark.name, remark.member and not remark.bot)


def _agreed(before: Pull, after: Pull, rules: Rules) -> Iterator[News]:
    if len(agreed(before)) < rules.lgtms <= len(agreed(after)):
        yield News("approved")


def _state(before: Pull, after: Pull) -> Iterator[News]:
    if before.state != after.state:
        kind: Kind = "reopened" if after.state == "open" else after.state
        yield News(kind, needs=kind == "closed")
