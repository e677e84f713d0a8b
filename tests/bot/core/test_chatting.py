"""Talking with the model, as the core decides it: where a text goes, what each button does, and what is stale."""

from dataclasses import replace

import pytest

from bot.core.chatting import buttons, ordinal, plain, subject
from bot.core.commands import complete
from bot.core.known import Entry, Known, Offer, Reply, Served, Serving
from bot.core.records import Spent, Turn
from bot.core.talk import Answer, Cancel, Command, Effect, Forget, Moved, Opened, Press, Said, Save, Start, Submit, Unsaid
from bot.core.words import Words
from tests.bot.core.conftest import Talk, cards, dialogs, texts

READY = Serving("ready", (Served("granite"), Served("tickets", "granite")))
FAQ = (Entry("e1", "What is a skill?", "", "Something that the model learns to do.", ""),)


@pytest.fixture
def chat(talk: Talk) -> Talk:
    talk.chat = READY
    return talk


def streams(effects: list[Effect]) -> list[str]:
    return [effect.stream for effect in effects if isinstance(effect, Answer) and effect.stream]


def turn_of(effects: list[Effect]) -> Turn:
    (found,) = (effect.what for effect in effects if isinstance(effect, Save) and isinstance(effect.what, Turn))
    return found


def reply(answered: bool, score: float, offered: bool = False) -> Reply:
    return Reply(answered, offered, score, FAQ, 1, "d1")


# --- where a text goes


@pytest.mark.parametrize(
    ("text", "found", "model"),
    [
        ("what is a skill?", reply(True, 0.6), False),
        ("explain how training works", reply(True, 0.6), False),
        ("what is the moon?", reply(False, 0.1), True),
        ("what is a skull?", reply(False, 0.4, offered=True), False),
        ("write a haiku about my dog", reply(True, 0.99), True),
        ("tell me a joke", reply(True, 0.7), True),
        ("licences", reply(True, 0.95), False),
        ("licences", reply(True, 0.85), True),
    ],
)
def test_the_faq_comes_first_where_somebody_wants_to_know_and_the_model_for_the_rest(
    chat: Talk, text: str, found: Reply, model: bool
) -> None:
    chat.replies[text] = found

    assert streams(chat(Said(text))) == (["chat"] if model else [])


def test_while_one_talks_with_the_model_the_faq_must_be_sure_and_offers_nothing(chat: Talk) -> None:
    chat(Said("write a haiku"))
    chat.replies = {"and then?": reply(False, 0.4, True), "who?": reply(True, 0.8), "what is a skill?": reply(True, 0.99)}

    assert [bool(streams(chat(Said(text)))) for text in chat.replies] == [True, True, False]


def test_an_answer_of_the_faq_leads_on_to_the_model(chat: Talk) -> None:
    chat.replies["what is a skill?"] = reply(True, 0.9)
    (answer,) = (effect for effect in chat(Said("what is a skill?")) if isinstance(effect, Answer))
    effects = chat(Press(answer.buttons[-1].token))

    assert (answer.buttons[-1].label, turn_of(effects).question) == ("Ask the model", "what is a skill?")


def test_without_a_model_nothing_speaks_of_one(talk: Talk) -> None:
    talk.replies["what is a skill?"] = reply(True, 0.9)
    effects = [*talk(Said("what is a skill?")), *talk(Said("write a haiku")), *talk(Opened()), *talk(Command("help"))]

    said = " ".join([*texts(effects), *(button.label for e in effects if isinstance(e, Answer) for button in e.buttons)])
    assert ("/chat" in said, "Ask the model" in said, streams(effects)) == (False, False, [])


def test_a_question_counts_and_is_kept_before_it_is_answered(chat: Talk) -> None:
    effects = chat(Said("write a haiku", message="m1"))
    turn = turn_of(effects)

    assert (turn.question, turn.state, turn.tries, chat.conversation.turn) == ("write a haiku", "open", 1, turn.id)
    assert [one.what.what for one in effects if isinstance(one, Save) and isinstance(one.what, Spent)] == ["chat"]
    (answer,) = (effect for effect in effects if isinstance(effect, Answer))
    assert (answer.subject, [button.label for button in answer.buttons]) == (subject(turn), ["Stop"])


def test_what_is_typed_in_a_draft_stays_the_drafts(chat: Talk) -> None:
    chat(Command("skill"))

    assert streams(chat(Said("Write haikus about dogs"))) == []
    assert chat.draft and chat.draft.answers["about.description"] == "Write haikus about dogs"


# --- an edit, a deletion


def test_an_edited_question_stops_the_running_answer_and_is_asked_anew(chat: Talk) -> None:
    first = turn_of(chat(Said("write a haiko", message="m1")))
    effects = chat(Said("write a haiku", message="m1", edited=True))

    again = turn_of(effects)
    assert (again.id, again.question, again.tries, again.answer) == (first.id, "write a haiku", 2, "")
    assert (effects[0], streams(effects)) == (Cancel(subject(first)), ["chat"])


@pytest.mark.parametrize("text", ["write a haiku", "", "  write a haiku "])
def test_an_edit_that_changes_nothing_does_nothing(chat: Talk, text: str) -> None:
    chat(Said("write a haiku", message="m1"))

    assert chat(Said(text, message="m1", edited=True)) == []


def test_an_old_question_that_was_answered_stays_answered(chat: Talk) -> None:
    chat(Said("write a haiku", message="m1"))
    chat.answered("five, seven, five")
    chat(Said("write a poem", message="m2"))

    assert chat(Said("write a sonnet", message="m1", edited=True)) == []


def test_a_deleted_question_leaves_no_word_of_itself(chat: Talk) -> None:
    turn = turn_of(chat(Said("my zebra", message="m1")))
    effects = chat(Unsaid("m1"))

    assert effects[0] == Cancel(subject(turn))
    gone = turn_of(effects)
    assert (gone.state, gone.question, gone.answer) == ("gone", "", "")
    assert chat(Unsaid("m1")) == []


def test_nobody_changes_the_question_of_somebody_else(chat: Talk) -> None:
    chat(Said("write a haiku", message="m1"))

    assert (chat(Said("x", message="m1", edited=True), by="p2"), chat(Unsaid("m1"), by="p2")) == ([], [])


# --- buttons


def test_a_running_answer_can_be_stopped_and_only_by_who_asked(chat: Talk) -> None:
    turn = turn_of(chat(Said("write a haiku")))

    assert chat(Press(f"chat.stop|{subject(turn)}")) == [Cancel(subject(turn))]
    assert texts(chat(Press(f"chat.stop|{subject(turn)}"), by="p2")) == ["Only who asked can do that."]


def test_an_answer_that_is_there_can_be_asked_for_again_and_rated(chat: Talk, words: Words) -> None:
    turn = turn_of(chat(Said("write a haiku")))
    done = chat.answered("five, seven, five")
    rated = turn_of(chat(Press(f"chat.good|{subject(turn)}")))
    again = chat(Press(f"chat.again|{subject(turn)}"))

    assert [button.label for button in buttons(done, words)] == ["Answer again", "👍", "👎"]
    assert (rated.thumb, rated.question, rated.answer) == ("good", "write a haiku", "five, seven, five")
    assert (turn_of(again).tries, turn_of(again).thumb, streams(again)) == (2, "", ["chat"])


@pytest.mark.parametrize("verb", ["stop", "good", "bad", "again", "nonsense"])
def test_buttons_of_an_earlier_attempt_are_stale(chat: Talk, verb: str) -> None:
    turn = turn_of(chat(Said("write a haiku")))
    chat.answered("one")
    chat(Press(f"chat.again|{subject(turn)}"))

    assert texts(chat(Press(f"chat.{verb}|{subject(turn)}"))) == ["That button is from before; things have moved on."]


def test_only_the_newest_question_is_answered_again(chat: Talk) -> None:
    turn = turn_of(chat(Said("write a haiku")))
    done = chat.answered("one")
    chat(Said("write another"))
    chat.turns[turn.id] = done

    assert texts(chat(Press(f"chat.again|{subject(turn)}"))) == ["That button is from before; things have moved on."]


@pytest.mark.parametrize("value", ["", ".", "x", "x.1", "x.y.z", "x.²"])
def test_a_button_that_names_no_turn_is_stale(chat: Talk, value: str) -> None:
    assert texts(chat(Press(f"chat.stop|{value}"))) == ["That button is from before; things have moved on."]


# --- models


def test_a_model_is_chosen_for_a_conversation(chat: Talk) -> None:
    (answer,) = (effect for effect in chat(Command("model")) if isinstance(effect, Answer))
    chat(Press(answer.buttons[0].token))

    assert chat.conversation.model == "tickets"
    assert turn_of(chat(Said("write a haiku"))).wanted == "tickets"
    assert "granite" in texts(chat(Command("model", "nobody")))[0] and chat.conversation.model == "tickets"


@pytest.mark.parametrize(
    ("name", "typed", "lines"),
    [
        ("model", "", ["granite", "tickets"]),
        ("model", "ti", ["tickets"]),
        ("compare", "granite ", ["granite tickets"]),
        ("compare", "granite t", ["granite tickets"]),
    ],
)
def test_models_are_completed_from_what_was_last_seen_of_them(chat: Talk, name: str, typed: str, lines: list[str]) -> None:
    known = Known(chat.person, chat.conversation, chat.words, chat=READY)

    assert complete(known, name, typed) == lines


def test_two_models_get_the_same_question_with_the_same_seed_and_no_history(chat: Talk) -> None:
    effects = chat(Command("compare", "granite tickets: Mia wants 3 lamps"))
    one, two = (effect.what for effect in effects if isinstance(effect, Save) and isinstance(effect.what, Turn))

    assert {one.wanted, two.wanted} == {"granite", "tickets"} and (one.rival, two.rival) == (two.id, one.id)
    assert one.seed == two.seed > 0 and one.question == two.question == "Mia wants 3 lamps"
    assert (streams(effects), chat.conversation.turn) == (["compare", "compare"], "")


def test_a_comparison_is_asked_in_a_dialog_too_which_comes_back_with_what_is_wrong(chat: Talk) -> None:
    (asked,) = dialogs(chat(Command("compare")))
    (refused,) = dialogs(chat(Submit("chat.compare|", {"first": "granite", "second": "nobody", "question": " "})))
    effects = chat(Submit("chat.compare|", {"first": "granite", "second": "tickets", "question": "hello"}))

    assert [field.name for field in asked.dialog.fields] == ["first", "second", "question"]
    assert sorted(refused.errors) == ["question", "second"]  # type: ignore[union-attr]  # a Refuse
    assert streams(effects) == ["compare", "compare"]


@pytest.mark.parametrize("text", ["granite", "granite tickets", "granite tickets:", "nobody tickets: hello"])
def test_a_comparison_that_is_not_understood_says_how(chat: Talk, text: str) -> None:
    effects = chat(Command("compare", text))

    assert (streams(effects), len(texts(effects))) == ([], 1)


def test_forgetting_is_of_this_person_in_this_place(chat: Talk) -> None:
    assert chat(Command("forget")) == [Forget("p1", chat.conversation.place)]


# --- setting one up

TINY = Offer("tiny", "Practice model", "Made here.", "Apache-2.0", "https://a.example", "8 MB", "0.4 GB", "yes", made_here=True)
LARGE = Offer("large", "Large one", "Large.", "MIT", "https://b.example", "90 GB", "99 GB", "no")


@pytest.fixture
def operator(talk: Talk) -> Talk:
    talk.as_role, talk.offers = ("everyone", "operator"), (TINY, LARGE)
    return talk


def test_the_first_card_offers_a_model_to_who_may_set_one_up_as_long_as_there_is_none(operator: Talk) -> None:
    def offered() -> list[str]:
        (card,) = cards(operator(Opened()))
        return [button.label for button in card.card.buttons if "model" in button.label]

    seen = [offered()]
    operator.chat = READY
    seen.append(offered())
    operator.chat, operator.as_role = Serving(), ("everyone",)
    seen.append(offered())

    assert seen == [["Set up a model"], [], []]
    assert texts(operator(Press("setup.show|"))) == ["You may not do that here. An operator can change it."]


def test_models_are_shown_with_what_they_need_and_started_with_a_press(operator: Talk) -> None:
    (shown,) = cards(operator(Press("setup.show|")))
    (start,) = (one for one in operator(Press("setup.start|tiny")) if isinstance(one, Start))

    assert [button.label for button in shown.card.buttons] == ["Practice model"]
    assert "does not run here, it needs 99 GB" in str(shown.card.blocks)
    assert (start.key, start.recipe, start.inputs) == ("model-tiny", "model", {"name": "tiny"})
    assert "Choose a smaller one" in texts(operator(Press("setup.start|large")))[0]
    assert texts(operator(Press("setup.start|nobody"))) == ["That button is from before; things have moved on."]


def test_however_many_models_there_are_and_whatever_is_said_of_them_they_fit_a_card(operator: Talk) -> None:
    long = "long word " * 200
    operator.offers = tuple(
        Offer(f"m{n}", long, long, long, f"https://{long}", "9 GB", "9 GB", "full", True) for n in range(30)
    )
    (shown,) = cards(operator(Command("setup")))

    assert 1 < len(shown.card.blocks) <= 12


@pytest.mark.parametrize("state", ["waiting", "running", "stopping", "done", "failed", "cancelled"])
def test_every_step_of_setting_up_is_shown_and_its_end_told_to_who_began_it(operator: Talk, state: str) -> None:
    facts = {
        "act": "fetch",
        "done": "1 GB",
        "left": "2 min",
        "title": "T",
        "code": "engine.disk",
        "needed": "1 GB",
        "free": "0",
    }
    shown = cards(operator(Moved("model-tiny", 3, state, "model", 0.5, facts)))

    assert shown[0].slot == "run.model-tiny"
    assert [one.ping for one in shown[1:] if one.ping] == (["p1"] if state in ("done", "failed", "cancelled") else [])
    assert bool(shown[0].card.buttons) == (state not in ("stopping", "done"))


# --- words


def test_places_in_a_line_are_counted_as_people_count(words: Words) -> None:
    assert [ordinal(number, words) for number in (1, 2, 3, 4, 11, 12, 13, 21, 102, 113)] == (
        ["1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "102nd", "113th"]
    )


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        (" leading space", "leading space"),
        ("# Title\ntext", "**Title**\ntext"),
        ("## A ##\n```\n# a comment\n```\n### B", "**A**\n```\n# a comment\n```\n**B**"),
        ("```\n# never closed", "```\n# never closed"),
        ("C# and #5", "C# and #5"),
    ],
)
def test_what_a_model_writes_becomes_the_markdown_that_messages_show(written: str, shown: str) -> None:
    assert plain(written) == shown


def test_a_turn_is_kept_whole_through_json() -> None:
    from bot.pack import pack, unpack

    turn = replace(Turn("t1", "p1", "here", "q", 1.0), seen=("a",), events=("e1",), state="stopped", answer="half \ud800")
    assert unpack(pack(turn), Turn) == turn
    assert f'"tries":{turn.tries},"state":"{turn.state}"' in pack(turn)  # what `Store.finish` looks for
