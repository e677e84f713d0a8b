"""Questions are answered with their source, refused honestly, brought to people, and never cost a draft its place."""

from dataclasses import replace

import pytest

from bot.core.asking import FOLLOWS_S, is_question
from bot.core.known import Entry, Reply
from bot.core.records import Conversation
from bot.core.talk import Answer, Command, Look, Press, Said, Submit
from tests.bot.core.conftest import Talk, cards, dialogs, texts

GPU = Entry(
    "e1", "What hardware do I need?", "https://example.org/faq#hardware", "No GPU is needed to contribute.", "More of it."
)
FEE = Entry("e2", "Is it free?", "", "Yes.", "")
YES = Reply(True, False, 0.9, (GPU, FEE), 1, "d1")
BOTH = Reply(True, False, 0.9, (GPU, FEE), 2, "d1")
PERHAPS = Reply(False, True, 0.4, (GPU, FEE), 1, "d1")
NO = Reply(False, False, 0.1, (GPU, FEE), 1, "d1")


@pytest.fixture
def faq(talk: Talk) -> Talk:
    talk.replies = {"do i need a gpu": YES, "gpu and price?": BOTH, "how much is it?": NO, "hmm, cost?": PERHAPS}
    talk.entries = {"e1": GPU, "e2": FEE}
    return talk


def answer(talk: Talk, text: str) -> Answer:
    (said,) = [effect for effect in talk(Said(text)) if isinstance(effect, Answer)]
    return said


def labels(said: Answer) -> list[str]:
    return [button.label for button in said.buttons]


def test_an_answer_is_the_fact_its_source_and_more_on_demand(faq: Talk) -> None:
    said = answer(faq, "do i need a gpu")

    assert said.text == (
        "No GPU is needed to contribute.\nSource: [What hardware do I need?](https://example.org/faq#hardware)"
    )
    assert labels(said) == ["More", "👍", "👎"]


def test_two_questions_in_one_get_both_answers(faq: Talk) -> None:
    said = answer(faq, "gpu and price?")

    assert said.text.endswith("\n\nYes.\nSource: Is it free?")
    assert labels(said) == ["More: What hardware do I need?", "👍", "👎"]


def test_what_the_faq_does_not_say_is_said_so_with_what_is_near(faq: Talk) -> None:
    said = answer(faq, "how much is it?")

    assert (said.text, labels(said)) == ("The FAQ does not say. Nearest:", ["What hardware do I need?", "Is it free?"])


def test_in_the_grey_zone_it_is_offered_and_not_asserted(faq: Talk) -> None:
    said = answer(faq, "hmm, cost?")

    assert said.text == "I am not sure what answers that. Is it one of these?"
    assert labels(said) == ["What hardware do I need?", "Is it free?"]


def test_what_is_no_question_and_is_not_answered_gets_the_welcome(faq: Talk) -> None:
    assert answer(faq, "hello").text.startswith("Ask me something about the project")
    assert faq.asked == {}


def test_near_entries_and_the_rest_of_one_are_a_press_away(faq: Talk) -> None:
    near = answer(faq, "how much is it?").buttons[0]
    shown = next(effect for effect in faq(Press(near.token)) if isinstance(effect, Answer))
    more = cards(faq(Press(shown.buttons[0].token)))[0].card

    assert shown.text.startswith("No GPU is needed")
    assert more.title == "What hardware do I need?"
    assert next(getattr(block, "text", "") for block in more.blocks) == "More of it."


def test_a_question_is_kept_with_what_was_found_in_which_state_of_the_faq_and_its_thumb(faq: Talk) -> None:
    said = answer(faq, "do i need a gpu")
    faq(Press(said.buttons[-1].token))
    (asked,) = faq.asked.values()

    assert (asked.question, asked.hits, asked.answered, asked.digest, asked.thumb) == (
        "do i need a gpu",
        ("What hardware do I need?", "Is it free?"),
        True,
        "d1",
        "bad",
    )


def test_a_follow_up_is_asked_with_the_questions_before_it_for_half_an_hour(faq: Talk) -> None:
    faq(Said("do i need a gpu"))
    looks = []
    for at in (10.0, 10.0 + FOLLOWS_S):
        faq.conversation = replace(faq.conversation, questions_at=1000.0 + faq.count + 1 - at)
        looks.append(faq.looked(Said("and on windows?")))

    assert [[look.subject for look in some] for some in looks] == [
        [("and on windows?", ("do i need a gpu",))],
        [("and on windows?", ())],
    ]


def test_a_question_in_the_middle_of_a_draft_is_answered_and_the_draft_goes_on(faq: Talk) -> None:
    faq(Command("skill"))
    faq.replies["what is a skill?"] = YES
    effects = faq(Said("what is a skill?"))

    assert faq.draft and faq.draft.answers == {}
    said = [effect for effect in effects if isinstance(effect, Answer)]
    assert [one.text.split("\n")[0] for one in said] == [
        "No GPU is needed to contribute.",
        "And now back to your draft. What should it learn to do, in one sentence?",
    ]
    faq(Press(next(button.token for button in said[1].buttons if button.label == "It is my answer")))
    assert faq.draft.answers == {"about.description": "what is a skill?"}


def test_where_a_seed_question_is_due_a_question_is_one_until_its_writer_says_otherwise(faq: Talk) -> None:
    for act in (Command("skill"), Said("Greet people")):
        faq(act)
    effects = faq(Said("do i need a gpu"))
    assert faq.draft and faq.draft.answers["example.1.question"] == "do i need a gpu"
    said = [effect for effect in effects if isinstance(effect, Answer)][-1]
    effects = faq(Press(next(button.token for button in said.buttons if button.label == "I was asking you")))

    assert texts(effects)[0].startswith("No GPU is needed")
    assert faq.draft.answers == {"about.description": "Greet people"}


def test_what_the_faq_cannot_answer_is_the_drafts_answer(faq: Talk) -> None:
    for act in (Command("skill"), Said("how much is it?")):
        faq(act)

    assert faq.draft and faq.draft.answers == {"about.description": "how much is it?"}


def test_the_maintainers_get_the_question_and_their_reply_comes_back(faq: Talk) -> None:
    faq.maintainers = "terminal:@p2"
    said = answer(faq, "how much is it?")
    assert labels(said)[-1] == "Ask the maintainers"
    home = faq.conversation
    (handed,) = cards(faq(Press(said.buttons[-1].token)))
    assert (handed.place, handed.ping) == ("terminal:@p2", "p2")

    faq.conversation = Conversation("terminal:@p2")
    (asking,) = dialogs(faq(Press(handed.card.buttons[0].token), by="p2"))
    (empty,) = dialogs(faq(Submit(asking.dialog.token, {"text": " "}), by="p2"))
    assert list(empty.errors) == ["text"]  # type: ignore[union-attr]
    effects = faq(Submit(asking.dialog.token, {"text": "Nothing.\nIt is *free*."}), by="p2")
    (back,) = cards(effects)
    assert (back.place, back.ping, back.card.title) == (home.place, "p1", "bob answers: how much is it?")
    (keep,) = [effect for effect in effects if isinstance(effect, Answer)]
    faq(Press(keep.buttons[0].token), by="p2")

    assert [(one.question, one.answer, one.by) for one in faq.kept] == [("how much is it?", "Nothing.\nIt is *free*.", "bob")]


def test_a_question_is_handed_on_once(faq: Talk) -> None:
    faq.maintainers = "terminal:@p2"
    token = answer(faq, "how much is it?").buttons[-1].token
    faq(Press(token))

    assert cards(faq(Press(token))) == []


def test_without_maintainers_nobody_is_offered(faq: Talk) -> None:
    said = answer(faq, "how much is it?")
    name = next(iter(faq.asked))

    assert "Ask the maintainers" not in labels(said)
    assert texts(faq(Press(f"faq.forward|{name}"))) == ["Nobody is set up here to be asked."]


def test_buttons_of_a_question_that_is_gone_say_so(faq: Talk) -> None:
    for verb in ("more", "show", "good", "bad", "forward", "keep", "mine", "nothing"):
        assert texts(faq(Press(f"faq.{verb}|gone.e1"))) == ["That button is from before; things have moved on."]


@pytest.mark.parametrize(
    ("text", "put"),
    [
        ("what is a skill", True),
        ("What's LAB", True),
        ("gpu?", True),
        ("is it free", True),
        ("does it run on a mac", True),
        ("Turn an order into a ticket", False),
        ("It is what it is", False),
        ("x" * 400 + "?", False),
        ("two\nlines?", False),
        ("", False),
    ],
)
def test_a_question_is_one_short_line_that_looks_like_one(talk: Talk, text: str, put: bool) -> None:
    from bot.core.known import Known

    known = Known(talk.person, talk.conversation, talk.words)

    assert is_question(known, text) is put


def test_looking_is_all_that_a_question_does_first(faq: Talk) -> None:
    assert [type(effect) for effect in faq.looked(Said("do i need a gpu"))] == [Look]
