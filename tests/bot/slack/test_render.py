"""What Slack is sent: whatever talk allows fits and is valid, reads as the terminal's text, and notifies nobody else."""

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core import talk
from bot.core.talk import Answer, Attached, Button, Card, Choice, Code, Dialog, Field, Steps, Text
from bot.platforms.slack import limits
from bot.platforms.slack.filled import values
from bot.platforms.slack.render import (
    CHOICE,
    EXCERPT,
    INLINE,
    PIECES,
    SHOWN,
    TEXT,
    Payload,
    answer,
    card,
    controls,
    dialog,
    errors,
    home,
    loading,
)
from bot.platforms.terminal.render import answer_lines, card_lines, dialog_lines
from bot.split import size
from tests.bot.drawn import BUTTONS, LINE, NAMES, PLAIN_ROWS, cards, dialogs, plain_cards, plain_fields, plain_texts
from tests.fakes.slack_blocks import problems, text_length, view_problems
from tests.fakes.slack_view import dialog_text, plain, text_of

Json = dict[str, Any]

# --- what talk allows

ANY = st.text(st.characters(codec="utf-8"), max_size=300) | st.text("ab*_`~|<>@#[]()\\\n- 1.&é👩‍👧", max_size=600)
NASTY = st.sampled_from(
    (
        "<!channel> @here <@U1> <#C1> <!subteam^S1> <!date^0^{date}|x>",
        "# a\n## b\n> c\n- # d\n===\n---",
        "~~a~~ __b__ _c_ *d* ***e*** **f**",
        "[here](https://evil.example) [https://good.example](https://evil.example) <https://a.example/x_y_z>",
        "```py\n<!channel>\n```\n~~~\n```\n~~~",
        "| a | b |\n|---|---|\n| c |  |\n\n| d |\n|---|\n| e |",
        "&" * 3000,
        "*" * 3000,
        "x" * 3000,
    )
)
WRITTEN = ANY | NASTY
CARDS = cards(ANY, WRITTEN)
THUMBS = (Button("👍", "chat.good|7.1"), Button("👎", "chat.bad|7.1"))
ANSWERS = st.builds(
    Answer,
    text=st.builds(str.__mul__, WRITTEN.filter(bool), st.sampled_from((1, 2, 8, 30))),
    buttons=st.builds(
        lambda before, thumbs, after: (*before, *thumbs, *after),
        st.lists(BUTTONS, max_size=4),
        st.sampled_from((THUMBS, ())),
        st.lists(BUTTONS, max_size=4),
    ),
)
DIALOGS = dialogs(WRITTEN)
ERRORS = st.dictionaries(NAMES, WRITTEN, max_size=5)


# --- what Slack allows


def wrong(payload: Payload) -> list[str]:
    """What Slack would refuse of a message, and what we promise beyond it."""
    body, found = payload.json, problems(payload.json["blocks"])
    rules = {
        "text": 0 < len(body["text"]) <= 1000 and not re.search("[<>]", body["text"]),
        "total": text_length(body["blocks"]) <= limits.TOTAL,
        "previews": body["unfurl_links"] is False and body["unfurl_media"] is False,
        "files": all(name.strip() and isinstance(data, bytes) for name, data in payload.files),
    }
    return found + [name for name, held in rules.items() if not held]


def mentions(payload: Payload) -> list[str]:
    """Whom the sections of a message notify."""
    texts = [one["text"] for one in payload.json["blocks"] if one["type"] == "section"]
    return [found for text in texts if text["type"] == "mrkdwn" for found in re.findall(r"<[@#!][^>]*>", text["text"])]


def controls_of(payload: Payload) -> list[Json]:
    return [one for one in payload.json["blocks"] if one["type"] in ("actions", "context_actions")]


@settings(max_examples=60)
@given(CARDS, st.sampled_from(("", "U012ABC")))
def test_every_card_is_a_message_that_slack_takes(made: Card, ping: str) -> None:
    payload = card(made, ping=ping)

    assert wrong(payload) == []
    assert mentions(payload) == ([f"<@{ping}>"] if ping else [])


@settings(max_examples=50)
@given(ANSWERS, st.sampled_from(("", "U012ABC")))
def test_every_answer_is_messages_that_slack_takes(made: Answer, ping: str) -> None:
    payloads = answer(made, ping=ping)

    assert [wrong(payload) for payload in payloads] == [[]] * len(payloads)
    assert len(payloads) <= PIECES
    assert [bool(controls_of(one)) for one in payloads] == [False] * (len(payloads) - 1) + [bool(made.buttons)]
    assert [mentions(one) for one in payloads] == [[f"<@{ping}>"] if ping else [], *[[]] * (len(payloads) - 1)]


@given(DIALOGS, ERRORS)
def test_every_dialog_is_a_modal_that_slack_takes(made: Dialog, told: dict[str, str]) -> None:
    view = dialog(made, told, private_metadata='{"draft": "12"}')

    assert view_problems(view) == []
    assert [one["block_id"] for one in view["blocks"]] == [one.name for one in made.fields]
    assert {one["element"]["action_id"] for one in view["blocks"]} == {"value"}
    assert view["private_metadata"] == '{"draft": "12"}'


@given(DIALOGS, ERRORS)
def test_what_is_wrong_with_a_dialog_is_said_at_fields_that_it_has(made: Dialog, told: dict[str, str]) -> None:
    said = errors(made, told)

    assert said["response_action"] == "errors"
    assert set(said["errors"]) <= {one.name for one in made.fields}
    assert bool(said["errors"]) == bool(told)


@settings(max_examples=25)
@given(st.lists(CARDS, max_size=6))
def test_whatever_cards_there_are_make_a_home_tab_that_slack_takes(cards: list[Card]) -> None:
    view = home(cards)
    ids = [one["action_id"] for block in view["blocks"] for one in block.get("elements", ()) if "action_id" in one]

    assert view_problems(view) == []
    assert len(set(ids)) == len(ids)
    assert text_length(view["blocks"]) <= limits.VIEW_TEXT


@given(WRITTEN, WRITTEN)
def test_a_view_that_loads_is_one_that_slack_takes(title: str, text: str) -> None:
    assert view_problems(loading(title, text)) == []


# --- limits


def test_a_card_at_every_limit_is_one_message() -> None:
    made = Card(
        "t" * talk.TITLE,
        (*[Text("x" * 345)] * 11, Code("x" * INLINE, "", "f.txt")),
        tuple(Button("b" * talk.LABEL, f"{number:0100}") for number in range(talk.BUTTONS)),
        Choice("c" * talk.LABEL, tuple(Button("o" * talk.LABEL, f"o{number}") for number in range(talk.OPTIONS))),
    )
    payload = card(made, ping="U012ABC")

    assert wrong(payload) == []
    assert payload.files == ()


def test_a_card_whose_text_grows_by_what_must_be_kept_apart_is_cut_and_still_takes_its_buttons() -> None:
    made = Card("t", (Text("&" * 3000), Text("& " * 400)), (Button("B", "b|1"),))
    payload = card(made)

    assert wrong(payload) == []
    assert [one["text"]["text"] for one in payload.json["blocks"] if one["type"] == "section"][-1].endswith("…")
    assert limits.TOTAL - 1200 < text_length(payload.json["blocks"]) <= limits.TOTAL


@pytest.mark.parametrize(("length", "files"), [(INLINE, 0), (INLINE + 1, 1)])
def test_a_code_past_the_limit_is_a_file_below_its_first_lines(length: int, files: int) -> None:
    text = "line\n" * 4 + "x" * (length - 20)
    payload = card(Card("t", (Code(text, "yaml", "qna.yaml"),)))
    (block,) = [one for one in payload.json["blocks"] if one["type"] == "rich_text"]
    shown = block["elements"][1]["elements"][0]["text"]

    assert payload.files == (("qna.yaml", text.encode()),) * files
    assert shown == ("line\n" * EXCERPT[0] + "…" if files else text)


def test_a_whole_file_is_brought_and_none_of_it_shown_and_one_that_is_too_large_is_nothing() -> None:
    payload = card(Card("t", (Attached("report.html", "<p>all</p>", "/runs/k7"), Attached("b.html", "", "/runs/k7"))))

    assert payload.files == (("report.html", b"<p>all</p>"),)
    assert [one["type"] for one in payload.json["blocks"]] == ["header"]


@pytest.mark.parametrize(("length", "count"), [(TEXT, 1), (TEXT + 1, 2)])
def test_an_answer_takes_a_second_message_past_the_limit(length: int, count: int) -> None:
    assert len(answer(Answer("x" * length))) == count


@pytest.mark.parametrize(("length", "files"), [(TEXT * PIECES, 0), (TEXT * PIECES + 1, 1)])
def test_an_answer_past_five_messages_is_a_file_as_a_whole_below_its_last_message(length: int, files: int) -> None:
    made = answer(Answer("x" * length, buttons=(Button("Again", "again|1"),)))
    last = made[-1].json["blocks"][0]["text"]

    assert len(made) == PIECES
    assert [one.files for one in made] == [()] * (PIECES - 1) + [(("answer.md", b"x" * length),) * files]
    assert last == ("x" * SHOWN + "…" if files else "x" * TEXT)
    assert controls_of(made[-1])[0]["elements"][0]["text"]["text"] == "Again"


def test_an_endless_answer_is_there_as_a_whole_whatever_is_shown_of_it() -> None:
    text = "begins" + " " * 200_000 + "ends"
    made = answer(Answer(text))

    assert made[-1].files == (("answer.md", text.encode()),)
    assert text_of(made[0].json).startswith("begins")


def test_the_earlier_messages_of_an_answer_stay_when_it_becomes_a_file() -> None:
    before, after = answer(Answer("word & " * 1500)), answer(Answer("word & " * 2500))

    assert not before[-1].files and after[-1].files
    assert [one.json for one in after[: len(before) - 1]] == [one.json for one in before[:-1]]


@pytest.mark.parametrize("sign", ["**\\a", "\\a", "[", "**", "`", "```\n", "_", "https://", "(", "<", "| ", "- ", "|a|\n|-|\n"])
def test_what_a_model_repeats_for_ever_is_shown_in_time(sign: str) -> None:
    made = answer(Answer("**" + sign * (30_000 // len(sign))))  # read in more than one way it would outlast the stars

    assert made[-1].files


@pytest.mark.parametrize(
    ("count", "kind"), [(1, "static_select"), (2, "radio_buttons"), (10, "radio_buttons"), (11, "static_select")]
)
def test_two_to_ten_options_are_radio_buttons_and_others_a_select(count: int, kind: str) -> None:
    options = tuple((f"v{number}", f"Option {number}") for number in range(count))
    element = dialog(Dialog("t", "t|1", (Field("licence", "Licence", "v0", options=options),), "Save"))["blocks"][0]["element"]

    assert element["type"] == kind
    assert element["initial_option"]["value"] == "v0"
    assert len(element["options"]) == count


# --- as the terminal says it


def normal(text: str) -> str:
    return " ".join(text.split())


PLAIN_TEXTS = plain_texts("abc äß é 123 ?!.,:;()<>#_~|@&\n-", "https://a.example/x_y?a=1&b=2")
PLAIN_CARDS = plain_cards(PLAIN_TEXTS, "abc: äß_*~<>@#&`\n-")


@given(PLAIN_CARDS, st.sampled_from(("", "U123")))
def test_a_card_reads_as_in_the_terminal(made: Card, ping: str) -> None:
    payload = card(made, ping=ping)

    said = " ".join(line.removeprefix("┃ ") for line in card_lines(made))
    assert normal(text_of(payload.json, payload.files)) == normal(said)


@given(PLAIN_TEXTS, PLAIN_ROWS, st.booleans())
def test_an_answer_reads_as_in_the_terminal(text: str, buttons: tuple[Button, ...], thumbs: bool) -> None:
    made = Answer(text, buttons=(*buttons[:2], *(THUMBS if thumbs else ()), *buttons[2:]))
    (payload,) = answer(made)

    assert normal(text_of(payload.json)) == normal(" ".join(answer_lines(made)))


TABLE = "| Name | Size |\n| --- | --- |\n| **a** `b` | 1 < 2 & 3 |\n| x_y | [z](https://a.example/x_y) |"


def test_a_table_is_slacks_own_and_reads_as_in_the_terminal() -> None:
    made = Answer(f"Look:\n\n{TABLE}\n\nSo.", buttons=THUMBS)
    (payload,) = answer(made)

    assert [one["type"] for one in payload.json["blocks"]] == ["markdown", "table", "markdown", "context_actions"]
    assert normal(text_of(payload.json)) == normal(" ".join(answer_lines(made)))


def test_a_message_shows_one_table_as_a_table() -> None:
    (payload,) = answer(Answer(f"{TABLE}\n\nand\n\n{TABLE}"))

    assert wrong(payload) == []
    assert [one["type"] for one in payload.json["blocks"]] == ["table", "markdown"]


def test_a_fence_in_an_answer_reads_as_a_code() -> None:
    (payload,) = answer(Answer("Like this:\n```python\nx = **y**\n```\nSo."))

    assert text_of(payload.json) == "Like this:\n--- \nx = **y**\n---\nSo."


PLAIN_FIELDS = plain_fields(LINE.map(lambda label: label[:45].strip()))


@given(PLAIN_FIELDS, st.booleans())
def test_a_dialog_reads_as_in_the_terminal(fields: tuple[Field, ...], refused: bool) -> None:
    made = Dialog("Example 1", "draft.fill|1", fields, "Save")
    told = {fields[-1].name: "Say **more**."} if refused else {}

    lines = normal("\n".join(dialog_lines(made, told)))
    assert normal(dialog_text(dialog(made, told))) == lines
    assert normal(dialog_text(dialog(made), errors(made, told)["errors"])) == lines


def test_a_message_as_slack_keeps_it_reads_with_its_files() -> None:
    kept = {"text": "fallback", "blocks": card(Card("Draft")).json["blocks"], "files": [{"name": "a.yaml"}, {"name": "b.txt"}]}

    assert text_of(kept, {"a.yaml": b"x: 1\n"}) == "Draft\n--- a.yaml\nx: 1\n---\n[b.txt]"
    assert text_of({"text": "a &lt; b <@U1>"}) == "a < b "
    assert plain(kept["blocks"]) == "Draft"


# --- cards, answers and dialogs, whole


def test_a_card_is_a_header_its_texts_and_rows() -> None:
    made = Card(
        "Draft 12: Lamps",
        (
            Steps((("About", "done"), ("Examples 1/5", "now"))),
            Text("1. What? → **That** [FAQ](https://a.example/x?y&z)"),
            Code("a: 1", "yaml", "qna.yaml"),
        ),
        (
            Button("Form", "draft.form|12"),
            Button("Send", "draft.submit|12", "good"),
            Button("Discard", "draft.discard|12", "danger"),
        ),
        Choice("Change …", (Button("About", "draft.edit|12.about"),)),
    )

    def text(said: str) -> Json:
        return {"type": "plain_text", "text": said}

    def button(label: str, token: str, **more: str) -> Json:
        return {"type": "button", "text": text(label), "action_id": token, "value": token, **more}

    assert card(made, ping="U1").json == {
        "text": "Draft 12: Lamps",
        "blocks": [
            {"type": "header", "text": text("Draft 12: Lamps")},
            {"type": "section", "text": {"type": "mrkdwn", "text": "<@U1>", "verbatim": True}},
            {"type": "section", "text": text("✔ About  ▸ Examples 1/5")},
            {
                "type": "section",
                "text": {
                    "type": "mrkdwn",
                    "text": "1. What? → *That* <https://a.example/x?y&amp;z|FAQ>",
                    "verbatim": True,
                },
            },
            {
                "type": "rich_text",
                "elements": [
                    {"type": "rich_text_section", "elements": [{"type": "text", "text": "qna.yaml", "style": {"code": True}}]},
                    {"type": "rich_text_preformatted", "elements": [{"type": "text", "text": "a: 1"}]},
                ],
            },
            {
                "type": "actions",
                "elements": [
                    button("Form", "draft.form|12"),
                    button("Send", "draft.submit|12", style="primary"),
                    button("Discard", "draft.discard|12", style="danger"),
                ],
            },
            {
                "type": "actions",
                "elements": [
                    {
                        "type": "static_select",
                        "action_id": CHOICE,
                        "placeholder": text("Change …"),
                        "options": [{"text": text("About"), "value": "draft.edit|12.about"}],
                    }
                ],
            },
        ],
        "unfurl_links": False,
        "unfurl_media": False,
    }


def test_two_thumbs_side_by_side_are_slacks_feedback_buttons_whose_values_are_their_tokens() -> None:
    made = controls((Button("Again", "chat.again|7.1"), *THUMBS, Button("More", "faq.more|1")))

    assert [one["type"] for one in made] == ["actions", "context_actions", "actions"]
    (element,) = made[1]["elements"]
    assert element["type"] == "feedback_buttons"
    assert element["positive_button"] == {"text": {"type": "plain_text", "text": "👍"}, "value": "chat.good|7.1"}
    assert element["negative_button"] == {"text": {"type": "plain_text", "text": "👎"}, "value": "chat.bad|7.1"}


@pytest.mark.parametrize("tokens", [("chat.good|1", "chat.bad|2"), ("chat.good|1", "faq.bad|1"), ("chat.bad|1", "chat.good|1")])
def test_buttons_that_are_no_pair_of_thumbs_stay_buttons(tokens: tuple[str, str]) -> None:
    assert [one["type"] for one in controls(tuple(Button("x", token) for token in tokens))] == ["actions"]


FILLED_IN = Dialog(
    "Sign off",
    "draft.signed|12",
    (
        Field("name", "Name", "Alice", "As in git", limit=100),
        Field("why", "Why", lines=True, required=False),
        Field("licence", "Licence", "mit", options=(("mit", "MIT"), ("cc0", "CC0"))),
        Field("file", "File", hint="A qna.yaml", kind="file"),
        Field("keep", "Keep", "yes", required=False, options=(("yes", "Yes"), ("no", "No")), kind="check"),
    ),
    "Sign",
)


def test_a_dialog_is_a_modal_of_inputs_filled_in() -> None:
    def text(said: str) -> Json:
        return {"type": "plain_text", "text": said}

    def block(name: str, label: str, optional: bool, **element: object) -> Json:
        named = {"type": "input", "block_id": name, "label": text(label), "optional": optional}
        return {**named, "element": {"action_id": "value", **element}}

    mit, cc0, yes = ({"text": text(label), "value": value} for value, label in (("mit", "MIT"), ("cc0", "CC0"), ("yes", "Yes")))
    assert dialog(FILLED_IN, {"name": "Say **who** you are."}, private_metadata="{}") == {
        "type": "modal",
        "callback_id": "draft.signed|12",
        "title": text("Sign off"),
        "submit": text("Sign"),
        "private_metadata": "{}",
        "notify_on_close": True,
        "blocks": [
            {
                **block("name", "Name", False, type="plain_text_input", multiline=False, max_length=100, initial_value="Alice"),
                "hint": text("As in git ✘ Say who you are."),
            },
            block("why", "Why", True, type="plain_text_input", multiline=True, max_length=3000),
            block("licence", "Licence", False, type="radio_buttons", options=[mit, cc0], initial_option=mit),
            {**block("file", "File", False, type="file_input", max_files=1), "hint": text("A qna.yaml")},
            block("keep", "Keep", True, type="checkboxes", options=[yes], initial_options=[yes]),
        ],
    }


def test_a_dialog_that_is_sent_off_as_it_was_filled_in_has_the_values_it_had() -> None:
    sent: dict[str, Json] = {}
    for block in dialog(FILLED_IN)["blocks"]:
        element = block["element"]
        chosen = {"selected_option": element.get("initial_option"), "selected_options": element.get("initial_options", [])}
        sent[block["block_id"]] = {"value": {"type": element["type"], "value": element.get("initial_value"), **chosen}}

    assert values(sent) == ({"name": "Alice", "why": "", "licence": "mit", "keep": "yes"}, [])


def test_what_is_wrong_stands_at_its_field_or_else_at_the_first_one() -> None:
    assert errors(FILLED_IN, {"why": "Say **more**.", "gone": "No `x`, please."}) == {
        "response_action": "errors",
        "errors": {"why": "Say more.", "name": "No x, please."},
    }


def test_a_view_that_loads_says_so_and_has_nothing_to_send() -> None:
    assert loading("Example 1", "One moment …") == {
        "type": "modal",
        "title": {"type": "plain_text", "text": "Example 1"},
        "blocks": [{"type": "section", "text": {"type": "plain_text", "text": "One moment …"}}],
    }


def test_a_home_tab_has_its_cards_below_each_other_and_tells_their_controls_apart() -> None:
    made = Card("Draft", (Text("x"),), (Button("Go on", "draft.later|1"),), Choice("Change", (Button("About", "a|1"),)))
    view = home([made, made])
    elements = [one for block in view["blocks"] if block["type"] == "actions" for one in block["elements"]]

    assert [one["type"] for one in view["blocks"]].count("divider") == 1
    assert [one["action_id"] for one in elements] == ["draft.later|1", CHOICE, "draft.later|1#2", f"{CHOICE}#2"]
    assert [one["value"] for one in elements if one["type"] == "button"] == ["draft.later|1"] * 2


def test_a_home_tab_shows_whole_cards_only_and_that_there_are_more() -> None:
    view = home([Card(f"Draft {number}", (Text("x"),) * 5) for number in range(60)])

    assert view_problems(view) == []
    assert len(view["blocks"]) <= limits.VIEW_BLOCKS
    assert view["blocks"][-1]["text"]["text"] == "…"
    assert len([one for one in view["blocks"] if one["type"] == "section"]) % 5 == 1


def test_labels_whose_signs_are_two_code_units_each_still_fit() -> None:
    made = Card("🔆" * talk.TITLE, (), (Button("🔆" * talk.LABEL, "b|1"),))
    payload = card(made)

    assert size(payload.json["blocks"][0]["text"]["text"]) <= limits.HEADER
    assert size(payload.json["blocks"][1]["elements"][0]["text"]["text"]) <= limits.BUTTON


# --- the checks themselves


@pytest.mark.parametrize(
    ("block", "said"),
    [
        ({"type": "nonsense"}, "unsupported type"),
        ({"type": "divider", "colour": "red"}, "additional property colour"),
        ({"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3001}}, "3001"),
        ({"type": "header", "text": {"type": "mrkdwn", "text": "x"}}, "plain_text"),
        ({"type": "markdown", "text": " "}, "empty"),
        ({"type": "actions", "elements": []}, "no elements"),
        ({"type": "table", "rows": [[{"type": "raw_text", "text": ""}]]}, "an empty cell"),
        ({"type": "markdown", "text": "x" * 11_341}, "msg_blocks_too_long"),
    ],
)
def test_what_slack_refuses_is_refused(block: Json, said: str) -> None:
    assert said in " ".join(problems([block]))


def test_a_block_id_stands_once_and_a_message_has_fifty_blocks_at_most() -> None:
    assert problems([{"type": "divider", "block_id": "a"}] * 2)
    assert problems([{"type": "divider"}] * limits.BLOCKS) == []
    assert problems([{"type": "divider"}] * (limits.BLOCKS + 1))


def test_a_modal_shows_no_markdown_block() -> None:
    view = loading("t", "x")

    assert view_problems({**view, "blocks": [{"type": "markdown", "text": "x"}]})


def test_a_card_leaves_room_for_a_button_for_each_of_its_files_and_one_to_share_it() -> None:
    codes = [Code("x\n" * 1000, "", "n" * 80)] * 10
    payload = card(Card("t", (Text("&" * 3000), *codes), (Button("B", "b|1"),)), ping="U1")
    files = [Button("f" * talk.LABEL, f"f|{number}") for number, _ in enumerate(payload.files)]

    assert len(files) == len(codes)
    assert problems([*payload.json["blocks"], *controls(files), *controls((Button("s" * talk.LABEL, "s|1"),))]) == []
