"""A run's picture stands in its card: sent once, kept while the text around it changes, and replaced by the next one."""

from bot.core.talk import Attached, Card, Picture, Text
from bot.platforms.discord.posts import Posts
from bot.platforms.discord.render import Payload, card
from tests.bot.discord.front import Labbot
from tests.bot.taught import picture
from tests.fakes.discord.limits import walk
from tests.fakes.discord.server import Discord
from tests.fakes.discord.state import Channel, Json

CURVE = Picture("curves-k7.1.png", "k7.1", "train/curves.png", "a", "Loss 3.00 → 0.50.", "█▁", "/runs/k7.1/train/curves.png")
FILE = Attached("adapter.gguf", "", "/runs/k7.1/export/adapter.gguf", "k7.1", "export/adapter.gguf")


def drawn(text: str, shade: int | None, *blocks: Attached) -> Payload:
    """A card with this text and a picture of this shade."""
    files = {("k7.1", CURVE.path): picture(shade)} if shade is not None else {}
    return card(Card("Train", (Text(text), CURVE, *blocks)), contents={**files, ("k7.1", FILE.path): b"GGUF"})


def attachments(fake: Discord, channel: Channel) -> dict[str, bytes]:
    (message,) = fake.messages(channel)
    return {one["id"]: fake.file(one).content for one in message["attachments"]}


def shown(message: Json) -> list[str]:
    """The addresses of the pictures in a message."""
    return [item["media"]["url"] for _, one in walk(message["components"]) if one["type"] == 12 for item in one["items"]]


async def posted(labbot: Labbot, channel: Channel) -> tuple[Posts, str]:
    await labbot.start()
    posts = labbot.front.speaker.posts
    return posts, await posts.put(channel.id, drawn("step 1", 1), "k")


async def test_an_edit_keeps_the_picture_and_another_picture_takes_its_place(
    labbot: Labbot, fake: Discord, channel: Channel
) -> None:
    posts, message = await posted(labbot, channel)
    found = [attachments(fake, channel)]
    for text, shade in (("step 2", 1), ("step 3", 2), ("step 4", 2)):
        await posts.patch(channel.id, message, drawn(text, shade))
        found.append(attachments(fake, channel))

    assert found[0] == found[1] and found[2] == found[3]
    assert [[*one.values()] for one in found[::2]] == [[picture(1)], [picture(2)]]
    assert len(shown(fake.messages(channel)[0])) == 1


async def test_files_beside_the_picture_stay_with_it(labbot: Labbot, fake: Discord, channel: Channel) -> None:
    posts, message = await posted(labbot, channel)
    await posts.patch(channel.id, message, drawn("step 2", 1, FILE))
    two = attachments(fake, channel)
    await posts.patch(channel.id, message, drawn("step 3", 2, FILE))
    new = attachments(fake, channel)

    assert [*two.values()] == [picture(1), b"GGUF"] and [*new.values()] == [picture(2), b"GGUF"]
    assert [*two][1] == [*new][1]  # what did not change was not sent again


async def test_a_picture_that_was_taken_away_meanwhile_is_sent_again(labbot: Labbot, fake: Discord, channel: Channel) -> None:
    posts, message = await posted(labbot, channel)
    other = Posts(posts.wire, posts.threads)
    await other.patch(channel.id, message, drawn("without", None))
    await posts.patch(channel.id, message, drawn("step 2", 1))
    (told,) = fake.violations
    fake.violations.clear()

    assert "ATTACHMENT_NOT_FOUND" in told  # the first attempt counted on it
    assert [*attachments(fake, channel).values()] == [picture(1)]


async def test_one_that_is_gone_or_was_changed_by_a_press_leaves_nothing_behind(
    labbot: Labbot, fake: Discord, channel: Channel
) -> None:
    posts, message = await posted(labbot, channel)
    await posts.patch(channel.id, message, drawn("no picture any more", None))
    none = attachments(fake, channel)
    posts.changed(message)
    await posts.patch(channel.id, message, drawn("step 9", 1))

    assert none == {} and [*attachments(fake, channel).values()] == [picture(1)]


def test_what_is_in_the_picture_is_told_to_who_cannot_see_it_and_what_is_not_there_is_left_out() -> None:
    (one,) = [part for _, part in walk(drawn("x", 1).json["components"]) if part["type"] == 12]

    assert one["items"] == [{"media": {"url": "attachment://curves-k7.1.png"}, "description": "Loss 3.00 → 0.50."}]
    assert [part["type"] for _, part in walk(drawn("x", None).json["components"])] == [17, 10, 10]


def test_files_that_together_are_too_much_for_a_request_are_left_out() -> None:
    many = tuple(Attached(f"{at}.gguf", "", "", "k7.1", f"export/{at}.gguf") for at in range(3))
    made = card(Card("Files", many), contents={("k7.1", one.path): bytes(10 * 2**20) for one in many})

    assert [name for name, _ in made.files] == ["0.gguf", "1.gguf"]
