"""Who may do what, how often: roles, quotas and cool-downs from the configuration, decided by one pure function."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

EVERYONE = "everyone"


@dataclass(frozen=True, slots=True)
class Quota:
    count: int
    per_s: float


@dataclass(frozen=True, slots=True)
class Role:
    """`denied` names acts this role may not do; `quotas` and `cooldowns_s` go by act; `weight` is its share of the pool.

    `waiting`, `running`: how many runs of one person may wait, and be carried at once; 0 for no limit.
    """

    name: str
    denied: frozenset[str] = frozenset()
    quotas: Mapping[str, Quota] = field(default_factory=dict)
    cooldowns_s: Mapping[str, float] = field(default_factory=dict)
    weight: float = 1.0
    waiting: int = 0
    running: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """`why` is "" when the act is allowed, else role, quota or cooldown; `left` counts what remains, -1 for no limit."""

    why: str = ""
    left: int = -1
    wait_s: float = 0.0

    def __bool__(self) -> bool:
        return not self.why


def may(act: str, roles: Sequence[Role], used: Sequence[float], at: float) -> Verdict:
    """Decide whether somebody with those roles may do `act` now, having done it at the times `used`.

    Several roles help, never harm: the verdict is the best that any one of them gives.
    """
    verdicts = [_may(act, role, used, at) for role in roles] or [Verdict("role")]
    allowed = [verdict for verdict in verdicts if verdict]
    if allowed:
        return max(allowed, key=lambda verdict: float("inf") if verdict.left < 0 else verdict.left)
    return min(verdicts, key=lambda verdict: (verdict.why == "role", verdict.wait_s))


def most(limits: Sequence[int]) -> int:
    """The limit that holds for somebody with several roles: the widest of theirs; 0, no limit, is the widest of all."""
    return 0 if not all(limits) else max(limits, default=0)


def _may(act: str, role: Role, used: Sequence[float], at: float) -> Verdict:
    if act in role.denied:
        return Verdict("role")
    wait_s = max(used, default=-float("inf")) + role.cooldowns_s.get(act, 0.0) - at
    if wait_s > 0:
        return Verdict("cooldown", wait_s=wait_s)
    if not (quota := role.quotas.get(act)):
        return Verdict()
    within = sorted(time for time in used if time > at - quota.per_s)
    if len(within) >= quota.count:
        until_s = within[len(within) - quota.count] + quota.per_s - at if quota.count else quota.per_s
        return Verdict("quota", left=0, wait_s=until_s)
    return Verdict(left=quota.count - len(within) - 1)
