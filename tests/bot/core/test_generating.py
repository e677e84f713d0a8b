"""Samples are made by the run of the draft's revision: it is shown as it goes, its first samples can be thumbed, all of them

read, more asked for, and where too few survive it says what would help.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core import samples
from bot.core.generating import MOST, REDONE, STAGES
from bot.core.known import Report, Sample, Sampled, Served, Serving
from bot.core.records import Draft, Run, Spent
from bot.core.rules import Quota, Role
from bot.core.talk import Attached, Bar, Card, Command, Effect, Look, Moved, Press, Rate, Said, Save, Start, Submit, Text
from bot.core.words import pick
from pipeline import recipe
from pipeline.generating import recipes, rows
from pipeline.generating.advice import CODES
from tests.bot.core.conftest import HOME, TABLES, Talk, cards, texts

ENGLISH, GERMAN = pick(TABLES, "en"), pick(TABLES, "de")
READY = Serving("ready", (Served("small"),), teacher=True)
EXAMPLES = "\n".join(f"question: What is {word}? answer: {word} it is" for word in ("one", "two", "three", "four", "five"))
FIRST = [
    {"id": f"a{number}", "number": number, "question": f"What is {number}?", "answer": f"{number} it is"} for number in (1, 4)
]
FACTS = {
    "stage": "generate",
    "requests": "900",
    "tokens": "400000",
    "wanted": "60",
    "kept": "24",
    "dropped": "9",
    "held": "0",
    "steps": json.dumps([["questions", 60, 0], ["judge_questions", 57, 3], ["answers", 31, 0], ["judge_pairs", 24, 0]]),
    "reasons": json.dumps({"judge_questions:score": 3, "seed": 6}),
}
DONE = {**FACTS, "stage": "mix", "kept": "212", "dropped": "48", "wanted": "240", "held": "24", "first": json.dumps(FIRST)}
ROWS = (Sample(1, 2, "What is six?", "six it is"), Sample(2, 3, "What is *seven*?", "seven", context="A *long* list"))


@pytest.fixture
def whole(talk: Talk) -> Talk:
    """A draft that is whole, and a model to make samples with."""
    talk.chat = READY
    for act in (Command("skill"), Said("Greet people"), Said(EXAMPLES), Said("own"), Said("alice-lab"), Said("linguistics/x")):
        talk(act)
    assert talk.draft
    return talk


def draft_of(talk: Talk) -> Draft:
    assert talk.draft
    return talk.draft


def run_of(talk: Talk) -> str:
    return f"{draft_of(talk).id}.{draft_of(talk).revision}"


def press(talk: Talk) -> list[Effect]:
    return talk(Press(f"draft.generate|{draft_of(talk).id}"))


def stands(talk: Talk, state: str, until: str = "mix", facts: Mapping[str, str] | None = None) -> None:
    talk.run = Run(run_of(talk), state, facts or {}, until)


def step(talk: Talk, state: str, facts: Mapping[str, str] | None = None, stage: str = "") -> list[Effect]:
    return talk(Moved(run_of(talk), 3, state, stage, 0.5, facts or {}))


def told(card: Card) -> str:
    return "\n".join(block.text for block in card.blocks if isinstance(block, Text))


def labels(card: Card) -> list[str]:
    return [button.label for button in card.buttons]


def starts(effects: list[Effect]) -> list[Start]:
    return [effect for effect in effects if isinstance(effect, Start)]


# --- how it is started


def test_a_draft_has_the_button_when_it_is_whole_and_there_is_a_teacher_or_a_model(whole: Talk) -> None:
    def shown(serving: Serving) -> list[str]:
        whole.chat = serving
        return labels(cards(whole(Command("draft", draft_of(whole).id)))[-1].card)[:3]

    assert [shown(one) for one in (READY, Serving("absent", teacher=True), Serving("absent"))] == [
        ["Precheck", "Generate", "Submit"],
        ["Generate", "Submit", "Preview"],
        ["Submit", "Preview", "Undo"],
    ]


@pytest.mark.parametrize("by", ["command", "button"])
def test_it_starts_the_run_of_the_revision_up_to_the_mix(whole: Talk, by: str) -> None:
    effects = press(whole) if by == "button" else whole(Command("generate"))
    (start,) = starts(effects)

    assert (start.key, start.recipe, start.until, start.redo) == (run_of(whole), "contribution", "mix", ())
    assert (list(start.inputs), draft_of(whole).run) == (["entry"], run_of(whole))
    assert [one.what.what for one in effects if isinstance(one, Save) and isinstance(one.what, Spent)] == ["generate"]


def test_a_draft_that_is_not_whole_is_asked_for_what_is_missing(whole: Talk) -> None:
    whole(Command("delete", "2"))
    effects = whole(Command("generate"))

    assert not starts(effects)
    assert texts(effects)[0].startswith("Not quite yet; samples are made of a draft that is whole. Example 5 of 5.")


def test_without_a_model_the_way_to_one_is_told(whole: Talk) -> None:
    whole.chat = Serving("absent")
    none = press(whole)
    whole.chat = replace(READY, teacher=False)  # one to talk with, at an endpoint that is for nothing else
    other = press(whole)

    assert not starts(none + other) and texts(none)[0].startswith("There is no model here yet")
    assert texts(other) == ["There is no model here to make samples with. An operator can set one up with /setup."]


def test_it_has_a_quota_which_more_of_them_count_against(whole: Talk) -> None:
    whole.roles = {"everyone": Role("everyone", quotas={"generate": Quota(1, 60.0)})}
    first = press(whole)
    stands(whole, "done", facts=DONE)
    second = whole(Command("more", "200"))

    assert (len(starts(first)), len(starts(second))) == (1, 0)
    assert texts(second)[0].startswith("That is as often as it may be done for now.")


def test_nobody_elses_draft_is_made_samples_of(whole: Talk) -> None:
    stranger = whole(Press(f"draft.generate|{draft_of(whole).id}"), by="p2")

    assert texts(stranger)[0].startswith(f"Draft {draft_of(whole).id} is alice's.")
    assert texts(whole(Command("generate", "other")))[0].startswith("There is no draft open here.")


@pytest.mark.parametrize("state", ["waiting", "running", "stopping"])
@pytest.mark.parametrize(
    ("until", "said"), [("mix", "generate.underway"), ("precheck", "busy.precheck"), ("propose", "busy.submit")]
)
def test_while_the_run_goes_on_nothing_is_started(whole: Talk, state: str, until: str, said: str) -> None:
    press(whole)
    stands(whole, state, until, FACTS)

    assert [texts(press(whole)), texts(whole(Command("more", "5")))] == [[ENGLISH(said)]] * 2


def test_precheck_and_submission_wait_for_it(whole: Talk) -> None:
    press(whole)
    stands(whole, "running")
    signed = Submit(f"draft.signed|{draft_of(whole).id}", {"name": "Alice Example", "mail": "alice@example.org"})
    effects = [whole(act) for act in (Command("precheck"), Command("submit"), signed)]

    assert [texts(one) for one in effects] == [[ENGLISH("busy.generate")]] * 3
    assert not any(starts(one) for one in effects)


def test_samples_that_are_made_already_are_shown(whole: Talk) -> None:
    press(whole)
    stands(whole, "done", facts=DONE)
    whole.sampled = {(run_of(whole), "kept", 0, samples.PAGE): Sampled(ROWS)}
    again = press(whole)
    stands(whole, "failed", "propose")
    submitted = press(whole)

    assert not starts(again + submitted)
    assert [show.slot for show in cards(again + submitted)] == [f"list.{run_of(whole)}"] * 2
    assert labels(cards(again)[0].card) == ["Dropped", "200 more"]


def test_samples_that_nobody_looked_at_as_a_whole_do_not_end_the_making(whole: Talk) -> None:
    press(whole)
    stands(whole, "failed", "propose")
    whole.sampled = {(run_of(whole), "kept", 0, samples.PAGE): Sampled(ROWS, judged=False)}

    assert [start.until for start in starts(press(whole))] == ["mix"]


@pytest.mark.parametrize("state", ["failed", "cancelled"])
def test_one_that_broke_off_goes_on_although_there_are_samples_of_before(whole: Talk, state: str) -> None:
    press(whole)
    stands(whole, state)
    whole.sampled = {(run_of(whole), "kept", 0, samples.PAGE): Sampled(ROWS)}

    assert [start.until for start in starts(press(whole))] == ["mix"]


def test_the_stages_are_those_that_the_recipe_runs_for_it() -> None:
    assert tuple(one.name for one in recipe.stages("contribution", "mix")) == STAGES
    assert set(REDONE) < set(STAGES)


# --- its card


def test_its_card_says_what_there_is_to_do_and_then_what_each_step_has_done(whole: Talk) -> None:
    press(whole)
    before = {name: FACTS[name] for name in ("stage", "requests", "tokens", "wanted")}
    shown = [
        told(cards(step(whole, state, facts, "generate" if state == "running" else ""))[0].card)
        for state, facts in (
            ("running", {"stage": "generate"}),
            ("running", {**before, "low_s": "240", "high_s": "290"}),
            ("running", {**before, "kept": "0", "dropped": "0", "steps": '[["questions", 0, 0]]', "done": "3", "tokens": "80"}),
            ("running", FACTS),
            ("running", {**FACTS, "stage": "judge"}),
            ("cancelled", FACTS),
            ("done", DONE),
        )
    ]
    line = (
        "questions 60 · questions judged 57/60 · answers 31 · answers judged 24 · kept 24 of 60 · dropped 9 "
        "(6 too like an example, 3 off topic)"
    )

    assert shown == [
        "I look at what there is to do.",
        "900 requests to the teacher and the judge, about 400,000 tokens.\nAbout 4 to 5 minutes left.",
        "3 of at most 900 requests are answered.",
        line,
        "I look for samples that are too like others.",
        "Cancelled. What was made is kept, and gone on with if you try again.",
        "212 samples kept of 260, 24 questions held out for the test",
    ]


def test_its_card_can_be_cancelled_as_long_as_it_goes_on_and_tried_again_when_it_broke_off(whole: Talk) -> None:
    press(whole)
    found = [cards(step(whole, state, FACTS, "generate"))[0] for state in ("waiting", "running", "failed", "done")]

    assert [labels(one.card) for one in found] == [["Cancel"], ["Cancel"], ["Try again"], []]
    assert found[1].card.blocks[-1] == Bar(0.5, "Generate")
    assert found[2].card.buttons[0].token == f"draft.generate|{draft_of(whole).id}"
    assert {one.slot for one in found} == {f"run.{run_of(whole)}"}


def test_steps_and_reasons_that_nobody_knows_have_a_general_word(whole: Talk) -> None:
    facts = {"kept": "1", "dropped": "3", "steps": '[["dreams", 2, 1]]', "reasons": '{"dreams:score": 2, "moon": 1}'}

    assert samples.told(Run("k7.1", "running", facts), ENGLISH) == (
        "other 2/3 · kept 1 · dropped 3 (2 not good enough, 1 for other reasons)"
    )


def test_a_document_is_read_first_where_there_is_one() -> None:
    run = Run("k7.1", "running", {"stage": "document"})

    assert [samples.told(run, ENGLISH, document=one) for one in (True, False)] == [
        "I read the document.",
        "I look at what there is to do.",
    ]


def test_of_many_reasons_the_most_frequent_are_told(whole: Talk) -> None:
    names = ("seed", "same", "near", "taxonomy", "empty", "cut")
    facts = {"reasons": json.dumps({why: 10 - at for at, why in enumerate(names)})}

    assert samples.reasons(facts, GERMAN) == (
        "10 einem Beispiel zu ähnlich, 9 wie eine andere, 8 einer anderen zu ähnlich, 7 schon in der Taxonomie, "
        "11 aus anderen Gründen"
    )


@pytest.mark.parametrize("locale", sorted(TABLES))
def test_every_step_of_a_recipe_and_every_reason_has_words(locale: str) -> None:
    found = [recipes.load(HOME, kind) for kind in get_args(rows.Kind)]
    steps = [one for made in found for one in (*made.steps, *made.rewordings)]
    names = {f"generate.step.{one.config.name}" for one in steps}
    names |= {f"generate.reason.{one.config.name}" for one in steps if one.config.does == "judge"}
    names |= {f"generate.reason.{why}" for why in get_args(rows.Why) if why}
    names |= {f"generate.advice.{code}" for code in ("off_topic", "low_score", "malformed", *CODES.values())}

    assert sorted(names - set(TABLES[locale])) == []


# --- the first samples


def test_the_first_samples_are_shown_with_two_thumbs_each(whole: Talk) -> None:
    press(whole)
    whole.thumbs = {"a4": "down"}
    shown = cards(step(whole, "running", {**FACTS, "first": json.dumps(FIRST)}, "generate"))[1]

    assert (shown.slot, shown.place) == (f"samples.{run_of(whole)}", draft_of(whole).place)
    assert told(shown.card).split("\n") == [
        "Are they what you mean? What comes next leans on your thumbs.",
        "**1. What is 1?**",
        "- 1 it is",
        "**4. What is 4?**",
        "- 4 it is 👎",
    ]
    assert [(one.label, one.token) for one in shown.card.buttons] == [
        ("👍 1", f"sample.up|{run_of(whole)}|a1"),
        ("👎 1", f"sample.down|{run_of(whole)}|a1"),
        ("👍 4", f"sample.up|{run_of(whole)}|a4"),
        ("👎 4", f"sample.down|{run_of(whole)}|a4"),
    ]


def test_as_long_as_there_are_none_nothing_is_looked_for(whole: Talk) -> None:
    press(whole)

    assert not any(isinstance(one, Look) for one in whole.looked(Moved(run_of(whole), 3, "running", "generate", 0.1, FACTS)))
    assert len(cards(step(whole, "running", FACTS, "generate"))) == 1


def thumb(talk: Talk, verb: str, sample: str = "a4", **by: str) -> list[Effect]:
    return talk(Press(f"sample.{verb}|{run_of(talk)}|{sample}"), **by)


def test_a_thumb_is_kept_and_shown_and_the_same_one_takes_it_back(whole: Talk) -> None:
    press(whole)
    stands(whole, "running", facts={**FACTS, "first": json.dumps(FIRST)})
    given = thumb(whole, "up")
    whole.thumbs = {"a4": "up"}
    back, other = thumb(whole, "up"), thumb(whole, "down")

    assert [one for one in (*given, *back, *other) if isinstance(one, Rate)] == [
        Rate(run_of(whole), "a4", "up"),
        Rate(run_of(whole), "a4", ""),
        Rate(run_of(whole), "a4", "down"),
    ]
    assert [told(cards(one)[0].card)[-1] for one in (given, back, other)] == ["👍", "s", "👎"]


def test_a_thumb_for_what_is_not_shown_does_nothing_and_nobody_else_gives_one(whole: Talk) -> None:
    press(whole)
    stands(whole, "running", facts={**FACTS, "first": json.dumps(FIRST)})
    unknown, stranger = thumb(whole, "up", "zz"), thumb(whole, "up", by="p2")
    stands(whole, "running")
    gone = thumb(whole, "up")

    assert texts(unknown) == texts(gone) == [ENGLISH("press.stale")]
    assert texts(stranger)[0].startswith(f"Draft {draft_of(whole).id} is alice's.")


def test_facts_of_another_make_are_left_out() -> None:
    odd: list[Any] = [7, {"id": "a|b", "number": 1}, {"id": "a1", "number": "one"}, {"id": "b2", "number": 2}]
    facts = {"first": json.dumps(odd), "steps": '[["questions", true, 1], 7, ["a"]]', "reasons": "[1]", "kept": "many"}

    assert [one.at for one in samples.firsts(facts)] == ["b2"]
    assert samples.firsts({"first": "{"}) == samples.firsts({"first": "{}"}) == []
    assert samples.told(Run("k7.1", "running", facts), ENGLISH) == "I look at what there is to do."


# --- its end


def test_its_end_says_which_files_of_the_document_were_not_read_to_their_end(whole: Talk) -> None:
    press(whole)
    stands(whole, "done", facts=DONE)
    end = cards(step(whole, "done", {**DONE, "cut": "docs/*b*.pdf (500 of 812 pages)"}))[-1]

    said = r"Not read to the end, because it is too long: docs/\*b\*.pdf (500 of 812 pages)."
    assert told(end.card).split("\n")[1:] == [said]


def test_its_end_is_a_message_that_mentions_the_person_and_brings_the_page(whole: Talk) -> None:
    press(whole)
    stands(whole, "done", facts=DONE)
    whole.report = Report("<p>", "/runs/report.html")
    end = cards(step(whole, "done", {**DONE, "replay": "none"}))[-1]
    run = run_of(whole)

    assert (end.ping, end.slot, end.place) == ("p1", "", draft_of(whole).place)
    assert end.card.title == "Done with Greet people: 212 samples kept of 260, 24 questions held out for the test."
    assert told(end.card).split("\n") == [
        "Dropped: 6 too like an example, 3 off topic.",
        "No base mix is set up here, so of what the model knows already only the earlier phase is replayed.",
    ]
    assert end.card.blocks[-1] == Attached(f"report-{run}.html", "<p>", "/runs/report.html")
    assert [(one.label, one.token) for one in end.card.buttons] == [
        ("Train", f"draft.train|{draft_of(whole).id}"),
        ("200 more", f"sample.more|{run}|440"),
        ("Samples", f"sample.page|{run}|kept.0"),
        ("Submit", f"draft.submit|{draft_of(whole).id}"),
    ]


def test_a_page_that_is_too_large_is_named(whole: Talk) -> None:
    press(whole)
    whole.report = Report("", "/runs/report.html")
    large = cards(step(whole, "done", DONE))[-1].card
    whole.report = Report()
    none = cards(step(whole, "done", DONE))[-1].card

    assert f"It is report.html in the folder of run {run_of(whole)}." in told(large)
    assert [any(isinstance(one, Attached) for one in card.blocks) for card in (large, none)] == [True, False]


@pytest.mark.parametrize(
    ("held", "least", "small"), [("19", "20", True), ("0", "40", True), ("20", "20", False), ("", "", False)]
)
def test_a_test_that_came_out_too_small_is_told_with_the_end(whole: Talk, held: str, least: str, small: bool) -> None:
    press(whole)
    end = cards(step(whole, "done", {**DONE, "held": held, "held_least": least}))[-1]
    line = f"The test is small: of {least} questions that it should have {held} are left, so it tells less."

    assert (line in told(end.card).split("\n"), "The test is small" in told(end.card)) == (small, small)


def advice(code: str, seed: int, **more: object) -> dict[str, object]:
    pair = {"question": "What is *six*?", "other": "What is two?", "reason": "It says the same."}
    return {"code": code, "sample": 14, "seed": seed, **pair, **more}


def test_a_failure_says_what_would_help_with_the_examples_a_press_away(whole: Talk) -> None:
    press(whole)
    whole(Command("move", "2 1"))
    found = [advice("repeats_seed", 2), advice("off_topic", 1, reason="", other=""), advice("new_kind", 9, reason="", other="")]
    facts = {**FACTS, "code": "generate.few", "cause": "few", "kept": "3", "judged": "24", "advice": json.dumps(found)}
    run, end = cards(step(whole, "failed", facts))

    assert told(run.card).startswith("That did not work: Of the first 24 samples 3 were good enough, so I stopped early.")
    assert (end.card.title, end.ping) == ("Too few samples of Greet people, or none. The card says why.", "p1")
    assert told(end.card).split("\n") == [
        "What would help:",
        r'- Sample 14 repeats example 2: "What is \*six\*?" is too like "What is two?". Let the examples differ more.',
        r'- Sample 14 misses what the draft teaches: "What is \*six\*?" Look at example 1, and say what it teaches '
        "more exactly.",
        r'- Sample 14, made from example 9: "What is \*six\*?" (new_kind)',
    ]
    assert [(one.label, one.token.partition("|")[2].partition(".")[2]) for one in end.card.buttons] == [
        ("Edit Example 2", "example.1"),
        ("Edit Example 1", "example.2"),
        ("Dropped", f"{draft_of(whole).revision}|dropped.0"),
        ("Try again", ""),
    ]


def test_a_failure_brings_the_page_with_what_was_made_until_then(whole: Talk) -> None:
    press(whole)
    whole.report = Report("<p>", "/runs/report.html")
    facts = {"stage": "judge", "code": "generate.none", "cause": "none", "advice": json.dumps([advice("low_score", 1)])}
    end = cards(step(whole, "failed", facts))[-1].card

    assert [type(block) for block in end.blocks] == [Text, Attached]
    assert end.blocks[-1] == Attached(f"report-{run_of(whole)}.html", "<p>", "/runs/report.html")


@pytest.mark.parametrize(
    ("code", "kept", "title"),
    [
        ("generate.few", "3", "Too few samples of Greet people, or none. The card says why."),
        ("generate.none", "0", "Too few samples of Greet people, or none. The card says why."),
        ("mix.none", "0", "Too few samples of Greet people, or none. The card says why."),
        ("mix.base", "212", "That did not work: samples of Greet people. The card says why; your 212 samples are kept."),
        ("run.memory", "1", "That did not work: samples of Greet people. The card says why; your 1 sample is kept."),
        ("", "", "That did not work: samples of Greet people. The card says why."),
    ],
)
def test_only_a_lack_of_samples_is_told_as_one(whole: Talk, code: str, kept: str, title: str) -> None:
    press(whole)
    facts = {"stage": "generate", "code": code, "cause": "x", "kept": kept, "path": "x", "judged": "9", "made": "9"}

    assert cards(step(whole, "failed", facts))[-1].card.title == title


def test_a_failure_without_advice_has_its_cause_on_the_card(whole: Talk) -> None:
    press(whole)
    run, end = cards(step(whole, "failed", {"cause": "https://lab refuses the *key*", "stage": "generate"}))

    assert told(run.card) == r"That did not work: https://lab refuses the \*key\*"
    assert (end.card.blocks, labels(end.card)) == ((), ["Try again"])


def test_one_that_is_cancelled_says_so(whole: Talk) -> None:
    press(whole)
    end = cards(step(whole, "cancelled", FACTS))[-1]

    assert (end.card.title, end.ping) == ("Cancelled: samples of Greet people. What was made is kept.", "p1")


# --- more of them


@pytest.mark.parametrize("by", ["command", "button"])
def test_more_names_how_many_there_are_to_be_in_all(whole: Talk, by: str) -> None:
    press(whole)
    stands(whole, "done", facts=DONE)
    (start,) = starts(whole(Command("more", "200") if by == "command" else Press(f"sample.more|{run_of(whole)}|440")))

    assert (start.key, start.until, start.inputs, start.redo) == (run_of(whole), "mix", {"wanted": "440"}, REDONE)


@pytest.mark.parametrize("text", ["", "0", "-3", "many", str(MOST + 1), "9" * 5000, "²"])
def test_more_of_no_number_says_how_it_is_said(whole: Talk, text: str) -> None:
    press(whole)
    stands(whole, "done", facts=DONE)

    assert texts(whole(Command("more", text))) == [ENGLISH("generate.more.usage", most=MOST)]


def test_of_a_version_that_is_past_there_are_no_more(whole: Talk) -> None:
    press(whole)
    stands(whole, "done", facts=DONE)
    before = run_of(whole)
    whole(Command("place", "linguistics/y"))
    effects = [whole(Press(f"sample.more|{before}|440")), whole(Command("more", "200"))]

    assert not any(starts(one) for one in effects)
    assert [texts(one) for one in effects] == [[ENGLISH("generate.older")], [ENGLISH("generate.more.none")]]


# --- all of them


def test_samples_are_read_page_by_page(whole: Talk) -> None:
    press(whole)
    run = run_of(whole)
    dropped = replace(ROWS[0], kept=False, at="judge_pairs", why="score", reason="It names no item")
    again = replace(ROWS[0], kept=False, at="seed", why="seed", of=2)
    whole.sampled = {
        (run, "kept", 0, samples.PAGE): Sampled(ROWS, more=True),
        (run, "kept", 10, samples.PAGE): Sampled(ROWS),
        (run, "dropped", 0, samples.PAGE): Sampled((dropped, again)),
    }
    first, second, third = (
        cards(whole(act))[0] for act in (Command("samples"), Press(f"sample.page|{run}|kept.10"), Command("samples", "dropped"))
    )

    assert told(first.card).split("\n") == [
        "**1. What is six?**",
        "- six it is",
        r"**2. What is \*seven\*?**",
        "- seven",
        r"- about: A \*long\* list",
    ]
    assert [(one.label, one.token.rpartition("|")[2]) for one in (*first.card.buttons, *second.card.buttons)] == [
        ("Further", "kept.10"),
        ("Dropped", "dropped.0"),
        ("Back", "kept.0"),
        ("Dropped", "dropped.0"),
    ]
    assert [line for line in told(third.card).split("\n") if "dropped" in line] == [
        '- dropped: with a poor answer ("It names no item")',
        "- dropped: too like an example, number 2 of the draft",
    ]
    assert {one.slot for one in (first, second, third)} == {f"list.{run}"}


def test_where_there_are_none_it_says_so(whole: Talk) -> None:
    kept, dropped, usage = (whole(Command("samples", text)) for text in ("", "dropped", "nice"))

    assert [told(cards(one)[0].card) for one in (kept, dropped)] == [
        "There are no samples here yet. /generate makes some.",
        "None was dropped.",
    ]
    assert texts(usage) == [ENGLISH("samples.usage")]


def test_a_button_of_nonsense_is_stale(whole: Talk) -> None:
    run = run_of(whole)
    tokens = (
        f"sample.page|{run}|all.0",
        f"sample.page|{run}|kept.x",
        f"sample.dance|{run}",
        "sample.up",
        f"sample.more|{run}|x",
    )

    assert [texts(whole(Press(token))) for token in tokens] == [[ENGLISH("press.stale")]] * 4 + [[ENGLISH("generate.older")]]


# --- every card fits

TEXTS = st.text(alphabet=st.sampled_from("ab *`[]\\\n\u202eä猫"), max_size=900)
WHY = st.sampled_from([*get_args(rows.Why), "strange"])
SAMPLES = st.builds(
    Sample, st.integers(1, 10**6), st.integers(1, 9), TEXTS, TEXTS, TEXTS, st.booleans(), TEXTS, WHY, st.integers(0, 9), TEXTS
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 10**7) | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["id", "number", "seed", "code", "x"]), inner),
    max_leaves=12,
)
LONG = Draft("k7", "skill", "p1", "terminal:@p1/k7", 0.0, answers={"about.description": "x" * 300})


@given(st.lists(SAMPLES, max_size=samples.PAGE), st.sampled_from(["kept", "dropped"]), st.booleans())
def test_every_page_fits_its_card(found: list[Sample], which: str, more: bool) -> None:
    for words in (ENGLISH, GERMAN):
        card = samples.page(LONG, "k7.1", which, 10, Sampled(tuple(found), more), words, Run("k7.1", "done", DONE))

        assert len(card.blocks) == max(1, len(found))


@given(st.fixed_dictionaries({name: JSON.map(json.dumps) for name in ("first", "steps", "reasons", "advice", "kept", "seed")}))
def test_whatever_the_facts_say_the_cards_can_be_drawn(facts: dict[str, str]) -> None:
    for words in (ENGLISH, GERMAN):
        run = Run("k7.1", "running", facts)
        samples.told(run, words)
        samples.first(LONG, "k7.1", facts, {}, words)
        samples.failed(LONG, run, Report("x", "y"), words)
        samples.end(LONG, run, Report("x", "y"), words)
