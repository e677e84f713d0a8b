"""A document that is sent for knowledge can be published; nothing is before somebody says so, and nothing typed is lost."""

from bot.core.known import Hub
from bot.core.records import Person
from bot.core.talk import Ask, Command, File, Moved, Press, Refuse, Said, Save, Start, Submit
from tests.bot.core.conftest import Talk, cards, texts

LINKED = Hub("alice-lab", True, False, "lab/taxonomy")
FILE = File("harbour.md", 1200, "t1")
COMMIT = "0123456789abcdef0123456789abcdef01234567"
DONE = {"repo": "https://github.com/alice-lab/taxonomy-knowledge-docs.git", "commit": COMMIT, "patterns": "harbour/harbour.md"}


def begun(talk: Talk, hub: Hub = LINKED) -> str:
    talk.hub = hub
    for act in (Command("knowledge"), Said("The harbour"), Said("geography")):
        talk(act)
    assert talk.draft
    return talk.draft.id


def sent(talk: Talk, file: File = FILE) -> list[str]:
    effects = talk(Said("", (file,)))
    return [*texts(effects), *(one.card.title for one in cards(effects))]


def started(effects: list[object]) -> list[Start]:
    return [one for one in effects if isinstance(one, Start)]


def test_a_document_is_published_when_its_sender_says_so_and_signs(talk: Talk) -> None:
    draft = begun(talk)
    assert sent(talk) == ["A document for this knowledge"]
    (asked,) = talk(Press(f"draft.publish|{draft}"))
    assert isinstance(asked, Ask) and asked.dialog.token == f"draft.published|{draft}"
    effects = talk(Submit(asked.dialog.token, {"name": "Alice Example", "mail": "alice@example.org"}))

    (start,) = started(list(effects))
    assert (start.recipe, start.inputs["upload"], start.inputs["about"]) == ("publish", FILE, "geography")
    assert (start.inputs["name"], start.inputs["mail"]) == ("Alice Example", "alice@example.org")


def test_what_was_published_is_what_the_draft_names_and_it_is_read(talk: Talk) -> None:
    draft = begun(talk)
    talk.person = Person("p1", "alice", full_name="Alice", mail="alice@example.org")
    sent(talk)
    (start,) = started(list(talk(Press(f"draft.publish|{draft}"))))
    effects = talk(Moved(start.key, 3, "done", "publish", facts=DONE))

    assert talk.draft and talk.draft.upload == ()
    assert talk.draft.answers["document.repo"] == DONE["repo"] and talk.draft.answers["document.patterns"] == DONE["patterns"]
    assert [(one.recipe, one.inputs["ref"]) for one in started(list(effects))] == [("document", COMMIT)]


def test_a_sign_off_without_a_mail_comes_back_with_what_was_typed(talk: Talk) -> None:
    draft = begun(talk)
    sent(talk)
    (back,) = talk(Submit(f"draft.published|{draft}", {"name": "Alice Example", "mail": "nowhere"}))

    assert isinstance(back, Refuse) and set(back.errors) == {"mail"}
    assert [one.value for one in back.dialog.fields[:2]] == ["Alice Example", "nowhere"]


def test_what_is_not_to_be_published_is_not_kept(talk: Talk) -> None:
    draft = begun(talk)
    sent(talk)
    talk(Press(f"draft.unpublish|{draft}"))

    assert talk.draft and talk.draft.upload == ()
    assert texts(talk(Press(f"draft.publish|{draft}"))) == ["That file is not kept any more. Send it once more."]


def test_without_an_account_the_way_to_one_is_offered_and_the_file_is_kept(talk: Talk) -> None:
    draft = begun(talk, Hub("", True, True, "lab/taxonomy"))
    sent(talk)
    effects = talk(Press(f"draft.publish|{draft}"))

    assert not started(list(effects)) and "Link your GitHub account" in texts(effects)[0]
    assert talk.draft and talk.draft.upload


def test_a_document_elsewhere_or_too_large_is_no_draft_and_says_so(talk: Talk) -> None:
    talk.hub = LINKED
    assert "/knowledge begins one" in sent(talk)[0]
    begun(talk)
    assert "larger than 10 MiB" in sent(talk, File("a.pdf", 11 * 2**20, "t"))[0]
    assert "larger than 10 MiB" in sent(talk, File("a.pdf", 100, "t" * 2_000_000))[0]


def test_a_failure_says_why_and_can_be_tried_again(talk: Talk) -> None:
    draft = begun(talk)
    talk.person = Person("p1", "alice", full_name="Alice", mail="alice@example.org")
    sent(talk)
    (start,) = started(list(talk(Press(f"draft.publish|{draft}"))))
    effects = talk(Moved(start.key, 3, "failed", "publish", facts={"code": "github.revoked", "cause": "x"}))

    (card,) = [one.card for one in cards(effects)]
    assert card.title == "The document is not published." and card.buttons[0].token == f"draft.publish|{draft}"
    assert talk.draft and talk.draft.upload and not any(isinstance(one, Save) for one in effects)
