"""What of the worker pool somebody may take: a weight against others, and limits by their roles and their workspace."""

from collections.abc import Callable, Mapping

from bot.core.rules import Role, most
from bot.rows import Order

Scopes = tuple[tuple[str, int, int], ...]


def of(order: Order, platform: str, roles: Mapping[str, Role], room: Callable[[str], tuple[int, int]]) -> tuple[float, Scopes]:
    """The weight of a run that is ordered, and the limits that hold for it: (name, most that wait, most that run)."""
    theirs = [roles[name] for name in order.roles if name in roles]
    workspace = order.workspace or platform
    person = (f"person:{order.person}", most([role.waiting for role in theirs]), most([role.running for role in theirs]))
    return max((role.weight for role in theirs), default=1.0), (person, (f"workspace:{platform}:{workspace}", *room(workspace)))
