"""What of the worker pool somebody may take goes by their roles and by where they are."""

from bot import shares
from bot.core.rules import Role, most
from bot.rows import Order

ROLES = {
    "everyone": Role("everyone", waiting=5, running=1),
    "contributor": Role("contributor", weight=2.0, waiting=20, running=4),
    "operator": Role("operator", weight=4.0),
}


def order(*roles: str, workspace: str = "") -> Order:
    return Order("start", "slack:c1", "k", person="p1", workspace=workspace, roles=roles)


def room(workspace: str) -> tuple[int, int]:
    return (50, 6) if workspace == "t1" else (0, 0)


def test_several_roles_give_the_widest_of_theirs() -> None:
    found = [shares.of(order(*roles), "slack", ROLES, room) for roles in (("everyone",), ("everyone", "contributor"))]

    assert found == [
        (1.0, (("person:p1", 5, 1), ("workspace:slack:slack", 0, 0))),
        (2.0, (("person:p1", 20, 4), ("workspace:slack:slack", 0, 0))),
    ]


def test_a_role_without_a_limit_has_none_whatever_the_others_say() -> None:
    weight, scopes = shares.of(order("everyone", "operator"), "slack", ROLES, room)

    assert (weight, scopes[0]) == (4.0, ("person:p1", 0, 0))
    assert (most([]), most([3, 0]), most([3, 7])) == (0, 0, 7)


def test_a_workspace_has_room_of_its_own() -> None:
    assert shares.of(order("everyone", workspace="t1"), "slack", ROLES, room)[1][1] == ("workspace:slack:t1", 50, 6)
