"""The document of knowledge is read by itself, its passages are picked to the letter, and trouble is a question again."""

from bot.core.known import Excerpt
from bot.core.talk import Command, Moved, Press, Said, Start, Submit
from tests.bot.core.conftest import Talk, cards, texts

HASH = "0123456789abcdef0123456789abcdef01234567"
FOUND = {"commit": HASH, "files": "2", "words": "300", "listed": "a.md, b.md"}


def begun(talk: Talk) -> str:
    """Knowledge that has its outline and its field; its id."""
    for act in (Command("knowledge"), Said("The harbour"), Said("geography")):
        talk(act)
    assert talk.draft
    return talk.draft.id


def answers(talk: Talk) -> dict[str, str]:
    assert talk.draft
    return dict(talk.draft.answers)


def named(talk: Talk) -> Start:
    """The run that starts when repository and patterns are there."""
    talk(Said("https://example.org/docs.git"))
    (start,) = [effect for effect in talk(Said("*.md")) if isinstance(effect, Start)]
    return start


def test_reading_starts_when_repository_and_patterns_are_there_and_asks_on_meanwhile(talk: Talk) -> None:
    begun(talk)
    talk(Said("https://example.org/docs.git"))
    effects = talk(Said("*.md"))

    assert [effect.inputs for effect in effects if isinstance(effect, Start)] == [
        {"repo": "https://example.org/docs.git", "ref": "", "patterns": ["*.md"]}
    ]
    assert texts(effects)[-1].startswith("First passage.")


def test_the_address_of_a_file_answers_all_three(talk: Talk) -> None:
    begun(talk)
    (start,) = [one for one in talk(Said("https://github.com/o/r/blob/v1/a.md")) if isinstance(one, Start)]

    assert start.inputs == {"repo": "https://github.com/o/r", "ref": "v1", "patterns": ["a.md"]}


def test_what_was_read_is_in_the_draft_and_undo_leaves_it(talk: Talk) -> None:
    begun(talk)
    effects = talk(Moved(named(talk).key, 3, "done", facts=FOUND))

    assert answers(talk)["document.commit"] == HASH
    assert texts(effects) == ["I have read the document (300 words). /find and some words show passages of it to choose from."]
    talk(Said("a passage of mine"))
    talk(Command("undo"))
    assert answers(talk)["document.commit"] == HASH


def test_a_passage_with_a_character_that_no_file_can_hold_is_asked_again_with_the_way_to_take_it_out(talk: Talk) -> None:
    name = begun(talk)
    talk(Moved(named(talk).key, 3, "done", facts=FOUND))
    said = talk(Said("a passage \0 of mine"))

    tokens = [button.token for effect in said for button in getattr(effect, "buttons", ())]
    assert tokens == [f"draft.clean|{name}.example.1.context"]


def test_another_document_is_read_anew_and_what_the_first_reading_finds_no_longer_counts(talk: Talk) -> None:
    name = begun(talk)
    first = named(talk)
    filled = {"repo": "https://example.org/other.git", "ref": "", "patterns": "*.md"}
    (second,) = [one for one in talk(Submit(f"draft.fill|{name}.document", filled)) if isinstance(one, Start)]
    talk(Moved(first.key, 3, "done", facts=FOUND))

    assert second.key != first.key
    assert "document.commit" not in answers(talk)


def test_going_back_to_the_first_document_reads_it_again(talk: Talk) -> None:
    name = begun(talk)
    first = named(talk)
    talk(Submit(f"draft.fill|{name}.document", {"repo": "https://example.org/other.git", "ref": "", "patterns": "*.md"}))
    (third,) = [one for one in talk(Command("undo")) if isinstance(one, Start)]

    assert (third.inputs, third.key != first.key) == (first.inputs, True)


def test_trouble_makes_the_repository_the_question_again_with_a_way_to_try_once_more(talk: Talk) -> None:
    name = begun(talk)
    run = named(talk)
    effects = talk(Moved(run.key, 3, "failed", facts={"cause": "the host hung up"}))
    said = [effect for effect in effects if getattr(effect, "text", "")][-1]

    assert said.text == "I could not read the document: the host hung up"
    assert [button.token for button in said.buttons] == [f"draft.reread|{name}"]
    (again,) = [one for one in talk(Press(f"draft.reread|{name}")) if isinstance(one, Start)]
    assert (again.inputs, again.key != run.key) == (run.inputs, True)


def test_a_draft_that_only_waits_for_its_document_says_so_and_cannot_be_sent(talk: Talk) -> None:
    begun(talk)
    run = named(talk)
    for part in range(1, 6):
        pairs = " ".join(f"question: q{part}{n} answer: a{n}" for n in range(3))
        talk(Said(f"context: passage {part} {pairs}"))
    for text in ("own", "alice-lab"):
        talk(Said(text))
    assert "still being read" in texts(talk(Said("geography/harbours/brook")))[-1]
    assert texts(talk(Command("submit")))[-1].startswith("Not quite yet. The document is still being read")

    assert texts(talk(Moved(run.key, 3, "done", facts=FOUND)))[-1].endswith('may follow as "question: ... answer: ...".')


def test_a_passage_is_taken_to_the_letter_into_the_context_that_is_missing(talk: Talk) -> None:
    name = begun(talk)
    talk(Moved(named(talk).key, 3, "done", facts=FOUND))
    talk.excerpts = (Excerpt("p1", "a.md", "Light", "The *light*  shines.\n", 3),)
    (shown,) = cards(talk(Command("find", "light")))
    talk(Press(f"draft.take|{name}.p1"))
    talk(Press(f"draft.take|{name}.p1"))

    assert [button.token for button in shown.card.buttons] == [f"draft.take|{name}.p1"]
    assert {key: value for key, value in answers(talk).items() if key.endswith("context")} == {
        "example.1.context": "The *light*  shines.\n",
        "example.2.context": "The *light*  shines.\n",
    }


def test_pasted_pairs_go_to_the_passage_that_stands_and_a_context_begins_the_next(talk: Talk) -> None:
    begun(talk)
    named(talk)
    talk(Said("first passage"))
    talk(Said("question: a answer: b"))
    talk(Said("c"))
    talk(Said("context: second question: e answer: f question: g answer: h context: third question: i answer: j"))

    assert {key: value for key, value in answers(talk).items() if key.startswith("example.")} == {
        **{"example.1.context": "first passage", "example.1.question1": "a", "example.1.answer1": "b"},
        **{"example.1.question2": "c", "example.2.context": "second", "example.2.question1": "e", "example.2.answer1": "f"},
        **{"example.2.question2": "g", "example.2.answer2": "h"},
        **{"example.3.context": "third", "example.3.question1": "i", "example.3.answer1": "j"},
    }


def test_searching_before_anything_is_read_says_so(talk: Talk) -> None:
    begun(talk)

    assert texts(talk(Command("find", "x"))) == ["The document has not been read yet."]
    talk(Command("skill"))


def test_a_skill_has_no_document_to_look_into(talk: Talk) -> None:
    talk(Command("skill"))

    assert texts(talk(Command("find", "x"))) == ["Only knowledge has a document to look into."]
