"""What the fake Slack holds requests, answers, events and blocks against, and that each of these bites."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.fakes.slack import blocks, oracle, text
from tests.fakes.slack.asking import Asking
from tests.fakes.slack.people import Person
from tests.fakes.slack.server import Slack
from tests.fakes.slack.state import Channel, Json
from tests.fakes.slack.web import KNOWN

beside = pytest.mark.skipif(not oracle.FOLDER.exists(), reason="Slack's reference is not beside the checkout")


@pytest.fixture
def judge() -> oracle.Oracle:
    found = oracle.oracle()
    assert found is not None
    return found


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No reference beside the checkout."""
    monkeypatch.setattr(oracle, "FOLDER", tmp_path / "none")
    oracle.oracle.cache_clear()
    yield
    oracle.oracle.cache_clear()


@beside
def test_every_method_of_the_fake_is_in_the_reference(judge: oracle.Oracle) -> None:
    assert [name for name in KNOWN if judge.method(name) is None] == []


@beside
@pytest.mark.parametrize(
    "method, args, said",
    [
        ("chat.postMessage", {"text": "x"}, "[ERROR] missing required field: channel"),
        ("chat.postMessage", {"channel": "C1", "unfurl_links": "perhaps"}, "[ERROR] must be a boolean"),
        ("chat.postMessage", {"channel": 5}, "[ERROR] must be a string"),
        ("conversations.replies", {"channel": "C1", "ts": "1.1", "limit": "many"}, "[ERROR] must be a number"),
        ("chat.appendStream", {"channel": "C1", "ts": "1.1", "chunks": "x"}, "[ERROR] must be an array"),
        (
            "assistant.threads.setStatus",
            {"channel_id": "C1", "thread_ts": "1.1", "status": "", "loading_messages": ["x"] * 11},
            "[ERROR] 1 to 10 items allowed",
        ),
        (
            "assistant.threads.setStatus",
            {"channel_id": "C1", "thread_ts": "1.1", "status": "", "loading_messages": ["x" * 51]},
            "[ERROR] must be less than 51 characters",
        ),
        ("chat.delete", {"channel": "C1", "ts": "1.1", "loud": True}, "no such argument: loud"),
    ],
)
def test_a_request_is_held_against_its_method(judge: oracle.Oracle, method: str, args: Json, said: str) -> None:
    found = judge.method(method)
    assert found is not None

    flaws = found.request(args)

    assert len(flaws) == 1 and str(flaws[0]).startswith(said)
    assert flaws[0].soft == said.startswith("no such")


@beside
@pytest.mark.parametrize(
    "method, body, said",
    [
        ("chat.postMessage", {"ok": False, "error": "bad_hair"}, "bad_hair is no error of chat.postMessage"),
        ("chat.getPermalink", {"ok": True, "channel": "C1"}, "permalink is promised"),
        ("users.info", {"ok": True, "user": {"id": "U1", "age": 7}}, "/user/age is not there at Slack"),
        ("users.info", {"ok": True, "user": {"id": 7}}, "/user/id is a number, not a text"),
    ],
)
def test_an_answer_is_held_against_recorded_ones(judge: oracle.Oracle, method: str, body: Json, said: str) -> None:
    assert judge.answer(method, body) == [said]


@beside
@pytest.mark.parametrize(
    "event, said",
    [
        ({"type": "message", "text": 7}, "/text is a number, not a text"),
        ({"type": "app_mention", "mood": "good"}, "/mood is not there at Slack"),
        ({"type": "app_was_petted"}, "there is no event app_was_petted"),
    ],
)
def test_an_event_is_held_against_recorded_ones(judge: oracle.Oracle, event: Json, said: str) -> None:
    assert judge.event(event) == [said]


def words(text: str = "x") -> Json:
    return {"type": "plain_text", "text": text}


def button(text: str = "x", **more: Any) -> Json:
    return {"type": "button", "action_id": "a", "text": words(text)} | more


def select(count: int) -> Json:
    options = [{"text": words(f"{one}"), "value": f"{one}"} for one in range(count)]
    return {"type": "static_select", "action_id": "s", "options": options}


def acts(*elements: Json) -> Json:
    return {"type": "actions", "elements": list(elements)}


RICH = {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": [{"type": "text", "text": "x"}]}]}
SOUND = [
    {"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3000}, "accessory": button()},
    {"type": "section", "fields": [{"type": "mrkdwn", "text": "x" * 2000}] * 5},
    {"type": "header", "text": words("x" * 150)},
    {"type": "divider"},
    {"type": "markdown", "text": "x" * 12_000},
    {"type": "context", "elements": [{"type": "mrkdwn", "text": "x"}] * 10},
    {"type": "context", "elements": [{"type": "image", "image_url": "https://a.b/c.png", "alt_text": "x"}]},
    {"type": "image", "image_url": "https://a.b/c.png", "alt_text": "x", "title": words()},
    {"type": "image", "slack_file": {"id": "F0123ABCD"}, "alt_text": "x"},
    acts(button("x" * 75, value="x" * 2000, style="danger")),
    acts(button(confirm={"title": words(), "text": words(), "confirm": words(), "deny": words()})),
    acts(select(100) | {"placeholder": words("x" * 150)}),
    {
        "type": "context_actions",
        "elements": [
            {
                "type": "feedback_buttons",
                "positive_button": {"text": words(), "value": "1"},
                "negative_button": {"text": words(), "value": "2"},
            },
        ],
    },
    {"type": "table", "rows": [[{"type": "raw_text", "text": "x"}] * 20] * 100, "column_settings": [{"align": "right"}]},
    {"type": "table", "rows": [[RICH]]},
    RICH,
    {
        "type": "rich_text",
        "elements": [
            {"type": "rich_text_list", "style": "bullet", "elements": RICH["elements"]},
            {"type": "rich_text_preformatted", "elements": [{"type": "text", "text": "x"}]},
            {"type": "rich_text_quote", "elements": [{"type": "link", "url": "https://a.b", "text": "x"}]},
        ],
    },
]
UNSOUND = [
    {"type": "section"},
    {"type": "section", "text": {"type": "mrkdwn", "text": ""}},
    {"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3001}},
    {"type": "section", "text": {"type": "mrkdwn", "text": "x", "size": 7}},
    {"type": "section", "fields": [{"type": "mrkdwn", "text": "x"}] * 11},
    {"type": "section", "text": words(), "colour": "red"},
    {"type": "section", "text": words(), "block_id": "x" * 256},
    {"type": "header", "text": words("x" * 151)},
    {"type": "header", "text": {"type": "mrkdwn", "text": "x"}},
    {"type": "header"},
    {"type": "markdown", "text": "x" * 12_001},
    {"type": "context", "elements": [{"type": "mrkdwn", "text": "x"}] * 11},
    {"type": "image", "image_url": "https://a.b/c.png", "alt_text": "x" * 2001},
    {"type": "poem", "text": words()},
    {"type": "alert", "text": words()},
    acts(button("x" * 76)),
    acts(button(value="x" * 2001)),
    acts(button(action_id="x" * 256)),
    acts({"type": "button", "action_id": "a", "text": {"type": "mrkdwn", "text": "x"}}),
    acts(button(), button()),
    acts(*[button(action_id=f"{one}") for one in range(26)]),
    acts(select(101)),
    acts(select(0)),
    acts({"type": "slider"}),
    {"type": "context_actions", "elements": [button()]},
    {"type": "table", "rows": [[{"type": "raw_text", "text": "x"}]] * 101},
    {"type": "table", "rows": [[{"type": "raw_text", "text": "x"}] * 21]},
    {"type": "table", "rows": [[words()]]},
    {"type": "table", "rows": [[{"type": "raw_text", "text": ""}]]},
    {"type": "table", "rows": [[{"type": "raw_text", "text": "x" * 2001}] * 5]},
    {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": [{"type": "song"}]}]},
    "not a block",
]


@pytest.mark.parametrize("block", SOUND, ids=lambda one: one["type"])
def test_a_block_at_its_limits_is_taken(block: Json) -> None:
    assert blocks.of_message([block]) == []


@pytest.mark.parametrize("block", UNSOUND, ids=lambda one: one["type"] if isinstance(one, dict) else one)
def test_a_block_past_its_limits_is_refused_with_where(block: Json) -> None:
    found = blocks.of_message([block])

    assert len(found) == 1 and found[0].startswith("[ERROR] ") and "[json-pointer:/blocks" in found[0]


INPUT = {"type": "input", "label": words(), "element": {"type": "plain_text_input", "action_id": "value"}}
MODAL: Json = {"type": "modal", "title": words(), "submit": words(), "blocks": [INPUT]}


@pytest.mark.parametrize(
    "more",
    [
        {"title": words("x" * 25)},
        {"submit": words("x" * 25)},
        {"submit": None},
        {"private_metadata": "x" * 3001},
        {"callback_id": "x" * 256},
        {"blocks": [INPUT] * 101},
        {"blocks": [{"type": "markdown", "text": "x"}]},
        {"blocks": [INPUT | {"element": INPUT["element"] | {"max_length": 3001}}]},
        {"blocks": [INPUT | {"element": button()}]},
        {"title": {"type": "mrkdwn", "text": "x"}},
        {"tilte": words()},
        {"type": "window"},
    ],
)
def test_a_dialog_that_is_not_as_it_should_be_is_refused(more: Json) -> None:
    assert blocks.of_view(MODAL) == []

    assert blocks.of_view({key: value for key, value in (MODAL | more).items() if value is not None}) != []


def test_whom_a_text_mentions_is_found_only_where_it_acts() -> None:
    assert text.mentioned("<@U1> <!here> <!subteam^S1|x> &lt;!channel&gt; @channel <#C1>") == [
        ("user", "U1"),
        ("broadcast", "here"),
        ("usergroup", "S1"),
    ]
    assert text.mentioned("@channel", loud=True) == [("broadcast", "channel")]
    rich = {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": [{"type": "user", "user_id": "U2"}]}]}
    assert text.in_blocks([{"type": "section", "text": words("<!channel>")}, rich]) == [("user", "U2")]


async def test_without_the_reference_the_limits_hold_still(alone: None) -> None:
    async with Slack() as fake:
        team = fake.team("lab")
        alice, channel = team.user("alice"), team.channel("general")
        await alice.says(channel, "x", mention=True)
        async with aiohttp.ClientSession() as session:
            ask = Asking(fake, team, session)
            assert await ask("chat.postMessage", channel=channel.id, text="x") == ""
            assert await ask("chat.postMessage", channel=channel.id, text="") == "no_text"
            assert await ask("users.info") == "user_not_found"
            assert await ask("conversations.replies", channel=channel.id) == "invalid_arguments"

    assert len(fake.violations) == 2


async def test_what_is_no_argument_is_taken_and_noted(fake: Slack, ask: Asking, channel: Channel, alice: Person) -> None:
    if oracle.oracle() is None:
        pytest.skip("Slack's reference is not beside the checkout")
    assert await ask("chat.postMessage", channel=channel.id, text="x", loud=True) == ""
    assert fake.violations == ["chat.postMessage: no such argument: loud"]
    assert fake.requests[-1].violations == ["no such argument: loud"]
    fake.violations.clear()


async def test_a_reply_to_a_reply_goes_to_the_parent_and_is_noted(
    fake: Slack, ask: Asking, channel: Channel, alice: Person
) -> None:
    fake.hold()
    root = await alice.says(channel, "x")
    reply = await alice.says(channel, "y", thread=root)
    said = await ask.says(channel, text="z", thread_ts=reply["ts"])

    assert said["thread_ts"] == root["ts"]
    assert "is of a reply" in fake.violations.pop()
