"""A run's picture stands in its card: uploaded once, shown in place, and replaced by the next one."""

import pytest

from bot.core.talk import Card, Picture, Text
from bot.platforms.slack import posts as module
from bot.platforms.slack.posts import Posts
from bot.platforms.slack.render import Payload, card, pictured
from bot.platforms.slack.threads import Room
from tests.bot.slack.front import Labbot
from tests.bot.taught import picture
from tests.fakes.slack.people import Person
from tests.fakes.slack.server import Slack
from tests.fakes.slack.state import Channel

CURVE = Picture("curves-k7.1.png", "k7.1", "train/curves.png", "a", "Loss 3.00 → 0.50.", "█▁", "/runs/k7.1/train/curves.png")


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOKS_S", (0.0, 0.0))


def drawn(text: str, shade: int) -> Payload:
    """A card with this text and a picture of this shade."""
    return card(Card("Train", (Text(text), CURVE)), contents={("k7.1", CURVE.path): picture(shade)})


def shown(labbot: Labbot, fake: Slack, channel: Channel) -> list[bytes]:
    """The pictures of the newest message in a channel."""
    ids = [block["slack_file"]["id"] for block in labbot.said(channel)[-1]["blocks"] if block["type"] == "image"]
    return [fake.world.files[id].content or b"" for id in ids]


async def posted(labbot: Labbot, channel: Channel) -> tuple[Posts, Room, str]:
    await labbot.start()
    posts, room = labbot.front.speaker.posts, Room(labbot.team.id, channel.id)
    return posts, room, await posts.put(room, drawn("step 1", 1), "k")


async def test_a_picture_is_uploaded_once_and_the_next_one_takes_its_place(
    labbot: Labbot, fake: Slack, channel: Channel
) -> None:
    posts, room, ts = await posted(labbot, channel)
    found = [shown(labbot, fake, channel)]
    for text, shade in (("step 2", 1), ("step 3", 2)):
        await posts.change(room, ts, drawn(text, shade), "k")
        found.append(shown(labbot, fake, channel))
    await Posts(posts.wire, posts.memory).change(room, ts, drawn("after a restart", 2), "k")

    assert [*found, shown(labbot, fake, channel)] == [[picture(1)], [picture(1)], [picture(2)], [picture(2)]]
    assert len(fake.world.files) == 2 and not any(file.shared for file in fake.world.files.values())
    assert len(labbot.said(channel)) == 1


async def test_a_picture_that_slack_has_not_looked_at_yet_comes_with_a_later_edit(
    labbot: Labbot, fake: Slack, channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = Posts._sent

    async def unseen(self: Posts, room: Room, name: str, content: bytes) -> str:
        file = await sent(self, room, name, content)
        fake.world.files[file].looks = 3
        return file

    monkeypatch.setattr(Posts, "_sent", unseen)
    posts, room, ts = await posted(labbot, channel)
    before = shown(labbot, fake, channel)
    await posts.change(room, ts, drawn("step 2", 1), "k")

    assert (before, shown(labbot, fake, channel)) == ([], [picture(1)])


@pytest.mark.parametrize("method", ["files.getUploadURLExternal", "files.completeUploadExternal", "files.info"])
async def test_a_picture_that_slack_does_not_take_holds_up_nothing(
    labbot: Labbot, fake: Slack, channel: Channel, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    fake.fail(method, "file_uploads_disabled")
    await posted(labbot, channel)

    assert shown(labbot, fake, channel) == [] and "step 1" in labbot.texts(channel)[-1]
    assert "is not shown" in caplog.text


async def test_what_one_person_sees_alone_has_no_picture(labbot: Labbot, channel: Channel, bob: Person) -> None:
    await labbot.start()
    posts, room = labbot.front.speaker.posts, Room(labbot.team.id, channel.id)
    await posts.whisper(room, bob.id, drawn("step 1", 1), "k")

    assert [block["type"] for block in labbot.seen(bob, channel)["blocks"]] == ["header", "section"]


def test_what_is_in_the_picture_is_told_to_who_cannot_see_it_and_what_is_not_there_is_left_out() -> None:
    made, none = drawn("x", 1), card(Card("Train", (Text("x"), CURVE)))
    (image,) = [block for block in pictured(made, ["F1"]).json["blocks"] if block["type"] == "image"]

    assert image == {"type": "image", "slack_file": {"id": "F1"}, "alt_text": "Loss 3.00 → 0.50."}
    assert [block["type"] for block in none.json["blocks"]] == ["header", "section"]
    assert pictured(made, []).json == none.json == pictured(made, [""]).json
