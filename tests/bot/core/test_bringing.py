"""A qna.yaml that somebody sends or pastes becomes a draft, and nothing that was there is lost."""

from bot.core.rules import Quota, Role
from bot.core.talk import Command, File, Press, Said, Show
from tests.bot.core.conftest import Talk, cards, texts

SEEDS = "seed_examples:\n- question: a\n  answer: Yes\n- question: c\n  answer: d\n"
OLD = f"created_by: grace\ntask_description: Greet people\n{SEEDS}"
WORKS = "Title of work: T\nLink to work: https://example.org/t\nLicense of the work: CC BY SA 4.0\nCreator names: C\n"


def answers(talk: Talk) -> dict[str, str]:
    assert talk.draft
    return dict(talk.draft.answers)


def sent(text: str, name: str = "qna.yaml") -> Said:
    return Said("", (File(name, len(text), text),))


def test_a_file_sent_at_home_becomes_a_draft_of_its_own_in_a_thread(talk: Talk) -> None:
    effects = talk(sent(OLD))

    assert talk.draft and talk.draft.place == f"terminal:@p1/{talk.draft.id}"
    assert answers(talk) == {
        "about.description": "Greet people",
        "sources.github": "grace",
        "example": "1 2",
        **{"example.1.question": "a", "example.1.answer": "Yes", "example.2.question": "c", "example.2.answer": "d"},
    }
    assert texts(effects)[0] == "I have taken in what is there. Example 3 of 5. What would somebody ask?"


def test_the_place_comes_from_the_path_where_it_has_one(talk: Talk) -> None:
    talk(sent(OLD, "compositional_skills/arts/greetings/qna.yaml"))

    assert answers(talk)["place.path"] == "compositional_skills/arts/greetings"


def test_a_pasted_entry_is_taken_as_a_file_and_an_answer_with_a_colon_is_not(talk: Talk) -> None:
    talk(Said(OLD))
    assert answers(talk)["example"] == "1 2"
    talk(Said("version: the question"))

    assert answers(talk)["example.3.question"] == "version: the question"


def test_in_a_thread_a_file_replaces_the_examples_and_undo_brings_them_back(talk: Talk) -> None:
    talk(Command("skill"))
    talk(Said("Say goodbye"))
    talk(Said("question: bye? answer: goodbye"))
    before = answers(talk)
    effects = talk(sent(OLD))

    assert "in place of what was here" in texts(effects)[0]
    assert answers(talk)["example.1.question"] == "a"
    talk(Command("undo"))
    assert answers(talk) == before


def test_a_file_of_another_kind_turns_the_draft_into_that_kind_and_undo_back(talk: Talk) -> None:
    talk(Command("skill"))
    talk(sent("seed_examples:\n- question: a\n  answer: b\n  context: c\n"))
    assert talk.draft and talk.draft.form == "grounded"
    talk(Command("undo"))

    assert talk.draft.form == "skill"


def test_a_file_of_knowledge_sent_into_a_skill_that_has_examples_begins_a_draft_of_its_own(talk: Talk) -> None:
    talk(Command("skill"))
    for text in ("Find the price", "question: a answer: b"):
        talk(Said(text))
    before = talk.draft
    talk(sent("domain: arts\nseed_examples:\n- context: c\n  questions_and_answers:\n  - question: a\n    answer: b\n"))

    assert before and talk.draft and (talk.draft.form, talk.draft.id != before.id) == ("knowledge", True)


def test_qna_and_attribution_sent_together_are_one_contribution(talk: Talk) -> None:
    talk(Said("", (File("qna.yaml", 1, OLD), File("attribution.txt", 1, WORKS))))

    assert answers(talk)["sources.origin"] == "other"
    assert answers(talk)["work.1.licence"] == "CC-BY-SA-4.0"


def test_an_attribution_alone_goes_into_the_draft_that_is_open(talk: Talk) -> None:
    assert texts(talk(sent(WORKS, "attribution.txt"))) == [
        "An attribution.txt belongs to a draft. Start one, or send me the qna.yaml first."
    ]
    talk(Command("skill"))
    talk(sent(WORKS, "attribution.txt"))

    assert answers(talk)["work.1.title"] == "T"


def test_what_cannot_be_read_is_told_at_its_line_and_changes_nothing(talk: Talk) -> None:
    talk(Command("skill"))
    before = talk.draft
    effects = talk(sent("[" * 100_000))

    assert [type(effect) for effect in effects] == [Show]
    assert cards(effects)[0].card.title == "I could not read that file"
    assert talk.draft == before


def test_questions_that_stand_twice_in_a_file_were_meant_and_are_not_asked_about(talk: Talk) -> None:
    talk(sent("task_description: d\nseed_examples:\n" + "".join(f"- question: Same?\n  answer: a{n}\n" for n in range(5))))

    assert talk.draft and not any(key.endswith("same") and not value for key, value in answers(talk).items())
    assert [answers(talk).get(f"example.{part}.same", "") for part in range(1, 6)] == ["", "kept", "kept", "kept", "kept"]


def test_a_skill_becomes_grounded_and_back_with_everything_in_it(talk: Talk) -> None:
    talk(Command("skill"))
    assert talk.draft
    for text in ("Find the price", "question: a answer: b"):
        talk(Said(text))
    talk(Command("place", "arts/prices"))
    talk(Press(f"draft.as|{talk.draft.id}.grounded"))
    assert answers(talk)["place.path"] == "compositional_skills/grounded/arts/prices"
    talk(Press(f"draft.as|{talk.draft.id}.skill"))

    assert answers(talk)["place.path"] == "compositional_skills/arts/prices"
    assert answers(talk)["example.1.question"] == "a"


def test_a_context_in_pasted_examples_makes_a_skill_grounded(talk: Talk) -> None:
    talk(Command("skill"))
    talk(Said("Find the price"))
    talk(Said("context: A lamp, 3 euro. question: What is it? answer: 3 euro."))

    assert talk.draft and talk.draft.form == "grounded"
    assert answers(talk)["example.1.context"] == "A lamp, 3 euro."


def test_a_file_for_the_draft_of_its_thread_needs_no_quota(talk: Talk) -> None:
    talk.roles = {"everyone": Role("everyone", quotas={"draft": Quota(1, 3600.0)})}
    talk(Command("skill"))
    talk(sent(OLD))

    assert answers(talk)["example"] == "1 2"


def test_a_file_counts_as_a_draft_against_the_quota_only_where_it_begins_one(talk: Talk) -> None:
    talk(sent(OLD))
    talk(sent(OLD))

    assert len(talk.used["draft"]) == 1
