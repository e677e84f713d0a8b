"""Kill the bot at every write and every call of a drafting session in Slack, and compare what is left with an undisturbed one.

    python -m tests.faults.slack [--every N [--first N] [--last N] | --storm SEED | --worst]

The bot is a process of its own with the real slack-bolt over Socket Mode, the fake Slack is here. A point is a write to
Redis, a call to Slack (the Web API, files, response_urls) or an acknowledgement, before it and after it, when its answer
came and the bot does not know yet. A round kills the bot at its n-th point and starts it again; rounds go on until a session
is over before its n-th point. `--storm` and `--worst` kill it again and again in one session. Prints one JSON object:
rounds, points, and each difference found.
"""

import argparse
import asyncio
import json
import re
import sys
import tempfile
from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

from tests.fakes.model import Model
from tests.fakes.openai_server import Asked, Step, chunk, finished
from tests.fakes.slack.server import Slack
from tests.faults import lane as shared
from tests.faults.lane import Lane, Outcome, bots, killed, stormed
from tests.faults.slack_person import SESSION, Alice

MODULE = "tests.faults.slack"
SAYS = ("Red is ", "a colour.\n\n", "```python\n", "red = 0xff0000\n", "```\n\n", "It is the first ", "of the rainbow.\n")
WORD_S = 0.08  # from one part of the model's answer to the next: each is shown by an append of its own
# How a process finds out that one before it has begun a stream.
FOUND_OUT = ("chat.update: streaming_state_conflict", "chat.stopStream: message_not_in_streaming_state")
# Between these what one person alone sees is noted as shown, and not shown yet: it may get lost, and never comes twice.
UNSURE = r"after HSET bot:sent|before POST /api/chat.postEphemeral|before POST /response"
WORST = (  # where it is hardest to know what was done, in the order in which a session comes there
    "after POST /api/chat.postMessage",
    "after POST /api/chat.postEphemeral",
    "before the ack",
    "before POST /api/views.open",
    "after POST /api/chat.update",
    "after POST /api/files.completeUploadExternal",
    "after POST /api/chat.startStream",
    "before LREM",
)


class Slowly(Model):
    """A model that says the same to everybody, part by part."""

    def _text(self, asked: Asked) -> list[Step]:
        loop, steps = asyncio.get_running_loop(), list[Step]()
        for at, part in enumerate(SAYS):
            gate = asyncio.Event()
            loop.call_later(at * WORD_S, gate.set)
            steps += [gate, chunk(part)]
        return [*steps, finished()]


class SlackLane(Lane):
    session = SESSION
    model_of = Slowly

    async def play(self, deaths: Iterable[int | str] = (), **given: Any) -> Outcome:
        async with self.begun(deaths) as (stack, store, told, alive):
            fake = await stack.enter_async_context(Slack(patience_s=20.0))
            team = fake.team("lab")
            channel = team.channel("general")
            somebody = team.user("alice")
            told |= {"api": fake.api, "base": fake.base, "bot": team.bot_token, "app": fake.app_token}
            alice = Alice(fake, somebody, channel, store, alive, self.bots.over.is_set)
            await self.played(alice)
            fake.violations[:] = [one for one in fake.violations if one not in FOUND_OUT]
            left = self.outcome(told["data"], fake, alice)
            left.unsure = "alone" if any(re.match(UNSURE, one) for one in left.died) else ""
            return left


def lane(base: Path) -> AbstractAsyncContextManager[SlackLane]:
    return shared.lane(base, SlackLane, MODULE)


async def main(given: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory(prefix="labbot-slack-") as folder:
        async with lane(Path(folder)) as made:
            if given.storm:
                found = await stormed(made, shared.storm(given.storm))
            elif given.worst:
                found = await stormed(made, WORST)
            else:
                found = await killed(made, given.every, given.first or given.every, given.last)
    print(json.dumps(found, indent=1, ensure_ascii=False))
    return 1 if found["differences"] else 0


if __name__ == "__main__":
    chosen = shared.options(str(__doc__)).parse_args()
    sys.exit(bots("tests.faults.slack_bot") if chosen.bots else asyncio.run(main(chosen)))
