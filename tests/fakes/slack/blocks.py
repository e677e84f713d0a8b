"""What Slack would say of blocks and views that it does not take: the flaws that tests/fakes/slack_blocks.py finds, with where.

Beyond it: how many blocks there may be, and what a modal with inputs needs. A verdict is kept by the JSON of what was judged: a
card is edited often. How long the texts of a message may be together is in limits.py.
"""

import json
import re
from functools import lru_cache
from typing import Any, Literal

from tests.fakes.slack_blocks import MESSAGE_BLOCKS, TOO_LONG, VIEW_BLOCKS, problems, view_problems

Surface = Literal["message", "modal", "home"]
ONE_TABLE = "only_one_table_allowed"


def of_message(given: Any, surface: Surface = "message") -> list[str]:
    """What is wrong with a list of blocks."""
    return list(_judged(json.dumps(given), surface))


def of_view(view: Any) -> list[str]:
    """What is wrong with a modal or a Home view."""
    return list(_viewed(json.dumps(view)))


@lru_cache(maxsize=2000)
def _judged(raw: str, surface: Surface) -> tuple[str, ...]:
    given = json.loads(raw)
    most = MESSAGE_BLOCKS if surface == "message" else VIEW_BLOCKS
    if len(given) > most:
        return (f"[ERROR] no more than {most} items allowed [json-pointer:/blocks]",)
    return tuple(_said(one) for one in problems(given, surface) if not one.startswith(TOO_LONG))


@lru_cache(maxsize=500)
def _viewed(raw: str) -> tuple[str, ...]:
    view = json.loads(raw)
    if not isinstance(view, dict) or view.get("type") not in ("modal", "home"):
        return ("[ERROR] must be a valid enum value [json-pointer:/view/type]",)
    if not isinstance(view.get("blocks"), list):
        return ("[ERROR] missing required field: blocks [json-pointer:/view]",)
    flaws = list(_judged(json.dumps(view["blocks"]), view["type"])) or [_said(one, "/view") for one in view_problems(view)]
    asks = any(isinstance(one, dict) and one.get("type") == "input" for one in view["blocks"])
    if view["type"] == "modal" and asks and not view.get("submit"):
        flaws.append("[ERROR] must define `submit` to use an `input` block in modals [json-pointer:/view]")
    return tuple(flaws)


def _said(problem: str, at: str = "/blocks") -> str:
    """A problem ("blocks[2]: LengthError: why") as Slack has it, with a JSON pointer."""
    found = re.fullmatch(r"blocks\[(\d+)\]: \w+: (.*)", problem, re.DOTALL)
    why, where = (found[2], f"/blocks/{found[1]}") if found else (problem, at)
    return f"[ERROR] {why} [json-pointer:{where}]"
