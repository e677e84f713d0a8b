"""Whether what the model says today is the contributor's answer already."""

import pytest

from bot.core.records import Draft
from bot.core.today import asked, whole
from bot.today import agrees


@pytest.mark.parametrize(
    ("wanted", "said", "same"),
    [
        ("item: lamps | count: 3", "Item: lamps | count: 3.", True),
        ("Paris", "The capital of France is Paris.", True),
        ("Paris", "It is not Paris.", False),
        ("12 coins", "The lamp costs 12 coins.", True),
        ("12 coins", "The lamp costs 13 coins.", False),
        ("12 coins", "12 coins and 3 more", False),
        ("item: lamps | count: 3 | name: Mia", "item: lamps | count: 4 | name: Mia", False),
        ("the cat sleeps on the warm grey stone", "the cat sleeps on the warm gray stone", True),
        ("the cat sleeps on the warm grey stone", "a dog barks", False),
        ("yes", "", False),
        ("...", "", False),
    ],
)
def test_answers_agree_where_their_words_do_and_never_where_their_numbers_do_not(wanted: str, said: str, same: bool) -> None:
    assert agrees(wanted, said) is same


def draft(form: str, **answers: str) -> Draft:
    return Draft("k7", form, "p1", "here", 0.0, ("p1",), {key.replace("_", "."): value for key, value in answers.items()})


def test_a_grounded_example_is_asked_with_its_text_and_a_skill_without() -> None:
    both = {"example_1_context": "The lamp costs 12.", "example_1_question": "What?", "example_1_answer": "12"}
    grounded, skill = draft("grounded", example="1", **both), draft("skill", example="1", **both)

    assert [one.question for one in asked(grounded, 1)] == ["The lamp costs 12.\n\nWhat?"]
    assert [one.question for one in asked(skill, 1)] == ["What?"]


def test_every_pair_of_a_passage_of_knowledge_is_asked_and_half_an_example_is_not() -> None:
    pairs = {"example_1_question1": "a?", "example_1_answer1": "b", "example_1_question2": "c?", "example_1_answer2": "d"}
    knowledge = draft("knowledge", example="1 2", example_2_question1="only asked?", **pairs)

    assert [(one.question, one.wanted) for one in asked(knowledge, 1)] == [("a?", "b"), ("c?", "d")]
    assert (whole(knowledge), whole(None)) == ([1], [])
