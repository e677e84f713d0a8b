"""The shell's side of talking with a model: order, failures, restarts, and what is saved of an answer."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bot.app import App
from bot.chat import Chat
from bot.core import chatting
from bot.core.chatting import subject
from bot.core.records import Turn
from bot.core.talk import Answer, Command, Event, Forget, Press, Said
from bot.look import Looker
from bot.rows import Message
from bot.settings import Settings
from bot.store import Store
from pipeline.errors import Temporary
from pipeline.memory import Memory
from pipeline.models.client import Client, Endpoint, Options
from pipeline.runs import Runs
from tests.bot.test_app import Screen, running
from tests.fakes.model import Model
from tests.fakes.openai_server import answer as http
from tests.fakes.openai_server import chunk, frame, streamed

HERE = "terminal:@p1"


class Door:
    """The endpoint of the fake model; `there` takes it away."""

    def __init__(self, url: str) -> None:
        self.one = Client(Endpoint(url, tries=1, silence_s=5))
        self.there = "ready"

    def client(self, role: str) -> Client | None:
        return self.one if self.there == "ready" else None

    def state(self, role: str) -> str:
        return self.there

    def configured(self, role: str) -> bool:
        return True


@pytest.fixture
async def door(model: Model) -> AsyncIterator[Door]:
    made = Door(model.url)
    yield made
    await made.one.close()


@pytest.fixture
def made(store: Store, memory: Memory, settings: Settings, tmp_path: Path, door: Door) -> Callable[..., App]:
    def app(screen: Screen, options: Options | None = None, system: str = "") -> App:
        chat = Chat(
            door,  # type: ignore[arg-type]  # its state is any text here
            store,
            settings.words,
            system=system,
            options=options,
            version=lambda name: f"{name}@1",
        )
        return App(
            store,
            screen,
            platform="terminal",
            tables=settings.words,
            roles=settings.roles,
            look=Looker(tmp_path, tmp_path / "runs", serving=chat.look),
            runs=Runs(memory, tmp_path / "runs", {}, clock=lambda: 1000.0),
            streams={chatting.STREAM: chat, chatting.COMPARED: chat},
            serving=chat.serving,
        )

    return app


def said(number: int, text: str, place: str = HERE, person: str = "p1") -> Event:
    return Event(f"e{number}", 1000.0 + number, person, place, Command("chat", text))


async def settled(app: App) -> None:
    async with asyncio.timeout(10):
        await app.idle()
        while app.writing:
            await asyncio.sleep(0.005)


@asynccontextmanager
async def talking(app: App) -> AsyncIterator[Callable[..., "asyncio.Future[None]"]]:
    async with running(app):

        async def put(*events: Event) -> None:
            for event in events:
                await app.hear(event)
            await settled(app)

        yield put  # type: ignore[misc]  # a coroutine function


async def test_an_answer_is_kept_with_its_question_its_model_and_what_it_was_given(
    made: Callable[..., App], store: Store, model: Model
) -> None:
    async with talking(made(Screen(), system="Be kind.")) as put:
        await put(said(1, "one"), said(2, "two"))
    first, second = await store.turns(HERE)

    assert (first.question, first.answer, first.state) == ("one", "small says: one (question 1)", "done")
    assert (first.model, first.version, second.seen) == ("small", "small@1", (first.id,))
    sent = [one.body["messages"] for one in model.asked if one.path == "/v1/chat/completions"]
    assert [len(one) for one in sent] == [2, 4] and sent[1][0] == {"role": "system", "content": "Be kind."}


@pytest.mark.parametrize(("place", "given"), [("terminal:general", [1, 1, 3]), ("terminal:general/7", [1, 3, 5])])
async def test_in_a_channel_the_model_is_given_what_the_asker_said_and_in_a_thread_what_everybody_said(
    place: str, given: list[int], made: Callable[..., App], model: Model
) -> None:
    async with talking(made(Screen())) as put:
        await put(said(1, "one", place, "p1"))
        await put(said(2, "two", place, "p2"))
        await put(said(3, "three", place, "p1"))

    assert [len(one.body["messages"]) for one in model.asked if one.path == "/v1/chat/completions"] == given


async def test_questions_of_a_place_are_answered_in_order_and_places_beside_each_other(
    made: Callable[..., App], store: Store, model: Model
) -> None:
    model.tell("says first || answer")
    screen = Screen()
    app = made(screen)
    async with running(app):
        for number in range(1, 5):
            await app.hear(said(number, f"question {number}"))
        await screen.until(lambda: any("first" in text for text in screen.texts()))
        await app.hear(said(9, "elsewhere", "terminal:@p2", "p2"))
        await screen.until(lambda: "small says: elsewhere (question 1)" in screen.texts())
        waiting = [turn.state for turn in await store.turns(HERE)]
        model.tell("goes on")
        await settled(app)
    turns = await store.turns(HERE)

    assert waiting == ["open"] * 4
    assert [turn.answer for turn in turns] == ["first answer", *(f"small says: question {n} (question {n})" for n in (2, 3, 4))]


async def test_a_crash_in_the_middle_asks_once_more_and_answers_once(
    made: Callable[..., App], store: Store, model: Model
) -> None:
    model.tell("says half || whole")
    screen = Screen()
    async with running(app := made(screen)):
        await app.hear(said(1, "one"))
        await screen.until(lambda: screen.texts() == ["half"])
    async with talking(made(screen)) as put:
        await put()

    assert screen.texts() == ["small says: one (question 1)"]
    assert [(turn.state, turn.tries) for turn in await store.turns(HERE)] == [("done", 1)]
    assert [what for what, _ in screen.calls].count("post") == 1


async def test_a_model_that_is_away_is_waited_for_and_the_wait_can_be_stopped(
    made: Callable[..., App], store: Store, door: Door
) -> None:
    door.there = "starting"
    screen = Screen()
    async with running(app := made(screen)):
        await app.hear(said(1, "one"))
        await screen.until(lambda: any("starting" in text for text in screen.texts()))
        door.there = "ready"
        await settled(app)
        door.there = "starting"
        await app.hear(said(2, "two"))
        await screen.until(lambda: any("starting" in text for text in screen.texts()))
        newest = (await store.turns(HERE))[-1]
        await app.hear(Event("e3", 1003.0, "p1", HERE, Press(f"chat.stop|{subject(newest)}")))
        await settled(app)

    assert screen.texts() == ["small says: one (question 1)", "(Stopped.)"]


async def test_a_chosen_model_that_was_taken_away_while_one_waits_is_told(made: Callable[..., App], door: Door) -> None:
    door.there = "starting"
    screen = Screen()
    async with running(app := made(screen)):
        await app.hear(said(1, "one"))
        await screen.until(lambda: any("starting" in text for text in screen.texts()))
        door.there = "absent"
        await screen.until(lambda: any("no model here" in text for text in screen.texts()))


@pytest.mark.parametrize(
    ("frames", "text"),
    [
        ((http(500, {"error": {"message": "out of cheese"}}),), "That did not work: … failed (500): out of cheese"),
        ((http(400, {"error": {"message": "no such knob"}}),), "The model's server does not take that: no such knob"),
        (streamed(chunk("half"), frame(b"garbage")), "half\n\nThat did not work: … sent a frame that is no JSON"),
        (streamed(chunk("half"), chunk(None, "length"), frame(b"[DONE]")), "half\n\n(That is as long as an answer may be.)"),
        (streamed(chunk(" \n"), chunk(None, "stop"), frame(b"[DONE]")), "The model said nothing to that."),
        (streamed(chunk("half"), "cut"), "half\n\n(The model broke off here.)"),
    ],
)
async def test_whatever_a_server_does_becomes_a_sentence_and_the_next_question_works(
    made: Callable[..., App], store: Store, model: Model, frames: tuple[object, ...], text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = model.answer
    monkeypatch.setattr(model, "answer", lambda asked: frames if asked.path.endswith("completions") else usual(asked))
    screen = Screen()
    async with talking(made(screen)) as put:
        await put(said(1, "one"))
        monkeypatch.undo()
        await put(said(2, "two"))
    first, second = await store.turns(HERE)

    assert screen.texts()[0].startswith(text) and screen.texts()[1].startswith("small says: two")
    assert (first.state, second.state) == ("done" if "as long as" in text else "failed", "done")
    assert "127.0.0.1" not in screen.texts()[0]


async def test_a_question_that_does_not_fit_is_told_with_numbers_and_nothing_is_lost(
    made: Callable[..., App], store: Store, model: Model
) -> None:
    model.context = 40
    screen = Screen()
    async with talking(made(screen, Options(max_tokens=10))) as put:
        await put(said(1, "word " * 50), said(2, "short"))

    assert screen.texts()[0].startswith("That is 51 tokens, and 30 fit beside an answer.")
    assert [turn.state for turn in await store.turns(HERE)] == ["failed", "done"]


async def test_what_has_no_utf_8_is_asked_all_the_same(made: Callable[..., App], store: Store) -> None:
    async with talking(made(Screen())) as put:
        await put(said(1, "half \ud800 a pair"), said(2, "two"))

    assert [(turn.question, turn.state) for turn in await store.turns(HERE)] == [
        ("half \ud800 a pair", "done"),
        ("two", "done"),
    ]


async def test_a_long_conversation_keeps_going_with_its_newest_turns(
    made: Callable[..., App], store: Store, model: Model
) -> None:
    model.context = 60
    async with talking(made(Screen(), Options(max_tokens=10), system="Be kind.")) as put:
        await put(*(said(number, f"question number {number}") for number in range(1, 13)))
    turns = await store.turns(HERE)

    assert [turn.state for turn in turns] == ["done"] * 12
    assert 0 < len(turns[-1].seen) < 11 and turns[-1].seen == tuple(turn.id for turn in turns[-1 - len(turns[-1].seen) : -1])
    sent = [one.body["messages"] for one in model.asked if one.path == "/v1/chat/completions"]
    assert all(one[0]["role"] == "system" for one in sent)


async def test_a_slow_platform_gets_the_newest_text_and_no_backlog(made: Callable[..., App], model: Model) -> None:
    class Slow(Screen):
        async def edit(self, address: str, message: Message) -> str:
            await super().edit(address, message)
            if message.live:
                await asyncio.sleep(0.02)
            return address

    model.tell(f"says {' '.join(map(str, range(500)))}")
    screen = Slow()
    async with talking(made(screen)) as put:
        await put(said(1, "count"))

    assert screen.texts() == [" ".join(map(str, range(500)))]
    assert len(screen.calls) < 100


async def test_a_platform_that_is_away_for_an_edit_gets_the_whole_at_the_end(made: Callable[..., App], model: Model) -> None:
    class Shaky(Screen):
        async def edit(self, address: str, message: Message) -> str:
            if message.live:
                raise Temporary("the platform is away")
            return await super().edit(address, message)

    screen = Shaky()
    async with talking(made(screen)) as put:
        await put(said(1, "one"))

    assert screen.texts() == ["small says: one (question 1)"]


async def test_forgetting_while_an_answer_runs_leaves_no_word_of_it(
    made: Callable[..., App], store: Store, model: Model
) -> None:
    model.tell("says zebra || stripes")
    screen = Screen()
    app = made(screen)
    async with running(app):
        await app.hear(said(1, "zebra one"))
        await screen.until(lambda: any("zebra" in text for text in screen.texts()))
        await app.hear(said(2, "zebra two"))
        await app.hear(Event("e3", 1003.0, "p1", HERE, Command("forget")))
        await settled(app)

    assert (await store.turns(HERE), [one for one in await store.talk(HERE) if "zebra" in str(one)]) == ([], [])
    assert any(text.startswith("It is erased: 2 of your questions") for text in screen.texts())


async def test_only_ones_own_questions_are_forgotten_in_a_place_of_several(made: Callable[..., App], store: Store) -> None:
    async with talking(made(Screen())) as put:
        await put(said(1, "mine", "room"), said(2, "theirs", "room", "p2"))
        await put(Event("e3", 1003.0, "p1", "room", Command("forget")))

    assert [turn.question for turn in await store.turns("room")] == ["theirs"]


async def test_a_stream_that_ends_for_a_turn_that_moved_on_saves_nothing(store: Store) -> None:
    from bot.store import Writes

    turn = Turn("t1", "p1", HERE, "q", 1.0, tries=2)
    message = Message("m1", HERE, 1, 1.0, "", Answer(stream="chat", subject="t1.1"), live=True)
    writes = Writes()
    store.save(writes, turn, {})
    store.say(writes, message)
    await store.memory.all([tuple(op) for op in writes.ops])
    late = Turn("t1", "p1", HERE, "q", 1.0, tries=1, state="done", answer="late")

    assert await store.finish(message, Answer(text="late"), late) is None
    assert await store.turn("t1") == turn


async def test_what_another_process_has_ended_is_left_as_it_is(made: Callable[..., App], store: Store, model: Model) -> None:
    model.tell("says slow || answer")
    one, two = Screen(), Screen()
    async with running(first := made(one)):
        await first.hear(said(1, "one"))
        await one.until(lambda: one.texts() == ["slow"])
        async with running(second := made(two)):  # finds the message in the outbox, and writes it too
            await settled(second)
        model.tell("goes on")
        await settled(first)

    assert [(turn.answer, turn.state) for turn in await store.turns(HERE)] == [("small says: one (question 1)", "done")]
    assert [one.body.text for one in await store.talk(HERE) if not one.who] == ["small says: one (question 1)"]  # type: ignore[union-attr]


async def test_models_are_listed_with_the_default_one_first(made: Callable[..., App], model: Model) -> None:
    model.tell("lists tickets of granite, granite, tiny")
    screen = Screen()
    async with talking(made(screen)) as put:
        await put(Event("e1", 1001.0, "p1", HERE, Command("model")))
        await put(Event("e2", 1002.0, "p1", HERE, Said("write a poem")))

    assert screen.texts()[0].startswith("The model in this conversation is **granite**.")
    assert screen.texts()[1].startswith("granite says: write a poem")


def test_what_is_to_be_forgotten_names_its_place() -> None:
    assert Forget("p1", HERE) != Forget("p1")
