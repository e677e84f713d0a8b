"""`/github`: whose account pull requests go out with; and what a submission says where there is none."""

from dataclasses import replace

import pytest

from bot.core.known import Hub
from bot.core.records import Person
from bot.core.talk import Account, Answer, Command, Effect, Press, Show
from tests.bot.core.conftest import Talk
from tests.bot.core.test_drafting import complete

LINKS = Hub(links=True, repo="lab/taxonomy")
LINKED = replace(LINKS, login="alice-lab")


def pressable(effects: list[Effect]) -> list[str]:
    return [button.token for effect in effects if isinstance(effect, Answer) for button in effect.buttons]


@pytest.mark.parametrize(
    ("hub", "said", "buttons"),
    [
        (Hub(repo="lab/taxonomy"), "cannot be linked here", []),
        (LINKS, "No GitHub account of yours is linked", ["github.link|"]),
        (LINKED, "Pull requests go out as alice-lab", ["github.unlink|"]),
    ],
)
def test_it_says_how_somebody_is_on_github_and_offers_the_other(talk: Talk, hub: Hub, said: str, buttons: list[str]) -> None:
    talk.hub = hub
    (told,) = talk(Command("github"))

    assert isinstance(told, Answer) and said in told.text and told.private
    assert pressable([told]) == buttons


@pytest.mark.parametrize("act", [Command("github", "link"), Command("github", " LINK "), Press("github.link|")])
def test_linking_begins_by_command_and_by_button(talk: Talk, act: Command | Press) -> None:
    talk.hub = LINKS

    assert talk(act) == [Account("link")]


@pytest.mark.parametrize("act", [Command("github", "unlink"), Press("github.unlink|")])
def test_an_account_is_forgotten_by_command_and_by_button(talk: Talk, act: Command | Press) -> None:
    talk.hub = LINKED

    assert talk(act) == [Account("unlink")]


def test_an_account_that_is_linked_can_be_linked_anew_once_github_takes_it_no_more(talk: Talk) -> None:
    talk.hub = replace(LINKED, links=True)

    assert talk(Press("github.link|")) == [Account("link")]


@pytest.mark.parametrize(("hub", "act"), [(Hub(), "link"), (LINKS, "unlink"), (Hub(), "unlink")])
def test_what_is_so_already_or_cannot_be_is_said_and_not_done(talk: Talk, hub: Hub, act: str) -> None:
    talk.hub = hub

    assert [type(effect) for effect in talk(Command("github", act))] == [Answer]


@pytest.mark.parametrize(
    ("hub", "said", "buttons"),
    [(LINKS, "nothing is lost", ["github.link|"]), (Hub(repo="lab/taxonomy"), "cannot be linked here", [])],
)
def test_a_submission_by_nobody_says_what_it_lacks_before_anything_is_signed(
    talk: Talk, hub: Hub, said: str, buttons: list[str]
) -> None:
    complete(talk)
    talk.hub = hub
    before = talk.draft
    effects = talk(Command("submit"))

    assert [said in effect.text for effect in effects if isinstance(effect, Answer)] == [True]
    assert (pressable(effects), talk.draft) == (buttons, before)


def test_an_app_opens_it_for_those_who_have_linked_no_account(talk: Talk) -> None:
    complete(talk)
    talk.hub = Hub(app=True, repo="lab/taxonomy")
    (card,) = (effect.card for effect in talk(Command("submit")) if isinstance(effect, Show))

    assert "opened by this labbot, with you as its author" in repr(card)


def test_where_proposals_are_branches_nobody_is_asked_for_an_account(talk: Talk) -> None:
    complete(talk)
    talk.person = Person("p1", "alice")
    effects = talk(Command("submit"))

    assert not pressable(effects)
    assert "GitHub" not in repr([effect for effect in effects if isinstance(effect, Answer)])
