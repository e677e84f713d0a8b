"""Who may do what here and now: blocked people, closed channels, paused features, roles, quotas, cool-downs."""

from bot.core import rules
from bot.core.known import Known
from bot.core.talk import Answer, Command, Digest, Effect, Event, Moved, Opened, Press, Pulled, Said, Stopped, Unsaid

FEATURES = ("faq", "chat", "drafts", "submit")  # what an operator can pause, or leave out for a workspace
# What quotas count, with the feature that it belongs to.
ACTS = {
    "ask": "faq",
    "chat": "chat",
    "draft": "drafts",
    "precheck": "drafts",
    "generate": "drafts",
    "train": "drafts",
    "submit": "submit",
}
OPERATOR, TRIAGER = "operator", "triager"
FEW = 3  # a quota that has less left is told


def barred(event: Event, known: Known) -> list[Effect] | None:
    """What somebody hears who may do nothing here; None for everybody else. Taking back and privacy are always open."""
    match event.act:
        case Moved() | Pulled() | Digest() | Opened() | Unsaid() | Stopped():
            return None
        case Command("privacy" | "forget") | Press() if _private(event):
            return None
    if known.person.blocked:
        return [Answer(known.words("refused.blocked", why=known.person.blocked), private=True)]
    if known.open or OPERATOR in event.roles:
        return None
    return [] if isinstance(event.act, Said) else [Answer(known.words("refused.channel"), private=True)]


def _private(event: Event) -> bool:
    return isinstance(event.act, Command) or (isinstance(event.act, Press) and event.act.token.startswith("privacy."))


def triages(event: Event) -> bool:
    """Whether somebody looks through others' pull requests."""
    return bool({OPERATOR, TRIAGER} & {*event.roles})


def off(known: Known, feature: str) -> list[Effect]:
    """What somebody hears of a feature that is paused or left out; empty where it is on."""
    if feature not in known.off:
        return []
    what = known.words(f"feature.{feature}")
    why = known.off[feature]
    said = known.words("refused.paused", what=what, why=why) if why else known.words("refused.off", what=what)
    return [Answer(said, private=True)]


def gate(event: Event, known: Known, act: str, *, counts: bool = True) -> list[Effect]:
    """The refusal of an act that is off, or that the person's roles, or quotas if it counts, do not allow now."""
    if refused := off(known, ACTS.get(act, "")):
        return refused
    verdict = _verdict(event, known, act, counts=counts)
    if verdict:
        return []
    what = known.words(f"act.{act}") if act in ACTS else act
    return [Answer(known.words(f"refused.{verdict.why}", what=what, wait=span(known, verdict.wait_s)), private=True)]


def _verdict(event: Event, known: Known, act: str, *, counts: bool = True) -> rules.Verdict:
    roles = [known.roles[name] for name in event.roles if name in known.roles]
    return rules.may(act, roles, known.used.get(act, ()) if counts else (), event.at)


def left(event: Event, known: Known, act: str) -> str:
    """A sentence on how often an act may still be done after this time, where that is not often."""
    verdict = _verdict(event, known, act)
    if not verdict or not 0 <= verdict.left < FEW:
        return ""
    return known.words("quota.left", count=verdict.left) if verdict.left else known.words("quota.last")


def quotas(event: Event, known: Known) -> list[Effect]:
    """What the person's quotas have left."""
    lines = []
    there = known.chat.state != "absent"
    needs = {"chat": there, "precheck": there, "generate": known.chat.teacher, "train": known.chat.teacher}
    for act in (one for one in ACTS if needs.get(one, True)):
        verdict = _verdict(event, known, act)
        count = known.words("quota.none") if verdict.left < 0 and verdict else max(0, verdict.left + bool(verdict))
        lines.append(known.words("quota.line", what=known.words(f"act.{act}"), left=count))
    return [Answer("\n".join(lines), private=True, open=True)]


def span(known: Known, seconds: float) -> str:
    """A time to wait, as people say it, rounded up."""
    for unit, size in (("hours", 3600), ("minutes", 60)):
        if seconds > size:
            return known.words(f"span.{unit}", count=-int(-seconds // size))
    return known.words("span.seconds", count=max(1, -int(-seconds // 1)))
