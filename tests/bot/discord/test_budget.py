"""How often Discord is spoken to: never more often than it allows, and everybody in their turn.

Time is the loop's own: it leaps to whatever is due next, so that minutes take nothing.
"""

import asyncio
import selectors
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.platforms.discord import budget as budget_module
from bot.platforms.discord import limits
from bot.platforms.discord.budget import ROOMS, Budget
from bot.turns import LONGER, MENDS_S, Newest
from tests.fakes.discord.pace import MESSAGE, MESSAGES, Pace

MOST, PER_S = limits.EDITS
ALL, ALL_PER_S = limits.REQUESTS
ROOM_NAMES = "abcdefghijklmnopqrstuvwxyz"
GAPS_S = st.sampled_from((0.0, 0.0, 0.0, 0.001, 0.2, 1.1, 4.0))
WAYS_S = st.sampled_from((0.0, 0.0, 0.01, 0.2, 0.9, 3.0))
KINDS = st.sampled_from(("edit", "patch", "post"))  # an edit that may wait, one that may not, a new message
Ask = tuple[float, str, str, float, float]  # after how long, where, what, how long to Discord and how long back
Turn = tuple[float, str, str]  # when Discord counted it, where, what


class _Leaping(selectors.DefaultSelector):
    """Waits for nothing: the time at which the loop would be woken is now."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "nothing will ever happen"
        self.now += max(0.0, timeout)
        return super().select(0)


def leap(work: Callable[[], Awaitable[Any]]) -> None:
    """Do a piece of work in a loop whose time leaps."""
    leaping = _Leaping()

    def made() -> asyncio.AbstractEventLoop:
        loop = asyncio.SelectorEventLoop(leaping)
        loop.time = lambda: leaping.now  # type: ignore[method-assign]  # nothing else makes a loop's time ours
        return loop

    async def begun() -> None:
        await work()

    with asyncio.Runner(loop_factory=made) as runner:
        runner.run(begun())


def now() -> float:
    return asyncio.get_running_loop().time()


def begun(times: float = 1.0) -> Budget:
    return Budget(now, times)


async def turn(budget: Budget, room: str, kind: str = "patch") -> float:
    """Have a turn for a request that is answered at once; when that was."""
    async with budget.turn(room, edit=kind == "edit", new=kind == "post"):
        return now()


async def taken(budget: Budget, asked: Sequence[Ask]) -> list[Turn]:
    """Ask for turns, each so long after the one before; all of them in the order in which Discord counted them."""
    found: list[Turn] = []

    async def request(room: str, kind: str, there_s: float, back_s: float) -> None:
        async with budget.turn(room, edit=kind == "edit", new=kind == "post"):
            await asyncio.sleep(there_s)
            found.append((now(), room, kind))
            await asyncio.sleep(back_s)

    async with asyncio.TaskGroup() as tasks:
        for gap_s, *one in asked:
            await asyncio.sleep(gap_s)
            tasks.create_task(request(*one))
    assert len(found) == len(asked)
    return found


def asks(count: int, kind: str = "patch", room: str = "1") -> list[Ask]:
    return [(0.0, room, kind, 0.0, 0.0)] * count


def shortest(times: Sequence[float], most: int) -> float:
    """The least time in which there are more than `most`."""
    return min((later - earlier for earlier, later in zip(times, times[most:], strict=False)), default=float("inf"))


# --- what Discord allows


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(GAPS_S, st.just("1"), KINDS, WAYS_S, WAYS_S), max_size=60))
def test_a_room_never_has_more_edits_or_messages_in_five_seconds_than_discord_allows(asked: list[Ask]) -> None:
    async def work() -> None:
        turns = await taken(begun(), asked)
        for kinds in (("edit", "patch"), ("post",)):
            assert shortest([at for at, _, kind in turns if kind in kinds], MOST) >= PER_S

    leap(work)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(GAPS_S, st.sampled_from(ROOM_NAMES), KINDS, WAYS_S, WAYS_S), min_size=60, max_size=150))
def test_all_rooms_together_never_have_more_turns_in_a_second_than_discord_allows(asked: list[Ask]) -> None:
    async def work() -> None:
        turns = await taken(begun(), asked)
        assert shortest([at for at, _, _ in turns], ALL) >= ALL_PER_S

    leap(work)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(GAPS_S, st.sampled_from(ROOM_NAMES), KINDS, WAYS_S, WAYS_S), min_size=60, max_size=150),
    st.floats(0, 10),
)
def test_the_windows_of_the_fake_refuse_nothing_however_long_requests_are_on_their_way(asked: list[Ask], begins: float) -> None:
    async def work() -> None:
        pace = Pace(real=True)
        for at, room, kind in await taken(begun(), asked):
            route = ("POST", MESSAGES) if kind == "post" else ("PATCH", MESSAGE)
            assert pace.take(*route, {"channel_id": room}, begins + at)[1] is None

    leap(work)


def test_what_belongs_to_no_room_counts_among_all() -> None:
    async def work() -> None:
        budget = begun()
        for _ in range(ALL):
            assert await turn(budget, "") == 0.0
        assert await turn(budget, "1") == pytest.approx(ALL_PER_S * LONGER)

    leap(work)


def test_a_discord_without_limits_is_waited_for_by_nobody() -> None:
    async def work() -> None:
        turns = await taken(begun(times=1000), asks(100))
        assert {at for at, _, _ in turns} == {0.0}

    leap(work)


# --- a room that was refused


async def _rate(budget: Budget, room: str) -> float:
    """Turns a second, over thirty of them."""
    before = now()
    await taken(budget, asks(30, room=room))
    return 30 / (now() - before)


def test_a_refused_room_goes_slower_and_mends() -> None:
    async def work() -> None:
        budget = begun()
        whole = await _rate(budget, "1")
        budget.refused("2")
        slowed = await _rate(budget, "2")
        await asyncio.sleep(MENDS_S)

        assert slowed < 0.75 * whole
        assert await _rate(budget, "2") == pytest.approx(whole, rel=0.01)

    leap(work)


def test_a_refused_request_is_sent_again_and_counts_twice() -> None:
    async def work() -> None:
        budget = begun()
        budget.refused("1")
        turns = await taken(budget, asks(MOST))
        assert [at > 0 for at, _, _ in turns] == [False] * (MOST - 1) + [True]

    leap(work)


def test_a_room_that_is_refused_again_and_again_still_has_its_turn_within_a_minute() -> None:
    async def work() -> None:
        budget = begun()
        for _ in range(50):
            budget.refused("1")
        assert PER_S < await turn(budget, "1", "edit") <= 60

    leap(work)


def test_one_refused_room_holds_up_no_other() -> None:
    async def work() -> None:
        budget = begun()
        for _ in range(MOST):
            budget.refused("slow")
        turns = await taken(
            budget, [*asks(1, "edit", "slow"), *asks(1, "edit", "other"), *asks(1, "patch", "slow"), *asks(1, "patch", "third")]
        )
        assert {room for at, room, _ in turns if at < 1} == {"other", "third"}
        assert {room for at, room, _ in turns if at >= 1} == {"slow"}

    leap(work)


# --- edits give way


def test_a_message_has_its_turn_at_once_in_a_room_full_of_edits() -> None:
    async def work() -> None:
        budget, waited = begun(), []

        async def edits() -> None:
            while True:
                await turn(budget, "1", "edit")

        editing = asyncio.create_task(edits())
        for _ in range(5):
            await asyncio.sleep(2 * PER_S)
            before = now()
            waited.append(await turn(budget, "1") - before)
        editing.cancel()
        assert waited == [0.0] * 5

    leap(work)


def test_an_edit_leaves_the_last_turn_to_what_cannot_wait() -> None:
    async def work() -> None:
        turns = await taken(begun(), [*asks(MOST - 1), *asks(1, "edit"), *asks(1)])
        assert [kind for at, _, kind in turns if at == 0.0] == ["patch"] * MOST
        assert turns[-1][2] == "edit"

    leap(work)


def test_a_message_has_its_turn_at_once_while_a_hundred_rooms_are_edited() -> None:
    async def work() -> None:
        budget, waited = begun(), []

        async def edits(room: str) -> None:
            while True:
                await turn(budget, room, "edit")

        editing = [asyncio.create_task(edits(str(number))) for number in range(100)]
        for number in range(20):
            await asyncio.sleep(1.37)
            before = now()
            waited.append(await turn(budget, f"message {number}") - before)
        for task in editing:
            task.cancel()
        assert waited == [0.0] * 20

    leap(work)


def test_edits_of_rooms_are_served_in_the_order_in_which_they_came() -> None:
    async def work() -> None:
        rooms = [str(number * 7 % 100) for number in range(100)]
        turns = await taken(begun(), [one for room in rooms for one in asks(1, "edit", room)])
        assert [room for _, room, _ in turns] == rooms

    leap(work)


def test_a_hundred_rooms_that_are_written_in_at_once_are_each_edited_every_two_and_a_half_seconds() -> None:
    async def work() -> None:
        budget = begun()
        times: dict[int, list[float]] = {number: [] for number in range(100)}

        async def edits(number: int) -> None:
            while now() < 60:
                times[number].append(await turn(budget, str(number), "edit"))

        await asyncio.gather(*map(edits, times))
        gaps = [later - earlier for one in times.values() for earlier, later in pairwise(one)]
        assert max(gaps) < 2.5

    leap(work)


def test_edits_in_one_room_are_spread_evenly() -> None:
    async def work() -> None:
        turns = await taken(begun(), asks(20, "edit"))
        gaps = [later - earlier for (earlier, _, _), (later, _, _) in pairwise(turns)]
        assert max(gaps) == pytest.approx(min(gaps)) and max(gaps) < 1.5

    leap(work)


# --- turns that nobody wants any more, and rooms


def test_a_turn_whose_waiter_has_gone_is_given_to_the_next() -> None:
    async def work() -> None:
        budget = begun()
        await taken(budget, asks(MOST))
        gone, next_ = (asyncio.create_task(turn(budget, "1")) for _ in range(2))
        await asyncio.sleep(1.0)
        gone.cancel()
        assert await next_ == pytest.approx(PER_S * LONGER)

    leap(work)


def test_a_turn_that_was_given_to_somebody_who_is_going_counts_for_nothing() -> None:
    async def work() -> None:
        budget = begun()
        await taken(budget, asks(MOST))
        waiting = asyncio.create_task(turn(budget, "1"))
        due = now() + PER_S * LONGER
        asyncio.get_running_loop().call_at(due + 5e-10, waiting.cancel)  # in the same round of the loop, before it wakes
        await asyncio.wait([waiting])
        assert waiting.cancelled()
        assert [at for at, _, _ in await taken(budget, asks(MOST))] == pytest.approx([due] * MOST)

    leap(work)


def test_a_request_that_fails_has_had_its_turn() -> None:
    async def work() -> None:
        budget = begun()
        for _ in range(MOST):
            with pytest.raises(OSError):
                async with budget.turn("1"):
                    raise OSError
        assert await turn(budget, "1") == pytest.approx(PER_S * LONGER)

    leap(work)


def test_rooms_that_have_their_whole_pace_are_forgotten_and_others_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []

    class Counted(budget_module.Window):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            made.append(self)

    monkeypatch.setattr(budget_module, "Window", Counted)

    async def work() -> None:
        budget = begun()
        await turn(budget, "first")
        budget.refused("refused")
        for number in range(ROOMS):
            await turn(budget, str(number))
        await asyncio.sleep(PER_S * LONGER)
        await turn(budget, "last")
        count = len(made)
        await turn(budget, "refused")
        assert len(made) == count
        await turn(budget, "first")
        assert len(made) == count + 1

    leap(work)


# --- the newest of a message


class Writing:
    """Messages that are written: what stands there, what was sent, and gates before turns and sendings."""

    def __init__(self) -> None:
        self.text = ""
        self.sent: list[str] = []
        self.turn, self.way = asyncio.Event(), asyncio.Event()
        self.under_way = asyncio.Event()
        self.newest = Newest(self._turn, self._send)

    def write(self, text: str) -> None:
        self.text = text
        self.newest.put("1")

    @asynccontextmanager
    async def _turn(self, key: str) -> AsyncIterator[None]:
        await self.turn.wait()
        yield

    async def _send(self, key: str) -> None:
        text = self.text
        self.under_way.set()
        await self.way.wait()
        self.sent.append(text)


async def _soon() -> None:
    """Let everything that can be done be done."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_of_a_message_only_the_newest_is_sent() -> None:
    writing = Writing()
    writing.way.set()
    for text in ("a", "ab", "abc"):
        writing.write(text)
        await _soon()
    writing.turn.set()
    await _soon()

    assert (writing.sent, writing.newest.skipped) == (["abc"], 2)


async def test_what_comes_while_an_edit_is_under_way_is_sent_after_it() -> None:
    writing = Writing()
    writing.turn.set()
    writing.write("a")
    await writing.under_way.wait()
    writing.write("ab")
    writing.write("abc")
    writing.way.set()
    await _soon()

    assert writing.sent == ["a", "abc"]


async def test_settling_forgets_what_waits() -> None:
    writing = Writing()
    writing.way.set()
    writing.write("a")
    await _soon()
    await writing.newest.settle("1")
    writing.turn.set()
    await _soon()

    assert writing.sent == []


async def test_settling_waits_for_what_is_under_way_and_for_nothing_after_it() -> None:
    writing = Writing()
    writing.turn.set()
    writing.write("a")
    await writing.under_way.wait()
    writing.write("ab")
    settling = asyncio.create_task(writing.newest.settle("1"))
    await _soon()
    assert not settling.done()
    writing.way.set()
    await settling

    assert writing.sent == ["a"]


async def test_a_message_that_is_settled_before_its_first_edit_can_be_written_again() -> None:
    writing = Writing()
    writing.turn.set()
    writing.way.set()
    writing.write("a")
    await writing.newest.settle("1")
    writing.write("b")
    await _soon()

    assert writing.sent == ["b"]


async def test_closing_settles_every_message() -> None:
    writing = Writing()
    writing.way.set()
    writing.write("a")
    writing.newest.put("2")
    await _soon()
    await writing.newest.close()
    writing.turn.set()
    await _soon()

    assert writing.sent == []
