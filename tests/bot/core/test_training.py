"""A model is trained by the run of the draft's revision: it is shown as it goes, with a picture, new at each checkpoint;

at its end stands what came of it, and the model that was taught can be talked with, compared, asked the draft's own questions
and taken away.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core import tuned
from bot.core.chatting import offers
from bot.core.known import Known, Report, Sample, Sampled, Served, Serving
from bot.core.records import Conversation, Draft, Person, Run, Spent, Turn
from bot.core.rules import Quota, Role
from bot.core.talk import (
    FILE_BYTES,
    Answer,
    Ask,
    Attached,
    Bar,
    Card,
    Command,
    Effect,
    Look,
    Moved,
    Picture,
    Press,
    Said,
    Save,
    Start,
    Submit,
    Text,
)
from bot.core.trained import Adapter, By, Curve, Exported, Scores, Seed, draft_of, name_of, run_of
from bot.core.training import STAGES
from bot.core.words import pick
from tests.bot.core.conftest import HOME, TABLES, Talk, cards, texts

ENGLISH = pick(TABLES, "en")
READY = Serving("ready", (Served("tiny"), Served("other")), teacher=True)
EXAMPLES = "\n".join(f"question: What is {word}? answer: {word} it is" for word in ("one", "two", "three", "four", "five"))
MADE = Sampled((Sample(1, 2, "What is six?", "six it is"),))
STEP = {
    "stage": "train",
    "base": "tiny",
    "device": "cpu",
    "step": "180",
    "steps": "300",
    "loss": "0.412",
    "rate": "0.0002",
    "speed": "5900",
    "held_loss": "0.525",
    "low_s": "30",
    "high_s": "40",
}
DRAWN = {**STEP, "curve": "train/curves.png", "curve_at": "160"}
CURVE = Curve("train/curves.png", "a1", "/runs/k/train/curves.png", (3.0, 2.0, 0.5), (2.5, 0.52))
ONE = Seed("6 old hats for Sam.", "Sam hats.", "item: hats", "item: hats")
SCORES = Scores(24, "exact", 0, 22, 0, 0.92, 0.79, 1.0, "better", kept=(0.91, 0.86), example=ONE, seeds=(ONE,) * 7)
HERE = Adapter(there=True, base="tiny")


@pytest.fixture
def whole(talk: Talk) -> Talk:
    """A draft that is whole, with samples that were made of it, and a model."""
    talk.chat = READY
    for act in (Command("skill"), Said("Greet people"), Said(EXAMPLES), Said("own"), Said("alice-lab"), Said("linguistics/x")):
        talk(act)
    run = run_id(talk)
    talk.sampled[run, "kept", 0, 10] = MADE
    talk.scores, talk.curve, talk.adapter = SCORES, CURVE, HERE
    return talk


def draft_(talk: Talk) -> Draft:
    assert talk.draft
    return talk.draft


def run_id(talk: Talk) -> str:
    return f"{draft_(talk).id}.{draft_(talk).revision}"


def press(talk: Talk) -> list[Effect]:
    return talk(Press(f"draft.train|{draft_(talk).id}"))


def stands(talk: Talk, state: str, until: str = "export", facts: Mapping[str, str] | None = None) -> None:
    talk.run = Run(run_id(talk), state, facts or {}, until)


def step(talk: Talk, state: str, facts: Mapping[str, str] | None = None, stage: str = "") -> list[Effect]:
    return talk(Moved(run_id(talk), 3, state, stage, 0.6, facts or {}))


def told(card: Card) -> list[str]:
    return "\n".join(block.text for block in card.blocks if isinstance(block, Text)).split("\n")


def tokens(card: Card) -> list[tuple[str, str]]:
    return [(button.label, button.token.partition("|")[0]) for button in card.buttons]


def starts(effects: list[Effect]) -> list[Start]:
    return [effect for effect in effects if isinstance(effect, Start)]


def pictures(card: Card) -> list[Picture]:
    return [block for block in card.blocks if isinstance(block, Picture)]


# --- how it is started


@pytest.mark.parametrize("by", ["command", "button"])
def test_it_starts_the_run_of_the_revision_up_to_the_export(whole: Talk, by: str) -> None:
    effects = press(whole) if by == "button" else whole(Command("train"))
    (start,) = starts(effects)

    assert (start.key, start.recipe, start.until, start.redo) == (run_id(whole), "contribution", "export", STAGES)
    assert (list(start.inputs), draft_(whole).run) == (["entry"], run_id(whole))
    assert [one.what.what for one in effects if isinstance(one, Save) and isinstance(one.what, Spent)] == ["train"]


@pytest.mark.parametrize("found", [Sampled(), replace(MADE, judged=False)])
def test_where_no_samples_were_made_there_is_nothing_to_train_on(whole: Talk, found: Sampled) -> None:
    whole.sampled[run_id(whole), "kept", 0, 10] = found
    (answer,) = press(whole)

    assert isinstance(answer, Answer) and answer.text == ENGLISH("train.nothing")
    assert [one.token for one in answer.buttons] == [f"draft.generate|{draft_(whole).id}"]


def test_a_draft_that_is_not_whole_is_asked_for_what_is_missing(whole: Talk) -> None:
    whole(Command("delete", "2"))
    effects = whole(Command("train"))

    assert not starts(effects)
    assert texts(effects)[0].startswith("Not quite yet; a model is trained on a draft that is whole. Example 5 of 5.")


@pytest.mark.parametrize(
    ("until", "name"),
    [("export", "train.underway"), ("mix", "busy.generate"), ("precheck", "busy.precheck"), ("propose", "busy.submit")],
)
def test_while_the_run_goes_on_it_is_not_started(whole: Talk, until: str, name: str) -> None:
    stands(whole, "running", until)

    assert texts(press(whole)) == [ENGLISH(name)]


@pytest.mark.parametrize("wish", ["generate", "precheck", "submit"])
def test_while_it_goes_on_nothing_else_is_done_with_the_draft(whole: Talk, wish: str) -> None:
    stands(whole, "running")

    assert texts(whole(Press(f"draft.{wish}|{draft_(whole).id}"))) == [ENGLISH("busy.train")]


def test_it_has_a_quota_and_a_cool_down(whole: Talk) -> None:
    whole.roles = {"everyone": Role("everyone", quotas={"train": Quota(1, 60.0)}, cooldowns_s={"train": 10.0})}

    assert [len(starts(press(whole))), len(starts(press(whole)))] == [1, 0]


def test_what_is_trained_already_is_shown_again_and_costs_nothing(whole: Talk) -> None:
    stands(whole, "done")
    effects = press(whole)

    assert not starts(effects) and not [one for one in effects if isinstance(one, Save)]
    (shown,) = cards(effects)
    assert (shown.card.title, shown.ping) == ("Done: a model has learned Greet people.", "")


def test_where_the_trained_model_is_gone_it_is_made_again(whole: Talk) -> None:
    stands(whole, "done")
    whole.adapter = Adapter(False, "tiny")

    assert len(starts(press(whole))) == 1


@pytest.mark.parametrize(
    ("state", "until"), [("done", "mix"), ("failed", "export"), ("cancelled", "export"), ("done", "precheck")]
)
def test_after_anything_else_it_is_asked_for_anew(whole: Talk, state: str, until: str) -> None:
    stands(whole, state, until)

    assert len(starts(press(whole))) == 1


def test_nobody_else_starts_it(whole: Talk) -> None:
    assert not starts(whole(Press(f"draft.train|{draft_(whole).id}"), by="p2"))


# --- how it goes


def test_a_step_is_told_with_speed_loss_and_time_and_can_be_cancelled(whole: Talk) -> None:
    press(whole)
    (shown,) = cards(step(whole, "running", STEP, "train"))

    assert (shown.slot, shown.card.title) == (f"run.{run_id(whole)}", f"Train · Greet people · {run_id(whole)}")
    assert told(shown.card) == [
        "step 180/300 · 5900 tokens/s · loss 0.41 · held out 0.53",
        "tiny, on cpu",
        "About 30 to 40 seconds left.",
    ]
    assert tokens(shown.card) == [("Cancel", "run.cancel")] and not pictures(shown.card)
    assert [block.fraction for block in shown.card.blocks if isinstance(block, Bar)] == [0.6]


@pytest.mark.parametrize(
    ("facts", "line"),
    [
        ({"stage": "train"}, "I look at what there is to learn."),
        ({"stage": "train", "act": "wait"}, "The model that answers here makes room, and comes back afterwards."),
        ({"stage": "train", "step": "1", "steps": "2", "loss": "nan", "speed": "fast"}, "step 1/2"),
        ({"stage": "evaluate"}, "I ask the model as it was and as it is now."),
        ({"stage": "evaluate", "done": "3", "total": "48"}, "I ask the model as it was and as it is now: 3 of 48 answers."),
        ({"stage": "export"}, "I write the files to take away."),
        ({"stage": "export", "file": "adapter.gguf"}, "I write the files to take away: adapter.gguf."),
        ({"stage": "judge"}, "I look for samples that are too like others."),
    ],
)
def test_every_stage_says_what_it_does(whole: Talk, facts: Mapping[str, str], line: str) -> None:
    stands(whole, "running")
    (shown,) = cards(step(whole, "running", facts, facts["stage"]))

    assert told(shown.card) == [line]


def test_a_checkpoint_brings_a_picture_into_the_card(whole: Talk) -> None:
    press(whole)
    assert whole.looked(Moved(run_id(whole), 3, "running", "train", 0.6, DRAWN)) == [Look("curve", run_id(whole))]
    first, second = (cards(step(whole, "running", DRAWN, "train"))[0].card for _ in range(2))
    whole.curve = replace(CURVE, version="b2")
    third = cards(step(whole, "running", DRAWN, "train"))[0].card
    (picture,) = pictures(first)

    assert (picture.run, picture.path, picture.where) == (run_id(whole), CURVE.path, CURVE.where)
    assert picture.alt == "Loss 3.00 → 0.50. Held-out questions 2.50 → 0.52."
    assert picture.drawn.split("\n") == ["█▅▁ Loss 3.00 → 0.50.", "█▁ Held-out questions 2.50 → 0.52."]
    assert first == second != third  # another picture is another card, which is shown anew


def test_a_picture_that_is_not_there_yet_is_left_out(whole: Talk) -> None:
    press(whole)
    whole.curve = Curve(losses=(1.0,))

    assert not pictures(cards(step(whole, "running", DRAWN, "train"))[0].card)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=300))
def test_a_line_of_bars_is_as_long_as_there_is_room_and_rises_with_the_numbers(values: list[float]) -> None:
    drawn = tuned.sparkline(values)

    assert len(drawn) == min(len(values), tuned.DRAWN)
    if len(values) <= tuned.DRAWN:
        assert all(tuned.BARS.index(one) <= tuned.BARS.index(two) for (one, two), (a, b) in
                   zip(pairwise(drawn), pairwise(values), strict=True) if a <= b)  # fmt: skip


# --- its end


def end(talk: Talk, **facts: str) -> Card:
    press(talk)
    return cards(step(talk, "done", {"stage": "export", **facts}))[-1].card


def test_its_end_is_a_message_that_mentions_the_person_and_says_what_came_of_it(whole: Talk) -> None:
    press(whole)
    whole.report = Report("<p>", "/runs/report.html")
    run, (card, said) = run_id(whole), cards(step(whole, "done", {**DRAWN, "stage": "export"}))

    assert (card.slot, told(card.card), pictures(card.card)[0].version) == (
        f"run.{run}",
        ["Done. What came of it stands below."],
        "a1",
    )
    assert (said.ping, said.slot, said.place) == ("p1", "", draft_(whole).place)
    assert said.card.title == "Done: a model has learned Greet people."
    assert told(said.card) == [
        "On 24 questions it never saw: before 0, after 22 (92%, between 79 and 100). **Better.**",
        "What it knew before: 91% → 86%.",
        "**6 old hats for Sam.**",
        "- before: Sam hats.",
        "- after: item: hats",
    ]
    assert pictures(said.card) and said.card.blocks[-1] == Attached(f"report-{run}.html", "<p>", "/runs/report.html")
    assert tokens(said.card) == [
        ("Chat with it", "tuned.chat"),
        ("Compare with base", "tuned.compare"),
        ("Ask the seed questions", "tuned.seeds"),
        ("Download", "tuned.files"),
        ("Submit", "draft.submit"),
    ]


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"asked": 0}, "No questions were held out, so nothing could be compared."),
        ({"verdict": "few", "asked": 6, "after": 6, "share": 1.0, "low": 1.0},
         "On 6 questions it never saw: before 0, after 6 (100%, between 100 and 100). "
         "**Too few independent questions to tell;** 30 are needed."),
        ({"verdict": "worse", "share": 0.001},
         "On 24 questions it never saw: before 0, after 22 (1%, between 79 and 100). **Worse.**"),
        ({"by": "f1", "before": 0.113, "after": 0.8, "low": 0.7, "high": 0.9, "verdict": "better"},
         "On 24 questions it never saw, words shared with the wanted answer (F1, up to 1): before 0.11, after 0.80 "
         "(between 0.70 and 0.90). **Better.**"),
        ({"by": "judge", "before": 3, "after": 15, "same": 6, "share": 0.62, "verdict": "none"},
         "Of 24 pairs of answers the judge preferred 15 from after the training (62%, between 79 and 100), 3 from before, "
         "and neither in 6. **No difference shown.**"),
        ({"verdict": "sunny"}, "On 24 questions it never saw: before 0, after 22 (92%, between 79 and 100)."),
    ],
)  # fmt: skip
def test_each_way_to_compare_has_its_sentence(whole: Talk, change: dict[str, object], line: str) -> None:
    whole.scores = replace(SCORES, **change)  # type: ignore[arg-type]

    assert told(end(whole))[0] == line


def test_what_is_lost_what_is_a_little_too_good_and_what_was_wanted_is_said(whole: Talk) -> None:
    whole.scores = replace(SCORES, shared=True, lost=True, example=replace(ONE, after="item: hat"))

    assert told(end(whole))[1:3] + told(end(whole))[-1:] == [
        "The same questions chose the best checkpoint, being few, so the figure after is a little too good.",
        "What it knew before: 91% → 86%. Some of it is lost.",
        "- wanted: item: hats",
    ]


def test_without_seed_answers_picture_or_page_these_are_left_out(whole: Talk) -> None:
    whole.scores, whole.curve = replace(SCORES, seeds=(), example=None, kept=None), Curve()
    card = end(whole)

    assert [type(block) for block in card.blocks] == [Text]
    assert "tuned.seeds" not in [token for _, token in tokens(card)]


@pytest.mark.parametrize("locale", sorted(TABLES))
def test_every_verdict_and_every_way_to_compare_has_words(locale: str) -> None:
    from pipeline.evaluating.paired import Verdict

    names = {f"train.verdict.{one}" for one in get_args(Verdict)} | {f"train.compared.{one}" for one in get_args(By)}

    assert sorted(names - set(TABLES[locale])) == []


@pytest.mark.parametrize("state", ["failed", "cancelled"])
def test_one_that_did_not_come_to_its_end_says_why_and_can_be_tried_again(whole: Talk, state: str) -> None:
    press(whole)
    facts = {**DRAWN, "code": "train.no_weights", "cause": "no weights", "name": "tiny"}
    card, said = cards(step(whole, state, facts if state == "failed" else DRAWN))

    assert said.ping == "p1" and tokens(card.card) == [("Try again", "draft.train")] and pictures(card.card)
    assert [one.token for one in said.card.buttons] == ([f"draft.train|{draft_(whole).id}"] if state == "failed" else [])


def test_a_step_of_the_run_that_its_record_says_is_for_training_is_of_the_training(whole: Talk) -> None:
    """Its samples are looked at first: whoever pressed Train is not told that samples are made."""
    stands(whole, "running")
    shown = cards(step(whole, "running", {"stage": "generate", "kept": "3", "verdict": "worth"}, "generate"))

    assert [one.card.title.partition(" ")[0] for one in shown] == ["Train"]


def test_the_verdict_of_a_training_is_not_taken_for_that_of_a_precheck(whole: Talk) -> None:
    stands(whole, "done", until="propose")
    shown = cards(step(whole, "done", {"stage": "export", "verdict": "better", "asked": "24"}))

    assert shown[-1].card.title == "Done: a model has learned Greet people."


# --- with the model that was taught


def pressed(talk: Talk, verb: str, rest: str = "", by: str = "p1") -> list[Effect]:
    return talk(Press(f"tuned.{verb}|{run_id(talk)}{rest}"), by=by)


def test_chatting_with_it_makes_it_the_model_of_the_conversation(whole: Talk) -> None:
    name = name_of(run_id(whole))
    saved, answer = pressed(whole, "chat")

    assert isinstance(saved, Save) and isinstance(saved.what, Conversation) and saved.what.model == name
    assert isinstance(answer, Answer) and answer.text.startswith(f"From here on **{name}** answers in this conversation: tiny")
    assert [one.token for one in answer.buttons] == ["chat.use|tiny"]


@pytest.mark.parametrize(
    ("adapter", "serving", "says"),
    [
        (Adapter(False, "tiny"), READY, "There is no trained model of that draft here (any more). /train makes one."),
        (
            Adapter(True, "big"),
            READY,
            "It was trained on big, and tiny is what answers here. An operator can change that with /setup.",
        ),
        (HERE, Serving("absent"), ENGLISH("chat.absent")),
    ],
)
@pytest.mark.parametrize("verb", ["chat", "compare"])
def test_where_it_cannot_answer_that_is_said_and_nothing_changes(
    whole: Talk, verb: str, adapter: Adapter, serving: Serving, says: str
) -> None:
    whole.adapter, whole.chat = adapter, serving
    effects = pressed(whole, verb)

    assert texts(effects) == [says] and len(effects) == 1


def test_at_a_server_of_somebody_elses_the_names_may_differ_which_is_said(whole: Talk) -> None:
    whole.adapter, whole.chat = Adapter(True, "granite"), replace(READY, ours=False)

    assert "Whether it fits, its server knows" in texts(pressed(whole, "chat"))[0]


def test_what_is_typed_in_the_thread_of_the_draft_then_goes_to_it(whole: Talk) -> None:
    before = whole(Said("6 old hats for Sam."))
    pressed(whole, "chat")
    after = whole(Said("6 old hats for Sam."))
    more = whole(Said("question: What is six? answer: six it is"))
    wanted = [effect.what.wanted for effect in after if isinstance(effect, Save) and isinstance(effect.what, Turn)]

    assert texts(before) == [ENGLISH("said.nothing_open")] and wanted == [whole.conversation.model]
    assert any("Examples 6/6" in label for one in cards(more) for block in one.card.blocks for label in _labels(block))


def _labels(block: object) -> list[str]:
    return [label for label, _ in getattr(block, "steps", ())]


def test_while_a_question_of_the_draft_stands_what_is_typed_is_its_answer(whole: Talk) -> None:
    pressed(whole, "chat")
    whole(Command("edit", "2 answer"))
    effects = whole(Said("two it surely is"))

    assert "two it surely is" in draft_(whole).answers.values()
    assert not [effect for effect in effects if isinstance(effect, Answer) and effect.stream]


def test_comparing_opens_the_dialog_with_base_and_tuned_chosen(whole: Talk) -> None:
    (ask,) = pressed(whole, "compare")
    assert isinstance(ask, Ask)
    first, second, question = ask.dialog.fields

    assert (first.value, second.value, question.value) == ("tiny", name_of(run_id(whole)), "")
    assert [value for value, _ in second.options] == [name_of(run_id(whole)), "tiny", "other"]


def test_the_dialog_takes_a_model_that_is_not_loaded_yet_and_nobody_elses(whole: Talk) -> None:
    sent = Submit("chat.compare|", {"first": "tiny", "second": name_of(run_id(whole)), "question": "6 old hats"})
    mine, theirs = whole(sent), whole(replace(sent, values={**sent.values, "second": name_of("abcdefg.3")}))
    streams = [effect.stream for effect in mine if isinstance(effect, Answer) and effect.stream]

    assert streams == ["compare", "compare"]
    assert [type(effect).__name__ for effect in theirs] == ["Refuse"]


def test_models_that_others_taught_are_not_offered(whole: Talk) -> None:
    mine, others = name_of(run_id(whole)), name_of("abcdefg.3")
    serving = replace(READY, models=(*READY.models, Served(mine, "tiny"), Served(others, "tiny")))
    known = Known(Person("p1", "alice"), whole.conversation, ENGLISH, whole.draft)

    assert [one.name for one in offers(known, serving)] == ["tiny", "other", mine]
    whole.chat = serving
    assert texts(whole(Command("model", others)))[0].startswith(f"There is no model {others}.")
    assert texts(whole(Command("model", mine)))[0].startswith(f"From here on **{mine}** answers")


def test_the_seed_questions_are_shown_with_what_was_and_is_answered(whole: Talk) -> None:
    whole.scores = replace(SCORES, seeds=(ONE, replace(ONE, after="item: hat"), *(ONE,) * 5))
    first, second = (cards(pressed(whole, "seeds", f"|{skip}"))[0] for skip in (0, 5))

    assert first.slot == second.slot == f"seeds.{run_id(whole)}"
    assert told(first.card)[:8] == [
        "**1. 6 old hats for Sam.** ✔", "- before: Sam hats.", "- after: item: hats", "- wanted: item: hats",
        "**2. 6 old hats for Sam.**", "- before: Sam hats.", "- after: item: hat", "- wanted: item: hats",
    ]  # fmt: skip
    assert [one.token for one in first.card.buttons] == [f"tuned.seeds|{run_id(whole)}|5"]
    assert [one.token for one in second.card.buttons] == [f"tuned.seeds|{run_id(whole)}|0"]
    assert len(second.card.blocks) == 2


def test_long_answers_are_cut_to_what_a_card_holds(whole: Talk) -> None:
    long = Seed("q" * 900, "b" * 5000, "a" * 5000, "w" * 5000)
    whole.scores = Scores(24, example=long, seeds=(long,) * 5)

    assert cards(pressed(whole, "seeds", "|0"))[0].card.blocks and end(whole).blocks


def test_the_files_are_listed_and_the_small_ones_sent(whole: Talk) -> None:
    files = (("export/adapter.gguf", 3 * 2**20), ("export/README.md", 900), ("export/model-F16.gguf", FILE_BYTES + 1))
    whole.exported = Exported(files, "/runs/k")
    (shown,) = cards(pressed(whole, "files"))

    assert told(shown.card) == [
        "- adapter.gguf, 3.0 MB",
        "- README.md, 1 KB",
        "- model-F16.gguf, 10.0 MB",
        "What is larger than 10.0 MB cannot be sent here. "
        f"It is in the folder export of run {run_id(whole)}, where an operator finds it.",
        "README.md, among them, says what each is for and how it is used.",
    ]
    assert shown.card.blocks[1:] == (
        Attached("adapter.gguf", "", "/runs/k/export/adapter.gguf", run_id(whole), "export/adapter.gguf"),
    )


def test_where_nothing_is_left_the_buttons_say_so(whole: Talk) -> None:
    whole.scores, whole.exported = Scores(), Exported()

    assert told(cards(pressed(whole, "files"))[0].card) == ["There are no files here. /train makes them."]
    assert told(cards(pressed(whole, "seeds", "|0"))[0].card) == [ENGLISH("train.seeds.none")]


@pytest.mark.parametrize(("verb", "rest"), [("seeds", "|x"), ("seeds", "|99999"), ("seeds", ""), ("dream", "")])
def test_a_button_that_says_nothing_known_is_stale(whole: Talk, verb: str, rest: str) -> None:
    assert texts(pressed(whole, verb, rest)) == [ENGLISH("press.stale")]


@pytest.mark.parametrize("verb", ["chat", "compare", "seeds", "files"])
def test_nobody_else_uses_the_buttons(whole: Talk, verb: str) -> None:
    assert texts(pressed(whole, verb, "|0" if verb == "seeds" else "", by="p2"))[0].startswith(
        f"Draft {draft_(whole).id} is alice's."
    )


@pytest.mark.parametrize(
    "name", ["draft-", "draft-..", "draft-k7/../x.1", "k7.1", "draft-k7", "draft-k7.1.2", "draft-K7.1", ""]
)
def test_only_the_name_of_a_run_is_that_of_an_adapter(name: str) -> None:
    assert (run_of(name), draft_of(name)) == ("", "")


def test_the_name_of_an_adapter_leads_back_to_its_run() -> None:
    assert (run_of(name_of("k7m2xyz.12")), draft_of(name_of("k7m2xyz.12"))) == ("k7m2xyz.12", "k7m2xyz")


@pytest.mark.parametrize("locale", sorted(TABLES))
def test_every_refusal_of_a_stage_has_words(locale: str) -> None:
    folders = ("training", "evaluating", "exporting")
    paths = [path for name in folders for path in (HOME / "pipeline" / name).glob("*.py")]
    paths += [HOME / "pipeline" / "stages" / f"{name}.py" for name in STAGES]
    codes = {code for path in paths if Path(path).exists() for code in re.findall(r'Problem\(\s*"([\w.]+)"', path.read_text())}

    assert sorted({f"problem.{code}" for code in codes if code != "config.shape"} - set(TABLES[locale])) == []
