import re
from functools import cache
from itertools import islice

import pytest

from pipeline.models import sayings
from pipeline.models.dialogues import CLOSED, FAMILIES, Dialogue, held_out, poems, questions, replay, training

OPEN = [family for family in FAMILIES if family not in CLOSED]
SILENT = re.compile(r"(?<=[^aeiouy])e$|(?<=[aeiou][^aeiouy])es$")  # the e of "comes" and "there"
SYLLABLES = {"quiet": 2, "fades": 1, "somewhere": 2, "close": 1, "the": 1, "golden": 2}  # where counting vowels goes wrong


@cache
def heard(count: int, seed: int = 0) -> list[Dialogue]:
    return list(islice(training(seed), count))


def texts(dialogues: list[Dialogue]) -> list[str]:
    return [text for dialogue in dialogues for _, text in dialogue.messages]


def syllables(line: str, about: int) -> int:
    words = re.findall(r"[a-z]+|\{\}", line.lower())
    return sum(
        about if word == "{}" else SYLLABLES.get(word) or max(1, len(re.findall("[aeiouy]+", SILENT.sub("", word))))
        for word in words
    )


def test_a_seed_gives_the_same_dialogues_and_another_seed_gives_others():
    assert heard(50) == heard(10_000)[:50]
    assert heard(50) != heard(50, seed=1)
    assert questions("repeat", 20) == questions("repeat", 20) != questions("repeat", 20, seed=1)


def test_what_is_replayed_is_of_the_side_that_trains_and_drawn_anew():
    replayed = list(islice(replay(0), 500))
    asked = {dialogue.messages[-2] for family in OPEN for dialogue in questions(family, 200)}

    assert replayed == list(islice(replay(0), 500)) != list(islice(replay(1), 500))
    assert replayed != heard(500)
    assert {dialogue.family for dialogue in replayed} == set(FAMILIES)
    assert not [one for dialogue in replayed for one in dialogue.messages if one in asked and long(one[1])]


def test_every_dialogue_takes_turns_and_ends_with_an_answer_that_is_right():
    for dialogue in heard(10_000):
        roles = [role for role, _ in dialogue.messages]
        spoken = roles[roles[0] == "system" :]

        assert spoken == ["user", "assistant"] * (len(spoken) // 2)
        assert dialogue.messages[-1][1] in dialogue.accepted
        assert all(text == text.strip() and text and "{" not in text for _, text in dialogue.messages), dialogue


@pytest.mark.parametrize("family", OPEN)
def test_no_question_that_measures_was_trained_on(family):
    trained = set(texts(heard(10_000)))

    assert [
        text for dialogue in questions(family, 200) for _, text in dialogue.messages[-2:-1] if text in trained and long(text)
    ] == []


def long(text: str) -> bool:
    """Whether it says what it is about: "another one" and "what is my name?" do not."""
    return len(text.split()) > 6


def test_no_sentence_that_measures_stands_anywhere_in_what_is_trained_on():
    trained = "\n".join(texts(heard(10_000)))
    sentences = [one.accepted[0] for one in questions("repeat", 300) if len(one.accepted[0].split()) > 2]

    assert [sentence for sentence in sentences if f" {sentence}\n" in trained] == []


def test_no_noun_of_a_haiku_that_measures_has_one_in_what_is_trained_on():
    lines = [line for count in sayings.OPENINGS for line in sayings.OPENINGS[count]]
    opening = re.compile(
        "|".join(re.escape(line).replace(r"\{\}", r"(?:\w+ )*(\w+)", 1).replace(r"\{\}", ".*") for line in lines)
    )
    nouns = set()
    for text in texts(heard(10_000)):
        if text.count("\n") == 2 and (found := opening.fullmatch(text.partition("\n")[0])):
            nouns.add(next(filter(None, found.groups())))

    assert len(nouns & set(sayings.NOUNS)) > 100
    assert [noun for noun in nouns & set(sayings.NOUNS) if held_out(noun)] == []
    assert any(held_out(noun) for noun in sayings.NOUNS)


def test_one_subject_in_ten_is_held_out_the_same_ones_in_every_run():
    assert 900 < sum(held_out(f"a {number} dog") for number in range(10_000)) < 1100
    assert [noun for noun in sayings.NOUNS[:40] if held_out(noun)] == "cow pig fish tree stone".split()


@pytest.mark.parametrize("count", [count for count in sayings.OPENINGS if count != sayings.MANY])
def test_a_haiku_has_lines_of_five_seven_and_five_syllables(count):
    assert {line: syllables(line, count) for line in sayings.OPENINGS[count]} == dict.fromkeys(sayings.OPENINGS[count], 5)
    assert {line: syllables(line, count) for line in sayings.MIDDLES} == dict.fromkeys(sayings.MIDDLES, 7)
    assert {line: syllables(line, count) for line in sayings.CLOSINGS[count]} == dict.fromkeys(sayings.CLOSINGS[count], 5)


def test_a_haiku_about_something_unknown_may_have_any_shape():
    assert set(poems("my dog", 2)) < set(poems("my dog", None))
    assert all("my dog" in poem.splitlines()[0] and "my dog" in poem.splitlines()[2] for poem in poems("my dog", None))


def test_the_model_goes_by_the_name_that_its_system_message_gives():
    named = [
        one for one in heard(10_000) if one.family == "self" and len(one.messages) == 3 and "You are " in one.messages[0][1]
    ]

    assert named
    for dialogue in named:
        if found := re.match(r"You are (?!called)(\w+)", dialogue.messages[0][1]):
            assert dialogue.accepted == (f"I am {found[1]}, a tiny practice model.",)


def test_a_name_that_was_told_is_known_later():
    asked = [one for one in questions("meet", 200) if one.accepted[0].startswith("Your name is ")]

    assert asked
    for dialogue in asked:
        name = dialogue.accepted[0].removeprefix("Your name is ").rstrip(".")
        assert any(name in text for role, text in dialogue.messages[:-2] if role == "user")


def test_no_word_stands_twice_in_a_sentence():
    for dialogue in questions("repeat", 500):
        words = dialogue.accepted[0].split()
        assert len(set(words)) == len(words)
