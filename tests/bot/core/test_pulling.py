"""What the thread hears of its pull request, as often as its contributor wants to hear it, and what they do from there."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core import pulled
from bot.core.known import Hub, Known, PullFound, Spot
from bot.core.records import Conversation, Draft, Person
from bot.core.talk import (
    CARD,
    Answer,
    Ask,
    Card,
    Choice,
    Command,
    Effect,
    Follow,
    Moved,
    Opened,
    Press,
    Pulled,
    Save,
    Show,
    Start,
    Submit,
)
from bot.core.words import pick
from pipeline.pulls import LABELS, Check, Followed, News, Note, Pull, Remark
from tests.bot.core.conftest import TABLES, Talk, texts
from tests.bot.core.test_drafting import complete

DAY_S = 86_400.0
PULL = Pull(
    "lab/taxonomy", 7, "Greet people", "https://github.com/lab/taxonomy/pull/7", "open", "alice-lab", "c1", "b", "main", 0, 0
)
ASKS = Remark("11", "line", "dora", 5.0, "could the answer keep the plural?", member=True, path="x/qna.yaml", line=12)
AGREES = Remark("12", "review", "dora", 6.0, "", "approved", member=True)
FAILED = Check("lint", "failed", notes=(Note("x/qna.yaml", 12, "line too long"),))
SPOT = Spot("example", 3, "answer: Hallo")


@pytest.fixture
def open_(talk: Talk) -> Talk:
    """A draft whose pull request is open and followed."""
    complete(talk)
    assert talk.draft
    talk.hub = Hub("alice-lab", True, False, "lab/taxonomy")
    talk.draft = replace(talk.draft, pull="lab/taxonomy#7", state="submitted")
    found(talk, PULL)
    return talk


def draft_of(talk: Talk) -> Draft:
    assert talk.draft
    return talk.draft


def found(talk: Talk, pull: Pull) -> None:
    where = Followed(draft_of(talk).id, "p1", pull.repo, pull.number, "terminal", draft_of(talk).place, since=1.0)
    talk.pulled = PullFound(where, pull, {12: SPOT})


def hear(talk: Talk, pull: Pull, *news: News) -> list[Effect]:
    found(talk, pull)
    return talk(Pulled(draft_of(talk).id, 1, pull, news))


def press(talk: Talk, verb: str, rest: str = "") -> list[Effect]:
    return talk(Press(f"pull.{verb}|{draft_of(talk).id}" + (f".{rest}" if rest else "")))


def card(talk: Talk, effects: list[Effect]) -> Card:
    (shown,) = (one for one in effects if isinstance(one, Show) and one.slot == f"pull.{draft_of(talk).id}")
    return shown.card


def messages(effects: list[Effect]) -> list[Card]:
    """What notifies its contributor."""
    return [one.card for one in effects if isinstance(one, Show) and one.ping == "p1"]


def starts(effects: list[Effect]) -> list[Start]:
    return [effect for effect in effects if isinstance(effect, Start)]


def tokens(card: Card) -> list[str]:
    return [button.token.partition("|")[0] for button in card.buttons]


# --- the card


@pytest.mark.parametrize(
    ("pull", "said"),
    [
        (PULL, "It waits for triage."),
        (replace(PULL, checks=(Check("lint", "running"),)), "The checks run."),
        (replace(PULL, checks=(FAILED,)), "It waits for you."),
        (replace(PULL, remarks=(AGREES,)), "1 of 2 LGTMs (dora)"),
        (replace(PULL, labels=("triage-requested-changes",)), "a triager wants something changed"),
        (replace(PULL, labels=("our-own",)), "Label our-own: a mark of the project's own"),
        (replace(PULL, state="merged"), "Merged."),
    ],
)
def test_its_card_says_how_it_stands(open_: Talk, pull: Pull, said: str) -> None:
    shown = card(open_, hear(open_, pull))

    assert said in repr(shown) and "(https://github.com/lab/taxonomy/pull/7)" in repr(shown)


def test_every_label_of_upstream_s_has_a_meaning_in_every_language() -> None:
    for locale in ("en", "de"):
        words = pick(TABLES, locale)
        assert [label for label in LABELS if pulled.meaning(label, words) == words("tag.other")] == []


def test_what_is_over_has_no_buttons(open_: Talk) -> None:
    there, over = card(open_, hear(open_, PULL)), card(open_, hear(open_, replace(PULL, state="merged")))

    assert (tokens(there), tokens(over), over.choice) == (["pull.withdraw"], [], None)
    assert isinstance(there.choice, Choice) and there.choice.hint == "Tell me: only what needs me"


def test_a_draft_that_has_changed_since_can_be_brought_to_it(open_: Talk) -> None:
    open_.draft = replace(draft_of(open_), state="open")

    assert tokens(card(open_, hear(open_, PULL))) == ["draft.submit", "pull.withdraw"]


# --- what is told in a message of its own


NEWS = (
    News("checks.running"),
    News("label", "skill"),
    News("remark", "line-11", needs=True),
    News("lgtm", "review-12"),
    News("merged"),
)


@pytest.mark.parametrize(("tells", "count"), [("all", 5), ("mine", 2), ("none", 0)])
def test_people_choose_of_what_they_are_told(open_: Talk, tells: str, count: int) -> None:
    open_.person = replace(open_.person, tells=tells)  # type: ignore[arg-type]
    effects = hear(open_, replace(PULL, remarks=(ASKS, AGREES), labels=("skill",)), *NEWS)
    lines = [line for one in messages(effects) for block in one.blocks for line in block.text.split("\n")]  # type: ignore[union-attr]

    assert len(lines) == count
    assert card(open_, effects)


def test_the_choice_is_kept_and_shown(open_: Talk) -> None:
    effects = press(open_, "tells", "none")

    assert open_.person.tells == "none"
    assert card(open_, effects).choice.hint == "Tell me: nothing"  # type: ignore[union-attr]


def test_however_much_happened_at_once_it_is_one_message(open_: Talk) -> None:
    pull = replace(PULL, remarks=(ASKS, AGREES), checks=(FAILED,))
    effects = hear(open_, pull, News("remark", "line-11", True), News("checks.failed", "lint", True), News("merged"))

    assert len(messages(effects)) == 1


def test_a_remark_is_quoted_with_the_example_that_it_is_about_and_both_ways_on(open_: Talk) -> None:
    (told,) = messages(hear(open_, replace(PULL, remarks=(ASKS,)), News("remark", "line-11", needs=True)))

    assert 'dora on example 3: "could the answer keep the plural?"' in told.blocks[0].text  # type: ignore[union-attr]
    assert [button.label for button in told.buttons] == ["Answer", "Edit example 3"]
    assert isinstance(open_(Press(told.buttons[1].token))[0], Ask)


def test_a_check_that_failed_is_told_with_the_line_and_what_mends_it(open_: Talk) -> None:
    open_.draft = draft_of(open_).with_answers({"example.3.answer": "nul\0"})
    (told,) = messages(hear(open_, replace(PULL, checks=(FAILED,)), News("checks.failed", "lint", needs=True)))

    assert "Line 12 on example 3: `answer: Hallo`. The check says: line too long" in told.blocks[0].text  # type: ignore[union-attr]
    assert "My own check says:" in told.blocks[0].text  # type: ignore[union-attr]
    assert tokens(told) == ["draft.edit"]


def test_a_line_of_another_file_belongs_to_no_example(open_: Talk) -> None:
    elsewhere = Check("lint", "failed", notes=(Note("x/attribution.txt", 12, "no licence"),))
    (told,) = messages(hear(open_, replace(PULL, checks=(elsewhere,)), News("checks.failed", "lint", needs=True)))

    assert "example" not in told.blocks[0].text and not told.buttons  # type: ignore[union-attr]


def test_before_it_is_closed_for_silence_one_can_say_that_one_is_on_it(open_: Talk) -> None:
    stale = replace(PULL, labels=("stale",), read=DAY_S)
    (told,) = messages(hear(open_, stale, News("stale", "stale", needs=True)))
    effects = press(open_, "still")

    assert "closed in 30 days" in told.blocks[0].text and tokens(told) == ["pull.still"]  # type: ignore[union-attr]
    assert [start.inputs["text"] for start in starts(effects)] == ["I am still working on this."]


def test_the_end_is_told_and_noted_in_the_draft(open_: Talk) -> None:
    (told,) = messages(hear(open_, replace(PULL, state="merged"), News("merged")))

    assert "you will hear when the model has it" in told.blocks[0].text  # type: ignore[union-attr]
    assert (draft_of(open_).pull, draft_of(open_).state) == ("", "submitted")


def test_one_that_others_closed_says_what_was_said_last_and_the_draft_is_open_again(open_: Talk) -> None:
    (told,) = messages(hear(open_, replace(PULL, state="closed", remarks=(ASKS,)), News("closed", needs=True)))

    assert 'dora said last: "could the answer keep the plural?"' in told.blocks[0].text  # type: ignore[union-attr]
    assert (draft_of(open_).pull, draft_of(open_).state) == ("", "open")


def test_a_pull_request_of_no_draft_is_not_told(talk: Talk) -> None:
    assert talk(Pulled("gone", 1, PULL, (News("merged"),))) == []


def test_news_are_no_act_of_the_person_that_could_be_refused(open_: Talk) -> None:
    open_.person = replace(open_.person, blocked="spam")
    effects = hear(open_, PULL)

    assert card(open_, effects) and not texts(effects)


@given(st.text(max_size=3000), st.text(max_size=300), st.integers(1, 40))
def test_whatever_others_write_fits_a_card_and_is_no_markup(text: str, name: str, count: int) -> None:
    remarks = tuple(Remark(f"{at}", "comment", name, 1.0, text, member=True) for at in range(count))
    notes = tuple(Note("x/qna.yaml", 12, text) for _ in range(count))
    pull = replace(PULL, remarks=remarks, checks=(Check(name, "failed", summary=text, notes=notes),), labels=(name,) * count)
    news = [News("checks.failed", name, True), *(News("remark", one.name, True) for one in remarks), News("label", name)]
    words = pick(TABLES, "en")
    draft = Draft("k7", "skill", "p1", "terminal:@p1/k7", 1.0, ("p1",), answers={"example.1.question": "Q?"})
    known = Known(Person("p1", "alice", tells="all"), Conversation("terminal:@p1"), words, draft)
    spots = {12: Spot("example", 1, text)}
    told = pulled.message(draft, pull, news, PullFound(None, pull, spots), known)

    assert pulled.card(draft, pull, known).title
    assert len(repr(told.blocks)) < 4 * CARD


@pytest.mark.parametrize("hostile", ["[press](https://evil.example)", "`code`", "**bold**"])
def test_a_remark_is_never_markup(open_: Talk, hostile: str) -> None:
    remark = replace(ASKS, text=hostile)
    (told,) = messages(hear(open_, replace(PULL, remarks=(remark,)), News("remark", "line-11", needs=True)))

    assert hostile not in told.blocks[0].text  # type: ignore[union-attr]


def test_a_comment_and_a_review_of_the_same_number_are_told_and_answered_apart(open_: Talk) -> None:
    pair = [Remark("11", kind, "dora", 5.0, f"a {kind}", member=True) for kind in ("review", "comment")]
    (told,) = messages(hear(open_, replace(PULL, remarks=(*pair,)), *(News("remark", one.name, True) for one in pair)))
    text, answers = told.blocks[0].text, [one for one in told.buttons if one.label == "Answer"]  # type: ignore[union-attr]
    (asked,) = open_(Press(answers[1].token))
    assert isinstance(asked, Ask)
    (start,) = starts(open_(Submit(asked.dialog.token, {"text": "Yes."})))

    assert '"a review"' in text and '"a comment"' in text
    assert (len(answers), start.inputs["remark"], start.inputs["kind"]) == (2, "11", "comment")


# --- what one does from the thread


def test_an_answer_is_typed_in_a_dialog_and_sent_once(open_: Talk) -> None:
    found(open_, replace(PULL, remarks=(ASKS,)))
    (asked,) = press(open_, "answer", "line-11")
    assert isinstance(asked, Ask)
    sent = Submit(asked.dialog.token, {"text": "Yes, with its plural."})
    (once,), (again,) = (starts(open_(sent, event="e90")) for _ in range(2))

    assert once == again and (once.recipe, once.until) == ("pull", "act")
    assert {name: once.inputs[name] for name in ("act", "repo", "number", "remark", "kind", "text")} == {
        "act": "answer",
        "repo": "lab/taxonomy",
        "number": "7",
        "remark": "11",
        "kind": "line",
        "text": "Yes, with its plural.",
    }


def test_it_is_withdrawn_by_who_says_so_twice(open_: Talk) -> None:
    asked = press(open_, "withdraw")
    kept = press(open_, "keep")
    really = press(open_, "really")

    assert not starts(asked) and not starts(kept)
    assert [start.inputs["act"] for start in starts(really)] == ["withdraw"]
    assert {one.slot for one in [*asked, *kept, *really] if isinstance(one, Show)} == {f"withdraw.{draft_of(open_).id}"}


def ended(talk: Talk, state: str, **facts: str) -> list[Effect]:
    (start,) = starts(press(talk, "really"))
    return talk(Moved(start.key, 3, state, "act", 1.0, facts))


def test_once_it_is_withdrawn_the_draft_is_open_and_nobody_is_told_twice(open_: Talk) -> None:
    effects = ended(open_, "done", act="withdraw", url=PULL.url)
    later = hear(open_, replace(PULL, state="closed"), News("closed", needs=True))

    assert (draft_of(open_).pull, draft_of(open_).state) == ("", "open")
    assert Follow(draft_of(open_).id, "lab/taxonomy", 7) in effects
    assert "Pull request #7 is withdrawn." in repr(effects) and messages(later) == []


def test_it_is_withdrawn_in_its_card_too_where_github_s_word_of_it_comes_first(open_: Talk) -> None:
    (start,) = starts(press(open_, "really"))
    hear(open_, replace(PULL, state="closed"), News("closed", needs=True))
    effects = open_(Moved(start.key, 3, "done", "act", 1.0, {"act": "withdraw", "url": PULL.url}))

    assert [one.slot for one in effects if isinstance(one, Show)] == [f"withdraw.{draft_of(open_).id}"]
    assert "Pull request #7 is withdrawn." in repr(effects) and draft_of(open_).state == "open"


@pytest.mark.parametrize(
    ("code", "said", "buttons"),
    [
        ("github.revoked", "Link your account again", ["github.link|"]),
        ("github.gone", "The repository is not there", []),
        ("", "no route", []),
    ],
)
def test_what_github_does_not_take_is_said_with_what_mends_it(open_: Talk, code: str, said: str, buttons: list[str]) -> None:
    asks, told = ended(open_, "failed", code=code, cause="no route")

    assert isinstance(told, Answer) and said in told.text
    assert [button.token for button in told.buttons] == buttons
    assert draft_of(open_).pull == "lab/taxonomy#7"
    assert isinstance(asks, Show) and asks.slot == f"withdraw.{draft_of(open_).id}"
    assert tokens(asks.card) == ["pull.really", "pull.keep"]  # it is not being withdrawn any more


def test_an_answer_that_did_not_go_out_asks_nobody_to_withdraw(open_: Talk) -> None:
    found(open_, replace(PULL, remarks=(ASKS,)))
    (start,) = starts(open_(Submit(f"pull.said|{draft_of(open_).id}.line-11", {"text": "Yes."})))
    effects = open_(Moved(start.key, 3, "failed", "act", 1.0, {"cause": "no route"}))

    assert [type(effect) for effect in effects] == [Answer]


def test_only_its_authors_do_anything_to_it(open_: Talk) -> None:
    act = Press(f"pull.really|{draft_of(open_).id}")

    assert [type(effect) for effect in open_(act, by="p2")] == [Answer]


def test_old_buttons_of_one_that_is_over_show_how_it_stands(open_: Talk) -> None:
    found(open_, replace(PULL, state="merged"))

    assert [starts(press(open_, verb)) for verb in ("withdraw", "really", "still")] == [[], [], []]


def test_a_draft_is_not_thrown_away_while_its_pull_request_is_open(open_: Talk) -> None:
    (told,) = open_(Command("discard"))
    hear(open_, replace(PULL, state="closed"))
    open_(Command("discard"))

    assert isinstance(told, Answer) and "Withdraw it first" in told.text
    assert draft_of(open_).state == "discarded"


def test_when_it_is_open_it_is_followed_and_noted(open_: Talk) -> None:
    open_.draft = replace(
        draft_of(open_), pull="", state="open", signed=1.0, run=f"{draft_of(open_).id}.{draft_of(open_).revision}"
    )
    facts = {"repo": "lab/taxonomy", "number": "7", "url": PULL.url, "login": "alice-lab"}
    effects = open_(Moved(draft_of(open_).run, 9, "done", "propose", 1.0, facts))

    assert Follow(draft_of(open_).id, "lab/taxonomy", 7) in effects
    assert (draft_of(open_).pull, draft_of(open_).state) == ("lab/taxonomy#7", "submitted")
    assert [one.title for one in messages(effects)] == [
        "Pull request #7 is open: Greet people. What happens to it is told here."
    ]


def test_further_commits_are_told_as_an_update_and_not_as_one_more_pull_request(open_: Talk) -> None:
    run = f"{draft_of(open_).id}.{draft_of(open_).revision}"
    open_.draft = replace(draft_of(open_), state="open", signed=1.0, run=run)
    facts = {"repo": "lab/taxonomy", "number": "7", "url": PULL.url, "login": "alice-lab"}
    effects = open_(Moved(run, 9, "done", "propose", 1.0, facts))

    assert [one.title for one in messages(effects)] == ["Pull request #7 is updated: Greet people."]
    assert "It is updated:" in repr(effects) and "It is open:" not in repr(effects)


@pytest.mark.parametrize(("days", "said"), [(3, "in 3 days it is marked stale"), (0, "it is marked stale any day now")])
def test_it_is_told_in_how_many_days_it_is_stale_and_that_it_may_be_any_day(open_: Talk, days: int, said: str) -> None:
    pull = replace(PULL, labels=("triage-needs-information",), read=(15 - days) * DAY_S)

    assert said in repr(messages(hear(open_, pull, News("stale.soon", needs=True))))


# --- my contributions


def test_status_lists_the_newest_first_and_drafts_that_wait(open_: Talk) -> None:
    other = Draft("k9", "skill", "p1", "x", 1.0, ("p1",), answers={"about.description": "Count sheep"})
    open_.drafts = (draft_of(open_), other)
    older = Followed(draft_of(open_).id, "p1", "lab/taxonomy", 7, "terminal", "x", since=1.0)
    open_.pulls = ((older, PULL), (replace(older, draft="gone", pull=8, since=2.0), None))
    (shown,) = open_(Command("status"))
    assert isinstance(shown, Show)
    lines = shown.card.blocks[0].text.split("\n")  # type: ignore[union-attr]

    assert ["#8" in lines[0], "#7" in lines[1], "waits for triage" in lines[1], "Count sheep" in lines[2]] == [True] * 4
    assert shown.private and len(lines) == 3


def test_the_first_card_has_my_pull_requests_where_there_are_any(open_: Talk) -> None:
    (bare,) = open_(Opened())
    open_.pulls = ((Followed(draft_of(open_).id, "p1", "lab/taxonomy", 7, "terminal", "x"), PULL),)
    (shown,) = open_(Opened())
    assert isinstance(bare, Show) and isinstance(shown, Show)

    assert "#7" not in repr(bare.card) and "[#7]" in repr(shown.card)
    assert "status.show" in tokens(shown.card)
    assert isinstance(open_(Press("status.show|"))[0], Show)


def test_nothing_of_mine_is_saved_by_looking(open_: Talk) -> None:
    assert not [one for act in (Command("status"), Opened()) for one in open_(act) if isinstance(one, Save)]
