"""What the fake Discord refuses, with Discord's own codes."""

import asyncio
import io
import json
from collections.abc import Awaitable, Callable

import aiohttp
import pytest

from tests.fakes.discord import limits, threads
from tests.fakes.discord.asking import Asking, Said
from tests.fakes.discord.people import Person
from tests.fakes.discord.server import Discord
from tests.fakes.discord.state import VOICE, Channel

V2 = 1 << 15


Scene = Callable[[Discord, Asking, Channel, Person], Awaitable[Said]]
SCENES: dict[str, tuple[Said, Scene]] = {}


def refuses(status: int, code: int) -> Callable[[Scene], Scene]:
    def add(scene: Scene) -> Scene:
        SCENES[f"{code} {scene.__name__.replace('_', ' ')}"] = ((status, code), scene)
        return scene

    return add


@refuses(401, 0)
async def a_wrong_token(fake: Discord, ask: Asking, channel: Channel, alice: Person) -> Said:
    return await ask("GET", "/users/@me", token="wrong")


@refuses(404, 10003)
async def an_unknown_channel(fake: Discord, ask: Asking, channel: Channel, alice: Person) -> Said:
    return await ask("GET", "/channels/1")


@refuses(404, 10004)
async def an_unknown_guild(fake: Discord, ask: Asking, channel: Channel, alice: Person) -> Said:
    return await ask("GET", "/guilds/1/threads/active")


@refuses(404, 10007)
async def an_unknown_member(fake: Discord, ask: Asking, channel: Channel, alice: Person) -> Said:
    stranger = fake.user("stranger")
    return await ask("GET", f"/guilds/{channel.guild.id}/members/{stranger.id}")


@refuses(404, 10008)
async def an_unknown_message(fake: Discord, ask: Asking, channel: Channel, alice: Person) -> Said:
    return await ask("PATCH", f"/channels/{channel.id}/messages/1", {"content": "x"})


@refuses(404, 10013)
async def an_unknown_user(fake: Discord, ask: Asking, channel: Channel, alice: Person) -> Said:
    return await ask("POST", "/users/@me/channels", {"recipient_id": "1"})


@refuses(404, 10015)
async def an_unknown_webhook(fake: Discord, ask: Asking, channel: Channel, alice: Person) -> Said:
    return await ask("PATCH", f"/webhooks/{fake.application_id}/token/messages/@original", {"content": "x"})


@refuses(404, 10062)
async def an_unknown_interaction(fake: Discord, ask: Asking, channel: Channel, alice: Person) -> Said:
    return await ask("POST", "/interactions/1/token/callback", {"type": 5})


@refuses(404, 10062)
async def an_answer_that_comes_too_late(fake: Discord, ask: Asking, channel: Channel, alice: Person) -> Said:
    fake.patience_s = 0.01
    heard = await alice.slash(channel, "status")
    heard.began -= 0.02
    return await ask("POST", f"/interactions/{heard.id}/{heard.token}/callback", {"type": 5})


@refuses(400, 40060)
async def a_second_answer(fake: Discord, ask: Asking, channel: Channel, alice: Person) -> Said:
    heard = await alice.slash(channel, "status")
    await ask("POST", f"/interactions/{heard.id}/{heard.token}/callback", {"type": 5})
    return await ask("POST", f"/interactions/{heard.id}/{heard.token}/callback", {"type": 5})


@refuses(401, 50027)
async def an_answer_after_fifteen_minutes(fake: Discord, ask: Asking, channel: Channel, alice: Person) -> Said:
    heard = await alice.slash(channel, "status")
    await ask("POST", f"/interactions/{heard.id}/{heard.token}/callback", {"type": 5})
    fake.clock += 901
    return await ask("GET", f"/webhooks/{fake.application_id}/{heard.token}/messages/@original")


@refuses(404, 10008)
async def the_original_of_a_dialog(fake: Discord, ask: Asking, channel: Channel, alice: Person) -> Said:
    heard = await alice.slash(channel, "status")
    part = {"type": 18, "label": "T", "component": {"type": 4, "custom_id": "t", "style": 1}}
    modal = {"custom_id": "m", "title": "M", "components": [part]}
    await ask("POST", f"/interactions/{heard.id}/{heard.token}/callback", {"type": 9, "data": modal})
    return await ask("GET", f"/webhooks/{fake.application_id}/{heard.token}/messages/@original")


@refuses(429, 20016)
async def more_than_slow_mode_lets_through(fake: Discord, ask: Asking, channel: Channel, alice: Person) -> Said:
    slow = channel.guild.channel("slow", deny=["MANAGE_MESSAGES"], slow_s=60)
    await ask.says(slow, content="x")
    return await ask("POST", f"/channels/{slow.id}/messages", {"content": "x"})


@refuses(429, 20028)
async def a_third_name_in_ten_minutes(fake: Discord, ask: Asking, channel: Channel, alice: Person) -> Said:
    thread = await _thread(ask, channel)
    said = [await ask("PATCH", f"/channels/{thread}", {"name": name}) for name in "abc"]
    return said[2]


@refuses(400, 30003)
async def a_fifty_first_pin(fake: Discord, ask: Asking, channel: Channel, alice: Person) -> Said:
    channel.pins = [str(number) for number in range(50)]
    message = await ask.says(channel, content="x")
    return await ask("PUT", f"/channels/{channel.id}/messages/pins/{message['id']}")


@refuses(400, 30032)
async def a_hundred_and_first_command(fake: Discord, ask: Asking, channel: Channel, alice: Person) -> Said:
    told = [{"name": f"c{number}", "description": "x"} for number in range(101)]
    return await ask("PUT", f"/applications/{fake.application_id}/commands", told)


@refuses(429, 30034)
async def too_many_new_commands_in_a_day(fake: Discord, ask: Asking, channel: Channel, alice: Person) -> Said:
    for round_ in range(3):
        told = [{"name": f"c{round_}-{number}", "description": "x"} for number in range(70)]
        said = await ask("PUT", f"/applications/{fake.application_id}/commands", told)
    return said


@refuses(400, 30033)
async def too_many_in_a_thread(fake: Discord, ask: Asking, channel: Channel, alice: Person) -> Said:
    thread = await _thread(ask, channel)
    there = fake.channel(thread).joined
    there |= {str(number): "" for number in range(threads.MEMBERS)}
    return await ask("PUT", f"/channels/{thread}/thread-members/{alice.id}")


@refuses(429, 30046)
async def a_second_edit_in_a_minute_of_an_old_message(fake: Discord, ask: Asking, channel: Channel, alice: Person) -> Said:
    message = await ask.says(channel, content="x")
    fake.clock += 3601
    said = [await ask("PATCH", f"/channels/{channel.id}/messages/{message['id']}", {"content": text}) for text in "ab"]
    assert said[0] == (200, None)
    return said[1]


@refuses(413, 40005)
async def a_file_that_is_too_large(fake: Discord, ask: Asking, channel: Channel, alice: Person) -> Said:
    form = aiohttp.FormData({"payload_json": json.dumps({"attachments": [{"id": 0}]})})
    form.add_field("files[0]", io.BytesIO(bytes(limits.FILE_BYTES + 1)), filename="a.bin")
    return await ask("POST", f"/channels/{channel.id}/messages", data=form)


@refuses(403, 50001)
async def a_channel_that_the_bot_cannot_see(fake: Discord, ask: Asking, channel: Channel, alice: Person) -> Said:
    channel.denies("VIEW_CHANNEL")
    return await ask("POST", f"/channels/{channel.id}/messages", {"content": "x"})


@refuses(403, 50003)
async def a_direct_message_of_somebody_removed(fake: Discord, ask: Asking, channel: Channel, alice: Person) -> Said:
    said = await alice.says(alice.dm, "x")
    return await ask("DELETE", f"/channels/{alice.dm.id}/messages/{said['id']}")


@refuses(403, 50005)
async def an_edit_of_what_another_wrote(fake: Discord, ask: Asking, channel: Channel, alice: Person) -> Said:
    said = await alice.says(channel, "x")
    return await ask("PATCH", f"/channels/{channel.id}/messages/{said['id']}", {"content": "y"})


@refuses(400, 50006)
async def an_empty_message(fake: Discord, ask: Asking, channel: Channel, alice: Person) -> Said:
    return await ask("POST", f"/channels/{channel.id}/messages", {"content": ""})


@refuses(403, 50007)
async def a_direct_message_to_who_wants_none(fake: Discord, ask: Asking, channel: Channel, alice: Person) -> Said:
    alice.refuses_dms = True
    return await ask("POST", f"/channels/{alice.dm.id}/messages", {"content": "x"})


@refuses(400, 50008)
async def a_message_in_a_channel_for_voices(fake: Discord, ask: Asking, channel: Channel, alice: Person) -> Said:
    voice = channel.guild.channel("voice", kind=VOICE)
    return await ask("POST", f"/channels/{voice.id}/messages", {"content": "x"})


@refuses(403, 50013)
async def a_message_where_the_bot_may_not_write(fake: Discord, ask: Asking, channel: Channel, alice: Person) -> Said:
    channel.denies("SEND_MESSAGES")
    return await ask("POST", f"/channels/{channel.id}/messages", {"content": "x"})


@refuses(403, 50021)
async def an_edit_of_a_system_message(fake: Discord, ask: Asking, channel: Channel, alice: Person) -> Said:
    await ask("POST", f"/channels/{channel.id}/threads", {"name": "t", "type": 11})
    system = fake.messages(channel)[0]
    return await ask("PATCH", f"/channels/{channel.id}/messages/{system['id']}", {"content": "x"})


@refuses(400, 50024)
async def a_thread_in_a_thread(fake: Discord, ask: Asking, channel: Channel, alice: Person) -> Said:
    thread = await _thread(ask, channel)
    return await ask("POST", f"/channels/{thread}/threads", {"name": "t", "type": 11})


@refuses(400, 50035)
async def a_message_of_the_wrong_form(fake: Discord, ask: Asking, channel: Channel, alice: Person) -> Said:
    return await ask("POST", f"/channels/{channel.id}/messages", {"content": "x" * 2001})


@refuses(400, 50035)
async def an_answer_to_a_message_that_is_gone(fake: Discord, ask: Asking, channel: Channel, alice: Person) -> Said:
    body = {"content": "x", "message_reference": {"message_id": "1"}}
    said = await ask("POST", f"/channels/{channel.id}/messages", body)
    assert fake.violations == []
    return said


@refuses(400, 50083)
async def an_edit_in_an_archived_thread(fake: Discord, ask: Asking, channel: Channel, alice: Person) -> Said:
    thread = await _thread(ask, channel)
    message = await ask.says(fake.channel(thread), content="x")
    fake.channel(thread).archive()
    said = await ask("PATCH", f"/channels/{thread}/messages/{message['id']}", {"content": "y"})
    assert await ask("PATCH", f"/channels/{thread}", {"archived": False}) == (200, None)
    assert await ask("PATCH", f"/channels/{thread}/messages/{message['id']}", {"content": "y"}) == (200, None)
    await asyncio.sleep(0)
    return said


@refuses(400, 50109)
async def a_body_that_is_no_json(fake: Discord, ask: Asking, channel: Channel, alice: Person) -> Said:
    return await ask("POST", f"/channels/{channel.id}/messages", data=b"{", skip_auto_headers=[])


@refuses(400, 160002)
async def a_reply_without_the_right_to_read(fake: Discord, ask: Asking, channel: Channel, alice: Person) -> Said:
    said = await alice.says(channel, "x")
    channel.denies("READ_MESSAGE_HISTORY")
    body = {"content": "x", "message_reference": {"message_id": said["id"]}}
    return await ask("POST", f"/channels/{channel.id}/messages", body)


@refuses(400, 160004)
async def a_second_thread_at_a_message(fake: Discord, ask: Asking, channel: Channel, alice: Person) -> Said:
    said = await alice.says(channel, "x")
    path = f"/channels/{channel.id}/messages/{said['id']}/threads"
    await ask("POST", path, {"name": "t"})
    return await ask("POST", path, {"name": "t"})


@refuses(400, 160005)
async def opening_a_locked_thread(fake: Discord, ask: Asking, channel: Channel, alice: Person) -> Said:
    thread = await _thread(ask, channel)
    channel.denies("MANAGE_THREADS")
    fake.channel(thread).archive(locked=True)
    return await ask("PATCH", f"/channels/{thread}", {"archived": False})


@refuses(400, 160006)
async def one_thread_too_many(fake: Discord, ask: Asking, channel: Channel, alice: Person) -> Said:
    for number in range(threads.ACTIVE):
        made = Channel(fake.world, str(number), "t", 11, channel.guild, channel)
        channel.guild.channels.append(made)
    return await ask("POST", f"/channels/{channel.id}/threads", {"name": "t", "type": 11})


async def _thread(ask: Asking, channel: Channel) -> str:
    assert await ask("POST", f"/channels/{channel.id}/threads", {"name": "thread", "type": 12}) == (201, None)
    return str(ask.body["id"])


BLAMED = (30032, 40005, 50006, 50024, 50035, 50109)  # these are the asker's own fault, and violations


@pytest.mark.parametrize("name", SCENES)
async def test_discords_code_is_given_for(name: str, fake: Discord, ask: Asking, channel: Channel, alice: Person) -> None:
    expected, scene = SCENES[name]

    said = await scene(fake, ask, channel, alice)

    assert said == expected
    if "gone" not in name:
        assert bool(fake.violations) == (expected[1] in BLAMED)
    fake.violations.clear()


def test_at_least_thirty_codes_are_tried() -> None:
    assert len({code for (_, code), _ in SCENES.values()}) >= 30
