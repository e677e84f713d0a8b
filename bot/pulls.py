"""Pull requests as one platform's people hear of them: what is followed is told as events, what waits for triage once a day."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime

from bot.core.known import PullFound
from bot.core.talk import Digest, Event, Follow, Look, Pulled
from bot.ids import now
from bot.lines import spots
from bot.pack import unpack
from bot.rows import Order
from bot.serving import insist
from bot.store import Store
from pipeline.errors import LabError
from pipeline.github.following import Follower
from pipeline.pulls import Followed, News, Pull, Waiting

log = logging.getLogger("labbot")

LOOKS = ("pull", "pulls", "waiting")
DIGEST_HOUR = 8  # UTC: in the morning where most of the community is, or in the afternoon
LOOK_S = 600.0  # how often it is looked whether the day's digest is due

Hear = Callable[[Event], Awaitable[bool]]


class Pulls:
    """The pull requests of one platform. `waits`: reads what waits for triage, which asks GitHub; `text`: a draft's qna.yaml

    as it was proposed.
    """

    def __init__(
        self,
        store: Store,
        follower: Follower,
        platform: str,
        *,
        repo: str,
        clock: Callable[[], float],
        waits: Callable[[], Awaitable[tuple[Waiting, ...]]],
        text: Callable[[str], Awaitable[str]],
    ) -> None:
        self.store, self.follower, self.platform, self.repo = store, follower, platform, repo
        self.clock, self.waits, self.text = clock, waits, text

    # --- what the core asks

    async def look(self, look: Look) -> object:
        match look.what, look.subject:
            case "pull", str(draft):
                return await self._found(draft)
            case "pulls", str(person):
                return tuple(await self.follower.pulls(person))
            case _:
                with suppress(LabError):  # GitHub is away: the core says that nobody knows, which None stands for
                    return await self.waits()
                return None

    async def _found(self, draft: str) -> PullFound:
        """A draft's pull request, and which of its remarks and notes are about which part of the draft."""
        found = await self.follower.pull(draft)
        if found is None:
            return PullFound()
        followed, pull = found
        return PullFound(followed, pull, spots(await self.text(draft)))

    # --- what the core wants done

    async def follow(self, order: Order) -> None:
        """Tell a draft's pull request to whoever asked, from now on; or no longer."""
        order = await now(self.store.memory, order)
        what = unpack(order.what, Follow)
        if not what.repo:
            return await self.follower.unfollow(what.draft)
        row = await self.follower.rows.find(what.draft)
        before = row.followed if row else None
        if before and (before.repo, before.pull) == (what.repo, what.pull) and before.person != order.person:
            return await self.follower.hint(what.repo, what.pull)  # of others who write the draft too: it stays its opener's
        whom = (order.person, what.repo, what.pull, self.platform, order.place, order.workspace, order.locale, self.clock())
        await self.follower.follow(Followed(what.draft, *whom))

    # --- what is told

    def teller(self, hear: Hear) -> Callable[[Followed, int, Pull, tuple[News, ...]], Awaitable[None]]:
        """What the follower calls with news: it returns when they are written down as an event."""

        async def tell(followed: Followed, number: int, pull: Pull, news: tuple[News, ...]) -> None:
            followed = await now(self.store.memory, followed)
            act = Pulled(followed.draft, number, pull, news)
            name = f"pull:{followed.draft}:{number}"
            where = (followed.person, followed.place, act, self.platform, followed.workspace, followed.locale)
            await insist(lambda: hear(Event(name, self.clock(), *where)))

        return tell

    async def digest(self, places: Callable[[], Awaitable[list[tuple[str, str]]]], hear: Hear, locale: str) -> None:
        """Once a day, whoever restarts meanwhile, tell triagers what waits; `places`: theirs, as (place, workspace)."""
        while True:
            at = self.clock()
            day = datetime.fromtimestamp(at, UTC)
            if day.hour >= DIGEST_HOUR:
                for place, workspace in await insist(places):
                    await self._tell(f"digest:{place}:{day.date()}", at, place, workspace, hear, locale)
            await asyncio.sleep(LOOK_S)

    async def _tell(self, name: str, at: float, place: str, workspace: str, hear: Hear, locale: str) -> None:
        if await insist(lambda: self.store.heard(self.platform, name)):
            return
        try:
            rows = await self.waits()
        except (LabError, OSError) as error:
            log.warning("what waits for triage cannot be read now: %s", str(error))
            return
        event = Event(name, at, "", place, Digest(self.repo, rows), self.platform, workspace, locale)
        await insist(lambda: hear(event))  # one that was only perhaps written down is looked for until it is handled
