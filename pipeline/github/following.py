"""Follows pull requests: looks at each from time to time, or soon after GitHub says that something happened, and tells news.

Nothing that is heard of is believed: a hint only makes a look due. What is told is numbered and kept before it is told, and
told again until whoever is told has it, so that a crash loses none and, since they know the number, doubles none.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace

from pipeline.errors import Invalid, LabError, Temporary
from pipeline.github import reading
from pipeline.github.client import GitHub, Hub, at
from pipeline.github.reading import Seen
from pipeline.github.rows import KEPT_S, LEASE_MS, Claim, Row, Rows
from pipeline.memory import Memory
from pipeline.pulls import DAY_S, Followed, News, Pull, Rules, news, same

log = logging.getLogger("labbot.github")

Tell = Callable[[Followed, int, Pull, tuple[News, ...]], Awaitable[None]]

AT_ONCE = 4  # looks of one process
IDLE_S = 1.0  # between two questions whether something is due; this process's own hints do not wait for it
LOOK_S = LEASE_MS / 1000 / 2  # longest time of a look
SLOWER = ((DAY_S / 24, 1), (DAY_S, 2), (3 * DAY_S, 4))  # silent for less than this: looked at every so many `poll_s`
SLOWEST = 12
OVER_S, LOST_S = 7 * DAY_S, 30 * DAY_S  # for so long one is followed that is merged or closed, or cannot be read


class Follower:
    """One platform's. `token` gives what GitHub is read with for a person, "" for nobody's; `tell` is set by who runs it."""

    def __init__(
        self,
        memory: Memory,
        hub: Hub,
        token: Callable[[str], Awaitable[str]],
        rules: Rules,
        *,
        platform: str,
        clock: Callable[[], float],
        poll_s: float = 300.0,
    ) -> None:
        self.rows, self.hub, self.token, self.rules = Rows(memory), hub, token, rules
        self.platform, self.clock, self.poll_s = platform, clock, poll_s
        self.tell: Tell = _nobody
        self._rung = asyncio.Event()
        self._limited: dict[int, float] = {}  # until when GitHub takes no questions of a token's, by its hash

    # --- what is followed

    async def follow(self, followed: Followed) -> None:
        """Tell this pull request from now on; to tell it anew elsewhere is no news."""
        await self.rows.follow(followed)
        self._rung.set()

    async def unfollow(self, draft: str) -> None:
        await self.rows.leave(draft)

    async def pull(self, draft: str) -> tuple[Followed, Pull] | None:
        """How a draft's pull request stood when somebody last looked; None where nobody did yet, or there is none."""
        row = await self.rows.find(draft)
        return (row.followed, row.seen.pull) if row and row.seen.pull else None

    async def pulls(self, person: str) -> list[tuple[Followed, Pull]]:
        """Somebody's pull requests, the newest first."""
        return [(row.followed, row.seen.pull) for row in await self.rows.of(person) if row.seen.pull]

    async def move(self, goes: str, stays: str) -> None:
        await self.rows.move(goes, stays)

    async def export(self, person: str) -> list[dict[str, object]]:
        """What is kept of somebody's, without the words of others."""
        return [exported(row) for row in await self.rows.of(person)]

    async def forget(self, person: str) -> None:
        for draft in await self.rows.drafts(person):
            await self.rows.leave(draft)

    async def hint(self, repo: str, number: int) -> None:
        """Have a pull request looked at at once."""
        await self.rows.hint(repo, [number])
        self._rung.set()

    # --- looking

    async def run(self) -> None:
        """Look at what is due, until cancelled."""
        free = asyncio.Semaphore(AT_ONCE)

        async def look(claim: Claim) -> None:
            try:
                await self.look(claim)
            finally:
                free.release()

        async with asyncio.TaskGroup() as looks:
            while True:
                await free.acquire()
                looks.create_task(look(await self._due()))

    async def once(self) -> int:
        """Look at what is due now; returns how many were."""
        count = 0
        while claim := await self.rows.take(self.platform, self.clock()):
            await self.look(claim)
            count += 1
        return count

    async def _due(self) -> Claim:
        """The next that is due. Where nothing is, or Redis is away, wait."""
        while True:
            self._rung.clear()
            with suppress(Temporary):
                if claim := await self.rows.take(self.platform, self.clock()):
                    return claim
            with suppress(TimeoutError):
                async with asyncio.timeout(IDLE_S):
                    await self._rung.wait()

    async def look(self, claim: Claim) -> None:
        """One look: what was not heard yet is told again, then what is new. Whatever goes wrong, the next look comes."""
        try:
            await self._look(claim)
        except Temporary as error:  # Redis is away: the lease ends by itself
            log.info("pull request of draft %s: %s", claim.draft, str(error))
        except Exception:
            log.exception("pull request of draft %s: the look failed and is done again later", claim.draft)

    async def _look(self, claim: Claim) -> None:
        row = await self.rows.find(claim.draft)
        if row is None:
            return
        if row.number > row.told and row.seen.pull:
            await self.tell(row.followed, row.number, row.seen.pull, row.news)
            row = replace(row, told=row.number)
        row, pause_s = await self._read(claim, row)
        if row.ended and self.clock() - row.ended > (LOST_S if row.lost else OVER_S):
            await self.rows.rest(claim, self.platform, row.told, 0)
            return await self.rows.leave(claim.draft, KEPT_S)
        await self.rows.rest(claim, self.platform, row.told, self.clock() + pause_s)

    async def _read(self, claim: Claim, row: Row) -> tuple[Row, float]:
        """Ask GitHub and tell what is new. Returns the row as it stands then, and the seconds until the next look."""
        try:
            seen = await self._asked(row)
        except Temporary as error:
            log.info("%s#%d is not read: %s", row.followed.repo, row.followed.pull, str(error))
            return row, max(error.wait_s or 0.0, self.poll_s)
        except Invalid as error:
            return await self._lost(claim, row, error.problems[0].code), SLOWEST * self.poll_s
        assert seen.pull, "it was read"
        row = await self._found(claim, row, seen, seen.pull)
        return row, self.poll_s * _slower(seen.pull, row.followed, self.clock())

    async def _found(self, claim: Claim, row: Row, seen: Seen, after: Pull) -> Row:
        """Keep and tell what is new; what is as it was is not written again."""
        before, now = row.seen.pull, self.clock()
        since = now if row.lost or not row.ended else row.ended
        made = replace(row, seen=seen, lost="", ended=0.0 if after.state == "open" else since)
        told = news(before, after, self.rules, now)
        if told or before is None or row.lost or not same(before, after):
            return await self._tell(claim, made, told)
        if seen.etags == row.seen.etags and replace(after, read=before.read) == before:
            return row
        return await self._tell(claim, made, None)

    async def _lost(self, claim: Claim, row: Row, code: str) -> Row:
        """Tell once that a pull request cannot be read any more."""
        if row.lost:
            return row
        log.warning("%s#%d cannot be read: %s", row.followed.repo, row.followed.pull, code)
        now = self.clock()
        seen = Seen(row.seen.pull or _bare(self.hub, row.followed), {})
        return await self._tell(claim, replace(row, seen=seen, lost=code, ended=now), (News("lost", code, needs=True),))

    async def _tell(self, claim: Claim, row: Row, told: tuple[News, ...] | None) -> Row:
        number = await self.rows.save(claim, row.seen, told, lost=row.lost, ended=row.ended)
        if number > 0 and row.seen.pull and told is not None:
            await self.tell(row.followed, number, row.seen.pull, told)
            return replace(row, told=number)
        return row

    # --- asking GitHub

    async def _asked(self, row: Row) -> Seen:
        """With the person's token, and where that was taken back as anybody may. Raises as `_with` does."""
        token = await self._token(row.followed.person)
        try:
            return await self._with(token, row)
        except Invalid as error:
            if not token or error.problems[0].code != "github.revoked":
                raise
            with suppress(Invalid):
                return await self._with("", row)
            raise

    async def _token(self, person: str) -> str:
        """Raises Temporary where it cannot be had just now; one that cannot be had at all is none."""
        try:
            return await self.token(person)
        except Temporary:
            raise
        except LabError as error:
            log.warning("pull requests are read without an account: %s", str(error))
            return ""

    async def _with(self, token: str, row: Row) -> Seen:
        """Raises Temporary where GitHub is away, slow or limits this token; Invalid where it does not let us read."""
        now, until = self.clock(), self._limited.get(hash(token), 0.0)
        if until > now:
            raise Temporary("GitHub takes no questions now", kind="busy", wait_s=until - now)
        try:
            async with asyncio.timeout(LOOK_S), GitHub(self.hub, token, patience_s=0.0) as github:
                return await reading.read(github, row.followed.repo, row.followed.pull, row.seen, now)
        except TimeoutError:
            raise Temporary("GitHub takes too long") from None
        except Temporary as error:
            if error.kind == "busy" and error.wait_s:
                self._limited[hash(token)] = now + error.wait_s
            raise


async def _nobody(followed: Followed, number: int, pull: Pull, news: tuple[News, ...]) -> None:
    raise Temporary("nobody is there to be told")


def _slower(pull: Pull, followed: Followed, now: float) -> int:
    """How many times rarer than the newest it is looked at: what has long been silent, or is over, will hardly speak."""
    if any(check.result == "running" for check in pull.checks):
        return 1
    silent_s = now - max(pull.moved, followed.since)
    return next((times for limit_s, times in SLOWER if pull.state == "open" and silent_s < limit_s), SLOWEST)


def _bare(hub: Hub, followed: Followed) -> Pull:
    """One of which nothing is known but that it was opened."""
    url = f"{hub.web}{at(followed.repo, 'pull', followed.pull)}"
    since = followed.since
    return Pull(followed.repo, followed.pull, "", url, "open", "", "", "", "", since, since)


def exported(row: Row) -> dict[str, object]:
    pull, followed = row.seen.pull, row.followed
    more = {"title": pull.title, "url": pull.url, "state": pull.state} if pull else {}
    return {"draft": followed.draft, "repo": followed.repo, "number": followed.pull, "since": followed.since, **more}
