"""Blocks as Slack keeps them: every block gets a block_id, every element that can be used an action_id."""

import secrets
from copy import deepcopy

from tests.fakes.slack.state import Json
from tests.fakes.slack.text import walk

USABLE = ("_select", "button", "buttons", "checkboxes", "picker", "_input", "overflow")


def stored(said: Json) -> Json:
    """A message's or view's fields, with ids where it had none."""
    kept = deepcopy(said)
    for block in kept.get("blocks", ()):
        block.setdefault("block_id", secrets.token_urlsafe(4))
        for one in walk(block):
            if one is not block and usable(one):
                one.setdefault("action_id", secrets.token_urlsafe(4))
    return kept


def usable(element: Json) -> bool:
    """Whether a person can press, choose or fill in an element."""
    return str(element.get("type", "")).endswith(USABLE)


def find(blocks: list[Json], action_id: str) -> tuple[Json, Json] | None:
    """The block and the element of an action_id."""
    for block in blocks:
        for one in walk(block):
            if one is not block and one.get("action_id") == action_id and usable(one):
                return block, one
    return None


def ids(blocks: list[Json]) -> list[str]:
    """The action_ids of what can be used."""
    return [one["action_id"] for block in blocks for one in walk(block) if one is not block and usable(one)]
