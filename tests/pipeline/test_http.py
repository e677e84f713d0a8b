"""/healthz and /metrics, asked over a real socket."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from pipeline import http
from pipeline.errors import Invalid, Temporary
from pipeline.http import Health
from pipeline.memory import Memory, connect
from pipeline.metrics import Counts, Now


async def nothing() -> str:
    return ""


async def well() -> Health:
    return Health("ok", {"host": "box", "running": 1})


@asynccontextmanager
async def listening(
    health: Callable[[], Awaitable[Health]] = well, text: Callable[[], Awaitable[str]] = nothing, mounts: tuple[Route, ...] = ()
) -> AsyncIterator[httpx.AsyncClient]:
    at: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(http.serve(http.app(health, text, mounts), "127.0.0.1", 0, at.set_result))
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{await at}", trust_env=False) as client:
            yield client
        serving.cancel()


async def test_who_is_well_says_so_with_its_facts() -> None:
    async with listening() as client:
        answer = await client.get("/healthz")

    assert (answer.status_code, answer.json()) == (200, {"state": "ok", "host": "box", "running": 1})


async def test_who_is_unwell_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "HEALTH_S", 0.05)
    found: list[object] = []

    async def health() -> Health:
        match found.pop():
            case "away":
                raise Temporary("Redis is away: redis://:word@host")
            case "hangs":
                await asyncio.Event().wait()
        return Health("The supervisor has ended.", {"host": "box"})

    answers = []
    async with listening(health) as client:
        for one in ("away", "hangs", "ended"):
            found.append(one)
            answer = await client.get("/healthz")
            answers.append((answer.status_code, answer.json()))

    assert answers == [
        (503, {"state": "Redis does not answer."}),
        (503, {"state": "It took more than 0.05 s to find out."}),
        (503, {"state": "The supervisor has ended.", "host": "box"}),
    ]


async def test_health_follows_a_redis_that_goes_and_comes(memory: Memory) -> None:
    away = connect("redis://127.0.0.1:1/0")
    at = [memory, away, memory]

    async def health() -> Health:
        await at[0].do("PING")
        return Health()

    found = []
    async with listening(health) as client:
        while at:
            found.append((await client.get("/healthz")).status_code)
            at.pop(0)
    await away.close()

    assert found == [200, 503, 200]


async def test_metrics_are_text_of_prometheus_kind_and_wait_for_redis() -> None:
    counts, waiting = Counts("box", ["cpu"], "cpu"), [{"cpu": 2}]

    async def text() -> str:
        if not waiting:
            raise Temporary("Redis is away")
        return counts.text(Now(waiting.pop()))

    async with listening(text=text) as client:
        told, away = await client.get("/metrics"), await client.get("/metrics")

    assert told.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert 'labbot_runs_waiting{lane="cpu"} 2\n' in told.text
    assert (away.status_code, away.text) == (503, "Redis does not answer; ask again later.\n")


async def test_other_paths_may_be_mounted_and_all_others_are_not_there() -> None:
    async def hook(request: object) -> PlainTextResponse:
        return PlainTextResponse("heard")

    async with listening(mounts=(Route("/hooks/git", hook, methods=["POST"]),)) as client:
        answers = [await client.post("/hooks/git"), await client.get("/"), await client.post("/healthz")]

    assert [answer.status_code for answer in answers] == [200, 404, 405]
    assert "server" not in answers[0].headers


async def test_a_port_that_is_taken_is_said_and_after_the_end_it_is_free() -> None:
    async with listening() as client:
        port = client.base_url.port
        assert port
        with pytest.raises(Invalid, match=f"--http 127.0.0.1:{port}: it cannot be had"):
            await http.serve(http.app(well, nothing), "127.0.0.1", port)

    with http.bound("127.0.0.1", port):
        assert http.ask("127.0.0.1", 1)[0] is False


async def test_the_end_leaves_an_answer_that_is_under_way_its_time() -> None:
    asked, going = asyncio.Event(), asyncio.Event()

    async def slow() -> Health:
        asked.set()
        await going.wait()
        return Health()

    at: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(http.serve(http.app(slow, nothing), "127.0.0.1", 0, at.set_result))
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = asyncio.create_task(client.get(f"http://127.0.0.1:{await at}/healthz"))
        await asked.wait()
        serving.cancel()
        asyncio.get_running_loop().call_soon(going.set)
        status = (await answer).status_code
    with pytest.raises(asyncio.CancelledError):
        await serving

    assert status == 200


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("9464", ("127.0.0.1", 9464)),
        ("0.0.0.0:9464", ("0.0.0.0", 9464)),
        ("[::1]:0", ("::1", 0)),
        ("localhost:1", ("localhost", 1)),
    ],
)
def test_an_address_is_a_port_with_or_without_a_host(text: str, found: tuple[str, int]) -> None:
    assert http.place(text) == found


@pytest.mark.parametrize(
    "text", ["", "host:1", "127.0.0.1", "1:2:3", "127.0.0.1:65536", "127.0.0.1:-1", "a b:1", "127.0.0.1:²"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="no address"):
        http.place(text)


async def test_whoever_listens_for_other_machines_says_so_in_its_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "labbot.http")
    for host in ("127.0.0.1", "0.0.0.0"):
        at: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        serving = asyncio.create_task(http.serve(http.app(well, nothing), host, 0, at.set_result))
        await at
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving

    said = [record.getMessage() for record in caplog.records if record.name == "labbot.http"]
    assert [text.endswith(", to other machines as well") for text in said] == [False, True]


async def test_the_check_of_a_container_says_what_it_heard(capsys: pytest.CaptureFixture[str]) -> None:
    async with listening() as client:
        at = f"127.0.0.1:{client.base_url.port}"
        statuses = [await asyncio.to_thread(http.main, [words]) for words in (at, f"{at}/none")]
    statuses += [http.main(["somewhere"]), http.main([])]

    said = capsys.readouterr().out.splitlines()
    assert statuses == [0, 1, 2, 2]
    assert (json.loads(said[0])["state"], said[1]) == ("ok", "Not Found")
