"""Markdown at Slack: only what is ours is markup, nobody is mentioned, and what has streamed stays as it is."""

import re
from time import process_time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bot.core.cards import prose as typed
from bot.core.cards import quoted
from bot.core.cards import shown as visible
from bot.platforms.slack import limits
from bot.platforms.slack.prose import fallback, mrkdwn, plain, prose, sections, stable, streamed
from bot.platforms.slack.render import parts
from bot.platforms.slack.tables import tables
from bot.platforms.terminal.render import plain as told
from bot.split import size
from tests.fakes.slack_blocks import text_length
from tests.fakes.slack_view import plain as read
from tests.fakes.slack_view import shown

SIGNS = "ab*_`~|<>@#[]()\\&;!-=+ 1.:/é\n"
NASTY = st.sampled_from(
    (
        "<!channel> <!here> <!everyone> @channel @here <@U012ABC> <@W1> <#C012> <!subteam^S1> <!date^0^{date}|x>",
        "&lt;!channel&gt; &amp;lt;@U1> <<!channel>>",
        "[here](https://evil.example) <https://evil.example|https://good.example> [https://good.example](https://evil.example)",
        "# a\n## b\n> c\n- # d\n1. > e\na\n===\nb\n---\n* * *\n___",
        "*a* _b_ ~c~ ~~d~~ __e__ ***f*** `` g `` **h\ni**",
        "`<!channel>` ```<@U012ABC>``` **<!here>**",
        "```html\n<!DOCTYPE html> <!channel> <@U012ABC>\n```\n~~~\n```\n~~~",
        "| a | b |\n|---|---|\n| <!channel> | **x** |",
        "![x](https://evil.example/x.png) <img src=x> <b>",
    )
)
WRITTEN = st.text(SIGNS, max_size=120) | NASTY | st.text(max_size=60)
FENCELESS = st.text("ab*_`~|<>@#[]()\\&; -=1.:/é", max_size=80).filter(lambda text: "~~~" not in text)
MENTION = re.compile(r"<[@#!]")
LINK = re.compile(r"<[^>]*\|")


def outside_code(markdown: str) -> str:
    return re.sub(r"^```.*?^```$", "", markdown, flags=re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize(
    ("written", "markdown", "section"),
    [
        ("<!channel> <@U1> <#C1>", "&lt;!channel&gt; &lt;@U1&gt; &lt;#C1&gt;", "&lt;!channel&gt; &lt;@U1&gt; &lt;#C1&gt;"),
        ("@channel a@here.example", "@\u200bchannel a@here.example", "@\u200bchannel a@here.example"),
        ("a &lt; b & c", "a &amp;lt; b &amp; c", "a &amp;lt; b &amp; c"),
        ("# head", "\\# head", "# head"),
        ("> quote", "&gt; quote", "\u00ad&gt; quote"),
        ("- one\n* two\n+ three", "- one\n* two\n+ three", "- one\n\u200b*\u200b two\n+ three"),
        ("- # one", "- \\# one", "- # one"),
        ("a\n---\nb\n===", "a\n\\---\nb\n\\===", "a\n---\nb\n==="),
        ("**bold** `a<b`", "**bold** `a<b`", "*bold* `a&lt;b`"),
        ("- **bold**: x", "- **bold**: x", "- *bold*: x"),
        ("**Look: **here** and** there", "**Look:** here **and** there", "*Look:* here *and* there"),
        ("**a****b**", "**a**\u200b**b**", "*a*\u200b*b*"),
        ("x**b**y", "x**b**y", "x\u200b*b*\u200by"),
        ("2 * 3 * 4, a*b*c", "2 \\* 3 \\* 4, a\\*b\\*c", "2 * 3 * 4, a*b*c"),
        ("_it_ snake_case", "\\_it\\_ snake_case", "\u200b_\u200bit\u200b_\u200b snake_case"),
        ("~a~", "\\~a\\~", "\u200b~\u200ba\u200b~\u200b"),
        ("\\*typed\\* \\`x\\`", "\\*typed\\* \\`x\\`", "\u200b*\u200btyped\u200b*\u200b \u200b`\u200bx\u200b`\u200b"),
        ("[here](https://e.example/a_b)", "here (<https://e.example/a_b>)", "<https://e.example/a_b|here>"),
        (
            "see https://a.example/x?y=1&z=2.",
            "see <https://a.example/x?y=1&z=2>.",
            "see <https://a.example/x?y=1&amp;z=2>.",
        ),
        ("<https://a.example>", "&lt;<https://a.example>&gt;", "&lt;<https://a.example>&gt;"),
        ("[a](https://e.example/|b)", "a (<https://e.example/%7Cb>)", "<https://e.example/%7Cb|a>"),
        ("[here](javascript:x)", "\\[here](javascript:x)", "[here](javascript:x)"),
        ("`<!channel>`", "`<\u200b!channel>`", "`&lt;!channel&gt;`"),
        ("```py\na < b <@U1>\n```", "```py\na < b <\u200b@U1>\n```", "```\na &lt; b &lt;@U1&gt;\n```"),
        ("````\n```py\nx\n```\n````", "```\n`\u200b``py\nx\n`\u200b``\n```", "```\n`\u200b``py\nx\n`\u200b``\n```"),
        ("~~~c++\nx", "```c++\nx", "```\nx"),
    ],
)
def test_only_what_is_ours_is_markup(written: str, markdown: str, section: str) -> None:
    assert prose(written) == markdown
    assert mrkdwn(written) == section


def test_a_card_hides_the_address_of_a_link_and_an_answer_does_not() -> None:
    assert prose("[FAQ](https://a.example/x)", masked=True) == "[FAQ](<https://a.example/x>)"
    assert mrkdwn("[FAQ](https://a.example/x)", masked=False) == "FAQ (<https://a.example/x>)"


@given(WRITTEN)
def test_nothing_that_anybody_wrote_is_a_mention(text: str) -> None:
    for made in (prose(text), streamed(text), stable(text), mrkdwn(text), fallback(text)):
        assert not re.search(r"<@[UW]|<#C|<!(?:channel|here|everyone|subteam|date)", made)
    assert not MENTION.search(mrkdwn(text))
    assert not MENTION.search(fallback(text))


@given(WRITTEN)
def test_an_answer_hides_no_address(text: str) -> None:
    assert not LINK.search(re.sub("`[^`]+`", "", outside_code(prose(text))))
    assert not re.search(r"(?<!\\)\[[^\]]*\]\(<", re.sub("`[^`]+`", "", outside_code(prose(text))))


@example("_*1*")
@given(FENCELESS | NASTY.filter(lambda text: "~~~" not in text))
def test_what_a_person_typed_reads_as_it_was_typed(text: str) -> None:
    text = re.sub(r"\s+", " ", text).strip().replace("\u00ad", "")

    assert shown(prose(quoted(text, 4000))) == text
    assert read(mrkdwn(quoted(text, 4000))) == text


@given(st.text(SIGNS, max_size=200).filter(lambda text: "~~~" not in text))
def test_several_lines_that_a_person_typed_read_as_they_were_typed(text: str) -> None:
    said = told(typed(text))

    assert shown(prose(typed(text))) == said
    assert read(mrkdwn(typed(text))) == said


@pytest.mark.parametrize("text", ["```python\nx = **y** < 2 & 3\n```", "a\n```\n- b\n```\nc"])
def test_a_fence_reads_as_what_stands_in_it(text: str) -> None:
    said = re.sub("```.*?\n(.*?)\n```", r"--- \n\1\n---", text, flags=re.DOTALL)

    assert shown(prose(text)) == said
    assert read(mrkdwn(text)) == said


def test_a_notification_says_one_short_line_without_markup() -> None:
    assert fallback("**Hi** [you](https://a.example) <!here>\n`x`") == "Hi you &lt;!here&gt; x"
    assert fallback("") == "…"
    assert len(fallback("a " * 10_000)) <= 150


def test_text_without_its_marks_is_what_was_written() -> None:
    assert plain("**a \\* b** `c` [d](https://e.example) \\[f]") == "a * b c d [f]"


# --- what streams


@given(WRITTEN, WRITTEN)
@example("- **b", "** c")
@example("see https://a.example/`co de", "x` and")
@example("[a b](https://x.example", ")`c d")
@example("``", "`\nx")
@example("```py\n  ", "```\nafter")
@example("a <", "@U012> b")
@example("a &", "lt; b")
@example("1. ", "x")
@example("a @chann", "el b")
@example("- ", "--")
def test_what_has_streamed_stays_whatever_comes_after_it(text: str, more: str) -> None:
    sent = stable(text)

    assert streamed(text).startswith(sent)
    assert streamed(text + more).startswith(sent)
    assert stable(text + more).startswith(sent)


@given(st.text("abc äß", max_size=80))
def test_plain_words_stream_with_the_last_one(text: str) -> None:
    assert stable("x" + text) == "x" + text


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("Hello the", "Hello the"),
        ("Hello the2", "Hello the"),
        ("it is at ht", "it is at "),
        ("a watch", "a watc"),
        ("snake_ca", "snake"),
        ("Hello **the bold", "Hello "),
        ("Hello **the bold** and", "Hello **the bold** and"),
        ("Hello `co de", "Hello "),
        ("Hello [a b](https://e.exa", "Hello "),
        ("Hello [a b](no x", "Hello \\[a b](no x"),
        ("Hello <@U1 x", "Hello &lt;@U1 x"),
        ("a\n```py\nx = 1\ny =", "a\n```py\nx = 1\ny "),
        ("a\n```py", "a\n"),
        ("**never closed\nnext line", "\\*\\*never closed\nnext line"),
    ],
)
def test_half_of_what_may_become_markup_waits(text: str, sent: str) -> None:
    assert stable(text) == sent


# --- tables

TABLE = "| Name | Size |\n| --- | --- |\n| **a** `b` | 1 < 2 & 3 |\n| [x](https://a.example/x_y) |  |"


@pytest.mark.parametrize(
    "text",
    [" " * 40_000 + "x", "* " * 20_000 + "x", "- - " * 10_000 + "x", "- - -" + " " * 40_000 + "x", "[a](https://x" * 5_000],
)
def test_what_repeats_for_ever_is_read_in_time(text: str) -> None:
    began = process_time()
    prose(text)
    mrkdwn(text)

    assert process_time() - began < 1.0


def test_a_table_is_rows_of_cells_without_markup() -> None:
    assert tables(prose(f"Before:\n{TABLE}\n\nAfter.")) == [
        "Before:",
        [["Name", "Size"], ["a b", "1 < 2 & 3"], ["x (https://a.example/x_y)", ""]],
        "After.",
    ]


def test_a_second_table_is_a_fence() -> None:
    assert tables(prose("| a |\n|---|\n| 1 |\n\n| b |\n|:-:|\n| 2 |"))[1:] == ["```\n| b |\n| 2 |\n```"]


@pytest.mark.parametrize(
    ("rows", "columns", "fits"),
    [
        (limits.TABLE_ROWS, 2, True),
        (limits.TABLE_ROWS + 1, 2, False),
        (3, limits.TABLE_COLUMNS, True),
        (3, limits.TABLE_COLUMNS + 1, False),
    ],
)
def test_a_table_past_the_limits_is_a_fence(rows: int, columns: int, fits: bool) -> None:
    line = f"|{' x |' * columns}"
    (found,) = tables("\n".join([line, f"|{'---|' * columns}", *[line] * (rows - 1)]))

    assert isinstance(found, list) == fits


@pytest.mark.parametrize(
    "text", ["| a | b |", "| a |\n| b |", "| a | b |\n|---|\n| c |", "```\n| a |\n|---|\n```", "a | b\n--- | ---"]
)
def test_what_is_no_table_stays_text(text: str) -> None:
    assert all(isinstance(one, str) for one in tables(prose(text)))


# --- pieces


@pytest.mark.parametrize(("length", "count"), [(limits.SECTION, 1), (limits.SECTION + 1, 2)])
def test_a_text_takes_a_second_section_past_the_limit(length: int, count: int) -> None:
    assert len(sections("x" * length, limits.TOTAL)) == count


@given(st.builds(str.__mul__, WRITTEN, st.integers(1, 60)), st.integers(0, 6000))
def test_sections_keep_to_their_limit_and_to_the_room_there_is(text: str, room: int) -> None:
    made = sections(text, room)

    assert all(0 < size(one) <= limits.SECTION for one in made)
    assert sum(map(size, made)) <= room


def test_sections_that_are_cut_end_in_an_ellipsis_and_use_the_room() -> None:
    made = sections("* a & b\n" * 2000, 5000)

    assert made[-1].endswith("…")
    assert 4500 < sum(map(size, made)) <= 5000


@given(st.text("&<>a ", max_size=900))
def test_no_entity_is_cut_in_two(text: str) -> None:
    for piece in parts(prose(text), 200):
        assert re.sub("&(?:amp|lt|gt);", "", piece).count("&") == 0


@given(st.text(max_size=300))
def test_what_is_read_of_words_is_what_is_visible_of_them(text: str) -> None:
    assert text_length([{"type": "markdown", "text": prose(text)}]) == len(prose(text))
    assert visible(prose(text)) == prose(text)
