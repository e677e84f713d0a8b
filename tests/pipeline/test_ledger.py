"""The record of runs: what may follow what, whose writes count, and whose turn is next."""

import asyncio
import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest
from arq.jobs import deserialize_job_raw, serialize_job

from pipeline.memory import Memory
from pipeline.pool.ledger import ENDED, KEYS, Ask, Held, Ledger, job, scripts

AT = 1767312000.0
LEASE_S = 5.0


@pytest.fixture
def ledger(memory: Memory) -> Ledger:
    return Ledger(memory, lambda: AT)


async def begin(ledger: Ledger, run: str = "r1", person: str = "alice", **more: Any) -> str:
    given: dict[str, Any] = {"wanted": ("one",), **more}
    return (await ledger.start(Ask(run, "test", person, **given)))[0]


async def claim(ledger: Ledger, run: str = "r1", worker: str = "w1") -> int:
    """The fence of an attempt that is had for sure."""
    found = await ledger.claim(run, worker, LEASE_S)
    assert found
    return found[0]


async def lose(ledger: Ledger, run: str = "r1") -> None:
    """Let the lease of a run's worker run out."""
    await ledger.memory.do("DEL", f"arq:in-progress:{run}")


async def state(ledger: Ledger, run: str = "r1") -> str:
    record = await ledger.record(run)
    return record.state if record else ""


async def numbers(ledger: Ledger, run: str = "r1") -> list[int]:
    return [step.number for _, step in await ledger.steps(run, "0")]


async def counts(ledger: Ledger) -> dict[str, Mapping[bytes, bytes]]:
    rows = {what: await ledger.memory.do("HGETALL", f"runs:{what}") for what in ("waiting", "running", "carried")}
    return {what: row for what, row in rows.items() if row}


# --- states


async def test_a_run_goes_from_waiting_to_its_end_and_leaves_its_record_only(ledger: Ledger) -> None:
    begun = await begin(ledger, scopes=(("person:alice", 5, 2),))
    fence = await claim(ledger)
    said = [await ledger.tell("r1", fence, "one", 0.5, {"a": "b"}), await ledger.did("r1", fence, "one", 1.5, {})]
    end = await ledger.finish("r1", fence, "done", {"c": "d"})
    record = await ledger.record("r1")
    keys = {key async for key in ledger.memory.keys("*")}

    assert (begun, fence, said, end) == ("begun", 1, ["running", "running"], "done")
    assert record and (record.state, record.facts, record.did, record.left) == ("done", {"c": "d"}, ("one",), ())
    assert [(step.state, step.fraction) for _, step in await ledger.steps("r1", "0")] == [
        ("waiting", 0.0),
        ("running", 0.0),
        ("running", 0.5),
        ("done", 0.0),
    ]
    assert await numbers(ledger) == [0, 1, 2, 3]
    assert keys == {"run:r1", "run:r1:steps", "runs:spent:test:one", "lane:cpu:shares", "lane:cpu:bell"}


@pytest.mark.parametrize("end", ENDED)
async def test_a_run_that_has_ended_is_not_claimed_cancelled_told_or_ended_again(ledger: Ledger, end: str) -> None:
    await begin(ledger)
    fence = await claim(ledger)
    if end == "cancelled":
        await ledger.cancel("r1", "bob")
    elif end == "done":
        await ledger.did("r1", fence, "one", 1.0, {})
    await ledger.finish("r1", fence, end, {})
    before = await ledger.record("r1")

    assert await ledger.claim("r1", "w2", LEASE_S) is None
    assert await ledger.cancel("r1", "bob") == end
    assert await ledger.finish("r1", fence, "failed", {}) == "lost"
    assert await ledger.back("r1", fence, {}, lane="cpu") == "lost"
    assert (await ledger.record("r1"), await state(ledger)) == (before, end)


async def test_a_run_that_is_asked_for_more_goes_on_to_it(ledger: Ledger) -> None:
    await begin(ledger)
    fence = await claim(ledger)
    more = await begin(ledger, wanted=("two",))
    await ledger.did("r1", fence, "one", 1.0, {})
    early = await ledger.finish("r1", fence, "done", {})
    await ledger.did("r1", fence, "two", 1.0, {})
    late = await ledger.finish("r1", fence, "done", {})
    same = await begin(ledger, wanted=("one", "two"))
    fresh = await begin(ledger, wanted=("three",))
    record = await ledger.record("r1")

    assert (more, early, late, same, fresh) == ("there", "more", "done", "there", "begun")
    assert record and (record.state, record.left, record.did) == ("waiting", ("three",), ("one", "two"))


async def test_a_failed_run_that_is_started_again_forgets_what_it_had_done(ledger: Ledger) -> None:
    await begin(ledger, wanted=("one", "two"))
    fence = await claim(ledger)
    await ledger.did("r1", fence, "one", 1.0, {})
    await ledger.finish("r1", fence, "failed", {"cause": "x"}, dead=True)
    dead = await ledger.memory.do("ZRANGE", "runs:dead", 0, -1)
    await begin(ledger, wanted=("one", "two"))
    record = await ledger.record("r1")

    assert record and (record.left, record.tries, record.facts) == (("one", "two"), 0, {})
    assert (dead, await ledger.memory.do("ZRANGE", "runs:dead", 0, -1)) == ([b"r1"], [])


async def test_two_people_who_press_stop_stop_a_run_once(ledger: Ledger) -> None:
    await begin(ledger)
    fence = await claim(ledger)
    said = [await ledger.cancel("r1", "alice"), await ledger.cancel("r1", "bob")]
    told = await ledger.tell("r1", fence, "one", 0.5, {})
    end = await ledger.finish("r1", fence, "done", {"late": "fact"})
    steps = [(step.state, step.facts) for _, step in await ledger.steps("r1", "0")][2:]

    assert (said, told, end) == (["stopping", "stopping"], "stopping", "cancelled")
    assert steps == [("stopping", {"by": "alice"}), ("cancelled", {"late": "fact"})]


async def test_a_run_that_stops_when_its_worker_is_lost_is_cancelled(ledger: Ledger) -> None:
    await begin(ledger, scopes=(("person:alice", 5, 2),))
    await claim(ledger)
    await ledger.cancel("r1", "bob")
    await lose(ledger)
    await ledger.reap()

    assert (await state(ledger), await counts(ledger)) == ("cancelled", {})


# --- stages that are performed again


async def performed(ledger: Ledger, *names: str) -> None:
    """Carry r1 through these stages to its end."""
    fence = await claim(ledger)
    for name in names:
        await ledger.did("r1", fence, name, 1.0, {})
    assert await ledger.finish("r1", fence, "done", {}) == "done"


async def left(ledger: Ledger) -> tuple[str, ...]:
    record = await ledger.record("r1")
    assert record
    return record.left


async def test_a_run_that_is_done_begins_anew_with_the_stages_that_are_to_be_redone(ledger: Ledger) -> None:
    wanted = ("one", "two", "three")
    await begin(ledger, wanted=wanted, order="o1")
    await performed(ledger, *wanted)
    begun = await begin(ledger, wanted=wanted, order="o2", redo=("two", "three"))
    record = await ledger.record("r1")

    assert record and (begun, record.state, record.did, record.left) == ("begun", "waiting", ("one",), ("two", "three"))
    assert record.orders == ("o2", "o1")


async def test_the_same_asking_redoes_nothing_twice_whatever_was_asked_since(ledger: Ledger) -> None:
    await begin(ledger, order="o0")
    await performed(ledger, "one")
    said = []
    for order in ("o1", "o2", "o1", "o0", "o2"):
        said.append(await begin(ledger, order=order, redo=("one",)))
        if await left(ledger):
            await performed(ledger, "one")

    assert said == ["begun", "begun", "there", "there", "there"]


async def test_the_last_eight_askings_are_known(ledger: Ledger) -> None:
    for number in range(12):
        await begin(ledger, order=f"o{number}")
    await begin(ledger)
    await begin(ledger, order="o 9")  # a blank would make two of it
    record = await ledger.record("r1")

    assert record and record.orders == ("o_9", *(f"o{number}" for number in range(11, 4, -1)))


async def test_a_run_that_waits_has_what_is_to_be_redone_before_it(ledger: Ledger) -> None:
    wanted = ("one", "two")
    await begin(ledger, wanted=wanted)
    fence = await claim(ledger)
    await ledger.did("r1", fence, "one", 1.0, {})
    await ledger.back("r1", fence, {}, lane="cpu")
    said = await begin(ledger, wanted=wanted, redo=("one",))

    assert (said, await left(ledger)) == ("there", ("one", "two"))
    await performed(ledger, "one", "two")


async def test_what_is_being_performed_when_it_is_to_be_redone_counts_only_the_next_time(ledger: Ledger) -> None:
    wanted = ("one", "two", "three")
    await begin(ledger, wanted=wanted)
    fence = await claim(ledger)
    await ledger.did("r1", fence, "one", 1.0, {})
    await begin(ledger, wanted=wanted, redo=("one", "two", "three"))
    found = [await left(ledger)]
    for name in ("two", "one", "two", "three"):
        await ledger.did("r1", fence, name, 1.0, {})
        found.append(await left(ledger))

    assert found == [wanted, wanted, ("two", "three"), ("three",), ()]


async def test_a_stage_that_is_lost_with_its_worker_is_not_performed_once_too_often(ledger: Ledger) -> None:
    await begin(ledger)
    await claim(ledger)
    await begin(ledger, redo=("one",))
    await lose(ledger)
    await ledger.reap()

    await performed(ledger, "one")


async def test_a_run_that_was_about_to_be_done_goes_on_with_what_is_to_be_redone(ledger: Ledger) -> None:
    await begin(ledger)
    fence = await claim(ledger)
    await ledger.did("r1", fence, "one", 1.0, {})
    await begin(ledger, redo=("one",))

    assert (await ledger.finish("r1", fence, "done", {}), await left(ledger)) == ("more", ("one",))


# --- thumbs


async def test_the_newest_thumb_of_a_sample_counts_until_it_is_taken_away(ledger: Ledger) -> None:
    await begin(ledger)
    for sample, thumb, person in (("s1", "up", "alice"), ("s2", "up", "alice"), ("s1", "down", "bob smith"), ("s2", "", "bob")):
        assert await ledger.rate("r1", sample, thumb, person)
    whose = [await ledger.thumbed(person) for person in ("alice", "bob smith", "carol")]

    assert (await ledger.thumbs("r1"), whose) == ((4, {"s1": "down"}), [{}, {"r1": {"s1": "down"}}, {}])


async def test_a_renewal_tells_of_new_thumbs_and_of_no_others(ledger: Ledger) -> None:
    await begin(ledger)
    fence = await claim(ledger)
    rated = []
    for sample, thumb in (("s1", "up"), ("s1", "up"), ("s2", ""), ("s1", "down")):
        assert await ledger.rate("r1", sample, thumb, "alice")
        rated.append((await ledger.renew("w1", LEASE_S, {"r1": fence}))["r1"])

    assert rated == [Held("running", 1)] * 3 + [Held("running", 2)]


async def test_a_thumb_rings_for_the_worker_that_carries_the_run(ledger: Ledger) -> None:
    await begin(ledger)
    await ledger.rate("r1", "s1", "up", "alice")
    early = [key async for key in ledger.memory.keys("bell:*")]
    await claim(ledger)
    await ledger.rate("r1", "s2", "up", "alice")

    assert (early, await ledger.memory.do("LLEN", "bell:w1:cpu")) == ([], 1)


async def test_there_is_room_for_so_many_thumbs_in_a_run_that_there_is(ledger: Ledger) -> None:
    none = await ledger.rate("r1", "s0", "up", "alice"), await ledger.memory.do("EXISTS", "run:r1", "run:r1:thumbs")
    await begin(ledger)
    kept = [await ledger.rate("r1", f"s{number}", "up", "alice") for number in range(501)]
    moved = await ledger.rate("r1", "s499", "down", "alice"), await ledger.rate("r1", "s0", "", "alice")

    assert none == (False, 0)
    assert (kept, moved) == ([True] * 500 + [False], (True, True))
    assert await ledger.rate("r1", "s500", "up", "alice")


async def test_thumbs_are_kept_as_long_as_their_run_and_forgotten_with_it(ledger: Ledger) -> None:
    await begin(ledger)
    await performed(ledger, "one")
    await ledger.memory.do("EXPIRE", "run:r1", 1000)
    await ledger.rate("r1", "s1", "up", "alice")
    seconds = await ledger.memory.do("TTL", "run:r1:thumbs")
    await begin(ledger, redo=("one",))
    longer = await ledger.memory.do("TTL", "run:r1:thumbs")
    await performed(ledger, "one")
    await ledger.forget("r1")

    assert 990 <= seconds <= 1000
    assert longer > 7 * 86_400
    assert await ledger.thumbs("r1") == (0, {})


# --- leases and fences


async def test_a_lease_that_ran_out_lets_the_run_wait_and_the_late_attempt_writes_nothing(ledger: Ledger) -> None:
    await begin(ledger, scopes=(("person:alice", 5, 2),))
    late = await claim(ledger, worker="w1")
    await lose(ledger)
    lost = await ledger.reap()
    waits = (await state(ledger), await counts(ledger))
    fence = await claim(ledger, worker="w2")
    before = (await ledger.record("r1"), await numbers(ledger))
    said = [
        await ledger.tell("r1", late, "one", 0.9, {}),
        await ledger.did("r1", late, "one", 1.0, {"a.json": "planted"}),
        await ledger.finish("r1", late, "done", {}),
        await ledger.back("r1", late, {}, lane="cpu"),
        *(held.state for held in (await ledger.renew("w1", LEASE_S, {"r1": late})).values()),
    ]

    assert (lost, waits) == (["r1"], ("waiting", {"waiting": {b"person:alice": b"1"}}))
    assert (late, fence, said) == (1, 2, ["lost"] * 5)
    assert (await ledger.record("r1"), await numbers(ledger), await ledger.files("r1")) == (*before, {})
    assert await ledger.memory.do("GET", "arq:in-progress:r1") == b"w2:2"


async def test_a_worker_takes_its_run_up_again_where_nobody_else_has_taken_it(ledger: Ledger) -> None:
    await begin(ledger, scopes=(("person:alice", 5, 2),))
    fence = await claim(ledger)
    await lose(ledger)
    await ledger.reap()
    renewed = await ledger.renew("w1", LEASE_S, {"r1": fence})

    assert (renewed, await state(ledger)) == ({"r1": Held("running")}, "running")
    assert await counts(ledger) == {"running": {b"person:alice": b"1"}, "carried": {b"r1": b"cpu"}}
    assert await ledger.claim("r1", "w2", LEASE_S) is None


async def test_a_run_that_somebody_has_is_not_to_be_had(ledger: Ledger) -> None:
    await begin(ledger)
    found = await asyncio.gather(*(ledger.claim("r1", f"w{n}", LEASE_S) for n in range(8)))

    assert Counter(one is None for one in found) == {True: 7, False: 1}


async def test_a_run_that_was_started_again_is_not_what_a_late_worker_had(ledger: Ledger) -> None:
    await begin(ledger)
    late = await claim(ledger)
    await ledger.cancel("r1", "alice")
    await lose(ledger)
    await ledger.reap()
    await begin(ledger)

    assert await ledger.renew("w1", LEASE_S, {"r1": late}) == {"r1": Held("lost")}


async def test_a_try_counts_until_its_stage_is_done_and_not_if_it_is_forgiven(ledger: Ledger) -> None:
    async def tries() -> int:
        record = await ledger.record("r1")
        assert record
        return record.tries

    await begin(ledger, wanted=("one", "two"))
    found = []
    for forgiven in (False, True, False):
        fence = await claim(ledger)
        found.append(await tries())
        await ledger.back("r1", fence, {}, lane="cpu", forgiven=forgiven)
    fence = await claim(ledger)
    found.append(await tries())
    await ledger.did("r1", fence, "one", 1.0, {})

    assert (found, await tries()) == ([1, 2, 2, 3], 1)


# --- whose turn it is


async def order(ledger: Ledger, most: int = 100) -> list[str]:
    """The runs as a lane with one hand takes them."""
    taken = []
    while (found := (await ledger.look("cpu", 1))[0]) and len(taken) < most:
        fence = await claim(ledger, found[0])
        await ledger.did(found[0], fence, "one", 1.0, {})
        await ledger.finish(found[0], fence, "done", {})
        taken.append(found[0])
    return taken


async def test_somebody_with_many_runs_holds_another_up_by_one(ledger: Ledger) -> None:
    for number in range(30):
        await begin(ledger, f"a{number:02}", "alice")
    first = await order(ledger, 3)
    await begin(ledger, "b0", "bob")
    await begin(ledger, "b1", "bob")
    rest = await order(ledger)

    assert first == ["a00", "a01", "a02"]
    assert (rest.index("b0") <= 1, rest.index("b1") <= 3) == (True, True)
    assert [run for run in rest if run[0] == "a"] == [f"a{number:02}" for number in range(3, 30)]


async def test_a_weight_is_a_share(ledger: Ledger) -> None:
    for number in range(20):
        await begin(ledger, f"a{number:02}", "alice")
        await begin(ledger, f"b{number:02}", "bob", weight=3.0)
    shares = Counter(run[0] for run in await order(ledger, 16))

    assert shares == {"a": 4, "b": 12}


async def test_a_run_that_waits_longer_costs_its_person_more(ledger: Ledger) -> None:
    for number in range(8):
        await begin(ledger, f"a{number}", "alice", cost_s=100.0)
        await begin(ledger, f"b{number}", "bob", cost_s=25.0)
    shares = Counter(run[0] for run in await order(ledger, 10))

    assert shares == {"a": 2, "b": 8}


async def test_a_run_that_was_cancelled_before_it_ran_costs_nothing(ledger: Ledger) -> None:
    for number in range(10):
        await begin(ledger, f"a{number}", "alice")
        await ledger.cancel(f"a{number}", "alice")
    await begin(ledger, "b0", "bob")
    await begin(ledger, "a10", "alice")

    assert await order(ledger) == ["a10", "b0"]  # both begin at the lane's own time; ties go by name


async def test_limits_hold_for_who_waits_and_who_runs(ledger: Ledger) -> None:
    scopes = (("person:alice", 2, 1), ("workspace:x", 0, 2))
    begun = [await begin(ledger, f"a{number}", scopes=scopes) for number in range(3)]
    other = await begin(ledger, "b0", "bob", scopes=(("person:bob", 2, 1), ("workspace:x", 0, 2)))
    third = await begin(ledger, "c0", "carol", scopes=(("person:carol", 2, 1), ("workspace:x", 0, 2)))
    taken = []
    while found := (await ledger.look("cpu", 1))[0]:
        taken.append((found[0], await claim(ledger, found[0])))
    refused = await ledger.claim("a1", "w9", LEASE_S)
    await ledger.finish("a0", 1, "failed", {})

    assert (begun, other, third) == (["begun", "begun", "full"], "begun", "begun")
    assert (sorted(run for run, _ in taken), refused) == (["a0", "b0"], None)
    assert (await ledger.look("cpu", 5))[0][0] in ("a1", "c0")


async def test_a_refused_start_tells_the_limit(ledger: Ledger) -> None:
    ask = Ask("r1", "test", "alice", ("one",), scopes=(("person:al ice", 1, 0),))
    await ledger.start(ask)
    said = await ledger.start(Ask("r2", "test", "alice", ("one",), scopes=ask.scopes))

    assert (said, await ledger.record("r2")) == (("full", "person:al_ice", 1), None)


async def test_a_position_counts_those_that_wait_before(ledger: Ledger) -> None:
    for number in range(5):
        await begin(ledger, f"r{number}")
    await claim(ledger, "r0")
    places = [(await ledger.place(f"r{number}")).position for number in range(5)]
    moved = [await ledger.up("r4"), await ledger.up("r0"), await ledger.up("none")]
    after = [(await ledger.place(f"r{number}")).position for number in range(5)]

    assert places == [0, 1, 2, 3, 4]
    assert (moved, after) == ([True, False, False], [0, 2, 3, 4, 1])
    assert (await ledger.look("cpu", 1))[0] == ["r4"]


async def test_a_lane_that_is_paused_gives_nothing(ledger: Ledger) -> None:
    await begin(ledger)
    await ledger.memory.do("SET", "lane:cpu:paused", "repair")
    paused = (await ledger.look("cpu", 1))[0], (await ledger.place("r1")).paused
    await ledger.memory.do("DEL", "lane:cpu:paused")

    assert (paused, (await ledger.look("cpu", 1))[0]) == (([], True), ["r1"])


async def test_a_run_that_is_tried_again_later_is_not_taken_before_and_then_keeps_its_place(ledger: Ledger) -> None:
    await begin(ledger, "r1")
    await begin(ledger, "r2")
    fence = await claim(ledger, "r1")
    await ledger.back("r1", fence, {"again": "the model is away"}, lane="cpu", delay_s=3600.0)
    early = (await ledger.look("cpu", 5))[0]
    await ledger.memory.do("ZADD", "lane:cpu", 1767312000000, "r1")  # the hour has passed
    late = (await ledger.look("cpu", 5))[0]

    assert (early, late) == (["r2"], ["r1", "r2"])


async def test_a_run_changes_lanes(ledger: Ledger) -> None:
    await begin(ledger)
    fence = await claim(ledger)
    await ledger.back("r1", fence, {}, lane="gpu", forgiven=True)
    record = await ledger.record("r1")

    assert record and record.lane == "gpu"
    assert ((await ledger.look("cpu", 1))[0], (await ledger.look("gpu", 1))[0]) == ([], ["r1"])


# --- what lies in Redis


def test_a_job_is_what_arq_writes_and_reads() -> None:
    written = serialize_job("carry", ("r1",), {}, None, 5, serializer=lambda value: json.dumps(value).encode())

    assert json.loads(job("r1", 5)) == json.loads(written)
    assert deserialize_job_raw(job("r1", 5).encode(), deserializer=json.loads) == ("carry", ["r1"], {}, None, 5)


def test_every_script_has_a_name_and_every_key_a_line() -> None:
    runs = set("start refuse look reap claim renew tell did finish back cancel up place again forget recount rate".split())

    assert scripts().keys() == {*runs, "register"}
    assert all(holds for holds, _ in KEYS.values())


async def test_what_waits_is_kept_for_more_than_a_week(ledger: Ledger) -> None:
    await begin(ledger)
    left = [await ledger.memory.do("TTL", key) for key in ("arq:job:r1", "run:r1", "run:r1:steps")]

    assert all(seconds > 7 * 86_400 for seconds in left)
