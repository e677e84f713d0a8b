"""Pull requests that are followed, as Redis holds them: each step that two processes could take at once is a script.

A draft's row has whom it is told to (`who`), the pull request as it was last read (`seen`), and what is to be told of it
(`news`, as the `number`-th) until that was heard (`told`). `github:due:{platform}` orders the drafts by when they are looked
at next; 0 is at once. Whoever takes one has a lease on it (`claim`); what comes to be known meanwhile (`again`) makes it due
anew, so that no hint is lost between a look and its end.
"""

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import TypeAdapter

from pipeline.github.reading import Seen
from pipeline.memory import Memory
from pipeline.pulls import Followed, News

DAY_S = 86_400
KEPT_S = 90 * DAY_S  # of a pull request that is not followed any more, and of how often a draft was told
DELIVERY_S = 3 * DAY_S  # GitHub delivers again for so long, when somebody asks it to
COMMIT_S = 3600
LEASE_MS = 120_000

_WHO, _SEEN, _NEWS = TypeAdapter(Followed), TypeAdapter(Seen), TypeAdapter(tuple[News, ...])

# KEYS: the row. ARGV: draft, who, person, repo, pull, platform. One of another pull request is forgotten.
FOLLOW = """
local repo, pull, platform, head = unpack(redis.call('HMGET', KEYS[1], 'repo', 'pull', 'platform', 'head'))
if repo and (repo ~= ARGV[4] or pull ~= ARGV[5]) then
  redis.call('SREM', 'github:of:' .. repo .. '#' .. pull, ARGV[1])
  if head then redis.call('HDEL', 'github:head:' .. repo, head) end
  redis.call('DEL', KEYS[1])
end
if platform and platform ~= ARGV[6] then redis.call('ZREM', 'github:due:' .. platform, ARGV[1]) end
redis.call('HSET', KEYS[1], 'who', ARGV[2], 'repo', ARGV[4], 'pull', ARGV[5], 'platform', ARGV[6])
redis.call('PERSIST', KEYS[1])
redis.call('HSET', 'github:followed', ARGV[1], ARGV[3])
redis.call('SADD', 'github:of:' .. ARGV[4] .. '#' .. ARGV[5], ARGV[1])
redis.call('ZADD', 'github:due:' .. ARGV[6], 0, ARGV[1])
"""

# KEYS: the row. ARGV: draft, for how long the row is kept (0: it goes).
LEAVE = """
local repo, pull, platform, head = unpack(redis.call('HMGET', KEYS[1], 'repo', 'pull', 'platform', 'head'))
if not repo then return end
redis.call('ZREM', 'github:due:' .. platform, ARGV[1])
redis.call('SREM', 'github:of:' .. repo .. '#' .. pull, ARGV[1])
if head then redis.call('HDEL', 'github:head:' .. repo, head) end
if ARGV[2] == '0' then
  redis.call('DEL', KEYS[1])
  redis.call('HDEL', 'github:followed', ARGV[1])
else
  redis.call('HSET', KEYS[1], 'claim', '')
  redis.call('EXPIRE', KEYS[1], ARGV[2])
end
"""

# KEYS: what is due. ARGV: now, when it is due again if nobody ends the look, a name for the claim, the lease in ms.
TAKE = """
local draft = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, 1)[1]
if not draft then return false end
if redis.call('EXISTS', 'github:pull:' .. draft) == 0 then
  redis.call('ZREM', KEYS[1], draft)
  return false
end
local time = redis.call('TIME')
local ends = time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[4]
redis.call('ZADD', KEYS[1], ARGV[2], draft)
redis.call('HSET', 'github:pull:' .. draft, 'claim', ARGV[3], 'ends', ends, 'again', '')
return draft
"""

# KEYS: the row, what counts. ARGV: draft, claim, seen, head, news ("" for none), days, fields and values. Returns the number.
SAVE = """
if redis.call('HGET', KEYS[1], 'claim') ~= ARGV[2] then return -1 end
local repo, pull, old = unpack(redis.call('HMGET', KEYS[1], 'repo', 'pull', 'head'))
if ARGV[4] ~= '' and ARGV[4] ~= old then
  if old then redis.call('HDEL', 'github:head:' .. repo, old) end
  redis.call('HSET', 'github:head:' .. repo, ARGV[4], pull)
  if redis.call('DEL', 'github:commit:' .. ARGV[4]) == 1 then redis.call('HSET', KEYS[1], 'again', '1') end
end
redis.call('HSET', KEYS[1], 'seen', ARGV[3], 'head', ARGV[4], unpack(ARGV, 7))
if ARGV[5] == '' then return 0 end
local number = redis.call('INCR', KEYS[2])
redis.call('EXPIRE', KEYS[2], ARGV[6])
redis.call('HSET', KEYS[1], 'number', number, 'news', ARGV[5])
return number
"""

# KEYS: the row, what is due. ARGV: draft, claim, the number that was told, when it is due next.
REST = """
if redis.call('HGET', KEYS[1], 'claim') ~= ARGV[2] then return end
local again = redis.call('HGET', KEYS[1], 'again') == '1'
redis.call('HSET', KEYS[1], 'told', ARGV[3], 'claim', '', 'again', '')
redis.call('ZADD', KEYS[2], again and 0 or ARGV[4], ARGV[1])
"""

# KEYS: the delivery by which it was heard ("" for none). ARGV: repo, for how long that is remembered, what was heard of:
# "#NUMBER" or a commit each; for how long a commit is remembered that is nobody's yet: checks begin before it was read whose
# it is. Returns how many drafts are due by it, -1 where it was heard before.
HINT = """
if KEYS[1] ~= '' and not redis.call('SET', KEYS[1], 1, 'NX', 'EX', ARGV[2]) then return -1 end
local time, count = redis.call('TIME'), 0
local now = time[1] * 1000
for i = 4, #ARGV do
  local number = string.match(ARGV[i], '^#(.*)') or redis.call('HGET', 'github:head:' .. ARGV[1], ARGV[i])
  if not number then redis.call('SET', 'github:commit:' .. ARGV[i], 1, 'EX', ARGV[3]) end
  for _, draft in ipairs(number and redis.call('SMEMBERS', 'github:of:' .. ARGV[1] .. '#' .. number) or {}) do
    local row = 'github:pull:' .. draft
    local claim, ends, platform = unpack(redis.call('HMGET', row, 'claim', 'ends', 'platform'))
    if claim and claim ~= '' and now < tonumber(ends) then
      redis.call('HSET', row, 'again', '1')
    else
      redis.call('ZADD', 'github:due:' .. platform, 0, draft)
    end
    count = count + 1
  end
end
return count
"""


@dataclass(frozen=True, slots=True)
class Row:
    """`number` and `news`: what was to be told last; `told`: the last number that was heard.

    `lost`: the code of the problem for which it cannot be read; `ended`: since when it is that, or merged or closed.
    """

    followed: Followed
    seen: Seen = field(default_factory=Seen)
    number: int = 0
    news: tuple[News, ...] = ()
    told: int = 0
    lost: str = ""
    ended: float = 0.0


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to look at a draft's pull request, until the lease ends."""

    draft: str
    name: str


class Rows:
    """All methods raise Temporary while Redis is away."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory

    # --- what is followed

    async def follow(self, followed: Followed) -> None:
        """Look at it from now on, first at once; what was read and told of the same pull request stays."""
        draft, repo = followed.draft, known(followed.repo)
        words = (draft, _WHO.dump_json(followed), followed.person, repo, followed.pull, followed.platform)
        await self.memory.script(FOLLOW, [row_of(draft)], *words)

    async def leave(self, draft: str, kept_s: int = 0) -> None:
        """Look at it no more; its row can be read for so long."""
        await self.memory.script(LEAVE, [row_of(draft)], draft, kept_s)

    async def find(self, draft: str) -> Row | None:
        return _row(await self.memory.do("HGETALL", row_of(draft)))

    async def drafts(self, person: str) -> list[str]:
        rows = await self.memory.do("HGETALL", "github:followed")
        return sorted(draft.decode() for draft, whose in rows.items() if whose.decode() == person)

    async def of(self, person: str) -> list[Row]:
        """Somebody's, the newest first; what is gone by now is taken out of the list."""
        drafts = await self.drafts(person)
        rows = await self.memory.all(("HGETALL", row_of(draft)) for draft in drafts)
        found = {draft: _row(row) for draft, row in zip(drafts, rows, strict=True)}
        if gone := [draft for draft, row in found.items() if row is None]:
            await self.memory.do("HDEL", "github:followed", *gone)
        return sorted(filter(None, found.values()), key=lambda row: -row.followed.since)

    async def move(self, goes: str, stays: str) -> None:
        """What is told to one person is told to another from now on."""
        for draft in await self.drafts(goes):
            if row := await self.find(draft):
                await self.memory.do("HSET", row_of(draft), "who", _WHO.dump_json(replace(row.followed, person=stays)))
            await self.memory.do("HSET", "github:followed", draft, stays)

    # --- what is due

    async def take(self, platform: str, now: float) -> Claim | None:
        """The one that is due for longest, for nobody else until the lease ends; None where none is."""
        name = secrets.token_hex(8)
        words = (now, now + LEASE_MS / 1000, name, LEASE_MS)
        draft = await self.memory.script(TAKE, [due_of(platform)], *words)
        return Claim(draft.decode(), name) if draft else None

    async def save(self, claim: Claim, seen: Seen, news: tuple[News, ...] | None, **more: Any) -> int:
        """Keep what was read and, unless None, what is to be told.

        Returns the number of that, 0 where nothing is to be told, -1 where the claim is lost and nothing was kept.
        """
        told = "" if news is None else _NEWS.dump_json(news)
        head = seen.pull.head if seen.pull else ""
        words = (claim.draft, claim.name, _SEEN.dump_json(seen), head, told, KEPT_S, *_pairs(more))
        return int(await self.memory.script(SAVE, [row_of(claim.draft), f"github:count:{claim.draft}"], *words))

    async def rest(self, claim: Claim, platform: str, told: int, until: float) -> None:
        """End a look: the next one is due then, or at once if something was heard meanwhile."""
        await self.memory.script(REST, [row_of(claim.draft), due_of(platform)], claim.draft, claim.name, told, until)

    async def hint(self, repo: str, numbers: Iterable[int] = (), commits: Iterable[str] = (), delivery: str = "") -> int:
        """Something happened to these pull requests, or to those with these newest commits: they are due at once.

        Returns how many drafts are, -1 where this delivery was heard before; in one step with noting it.
        """
        heard = [*(f"#{number}" for number in numbers), *commits]
        key = f"github:delivery:{delivery}" if delivery else ""
        return int(await self.memory.script(HINT, [key], known(repo), DELIVERY_S, COMMIT_S, *heard))


def known(repo: str) -> str:
    """A repository's name as a key: GitHub's names are the same in large and small letters."""
    return repo.lower()


def row_of(draft: str) -> str:
    return f"github:pull:{draft}"


def due_of(platform: str) -> str:
    return f"github:due:{platform}"


def _row(found: Mapping[bytes, bytes]) -> Row | None:
    texts = {name.decode(): value for name, value in found.items()}
    if "who" not in texts:
        return None
    return Row(
        _WHO.validate_json(texts["who"]),
        _SEEN.validate_json(texts["seen"]) if "seen" in texts else Seen(),
        int(texts.get("number", 0)),
        _NEWS.validate_json(texts["news"]) if texts.get("news") else (),
        int(texts.get("told", 0)),
        texts.get("lost", b"").decode(),
        float(texts.get("ended", 0)),
    )


def _pairs(fields: Mapping[str, Any]) -> list[Any]:
    return [part for pair in fields.items() for part in pair]
