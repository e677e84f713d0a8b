"""The app's home: my drafts, my runs, what needs me."""

import logging

from bot.core import notices
from bot.core.cards import button
from bot.core.talk import Card, Text, direct
from bot.core.words import Words
from bot.house import House
from bot.platforms.slack import render
from bot.platforms.slack.threads import PLATFORM, Room
from bot.platforms.slack.wire import Refused, Wire

log = logging.getLogger("labbot.slack")

RUNS = 10  # of somebody's that are shown, the newest


class Home:
    """Draws somebody's home when they open it."""

    def __init__(self, house: House, wire: Wire) -> None:
        self.house, self.wire = house, wire

    async def publish(self, room: Room, user: str, person: str, words: Words) -> None:
        """Show somebody their home as things stand. Raises Temporary."""
        known = await self.house.known(person, direct(PLATFORM, person), words)
        drafts = notices.drafts(known)
        waiting = [one for one in known.drafts if one.state not in ("submitted", "discarded")]
        needs = [words("slack.home.draft", id=one.id) for one in waiting]
        runs = []
        for draft in known.drafts:
            run = await self.house.runs.status(draft.run) if draft.run else None
            if run:
                state = words(f"slack.home.run.{run.state}")
                runs.append(words("slack.home.run", id=run.id, draft=draft.id, state=state))
                if run.state == "failed":
                    needs.append(words("slack.home.failed", id=run.id, draft=draft.id))
        mine = "\n".join(runs[-RUNS:]) or words("slack.home.no_runs")
        cards = [
            Card(words("slack.home.needs"), (Text("\n".join(needs[-RUNS:]) or words("slack.home.nothing")),)),
            drafts,
            Card(words("slack.home.runs"), (Text(mine),), (button(words, "help", "help.show|"),)),
        ]
        try:
            await self.wire.ask(room.team, "views.publish", user_id=user, view=render.home(cards))
        except Refused as error:
            log.info("slack: a home was not shown: %s", error)
