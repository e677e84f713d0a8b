"""The shell: order, streams, failures, and what a crash leaves."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from bot import app as app_module
from bot.app import App
from bot.core.decide import decide
from bot.core.known import Known
from bot.core.talk import Answer, Ask, Card, Dialog, Effect, Event, Field, File, Look, Said, Show, Start, Stopped
from bot.look import Looker
from bot.pack import enclosed
from bot.rows import Message
from bot.settings import Settings
from bot.store import Store
from bot.voice import How
from pipeline.errors import Temporary
from pipeline.memory import Memory
from pipeline.runs import Runs

Core = Callable[[Event, Known], list[Effect]]


class Screen:
    """A platform that keeps what it was told, and can be away."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.shown: dict[str, Message] = {}
        self.away = 0

    def _take(self, what: str, message: Message) -> None:
        if self.away:
            self.away -= 1
            raise Temporary("the platform is away")
        self.calls.append((what, message.key))
        self.shown[message.key] = message

    async def post(self, message: Message) -> str:
        self._take("post", message)
        return f"at-{message.key}"

    async def edit(self, address: str, message: Message) -> str:
        assert address == f"at-{message.key}"
        self._take("edit", message)
        return address

    async def find(self, message: Message) -> str:
        return f"at-{message.key}" if message.key in self.shown else ""

    async def over(self, event: Event) -> None:
        return

    async def pause(self, message: Message) -> None:
        self._take("edit", message)

    async def fetch(self, file: File) -> bytes:
        return enclosed(file.token)

    async def ask(self, message: Message) -> None:
        self._take("ask", message)

    def texts(self) -> list[str]:
        rows = sorted(self.shown.values(), key=lambda message: message.number)
        return [row.body.text if isinstance(row.body, Answer) else getattr(row.body, "title", "") for row in rows]

    async def until(self, reached: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not reached():
                await asyncio.sleep(0.005)


@pytest.fixture
def made(store: Store, memory: Memory, settings: Settings, tmp_path: Path) -> Callable[..., App]:
    def app(screen: Screen, core: Core = decide, pieces: Callable[[Message], AsyncIterator[str]] | None = None) -> App:
        runs = Runs(memory, tmp_path / "runs", {})
        look = Looker(tmp_path, tmp_path / "runs")
        return App(
            store,
            screen,
            platform="terminal",
            tables=settings.words,
            roles=settings.roles,
            look=look,
            runs=runs,
            streams={"words": Pieces(store, pieces)} if pieces else {},
            core=core,
        )

    return app


@asynccontextmanager
async def running(app: App) -> AsyncIterator[None]:
    ready = asyncio.Event()
    task = asyncio.create_task(app.run(ready))
    async with asyncio.timeout(10):
        await ready.wait()
    await app.idle()  # what was left is answered
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def said(number: int, text: str = "hello", place: str = "terminal:@p1") -> Event:
    return Event(f"e{number}", 1000.0 + number, "p1", place, Said(text))


def echo(event: Event, known: Known) -> list[Effect]:
    assert isinstance(event.act, Said)
    return [Answer(text=f"heard {event.act.text}")]


async def test_events_of_a_place_are_answered_in_the_order_they_were_heard(made: Callable[..., App]) -> None:
    screen = Screen()
    app = made(screen, echo)
    async with running(app):
        for number in range(20):
            await app.hear(said(number, str(number)))
        await app.idle()

    assert screen.texts() == [f"heard {number}" for number in range(20)]


async def test_a_redelivered_event_is_answered_once(made: Callable[..., App]) -> None:
    screen = Screen()
    app = made(screen, echo)
    async with running(app):
        fresh = [await app.hear(said(1)) for _ in range(3)]
        await app.idle()

    assert (fresh, screen.calls) == ([True, False, False], screen.calls[:1])


async def test_what_a_process_heard_and_did_not_decide_the_next_one_answers(made: Callable[..., App], store: Store) -> None:
    await store.hear(said(1, "before the crash"))
    screen = Screen()
    async with running(made(screen, echo)):
        pass

    assert screen.texts() == ["heard before the crash"]


async def test_what_was_decided_and_not_said_the_next_process_says_once(made: Callable[..., App], store: Store) -> None:
    screen = Screen()
    screen.away = 10_000
    app = made(screen, echo)
    async with running(app):
        await app.hear(said(1))
        async with asyncio.timeout(5):
            while not await store.outboxes("terminal"):
                await asyncio.sleep(0.01)
    screen.away = 0
    for _ in range(2):
        async with running(made(screen, echo)):
            pass

    assert [what for what, _ in screen.calls] == ["post"]


async def test_one_place_whose_outbox_a_mistake_of_ours_stops_ends_no_process_and_waits_for_the_next(
    made: Callable[..., App], store: Store
) -> None:
    screen = Screen()
    screen.away = 10_000
    places = ("terminal:@p1", "terminal:@p2")
    async with running(app := made(screen, echo)):
        for number, place in enumerate(places):
            event = replace(said(number, place, place), at=time.time())  # an older one would be swept away by then
            await app.hear(event)
        async with asyncio.timeout(5):
            while len(await store.outboxes("terminal")) < 2:
                await asyncio.sleep(0.01)
    screen.away, post = 0, screen.post

    async def refuses(message: Message) -> str:
        if message.place == places[0]:
            raise ZeroDivisionError
        return await post(message)

    screen.post = refuses  # type: ignore[method-assign]
    async with running(app := made(screen, echo)):
        await app.hear(replace(said(2, "later", places[1]), at=time.time()))
        await app.idle()
    first = screen.texts()
    screen.post = post  # type: ignore[method-assign]
    async with running(made(screen, echo)):
        pass

    assert first == [f"heard {places[1]}", "heard later"]
    assert sorted(screen.texts()) == sorted([*first, f"heard {places[0]}"])


async def test_an_event_that_cannot_be_decided_yet_keeps_nobody_from_being_heard(
    made: Callable[..., App], store: Store, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app_module, "CATCH_UP_S", 0.0)
    await store.hear(said(1, "before the crash"))
    await memory.do("SET", "bot:lock:place:terminal:@p1", "somebody")
    screen, ready = Screen(), asyncio.Event()
    app = made(screen, echo)
    task = asyncio.create_task(app.run(ready))
    async with asyncio.timeout(10):
        await ready.wait()
    await app.hear(said(2, "now", "terminal:@p2"))
    await screen.until(lambda: screen.texts() == ["heard now"])
    await memory.do("DEL", "bot:lock:place:terminal:@p1")
    await app.idle()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert sorted(screen.texts()) == ["heard before the crash", "heard now"]


async def test_a_run_that_is_followed_while_what_started_it_is_carried_out_again_tells_each_step_once(
    made: Callable[..., App], store: Store
) -> None:
    def core(event: Event, known: Known) -> list[Effect]:
        if isinstance(event.act, Said):
            return [Start("k7.1", "contribution", {})]
        return [Answer(text=event.act.state)]  # type: ignore[union-attr]

    screen = Screen()
    async with running(app := made(screen, core)):
        await app.hear(said(1))
        await screen.until(lambda: screen.texts() == ["waiting"])
    await store.hear(said(2))
    async with running(made(screen, core)):
        watched = await store.watched("terminal")

    assert (screen.texts(), [*watched]) == (["waiting"], ["k7.1"])


async def test_a_message_that_an_earlier_process_posted_is_found_and_not_posted_again(
    made: Callable[..., App], store: Store
) -> None:
    screen = Screen()
    app = made(screen, echo)
    sent, store.sent = store.sent, _never  # type: ignore[method-assign]
    async with running(app):
        await app.hear(said(1))
        await screen.until(lambda: bool(screen.calls))
    store.sent = sent  # type: ignore[method-assign]
    async with running(made(screen, echo)):
        pass

    assert [what for what, _ in screen.calls] == ["post", "edit"]


async def _never(message: Message, address: str) -> None:
    await asyncio.Event().wait()


async def test_a_platform_that_is_away_is_waited_for(made: Callable[..., App]) -> None:
    screen = Screen()
    screen.away = 3
    app = made(screen, echo)
    async with running(app):
        await app.hear(said(1))
        await app.idle()

    assert screen.texts() == ["heard hello"]


async def test_a_slot_is_posted_once_and_edited_from_then_on(made: Callable[..., App]) -> None:
    screen = Screen()
    app = made(screen, lambda event, known: [Show(Card(event.id), slot="card")])
    async with running(app):
        for number in range(3):
            await app.hear(said(number))
            await app.idle()

    assert ([what for what, _ in screen.calls], screen.texts()) == (["post", "edit", "edit"], ["e2"])


async def test_a_mistake_of_ours_is_told_with_an_id_and_the_next_event_works(made: Callable[..., App]) -> None:
    def core(event: Event, known: Known) -> list[Effect]:
        if event.id == "e1":
            raise ZeroDivisionError
        return echo(event, known)

    screen = Screen()
    app = made(screen, core)
    async with running(app):
        await app.hear(said(1))
        await app.hear(said(2))
        await app.idle()

    assert screen.texts()[0].startswith("Something went wrong on my side (error ")
    assert screen.texts()[1] == "heard hello"


async def test_what_cannot_be_committed_is_told_too(made: Callable[..., App]) -> None:
    screen = Screen()
    app = made(screen, lambda event, known: [Start("k7.1", "contribution", {"what": object()})])
    async with running(app):
        await app.hear(said(1))
        await app.idle()

    assert screen.texts()[0].startswith("Something went wrong on my side (error ")


async def test_a_run_that_finds_no_room_on_the_disk_says_so_in_its_card(made: Callable[..., App], tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file where the folder should be", encoding="utf-8")
    screen = Screen()

    def core(event: Event, known: Known) -> list[Effect]:
        if isinstance(event.act, Said):
            return [Start("k7.1", "contribution", {})]
        return [Answer(text=f"{event.act.state} {event.act.facts.get('cause', '')}")]  # type: ignore[union-attr]

    app = made(screen, core)
    async with running(app):
        await app.hear(said(1))
        await screen.until(lambda: any("failed" in text for text in screen.texts()))

    assert "could not be" in screen.texts()[-1]


async def test_looking_a_second_time_is_a_mistake_that_is_told(made: Callable[..., App], store: Store) -> None:
    from bot.core.records import Draft

    screen = Screen()
    app = made(screen, lambda event, known: [Look("draft", Draft("k", "skill", "p1", "here", 0.0))])
    async with running(app):
        await app.hear(said(1))
        await app.idle()

    assert screen.texts()[0].startswith("Something went wrong")


async def test_a_dialog_is_asked_once_and_is_no_part_of_the_conversation(made: Callable[..., App], store: Store) -> None:
    dialog = Dialog("t", "a|b", (Field("a", "b"),), "Send")
    screen = Screen()
    app = made(screen, lambda event, known: [Ask(dialog)])
    async with running(app):
        await app.hear(said(1))
        await app.idle()
    asked = await store.asked("p1")

    assert ([what for what, _ in screen.calls], asked and asked.body) == (["ask"], dialog)
    assert [message.who for message in await store.talk("terminal:@p1")] == ["p1"]


# --- streams


class Pieces:
    """A stream of the pieces that a generator writes."""

    def __init__(self, store: Store, pieces: Callable[[Message], AsyncIterator[str]]) -> None:
        self.store, self.pieces = store, pieces
        self.ends: list[How] = []

    async def write(self, message: Message) -> AsyncGenerator[Answer, None]:
        text = ""
        async for piece in self.pieces(message):
            text += piece
            yield Answer(text=text)

    async def end(self, message: Message, last: Answer, how: How) -> Message | None:
        self.ends.append(how)
        return await self.store.finish(message, last)


def streamed(event: Event, known: Known) -> list[Effect]:
    from bot.core.talk import Cancel

    return [Cancel(event.act.message)] if isinstance(event.act, Stopped) else [Answer(stream="words", subject="x")]


async def words(message: Message) -> AsyncIterator[str]:
    for piece in ("one ", "two ", "three"):
        yield piece
        await asyncio.sleep(0)  # a token comes when it comes


async def test_a_streamed_answer_grows_in_one_message_and_is_saved_whole(made: Callable[..., App], store: Store) -> None:
    screen = Screen()
    app = made(screen, streamed, words)
    async with running(app):
        await app.hear(said(1))
        await screen.until(lambda: screen.texts() == ["one two three"] and not app.writing)
        rows = await store.outboxes("terminal")

    (post, *edits), keys = zip(*screen.calls, strict=True)
    assert (post, set(edits), len(set(keys)), rows) == ("post", {"edit"}, 1, [])
    saved = [message.body for message in await store.talk("terminal:@p1") if not message.who]
    assert saved == [Answer(text="one two three")]


async def test_a_stopped_stream_keeps_what_it_had_written(made: Callable[..., App], store: Store) -> None:
    async def endless(message: Message) -> AsyncIterator[str]:
        yield "so far"
        await asyncio.Event().wait()

    screen = Screen()
    app = made(screen, streamed, endless)
    async with running(app):
        await app.hear(said(1))
        await screen.until(lambda: screen.texts() == ["so far"])
        (key,) = screen.shown
        await app.hear(Event("e2", 1002.0, "p1", "terminal:@p1", Stopped(key)))
        await screen.until(lambda: not screen.shown[key].live and not app.writing)

    saved = [message.body for message in await store.talk("terminal:@p1") if not message.who]
    assert saved == [Answer(text="so far")]


async def test_a_stream_that_a_crash_cut_is_written_again_into_the_same_message(made: Callable[..., App], store: Store) -> None:
    async def cut(message: Message) -> AsyncIterator[str]:
        yield "one "
        await asyncio.Event().wait()

    screen = Screen()
    app = made(screen, streamed, cut)
    async with running(app):
        await app.hear(said(1))
        await screen.until(lambda: screen.texts() == ["one "])
    again = made(screen, streamed, words)
    async with running(again):
        await screen.until(lambda: screen.texts() == ["one two three"] and not again.writing)

    assert ([what for what, _ in screen.calls].count("post"), len(screen.shown)) == (1, 1)


async def test_a_stream_that_fails_keeps_its_text_and_says_so(made: Callable[..., App], store: Store) -> None:
    async def failing(message: Message) -> AsyncIterator[str]:
        yield "half"
        raise ZeroDivisionError

    screen = Screen()
    app = made(screen, streamed, failing)
    async with running(app):
        await app.hear(said(1))
        await screen.until(lambda: any(not message.live for message in screen.shown.values()) and not app.writing)

    (text,) = screen.texts()
    assert text.startswith("half\n\nSomething went wrong on my side (error ")


async def test_a_run_that_cannot_be_started_says_why_in_its_card(made: Callable[..., App]) -> None:
    from pipeline.taxonomy import Skill

    seen: list[Effect] = []

    def core(event: Event, known: Known) -> list[Effect]:
        if isinstance(event.act, Said):
            return [Start("k7.1", "contribution", {"entry": Skill("leaf", "a", "nul \0", (), ())})]
        return [Answer(text=f"{event.act.state} {event.act.facts.get('cause', '')}")]  # type: ignore[union-attr]

    screen = Screen()
    app = made(screen, core)
    async with running(app):
        await app.hear(said(1))
        await screen.until(lambda: any("failed" in text for text in screen.texts()))

    assert "task_description" in screen.texts()[-1] and seen == []
