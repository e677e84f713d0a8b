"""What menus of platforms read of commands, and what dialogs bring besides texts."""

import re

import pytest

from bot.core.commands import COMMANDS, complete
from bot.core.helping import TOPICS
from bot.core.known import Known, Serving
from bot.core.records import Conversation, Draft, Person
from bot.core.rules import Role
from bot.core.talk import Answer, Ask, Command, File, Refuse, Save, Show, Submit
from bot.core.words import Words, pick
from bot.pack import enclose
from tests.bot.core.conftest import TABLES, Talk
from tests.bot.core.test_drafting import complete as complete_draft

PASTED = "question: What is red? answer: A colour."


def test_every_command_has_a_name_and_a_description_that_menus_take_and_so_has_each_of_its_parts(words: Words) -> None:
    told = {spec.name: words(f"menu.{spec.name}") for spec in COMMANDS.values()}
    parts = {takes.name: words(f"takes.{takes.name}") for spec in COMMANDS.values() for takes in spec.takes}

    assert [name for name, text in (told | parts).items() if not 0 < len(text) <= 100] == []
    assert [name for name in told | parts if not re.fullmatch(r"[a-z]{1,32}", name)] == []
    for spec in COMMANDS.values():
        required = [takes.required for takes in spec.takes]
        assert required == sorted(required, reverse=True), f"{spec.name}: menus want what is required first"


def test_drafts_and_their_runs_are_completed_by_their_names(words: Words) -> None:
    drafts = (
        Draft("k7", "skill", "p1", "terminal:@p1/k7", 1.0, ("p1",), run="k7.3"),
        Draft("m2", "skill", "p1", "x", 1.0, ("p1",)),
    )
    known = Known(Person("p1", "alice"), Conversation("terminal:@p1"), words, drafts=drafts)

    assert [complete(known, name, "k") for name in ("draft", "submit", "cancel")] == [["k7"], ["k7"], ["k7.3"]]
    assert complete(known, "cancel", "") == ["k7.3"]


def test_a_dialog_brings_a_file_and_comes_back_where_it_brings_none(talk: Talk) -> None:
    asked = talk(Command("upload"))
    nothing = talk(Submit("file.bring|", {}))
    text = "version: 3\ntask_description: Count\ncreated_by: a\nseed_examples: []\n"
    file = File("qna.yaml", len(text), enclose(text.encode()))
    taken = talk(Submit("file.bring|", {}, (file,)))

    assert isinstance(asked[0], Ask) and asked[0].dialog.fields[0].kind == "file"
    assert isinstance(nothing[0], Refuse) and list(nothing[0].errors) == ["file"]
    assert not [effect for effect in taken if isinstance(effect, Refuse)]


def test_a_draft_that_only_its_owner_can_see_is_not_shared(talk: Talk) -> None:
    talk(Command("skill"))
    talk.apart = True
    effects = talk(Command("invite", "<@p2>"))
    talk.apart = False
    shared = talk(Command("invite", "<@p2>"))

    assert [type(effect) for effect in effects] == [Answer] and "Begin it in a channel" in effects[0].text  # type: ignore[union-attr]
    assert len(shared) > 1


def test_help_says_how_one_is_heard_on_a_platform(talk: Talk) -> None:
    talk.note = "help.discord"
    told = talk(Command("help"))[0]

    assert isinstance(told, Answer) and told.text.endswith("need no mention.")


@pytest.mark.parametrize("locale", ["en", "de"])
def test_help_lists_every_command_once_and_fits_a_message_of_discord(locale: str) -> None:
    talk = Talk(pick(TABLES, locale), chat=Serving("ready"), as_role=("everyone", "operator"), note="help.slack")
    talk.roles = {"everyone": Role("everyone"), "operator": Role("operator")}
    told = talk(Command("help"))[0]

    assert isinstance(told, Answer) and len(told.text) < 1800
    assert [name for name in COMMANDS if told.text.count(f"`/{name}`") != 1] == []
    assert sorted(name for names in TOPICS.values() for name in names) == sorted(COMMANDS)


@pytest.mark.parametrize("typed", ["edit", "/edit", " EDIT "])
def test_help_explains_one_command(talk: Talk, typed: str) -> None:
    told = talk(Command("help", typed))[0]

    assert isinstance(told, Answer) and told.text == talk.words("command.edit")


def test_help_explains_a_command_by_the_name_that_a_menu_gives_it() -> None:
    talk = Talk(pick(TABLES, "de"))
    told = talk(Command("help", "ändern"))[0]

    assert isinstance(told, Answer) and told.text == talk.words("command.edit")


@pytest.mark.parametrize("name", ["nothing", "admin"])
def test_help_explains_nothing_that_is_not_there_for_this_person(talk: Talk, name: str) -> None:
    told = talk(Command("help", name))[0]

    assert isinstance(told, Answer) and told.text == talk.words("command.unknown", name=name)


def test_a_message_with_labelled_pairs_becomes_a_skill_with_these_examples(talk: Talk) -> None:
    talk(Command("skill", f"{PASTED}\nquestion: What is blue? answer: Another."))

    assert talk.draft is not None
    assert {talk.draft.answers[f"example.{part}.question"] for part in "12"} == {"What is red?", "What is blue?"}
    assert "about.description" not in talk.draft.answers


def test_only_the_first_line_of_a_wish_is_offered_as_what_a_skill_is_about(talk: Talk) -> None:
    effects = talk(Command("skill", "count the sheep on a hill\nand then some more that somebody wrote"))
    offered = [button.label for effect in effects if isinstance(effect, Answer) for button in effect.buttons]

    assert "Yes: Count the sheep on a hill" in offered


@pytest.mark.parametrize(("ticked", "kept"), [("yes", "Alice Example"), ("no", ""), (None, "Alice Example")])
def test_name_and_mail_are_kept_for_the_next_time_unless_somebody_says_no(talk: Talk, ticked: str | None, kept: str) -> None:
    complete_draft(talk)
    values = {"name": "Alice Example", "mail": "alice@example.org", **({"keep": ticked} if ticked else {})}
    assert talk.draft is not None
    effects = talk(Submit(f"draft.signed|{talk.draft.id}", values))
    people = [effect.what for effect in effects if isinstance(effect, Save) and isinstance(effect.what, Person)]

    assert [person.full_name for person in people] == [kept]
    assert any(isinstance(effect, Show) and "Alice Example" in effect.card.title for effect in effects)
