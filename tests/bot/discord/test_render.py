"""What Discord is sent: whatever talk allows fits and is valid, reads as the terminal's text, and pings nobody."""

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from bot.core import talk
from bot.core.cards import quoted
from bot.core.talk import Answer, Attached, Bar, Button, Card, Choice, Code, Dialog, Field, Steps, Text
from bot.platforms.discord import limits
from bot.platforms.discord.filled import values
from bot.platforms.discord.prose import prose
from bot.platforms.discord.render import CHOICE, EXCERPT, INLINE, PIECES, Payload, answer, card, dialog, refused
from bot.platforms.terminal.render import answer_lines, card_lines, dialog_lines
from bot.split import size
from tests.bot.drawn import BUTTONS, LINE, NAMES, PLAIN_ROWS, cards, dialogs, plain_cards, plain_fields, plain_texts
from tests.fakes.discord_view import dialog_text, shown, text_of

OPENAPI = Path(__file__).resolve().parents[4] / "shared" / "data" / "discord" / "openapi.json"
with_schemas = pytest.mark.skipif(not OPENAPI.is_file(), reason="Discord's OpenAPI file lies in ../shared, which is not here")

Json = dict[str, Any]

# --- what talk allows

ANY = st.text(st.characters(codec="utf-8"), max_size=300) | st.text("ab*_`~|<>@#[]()\\\n- 1.é👩‍👧", max_size=600)
NASTY = st.sampled_from(
    (
        "@everyone @here <@1> <@&2> <#3> </ask:4> <t:0:R> <:a:5> <id:guide>",
        "# a\n## b\n-# c\n> d\n>>> e\n- # f\n1. # g",
        "||a|| ~~b~~ __c__ _d_ *e* ***f*** **g**",
        "[here](https://evil.example) [https://good.example](https://evil.example) <https://a.example/x_y_z>",
        "```py\n@everyone\n```\n~~~\n```\n~~~",
        "*" * 3000,
        "x" * 3000,
    )
)
WRITTEN = ANY | NASTY
CARDS = cards(ANY, WRITTEN)
ANSWERS = st.builds(
    Answer,
    text=st.builds(str.__mul__, WRITTEN.filter(bool), st.sampled_from((1, 2, 8))),
    buttons=st.lists(BUTTONS, max_size=8).map(tuple),
)
DIALOGS = dialogs(WRITTEN)
ERRORS = st.dictionaries(NAMES, WRITTEN, max_size=5)


# --- what Discord allows


def flat(components: list[Json]) -> Iterator[Json]:
    for one in components:
        yield one
        yield from flat(one.get("components", []))


def wrong(payload: Payload) -> list[str]:
    """What Discord would refuse of a message."""
    body, found = payload.json, []
    parts = list(flat(body["components"]))
    ids = [one["custom_id"] for one in parts if "custom_id" in one]
    texts = [one["content"] for one in parts if one["type"] == 10]
    rules = {
        "content": "content" not in body or (len(body["content"].strip()) > 0 and size(body["content"]) <= limits.CONTENT),
        "components": len(parts) <= limits.COMPONENTS,
        "texts": sum(map(size, texts)) <= limits.DISPLAYED and all(text.strip() for text in texts),
        "ids": len(set(ids)) == len(ids) and all(0 < len(one) <= limits.CUSTOM_ID for one in ids),
        "rows": all(len(one["components"]) <= limits.ROW for one in parts if one["type"] == 1),
        "labels": all(0 < len(one["label"]) <= limits.BUTTON for one in parts if one["type"] == 2),
        "options": all(len({o["value"] for o in one["options"]}) == len(one["options"]) for one in parts if one["type"] == 3),
        "files": len(payload.files) <= limits.FILES and len({name for name, _ in payload.files}) == len(payload.files),
        "attached": [one["filename"] for one in body["attachments"]] == [name for name, _ in payload.files],
        "shown files": {one["file"]["url"] for one in parts if one["type"] == 13}
        <= {f"attachment://{name}" for name, _ in payload.files},
        "mentions": body["allowed_mentions"]["parse"] == [],
        "json": bool(json.dumps(body, ensure_ascii=False).encode()),
    }
    found += [name for name, held in rules.items() if not held]
    return found


@cache
def validator(name: str) -> Draft202012Validator:
    told = json.loads(OPENAPI.read_text(encoding="utf-8"))
    registry: Registry[Any] = Registry().with_resource("discord", Resource(told, DRAFT202012))
    return Draft202012Validator({"$ref": f"discord#/components/schemas/{name}"}, registry=registry)


def refusals(name: str, value: object) -> list[str]:
    return [f"{list(error.path)}: {error.message}" for error in validator(name).iter_errors(value)] if OPENAPI.is_file() else []


@settings(max_examples=50)
@given(CARDS, st.sampled_from(("", "123456789012345678")))
def test_every_card_is_a_message_that_discord_takes(made: Card, ping: str) -> None:
    payload = card(made, ping=ping)

    assert wrong(payload) == []
    assert payload.json["flags"] == limits.COMPONENTS_V2
    assert payload.json["allowed_mentions"].get("users", []) == ([ping] if ping else [])


@settings(max_examples=40)
@given(ANSWERS, st.sampled_from(("", "123456789012345678")))
def test_every_answer_is_messages_that_discord_takes(made: Answer, ping: str) -> None:
    payloads = answer(made, ping=ping)

    assert [wrong(payload) for payload in payloads] == [[]] * len(payloads)
    assert len(payloads) <= PIECES
    assert [bool(one.json["components"]) for one in payloads] == [False] * (len(payloads) - 1) + [bool(made.buttons)]
    assert all(one.json["flags"] == limits.SUPPRESS_EMBEDS for one in payloads)


@given(DIALOGS, ERRORS)
def test_every_dialog_is_a_modal_that_discord_takes(made: Dialog, errors: dict[str, str]) -> None:
    modal = dialog(made, errors)
    fields = [part["component"] for part in modal["components"]]

    assert 0 < len(modal["title"]) <= limits.DIALOG_TITLE
    assert 0 < len(modal["components"]) <= limits.DIALOG_PARTS
    assert [one["custom_id"] for one in fields] == [one.name for one in made.fields]
    assert all(0 < len(part["label"]) <= limits.LABEL for part in modal["components"])
    assert all(0 < len(part.get("description", "…")) <= limits.DESCRIPTION for part in modal["components"])
    assert all(2 <= len(one["options"]) <= 10 for one in fields if one["type"] == 21)
    assert wrong(refused(made, errors, fix=Button("Fix", "fix|1"))) == []


@with_schemas
@settings(max_examples=12)  # the jsonschema package takes its time
@given(CARDS, ANSWERS, DIALOGS, ERRORS)
def test_discords_own_schemas_take_what_is_sent(made: Card, said: Answer, asked: Dialog, errors: dict[str, str]) -> None:
    messages = [card(made), *answer(said), refused(asked, errors, fix=Button("Fix", "fix|1"))]

    assert [refusals("MessageCreateRequest", one.json) for one in messages] == [[]] * len(messages)
    assert refusals("ModalInteractionCallbackRequest", {"type": 9, "data": dialog(asked, errors)}) == []


# --- at the limit, and one past it


def test_a_full_card_has_forty_components_and_one_more_code_is_no_more() -> None:
    buttons = tuple(Button(f"B{number}", f"b|{number}") for number in range(talk.BUTTONS))
    options = Choice("Change", tuple(Button(f"O{number}", f"o|{number}") for number in range(talk.OPTIONS)))
    long = tuple(Code("x: 1\n" * 400, "yaml", "a.yaml") for _ in range(talk.BLOCKS))
    made = card(Card("t", long, buttons, options))

    assert len(list(flat(made.json["components"]))) == limits.COMPONENTS
    assert len(made.files) == limits.FILES
    assert len({name for name, _ in made.files}) == limits.FILES


@pytest.mark.parametrize(("length", "files"), [(INLINE, 0), (INLINE + 1, 1)])
def test_a_code_of_more_than_fits_is_a_file_below_its_first_lines(length: int, files: int) -> None:
    text = ("y" * 99 + "\n") * 20
    made = card(Card("t", (Code(text[: length - 1] + "z", "yaml", "qna.yaml"),)))
    parts = made.json["components"][0]["components"]

    assert len(made.files) == files
    if files:
        assert made.files == (("qna.yaml", (text[: length - 1] + "z").encode()),)
        assert parts[-1] == {"type": 13, "file": {"url": "attachment://qna.yaml"}}
        assert parts[-2]["content"] == f"`qna.yaml`\n```yaml\n{text[: EXCERPT[1]].rstrip()}\n…\n```"


def test_a_code_that_holds_a_fence_is_a_file_since_discord_has_no_longer_ones() -> None:
    made = card(Card("t", (Code("a: |\n  ```\n  x\n  ```\n", "yaml", "qna.yaml"),)))

    assert made.files == (("qna.yaml", b"a: |\n  ```\n  x\n  ```\n"),)


def test_a_whole_file_is_brought_and_none_of_it_shown_and_one_that_is_too_large_is_nothing() -> None:
    made = card(Card("t", (Attached("report k7.html", "<p>all</p>", "/runs/k7"), Attached("b.html", "", "/runs/k7"))))
    parts = made.json["components"][0]["components"]

    assert made.files == (("report_k7.html", b"<p>all</p>"),)
    assert parts[1:] == [{"type": 13, "file": {"url": "attachment://report_k7.html"}}]


def test_codes_take_the_room_that_texts_leave() -> None:
    code = Code("y" * INLINE, "", "a.txt")
    texts = tuple(Text("x" * (talk.TEXT - 1 if number == 0 else 790)) for number in range(2))

    assert card(Card("t", (code,))).files == ()
    assert [name for name, _ in card(Card("t", (code, *texts))).files] == ["a.txt"]


def test_a_text_that_escapes_make_too_long_is_cut_and_says_so() -> None:
    made = card(Card("t", (Text("_ " * 1500), Text("* " * 400))))
    texts = [one["content"] for one in flat(made.json["components"]) if one["type"] == 10]

    assert texts[-1].endswith("…")
    assert limits.DISPLAYED - 250 < sum(map(size, texts)) <= limits.DISPLAYED


@pytest.mark.parametrize(("length", "count"), [(limits.CONTENT, 1), (limits.CONTENT + 1, 2)])
def test_an_answer_takes_a_second_message_past_the_limit(length: int, count: int) -> None:
    assert len(answer(Answer("x" * length))) == count


@pytest.mark.parametrize(("length", "files"), [(limits.CONTENT * PIECES, 0), (limits.CONTENT * PIECES + 1, 1)])
def test_an_answer_past_five_messages_is_a_file_as_a_whole_below_its_last_message(length: int, files: int) -> None:
    made = answer(Answer("x" * length, buttons=(Button("Again", "again|1"),)))

    assert len(made) == PIECES
    assert [one.files for one in made] == [()] * (PIECES - 1) + [(("answer.md", b"x" * length),) * files]
    assert made[-1].json["content"].endswith("…") == bool(files)
    assert made[-1].json["components"][0]["components"][0]["label"] == "Again"


def test_an_endless_answer_is_there_as_a_whole_whatever_is_shown_of_it() -> None:
    text = "begins" + " " * 40_000 + "ends"
    made = answer(Answer(text))

    assert [one.json["content"] for one in made] == ["begins", "…"]
    assert made[-1].files == (("answer.md", text.encode()),)


def test_the_earlier_messages_of_an_answer_stay_when_it_becomes_a_file() -> None:
    before, after = answer(Answer("word " * 1900)), answer(Answer("word " * 2900))

    assert [one.json["content"] for one in after[: PIECES - 1]] == [one.json["content"] for one in before[: PIECES - 1]]


@pytest.mark.parametrize(("count", "kind"), [(1, 3), (2, 21), (10, 21), (11, 3), (25, 3)])
def test_two_to_ten_options_are_radio_buttons_and_others_a_select(count: int, kind: int) -> None:
    options = tuple((f"v{number}", f"Option {number}") for number in range(count))
    made = dialog(Dialog("t", "t|1", (Field("licence", "Licence", "v0", options=options),), "Save"))
    field = made["components"][0]["component"]

    assert field["type"] == kind
    assert [one["value"] for one in field["options"] if one.get("default")] == ["v0"]
    assert len(field["options"]) == count


# --- what nobody can bring in


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("@everyone and @here", "\\@everyone and \\@here"),
        ("a@example.org", "a@example.org"),
        ("<@1> <@&2> <#3> <:a:1>", "\\<@1> \\<@&2> \\<#3> \\<:a:1>"),
        ("<t:0:R> </ask:1> <id:home>", "\\<t:0:R> \\</ask:1> \\<id:home>"),
        ("a < b <= c", "a < b <= c"),
        ("# head\n## two\n-# small", "\\# head\n\\## two\n\\-# small"),
        ("- # head in an item\n1. > quote", "- \\# head in an item\n1. \\> quote"),
        ("> quote\n>>> all", "\\> quote\n\\>>> all"),
        ("||spoiler|| a | b", "\\|\\|spoiler\\|\\| a | b"),
        ("__under__ _it_ snake_case ~~no~~ *it*", "\\_\\_under\\_\\_ \\_it\\_ snake_case \\~\\~no\\~\\~ \\*it\\*"),
        ("- one\n* two", "- one\n* two"),
        ("**bold _x_** `a_b @everyone`", "**bold \\_x\\_** `a_b @everyone`"),
        ("\\*\\*typed\\*\\* \\`x\\` \\[y](https://z.example)", "\\*\\*typed\\*\\* \\`x\\` \\[y](<https://z.example>)"),
        ("[here](https://evil.example/a_b)", "here (<https://evil.example/a_b>)"),
        (
            "see https://a.example/x_y_z, please (https://b.example).",
            "see <https://a.example/x_y_z>, please (<https://b.example>).",
        ),
        ("<https://a.example>", "\\<<https://a.example>>"),
        ("[here](javascript:x)", "\\[here](javascript:x)"),
        ("back\\slash", "back\\\\slash"),
        ("````\n```py\nx\n```\n````", "```\n`\u200b``py\nx\n`\u200b``\n```"),
        ("~~~c++\nx\n~~~", "```c++\nx\n```"),
        ("```py title\nx", "```py\nx"),
        ("**a****b**", "**a**\u200b**b**"),
    ],
)
def test_only_what_is_ours_is_markup(written: str, sent: str) -> None:
    assert prose(written) == sent


@pytest.mark.parametrize("sign", ["**\\a", "\\a", "[", "**", "`", "```\n", "_", "https://", "(", "<", "| ", "- "])
def test_what_a_model_repeats_for_ever_is_shown_in_time(sign: str) -> None:
    made = answer(Answer("**" + sign * 12_000))  # reading it in more than one way would take longer than the stars last

    assert made[-1].files


def test_a_card_hides_the_address_of_a_link_and_an_answer_does_not() -> None:
    assert prose("[FAQ](https://a.example/x)", masked=True) == "[FAQ](<https://a.example/x>)"
    assert prose("[FAQ](https://a.example/x)") == "FAQ (<https://a.example/x>)"


@given(st.text("ab*_`~|<>@#[]()\\ -1.:/é", max_size=80) | NASTY)
def test_what_a_person_typed_reads_as_it_was_typed(text: str) -> None:
    text = re.sub(r"\s+", " ", text).strip()

    assert shown(prose(quoted(text, 4000))) == text


def test_only_the_one_person_is_pinged() -> None:
    made = card(Card("@everyone", (Text("<@2>"),)), ping="1")

    assert made.json["allowed_mentions"] == {"parse": [], "users": ["1"]}
    assert made.json["components"][0]["components"][0]["content"] == "### \\@everyone\n<@1>"
    assert card(Card("t")).json["allowed_mentions"] == {"parse": []}


# --- as the terminal says it


def normal(text: str) -> str:
    return " ".join(text.split())


PLAIN_TEXTS = plain_texts("abc äß é 123 ?!.,:;()<>#_~|@\n-", "https://a.example/x_y")
PLAIN_CARDS = plain_cards(PLAIN_TEXTS, "abc: äß_*~<>@#\n-")


@given(PLAIN_CARDS, st.sampled_from(("", "123")))
def test_a_card_reads_as_in_the_terminal(made: Card, ping: str) -> None:
    payload = card(made, ping=ping)

    said = " ".join(line.removeprefix("┃ ") for line in card_lines(made))
    assert normal(text_of(payload.json, payload.files)) == normal(said)


@given(PLAIN_TEXTS, PLAIN_ROWS)
def test_an_answer_reads_as_in_the_terminal(text: str, buttons: tuple[Button, ...]) -> None:
    made = Answer(text, buttons=buttons)
    (payload,) = answer(made)

    assert normal(text_of(payload.json)) == normal(" ".join(answer_lines(made)))


def test_a_fence_in_an_answer_reads_as_a_code() -> None:
    (payload,) = answer(Answer("Like this:\n```python\nx = **y**\n```\nSo."))

    assert text_of(payload.json) == "Like this:\n--- \nx = **y**\n---\nSo."


PLAIN_FIELDS = plain_fields(LINE.map(lambda label: label[:45]))


@given(PLAIN_FIELDS, st.booleans())
def test_a_dialog_reads_as_in_the_terminal(fields: tuple[Field, ...], refused: bool) -> None:
    made = Dialog("Example 1", "draft.fill|1", fields, "Save")
    errors = {fields[-1].name: "Say **more**."} if refused else {}

    lines = normal("\n".join(dialog_lines(made, errors)))
    assert normal(dialog_text(dialog(made, errors))) == lines
    assert normal(dialog_text(dialog(made), {name: "Say more." for name in errors})) == lines


def test_a_dialog_that_was_refused_says_what_is_wrong_above_a_button_that_opens_it_again() -> None:
    made = Dialog("Sign off", "draft.signed|1", (Field("name", "Name", "A <B>"), Field("mail", "Mail", "a@b.example")), "Sign")
    payload = refused(made, {"name": "No < or >, please."}, fix=Button("Fix", "fix|1"))

    assert text_of(payload.json) == "Sign off\nName\n✘ No < or >, please.\n[Fix]"
    assert payload.json["flags"] == limits.EPHEMERAL | limits.SUPPRESS_EMBEDS


# --- cards and dialogs, whole


def test_a_card_is_one_container_with_its_texts_and_rows() -> None:
    made = Card(
        "Draft 12: Lamps",
        (Steps((("About", "done"), ("Examples 1/5", "now"))), Text("1. What? → **That**")),
        (Button("Form", "draft.form|12"), Button("Discard", "draft.discard|12", "danger")),
        Choice("Change …", (Button("About", "draft.edit|12.about"),)),
    )

    assert card(made).json == {
        "flags": 32768,
        "components": [
            {
                "type": 17,
                "accent_color": 0x5865F2,
                "components": [
                    {"type": 10, "content": "### Draft 12: Lamps"},
                    {"type": 10, "content": "✔ About  ▸ Examples 1/5"},
                    {"type": 10, "content": "1. What? → **That**"},
                    {
                        "type": 1,
                        "components": [
                            {"type": 2, "style": 2, "label": "Form", "custom_id": "draft.form|12"},
                            {"type": 2, "style": 4, "label": "Discard", "custom_id": "draft.discard|12"},
                        ],
                    },
                    {
                        "type": 1,
                        "components": [
                            {
                                "type": 3,
                                "custom_id": CHOICE,
                                "placeholder": "Change …",
                                "options": [{"label": "About", "value": "draft.edit|12.about"}],
                            }
                        ],
                    },
                ],
            }
        ],
        "allowed_mentions": {"parse": []},
        "attachments": [],
    }


@pytest.mark.parametrize(
    ("block", "colour"),
    [
        (Steps((("a", "done"), ("b", "wrong"))), 0xED4245),
        (Steps((("a", "done"),)), 0x57F287),
        (Steps((("a", "done"), ("b", "open"))), 0x5865F2),
        (Bar(1.0, "done"), 0x57F287),
        (Bar(0.5, "half"), 0x5865F2),
        (Text("plain"), None),
    ],
)
def test_a_card_has_the_colour_of_its_state(block: talk.Block, colour: int | None) -> None:
    assert card(Card("t", (block,))).json["components"][0].get("accent_color") == colour


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


def test_a_dialog_is_a_modal_of_labelled_parts_filled_in() -> None:
    assert dialog(FILLED_IN, {"name": "Say **who** you are."}) == {
        "title": "Sign off",
        "custom_id": "draft.signed|12",
        "components": [
            {
                "type": 18,
                "label": "Name",
                "component": {
                    "custom_id": "name",
                    "type": 4,
                    "style": 1,
                    "required": True,
                    "max_length": 100,
                    "value": "Alice",
                },
                "description": "As in git ✘ Say who you are.",
            },
            {
                "type": 18,
                "label": "Why",
                "component": {"custom_id": "why", "type": 4, "style": 2, "required": False, "max_length": 3000},
            },
            {
                "type": 18,
                "label": "Licence",
                "component": {
                    "type": 21,
                    "custom_id": "licence",
                    "options": [{"label": "MIT", "value": "mit", "default": True}, {"label": "CC0", "value": "cc0"}],
                    "required": True,
                },
            },
            {
                "type": 18,
                "label": "File",
                "component": {"type": 19, "custom_id": "file", "min_values": 1, "max_values": 1, "required": True},
                "description": "A qna.yaml",
            },
            {"type": 18, "label": "Keep", "component": {"type": 23, "custom_id": "keep", "default": True}},
        ],
    }


def test_an_error_that_leaves_no_room_for_the_hint_stands_alone_and_is_cut() -> None:
    made = dialog(Dialog("t", "t|1", (Field("a", "A", hint="h" * 50),), "Save"), {"a": "why " * 60})

    assert made["components"][0]["description"] == f"✘ {('why ' * 25)[:97].rstrip()}…"


def test_a_modal_that_was_sent_is_read_back_by_the_names_of_its_fields() -> None:
    attachment = {"id": "77", "filename": "qna.yaml", "size": 3, "url": "https://cdn.example/77"}
    sent = {
        "custom_id": "draft.signed|12",
        "components": [
            {"type": 18, "id": 1, "component": {"type": 4, "id": 2, "custom_id": "name", "value": "Bob"}},
            {"type": 18, "id": 3, "component": {"type": 4, "id": 4, "custom_id": "why", "value": ""}},
            {"type": 18, "id": 5, "component": {"type": 21, "id": 6, "custom_id": "licence", "value": None}},
            {"type": 18, "id": 7, "component": {"type": 19, "id": 8, "custom_id": "file", "values": ["77", "78"]}},
            {"type": 18, "id": 9, "component": {"type": 23, "id": 10, "custom_id": "keep", "value": False}},
            {"type": 18, "id": 11, "component": {"type": 3, "id": 12, "custom_id": "model", "values": ["tiny"]}},
            {"type": 1, "id": 13, "components": [{"type": 4, "id": 14, "custom_id": "old", "value": "row"}]},
            {"type": 10, "id": 15, "content": "words of ours"},
        ],
        "resolved": {"attachments": {"77": attachment}},
    }

    assert values(sent) == (
        {"name": "Bob", "why": "", "licence": "", "keep": "no", "model": "tiny", "old": "row"},
        [attachment],
    )
