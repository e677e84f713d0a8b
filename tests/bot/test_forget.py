"""What somebody said can be taken back: afterwards nobody finds a word of it, but for what had to stay and was told."""

import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bot.core.records import Asked, Draft, Kept
from bot.core.talk import Answer, Card, Event, Said
from bot.forget import export, forget, sweep, without
from bot.pack import pack
from bot.play import Player
from bot.rows import Message
from bot.settings import Settings
from bot.store import Store, Writes
from bot.transcript import parse
from pipeline.embedded import Server
from pipeline.logs import Wordless
from pipeline.memory import Memory
from tests.fakes.model import Model

# Every word with zebra in it is alice's; bob's have walrus.
SESSION = """
# person olga role=operator
# model lists small
# set workspaces.terminal.maintainers="@dora"
alice> /ask what does a zebraquestion cost?
alice> /skill
alice> Count the zebradescription
alice> question: zebraquestion1 answer: zebraanswer1
  question: zebraquestion2 answer: zebraanswer2
  question: zebraquestion3 answer: zebraanswer3
  question: zebraquestion4 answer: zebraanswer4
  question: zebraquestion5 answer: zebraanswer5
alice> own
alice> zebra-lab
alice> arts/counting/stripes
alice> /submit
alice[press] Sign and open
alice[fill] name=Zebra Zebrason | mail=zebra@example.org
bot: Done: ...
alice> /invite @bob
bob> /skill
bob> Feed the walrusdescription
bob> /invite @alice
alice@home[press] Write along
alice> question: zebraguest answer: zebraguestanswer
bob> question: walrusquestion answer: walrusanswer
alice@home> /skill
alice> half a zebrathought
bob> /chat a walruspoem
bot: small says: a walruspoem (question 1) ...
alice@home> /chat a zebrapoem
bot: small says: a zebrapoem (question 1) ...
"""
LEFT = "zebra"


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "data" / "log" / "labbot.log"
    path.parent.mkdir(parents=True)
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(Wordless("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.getLogger().addHandler(handler)
    yield path
    logging.getLogger().removeHandler(handler)
    handler.close()


async def dump(memory: Memory) -> dict[str, str]:
    """Everything that Redis holds, as text."""
    found = {}
    async for key in memory.keys("*"):
        kind = (await memory.do("TYPE", key)).decode()
        read = {
            "string": ("GET", key),
            "hash": ("HGETALL", key),
            "list": ("LRANGE", key, 0, -1),
            "zset": ("ZRANGE", key, 0, -1),
            "stream": ("XRANGE", key, "-", "+"),
        }[kind]
        found[key] = str(await memory.do(*read))
    return found


def with_word(folder: Path, word: str) -> list[str]:
    """Files below a folder that hold a word, by their paths; git's own objects are packed and are looked at through git."""
    files = [path for path in folder.rglob("*") if path.is_file() and ".git" not in path.parts]
    return [str(path.relative_to(folder)) for path in files if word.encode() in path.read_bytes().lower()]


async def test_after_forget_nothing_but_what_was_told_holds_a_word_of_theirs(
    settings: Settings, server: Server, memory: Memory, log: Path, tmp_path: Path, model: Model
) -> None:
    player = Player(settings, server, tmp_path / "session.txt", {}, model)
    await player.play([*parse(SESSION, "s"), *parse("alice> /privacy forget\nalice[press] Forget everything\n" + STAYS, "f")])

    assert player.differences == []
    assert {key: value for key, value in (await dump(memory)).items() if LEFT in value.lower()} == {}
    assert with_word(settings.data, LEFT) == []
    assert with_word(server.folder, LEFT) == []
    assert [word in str(await dump(memory)) for word in ("walrusdescription", "walruspoem")] == [True, True]


STAYS = "bot: ... This stays, because it is public: labbot/stripes-<draft> (<commit>).\n"


async def test_what_is_exported_is_everything_that_was_typed_and_nothing_of_others(
    settings: Settings, server: Server, memory: Memory, tmp_path: Path, model: Model
) -> None:
    player = Player(settings, server, tmp_path / "session.txt", {}, model)
    await player.play(parse(SESSION + "alice> /privacy export\nbot: Everything that I keep of you ...\n", "s"))
    shown = next(message for message in reversed(player._hall.said) if message.to and "export" in str(message.body))
    text = shown.body.blocks[0].text  # type: ignore[union-attr]
    words = [
        "zebradescription",
        "zebraanswer5",
        "zebra@example.org",
        "zebrathought",
        "zebraguestanswer",
        "zebra-lab",
        "zebrapoem",
    ]

    assert player.differences == []
    assert [word for word in words if word not in text] == []
    assert set(json.loads(text)) == {
        *("person", "known as", "drafts", "conversations", "questions", "questions to the model"),
        *("answers kept for the FAQ", "typed and not sent", "runs", "thumbs", "GitHub"),
    }
    assert any(path.endswith("qna.yaml") for run in json.loads(text)["runs"].values() for path in run["files"])


async def test_what_was_typed_into_a_dialog_and_not_sent_is_exported_and_forgotten(memory: Memory) -> None:
    store = Store(memory)
    for person in ("p1", "p2"):
        await memory.do("SET", f"bot:typed:{person}:a", json.dumps({"answer": f"zebra of {person}"}), "EX", 60)
    exported = await export(store, "p1")
    await forget(store, "p1")

    assert exported["typed and not sent"] == [{"answer": "zebra of p1"}]
    assert [name async for name in memory.keys("bot:typed:*")] == ["bot:typed:p2:a"]


def test_in_a_draft_of_others_only_what_the_person_wrote_goes() -> None:
    draft = Draft(
        "k7",
        "skill",
        "p2",
        "here",
        0.0,
        ("p2", "p1"),
        {"about.description": "bob's", "example": "1", "example.1.question": "alice's"},
        heard={"m1": ("example.1.question",), "m2": ("about.description",)},
        undo=({"example.1.question": "alice's earlier"},),
        hands={"about.description": "p2", "example.1.question": "p1"},
    )
    rest = without(draft, "p1")

    assert (dict(rest.answers), rest.authors, rest.undo) == ({"about.description": "bob's", "example": "1"}, ("p2",), ())
    assert list(rest.heard) == ["m2"]


async def test_a_question_that_waits_and_an_answer_that_was_kept_are_forgotten_by_either_side(store: Store) -> None:
    writes = Writes()
    asked = Asked("a1", "p1", "here", "alice's question", 1.0, handed="there")
    other = Asked("a2", "p2", "here", "bob's question", 1.0, reply="alice's answer", by="p1")
    for record in (asked, other, Kept("a2", "bob's question", "alice's answer", "alice", 1.0, ("p2", "p1"))):
        store.save(writes, record, {})
    store.say(writes, Message("m1", "there", 1, 1.0, "", Card("alice's question"), slot="ask.a1"))
    await store.memory.all([tuple(op) for op in writes.ops])
    await forget(store, "p1")

    assert await store.questions() == [replace(other, reply="", by="")]
    assert (await store.kept(), await store.talk("there")) == ([], [])


async def test_an_event_that_nobody_has_decided_yet_is_forgotten_too(store: Store, memory: Memory) -> None:
    await store.hear(Event("e1", 1.0, "p1", "terminal:@p1", Said("a secret")))
    await store.hear(Event("e2", 1.0, "p2", "terminal:@p2", Said("no secret")))
    await forget(store, "p1")

    assert [event.id for event in await store.todo("terminal")] == ["e2"]
    assert "a secret" not in str(await dump(memory))


async def test_forgetting_somebody_whom_nobody_knows_does_nothing(store: Store, memory: Memory) -> None:
    await store.person("terminal", "home", "bob", "bob")
    before = await dump(memory)
    await forget(store, "p9")

    assert await dump(memory) == before
    assert (await export(store, "p9"))["person"] is None


async def test_messages_older_than_conversations_are_kept_go_one_by_one(store: Store, memory: Memory) -> None:
    writes = Writes()
    for number, days in enumerate((0, 40)):
        at = days * 86_400.0
        store.say(writes, Message(f"m{number}", "here", int(at * 1000) * 100, at, "p1", Answer(text=f"day {days}")))
    await memory.all([tuple(op) for op in writes.ops])
    await sweep(store, 41 * 86_400.0)

    assert [message.key for message in await store.talk("here")] == ["m1"]


def test_the_log_has_the_kind_and_the_place_of_a_mistake_and_not_its_words() -> None:
    def fails() -> None:
        try:
            raise KeyError("zebraword")
        except KeyError as error:
            raise ValueError("another zebraword") from error

    try:
        fails()
    except ValueError as error:
        text = Wordless().formatException((type(error), error, error.__traceback__))

    assert "zebraword" not in text.replace('raise KeyError("zebraword")', "").replace(
        'raise ValueError("another zebraword")', ""
    )
    assert ("ValueError" in text, "KeyError" in text, "in fails" in text) == (True, True, True)


def test_a_draft_with_hands_comes_back_as_it_went_in() -> None:
    from bot.pack import unpack

    draft = Draft("k7", "skill", "p1", "here", 0.0, hands={"a.b": "p1"})

    assert unpack(pack(draft), Draft) == draft
