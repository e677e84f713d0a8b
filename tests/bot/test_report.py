"""The FAQ's report says what people could not find, what was no help, and what is to become an entry."""

import json

from bot.core.records import Asked, Audit, Kept
from bot.report import SHOWN, as_json, as_text, audit

DAY = 1_767_607_200.0  # 2026-01-05
NO = Asked("a1", "p1", "here", "How much  is it?", DAY, hits=("Is it free?",))
BAD = Asked("a3", "p1", "here", "gpu?", DAY, hits=("Hardware",), answered=True, digest="d1", thumb="bad")
WAITS = Asked("a4", "p1", "here", "who is dora", DAY, handed="there")
KEPT = Kept("a5", "When is the next build?", "On Monday.", "dora", DAY)


def test_questions_without_an_answer_are_counted_however_they_are_spaced_and_cased() -> None:
    again = Asked("a2", "p2", "there", "how much is it?", DAY)
    lines = list(as_text([NO, again, BAD], [], "d2"))

    assert lines[0] == "3 questions, 1 answered"
    assert "   2  how much is it?" in lines


def test_what_was_no_help_is_told_by_entry_and_by_the_state_it_came_from() -> None:
    earlier, now = (list(as_text([BAD], [], digest)) for digest in ("d2", "d1"))

    assert "   1  Hardware [d1, 2026-01-05]" in earlier
    assert "   1  Hardware [d1, as now]" in now
    assert "      'gpu?' got 'Hardware'" in now


def test_what_waits_for_a_maintainer_stands_apart() -> None:
    lines = list(as_text([NO, WAITS], [], ""))

    assert lines[lines.index("Waiting for a maintainer:") + 1] == "   1  who is dora"


def test_an_answer_that_was_kept_is_printed_as_an_entry_that_the_faq_reads() -> None:
    from bot.faq.load import Entry
    from bot.faq.load import entries as read

    text = "\n".join(list(as_text([], [KEPT], ""))[1:])
    found = [one for one in read(text, "kept.md", "") if isinstance(one, Entry)]

    assert [(one.title, one.asked, one.body.strip()) for one in found] == [
        ("When is the next build?", ("when is the next build?",), "On Monday.")
    ]


def test_a_long_list_says_how_much_more_there_is() -> None:
    many = [Asked(f"a{n}", "p", "here", f"question {n}", DAY) for n in range(SHOWN + 3)]

    assert "      and 3 more (--json has all)" in list(as_text(many, [], ""))


def test_as_json_it_is_a_line_a_question_and_a_line_an_answer() -> None:
    lines = [json.loads(line) for line in as_json([NO], [KEPT])]

    assert [(line["is"], line["question"]) for line in lines] == [
        ("question", "How much  is it?"),
        ("kept", "When is the next build?"),
    ]


def test_an_act_of_an_operator_is_a_line_with_names_where_people_are_known() -> None:
    acts = [
        Audit("u1", DAY, "p1", "block", "p2", "spam", "terminal"),
        Audit("u2", DAY, "p9", "resume", "faq", "", "terminal"),
    ]

    assert list(audit(acts, {"p1": "olga", "p2": "alice"}, as_json=False)) == [
        "2026-01-05 10:00Z  terminal  olga  block alice  spam",
        "2026-01-05 10:00Z  terminal  p9  resume faq",
    ]
    assert json.loads(next(audit(acts, {}, as_json=True)))["whom"] == "p2"
