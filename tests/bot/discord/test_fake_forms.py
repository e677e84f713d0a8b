"""Forms at their limits and past them in the fake Discord; and that it reads Discord's OpenAPI file as jsonschema does."""

import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any
from urllib.parse import quote

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from tests.fakes.discord import oracle
from tests.fakes.discord.asking import Asking, Said
from tests.fakes.discord.people import Person
from tests.fakes.discord.server import Discord
from tests.fakes.discord.state import Channel, Json

V2 = 1 << 15


def button(id: str, **more: Any) -> Json:
    return {"type": 2, "style": 2, "label": "x", "custom_id": id} | more


def row(*parts: Json) -> Json:
    return {"type": 1, "components": list(parts)}


def text(content: str) -> Json:
    return {"type": 10, "content": content}


def select(count: int) -> Json:
    return {"type": 3, "custom_id": "s", "options": [{"label": f"{at}", "value": f"{at}"} for at in range(count)]}


def rows(count: int) -> list[Json]:
    return [row(button(str(at))) for at in range(count)]


FITS = {
    "content": {"content": "x" * 2000},
    "emoji": {"content": "😀" * 1000},
    "rows": {"content": "x", "components": rows(5)},
    "buttons": {"components": [row(*(button(str(at)) for at in range(5)))]},
    "parts": {"flags": V2, "components": [text("x") for _ in range(40)]},
    "text": {"flags": V2, "components": [text("x" * 2000), text("y" * 2000)]},
    "options": {"components": [row(select(25))]},
    "label": {"components": [row(button("a" * 100, label="x" * 80))]},
    "nonce": {"content": "x", "nonce": "n" * 25},
}
TOO_MUCH = {
    "content: BASE_TYPE_MAX_LENGTH": {"content": "x" * 2001},
    "content: BASE_TYPE_MAX_LENGTH ": {"content": "😀" * 1000 + "x"},
    "components: BASE_TYPE_MAX_LENGTH": {"content": "x", "components": rows(6)},
    "components.0.components: BASE_TYPE_BAD_LENGTH": {"components": [row(*(button(str(at)) for at in range(6)))]},
    "components: COMPONENT_MAX_TOTAL_COMPONENTS_EXCEEDED": {
        "flags": V2,
        "components": [{"type": 17, "components": [text("x")] * 39}, text("x")],
    },
    "components: COMPONENT_DISPLAYABLE_TEXT_SIZE_EXCEEDED": {"flags": V2, "components": [text("x" * 2000), text("y" * 2001)]},
    "content: MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2": {"flags": V2, "content": "x", "components": [text("x")]},
    "components.0.type: UNION_TYPE_CHOICES": {"components": [text("x")]},
    "components.0.components.1.custom_id: COMPONENT_CUSTOM_ID_DUPLICATED": {"components": [row(button("a"), button("a"))]},
    "components.0.components.0.custom_id: BASE_TYPE_BAD_LENGTH": {"components": [row(button("a" * 101))]},
    "components.0.components.0.label: BASE_TYPE_MAX_LENGTH": {"components": [row(button("a", label="x" * 81))]},
    "components.0.components: COMPONENT_LAYOUT_WIDTH_EXCEEDED": {"components": [row(select(2), button("a"))]},
    "components.0.components.0.options: BASE_TYPE_BAD_LENGTH": {"components": [row(select(26))]},
    "nonce: BASE_TYPE_MAX_LENGTH": {"content": "x", "nonce": "n" * 26},
    "components.0.url: UNFURLED_MEDIA_ITEM_REFERENCED_ATTACHMENT_NOT_FOUND": {
        "flags": V2,
        "components": [{"type": 13, "file": {"url": "attachment://a.yaml"}}],
    },
    "attachments.0.id: ATTACHMENT_NOT_FOUND": {"content": "x", "attachments": [{"id": "7"}]},
    "embeds: MAX_EMBED_SIZE_EXCEEDED": {"embeds": [{"description": "x" * 4000}, {"description": "x" * 2001}]},
}


@pytest.mark.parametrize("name", FITS)
async def test_at_the_limit_a_message_is_taken(name: str, ask: Asking, channel: Channel) -> None:
    assert await ask("POST", f"/channels/{channel.id}/messages", FITS[name]) == (200, None)


@pytest.mark.parametrize("field", TOO_MUCH)
async def test_past_the_limit_the_field_is_named(field: str, fake: Discord, ask: Asking, channel: Channel) -> None:
    if oracle.oracle() is None and "BASE_TYPE" in field and not field.startswith(("content", "components:")):
        pytest.skip("the OpenAPI file, which has this limit, is not beside the checkout")

    said = await ask("POST", f"/channels/{channel.id}/messages", TOO_MUCH[field])

    assert (said, field.strip() in ask.fields) == ((400, 50035), True), ask.fields
    assert fake.violations != []
    fake.violations.clear()


PART = {"type": 18, "label": "T", "component": {"type": 4, "custom_id": "t", "style": 1}}


@pytest.mark.parametrize(("count", "said"), [(5, (204, None)), (6, (400, 50035))])
async def test_a_dialog_has_five_parts(
    fake: Discord, ask: Asking, channel: Channel, alice: Person, count: int, said: Said
) -> None:
    heard = await alice.slash(channel, "edit")
    parts = [deepcopy(PART) for _ in range(count)]
    for at, one in enumerate(parts):
        one["component"]["custom_id"] = str(at)
    modal = {"custom_id": "m", "title": "M", "components": parts}

    assert await ask("POST", f"/interactions/{heard.id}/{heard.token}/callback", {"type": 9, "data": modal}) == said
    fake.violations.clear()


async def test_what_answers_what_is_checked(fake: Discord, ask: Asking, channel: Channel, alice: Person) -> None:
    command = await alice.slash(channel, "edit")
    path = f"/interactions/{command.id}/{command.token}/callback"
    update = await ask("POST", path, {"type": 6})
    choices = await ask("POST", path, {"type": 8, "data": {"choices": []}})
    await ask("POST", path, {"type": 9, "data": {"custom_id": "m", "title": "M", "components": [PART]}})
    sent = await alice.submits(command, {"t": "x"})
    again = {"type": 9, "data": {"custom_id": "m", "title": "M", "components": [PART]}}
    modal = await ask("POST", f"/interactions/{sent.id}/{sent.token}/callback", again)

    assert [update, choices, modal] == [(400, 50035)] * 3
    fake.violations.clear()


async def test_a_card_stays_one(fake: Discord, ask: Asking, channel: Channel) -> None:
    card = await ask.says(channel, flags=V2, components=[text("x")])
    path = f"/channels/{channel.id}/messages/{card['id']}"
    unset = await ask("PATCH", path, {"flags": 0})
    mixed = await ask("PATCH", path, {"content": "x"})
    fake.violations.clear()

    assert [unset, mixed] == [(400, 50035)] * 2
    assert await ask("PATCH", path, {"components": [text("y")]}) == (200, None)


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ({"name": "Open", "description": "x"}, "0.name: APPLICATION_COMMAND_INVALID_NAME"),
        ({"name": "öffnen", "description": "x"}, ""),
        ({"name": "two words", "description": "x"}, "0.name: APPLICATION_COMMAND_INVALID_NAME"),
        ({"name": "open"}, "0.description: BASE_TYPE_REQUIRED"),
        ({"name": "open", "description": "x" * 101}, "0.description: BASE_TYPE_MAX_LENGTH"),
        ({"name": "Ask this", "type": 3}, ""),
        ({"name": "Ask this", "type": 3, "description": "x"}, "0.description: APPLICATION_COMMAND_INVALID_DESCRIPTION"),
    ],
)
async def test_commands_are_checked(fake: Discord, ask: Asking, command: Json, code: str) -> None:
    if oracle.oracle() is None and "MAX_LENGTH" in code:
        pytest.skip("the OpenAPI file, which has this limit, is not beside the checkout")

    await ask("PUT", f"/applications/{fake.application_id}/commands", [command])

    assert (ask.fields if code else ask.body[0]["name"]) == ([code] if code else command["name"])
    fake.violations.clear()


async def test_a_field_that_discord_does_not_know_is_a_violation(fake: Discord, ask: Asking, channel: Channel) -> None:
    if oracle.oracle() is None:
        pytest.skip("the OpenAPI file is not beside the checkout")

    assert await ask("POST", f"/channels/{channel.id}/messages", {"content": "x", "componets": []}) == (200, None)
    assert fake.violations == [f"POST /channels/{channel.id}/messages: componets: UNKNOWN: no such field"]
    fake.violations.clear()


async def test_without_the_openapi_file_the_limits_are_checked_alone(
    fake: Discord, ask: Asking, channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.fakes.discord.server.oracle", lambda: None)

    assert await ask("POST", f"/channels/{channel.id}/messages", {"content": "x"}) == (200, None)
    assert await ask("POST", f"/channels/{channel.id}/messages", {"content": "x" * 2001}) == (400, 50035)
    fake.violations.clear()


def changed(value: Any) -> list[Any]:
    """The value with one thing wrong or missing somewhere, once for each place."""
    found: list[Any] = [None, "x" * 5000, -1, {}, [], True]
    if isinstance(value, dict):
        for key, inner in value.items():
            found += [{**value, key: one} for one in changed(inner)]
            found.append({name: one for name, one in value.items() if name != key})
    if isinstance(value, list) and value:
        found += [[*value[:-1], one] for one in changed(value[-1])]
        found.append(value * 50)
    return found


def judged(told: Json) -> Callable[[str], Draft202012Validator]:
    """A validator of the jsonschema package for what stands at a pointer in the OpenAPI file."""
    registry = Registry().with_resource("discord:", Resource.from_contents(told, default_specification=DRAFT202012))
    return lambda pointer: Draft202012Validator({"$ref": f"discord:#{quote(pointer)}"}, registry=registry)


@pytest.mark.skipif(oracle.oracle() is None, reason="the OpenAPI file is not beside the checkout")
async def test_what_the_fake_answers_is_as_jsonschema_reads_the_file(
    fake: Discord, ask: Asking, channel: Channel, alice: Person
) -> None:
    at, guild = judged(json.loads(oracle.FILE.read_bytes())), channel.guild
    message = await ask.says(channel, content="x", components=[row(button("a"))])
    heard = await alice.slash(channel, "status")
    dialog = {"type": 4, "data": {"content": "x"}}
    calls = [
        ("GET", "/users/@me", "/users/@me", None),
        ("GET", "/applications/@me", "/applications/@me", None),
        ("GET", "/gateway/bot", "/gateway/bot", None),
        ("GET", "/channels/{channel_id}", f"/channels/{channel.id}", None),
        ("GET", "/channels/{channel_id}/messages", f"/channels/{channel.id}/messages?limit=5", None),
        ("POST", "/channels/{channel_id}/threads", f"/channels/{channel.id}/threads", {"name": "t", "type": 11}),
        ("POST", "/users/@me/channels", "/users/@me/channels", {"recipient_id": alice.id}),
        ("GET", "/guilds/{guild_id}/threads/active", f"/guilds/{guild.id}/threads/active", None),
        ("GET", "/guilds/{guild_id}/members/{user_id}", f"/guilds/{guild.id}/members/{alice.id}", None),
        (
            "POST",
            "/interactions/{interaction_id}/{interaction_token}/callback",
            f"/interactions/{heard.id}/{heard.token}/callback?with_response=true",
            dialog,
        ),
    ]
    wrong = []
    for method, route, path, body in calls:
        status, _ = await ask(method, path, body)
        place = f"/paths/{route.replace('/', '~1')}/{method.lower()}/responses/{status}/content/application~1json/schema"
        wrong += [(route, error.message) for error in at(place).iter_errors(ask.body)]

    assert at("/components/schemas/MessageResponse").is_valid(message)
    assert wrong == []


@pytest.mark.skipif(oracle.oracle() is None, reason="the OpenAPI file is not beside the checkout")
def test_the_oracle_says_what_jsonschema_says() -> None:
    """The package is the judge of the compiled checks: they agree on what is valid, whatever is changed in a request."""
    told = json.loads(oracle.FILE.read_bytes())
    judge = oracle.Oracle(told)
    options = {"type": 3, "custom_id": "s", "options": [{"label": "a", "value": "a"}], "placeholder": "x"}
    card = {"type": 17, "accent_color": 5, "components": [text("x"), row(button("a"), button("b", emoji={"name": "x"}))]}
    message = {"content": "x", "flags": 4, "nonce": "n", "allowed_mentions": {"parse": []}}
    modal = {"custom_id": "m", "title": "M", "components": [PART]}
    cases = [
        ("MessageCreateRequest", message | {"components": [card, row(options)]}),
        ("ModalInteractionCallbackRequest", {"type": 9, "data": modal}),
        ("ApplicationCommandUpdateRequest", {"name": "a", "description": "x", "options": None, "contexts": [0]}),
        ("UpdateThreadRequestPartial", {"archived": False, "name": "x"}),
    ]
    disagreed = []
    for name, right in cases:
        validator = judged(told)(f"/components/schemas/{name}")
        for value in [right, *changed(right)]:
            ours = not [flaw for flaw in judge.thing(name, value) if not flaw.soft]
            if ours != validator.is_valid(value):
                disagreed.append((name, value, ours))

    assert disagreed == []
