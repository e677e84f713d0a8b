"""Dialogs of the fake Slack: opened in three seconds, filled in, sent in, sent back, stacked and closed."""

from typing import Any

import pytest

from tests.fakes.slack.delivery import Heard
from tests.fakes.slack.library import App, connected
from tests.fakes.slack.people import Person
from tests.fakes.slack.server import Slack
from tests.fakes.slack.state import Channel, Json


def plain(text: str) -> Json:
    return {"type": "plain_text", "text": text}


def option(value: str) -> Json:
    return {"text": plain(value), "value": value}


def asks(name: str, kind: str, *, optional: bool = False, **more: Any) -> Json:
    element = {"type": kind, "action_id": "value"} | more
    return {"type": "input", "block_id": name, "label": plain(name), "element": element, "optional": optional}


FORM = {
    "type": "modal",
    "callback_id": "form",
    "title": plain("Form"),
    "submit": plain("Send"),
    "private_metadata": '{"draft": "d1"}',
    "blocks": [
        asks("name", "plain_text_input", initial_value="old", max_length=10),
        asks("kind", "static_select", options=[option("a"), option("b")], initial_option=option("a")),
        asks("checks", "checkboxes", options=[option("x"), option("y")], optional=True),
        asks("file", "file_input", max_files=1, filetypes=["yaml"], optional=True),
    ],
}


async def shown(fake: Slack, app: App, channel: Channel, alice: Person, view: Json = FORM) -> Heard:
    """A dialog that a command has opened."""
    heard = await alice.command(channel, "/lab")
    client = app.client
    client.token = alice.team.bot_token
    await client.views_open(trigger_id=heard.trigger_id, view=view)
    return heard


async def test_a_dialog_is_sent_in_with_what_was_typed_and_what_was_there(fake: Slack, channel: Channel, alice: Person) -> None:
    app = App(fake)
    async with connected(fake, app):
        opened = await shown(fake, app, channel, alice)
        heard = await alice.submits(opened, {"name": "new", "checks": ["y"], "file": [("q.yaml", b"a: 1")]})
        await heard.done.wait()

    view = app.bodies[-1]["view"]
    values = {name: one["value"] for name, one in view["state"]["values"].items()}
    assert values["name"]["value"] == "new" and values["kind"]["selected_option"]["value"] == "a"
    assert [one["value"] for one in values["checks"]["selected_options"]] == ["y"]
    assert values["file"]["files"][0]["name"] == "q.yaml"
    assert view["private_metadata"] == '{"draft": "d1"}' and fake.views(alice) == []


async def test_a_client_holds_back_what_is_empty_or_too_long_or_not_offered(
    fake: Slack, channel: Channel, alice: Person
) -> None:
    app = App(fake)
    async with connected(fake, app):
        opened = await shown(fake, app, channel, alice)
        for values, error in (
            ({"name": ""}, ValueError),
            ({"name": "x" * 11}, ValueError),
            ({"kind": "c"}, LookupError),
            ({"no such": "x"}, LookupError),
            ({"file": [("a", b""), ("b", b"")]}, ValueError),
        ):
            with pytest.raises(error):
                await alice.submits(opened, values)
        await opened.done.wait()


async def test_a_field_that_is_wrong_is_shown_and_the_dialog_stays(fake: Slack, channel: Channel, alice: Person) -> None:
    app = App(fake)
    app.wants["view_submission"] = {"response_action": "errors", "errors": {"name": "taken"}}
    async with connected(fake, app):
        opened = await shown(fake, app, channel, alice)
        heard = await alice.submits(opened, {"name": "new"})
        await heard.done.wait()

        assert fake.views(alice)[0]["errors"] == {"name": "taken"} and not heard.error
        app.wants.clear()
        again = await alice.submits(opened, {"kind": "b"})
        await again.done.wait()

    values = app.bodies[-1]["view"]["state"]["values"]
    assert values["name"]["value"]["value"] == "new"  # what was typed is there still


async def test_a_dialog_is_changed_pushed_and_cleared_by_the_answer_to_it(fake: Slack, channel: Channel, alice: Person) -> None:
    app = App(fake)
    next_ = FORM | {"title": plain("Next")}
    async with connected(fake, app):
        opened = await shown(fake, app, channel, alice)
        app.wants["view_submission"] = {"response_action": "update", "view": next_}
        heard = await alice.submits(opened, {"name": "new"})
        await heard.done.wait()
        assert [one["title"]["text"] for one in fake.views(alice)] == ["Next"]
        assert heard.view is not None and heard.view["state"]["values"]["name"]["value"]["value"] == "new"

        app.wants["view_submission"] = {"response_action": "push", "view": FORM}
        heard = await alice.submits(heard, {})
        await heard.done.wait()
        assert [one["title"]["text"] for one in fake.views(alice)] == ["Next", "Form"]

        app.wants["view_submission"] = {"response_action": "clear"}
        heard = await alice.submits(heard, {})
        await heard.done.wait()
        assert fake.views(alice) == []


@pytest.mark.parametrize(
    "said",
    [
        {"response_action": "errors", "errors": {"no such": "x"}},
        {"response_action": "update", "view": {"type": "modal", "blocks": []}},
    ],
)
async def test_an_answer_that_slack_would_not_take_is_an_error_and_a_violation(
    fake: Slack, channel: Channel, alice: Person, said: Json
) -> None:
    app = App(fake)
    app.wants["view_submission"] = said
    async with connected(fake, app):
        opened = await shown(fake, app, channel, alice)
        heard = await alice.submits(opened, {})
        await heard.done.wait()

    assert heard.error == "dispatch_failed" and "the ack of a view" in fake.violations.pop()


async def test_closing_tells_only_who_wants_to_know(fake: Slack, channel: Channel, alice: Person) -> None:
    app = App(fake)
    async with connected(fake, app):
        opened = await shown(fake, app, channel, alice)
        assert await alice.closes(opened) is None
        opened = await shown(fake, app, channel, alice, FORM | {"notify_on_close": True})
        heard = await alice.closes(opened)
        assert heard is not None
        await heard.acked.wait()

    assert app.bodies[-1]["type"] == "view_closed" and app.bodies[-1]["view"]["private_metadata"] == '{"draft": "d1"}'


async def test_a_button_in_a_dialog_has_a_trigger_but_no_address_to_answer_at(
    fake: Slack, channel: Channel, alice: Person
) -> None:
    button = {"type": "button", "action_id": "more", "value": "1", "text": plain("More")}
    app = App(fake)
    async with connected(fake, app):
        opened = await shown(fake, app, channel, alice, FORM | {"blocks": [{"type": "actions", "elements": [button]}]})
        heard = await alice.presses(opened, "more")
        await app.client.views_push(trigger_id=heard.trigger_id, view=FORM)
        await heard.acked.wait()

    assert heard.view is not None and heard.view["previous_view_id"] == opened.view_id
    assert "response_url" not in app.bodies[-1] and app.bodies[-1]["container"]["type"] == "view"
