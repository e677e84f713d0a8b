"""The judge looks at all samples at once: every row stays, and one that repeats or leaks says so and what it is too like."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.errors import Failed, Invalid
from pipeline.generating import rows
from pipeline.generating.rows import Row, Score
from pipeline.recipe import JUDGE
from pipeline.stage import Job, perform

LEAF = "compositional_skills/travel/lights"
STEPS = ("questions", "judge_questions", "answers", "judge_pairs")
SEEDS = (
    "What does the brass lamp in the tower cost the town?",
    "When was the old tower on the cliff built?",
    "Who keeps the light when Mary is away?",
    "Where do the fishers sell what they caught?",
    "How far out to sea does the light shine?",
)
TWO, SIX, SEVEN = (
    "Why did the keeper of the light never learn to swim in all the years that he lived at the sea?",
    "Which of the boats in the harbour would you take out in a storm, and which would you leave tied up?",
    "Write a short letter in which the baker thanks the keeper for a quiet night.",
)
UNSEEN = "Describe for a child what the beam of the light looks like from a small boat in the fog."
OTHER_LEAF = "compositional_skills/travel/boats"
KNOWN = "List five things that one needs on board of a small boat before leaving the harbour."
GOOD = (Score("judge_questions", 1, "It fits."), Score("judge_pairs", 3, "It is right."))


def row(number: int, question: str, **more: Any) -> Row:
    made = {"answer": f"So it is, said number {number}.", "scores": GOOD, **more}
    return Row(f"{number:012x}", number, "train", "freeform", LEAF, 1, question, **made)


def job(
    folder: Path, made: Iterable[Row], told: list[Any] | None = None, *, unseen: Sequence[str] = (UNSEEN,), **plan: Any
) -> Job:
    """A run as `generate` leaves it, with seed example 5 held out, and a taxonomy that has an entry of its own and another."""
    entry(folder / "entry", {question: "So." for question in SEEDS})
    entry(folder / "taxonomy" / LEAF, {TWO: "He had no time."})
    entry(folder / "taxonomy" / OTHER_LEAF, {KNOWN: "A rope."})
    held = [Row(f"u{at}", at, "unseen", "freeform", LEAF, 5, text, "So.") for at, text in enumerate(unseen, 1)]
    rows.write(folder / rows.GENERATED, made)
    rows.write(folder / rows.UNSEEN, [*held, *[replace(one, question=SIX, kept=False) for one in held[:1]]])
    rows.write(folder / rows.REWORDED, [replace(one, set="reworded") for one in held[:1]])
    recipe = {"steps": [{"name": name} for name in STEPS]}
    facts = {"leaf": LEAF, "seeds": {"train": [1, 2, 3, 4], "held": [5]}, "recipe": recipe, **plan}
    (folder / "samples" / "plan.json").write_text(json.dumps(facts), encoding="utf-8")
    heard = [] if told is None else told
    settings = {"taxonomy": str(folder / "taxonomy")}
    return Job(folder, {"leaf": LEAF}, settings, lambda fraction, facts: heard.append((fraction, dict(facts))))


def entry(folder: Path, pairs: Mapping[str, str]) -> None:
    examples = [{"question": question, "answer": answer} for question, answer in pairs.items()]
    told = {"version": 3, "created_by": "ann", "task_description": "Tell of lights", "seed_examples": examples}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "qna.yaml").write_text(yaml.safe_dump(told), encoding="utf-8")


def judged(folder: Path) -> list[Row]:
    return list(rows.read(folder / rows.SAMPLES))


def told_of(found: Row) -> tuple[bool, str, str, str, int]:
    return found.kept, found.at, found.why, found.near, found.of


REWORDED_TWO = TWO.replace("never learn to swim", "never learn to dive")
SET = (
    row(1, TWO),
    row(2, f"Please tell me: {SEEDS[2]}"),
    row(3, REWORDED_TWO),
    row(4, TWO.upper()),
    row(5, KNOWN.replace("five", "six")),
    row(6, SIX),
    row(7, UNSEEN.replace("a child", "a sailor").replace("small boat", "big ship")),
    row(8, SEVEN).dropped("judge_questions", "score"),
    row(9, SEVEN.replace("short", "long"), scores=GOOD[:1]).dropped("answers", "cut"),
    row(10, "", answer="").dropped("questions", "empty"),
    row(11, "Tell a joke about gulls."),
    row(12, "How far out to sea does the beam shine?"),
)


def test_rows_stay_and_say_what_they_repeat_and_what_they_give_away(tmp_path: Path) -> None:
    told = perform(JUDGE, job(tmp_path, SET))

    assert [told_of(one) for one in judged(tmp_path)] == [
        (True, "", "", "", 0),
        (False, "judge", "seed", SEEDS[2], 3),
        (False, "judge", "near", TWO, 1),
        (False, "judge", "same", TWO, 1),
        (False, "judge", "taxonomy", KNOWN, 0),
        (True, "", "", "", 0),
        (False, "judge", "unseen", UNSEEN, 1),
        (False, "judge_questions", "score", "", 0),
        (False, "judge", "near", SEVEN, 8),
        (False, "questions", "empty", "", 0),
        (True, "", "", "", 0),
        (False, "judge", "unseen", SEEDS[4], 0),
    ]
    assert told == {
        "stage": "judge",
        "made": "12",
        "kept": "3",
        "dropped": "9",
        "held": "1",
        "too_near": "2",
        "reasons": json.dumps(reasons()),
    }


def reasons() -> dict[str, int]:
    judge = {"judge:near": 2, "judge:same": 1, "judge:seed": 1, "judge:taxonomy": 1, "judge:unseen": 2}
    return {**judge, "judge_questions:score": 1, "questions:empty": 1}


def test_the_yield_counts_every_row_once(tmp_path: Path) -> None:
    perform(JUDGE, job(tmp_path, SET))

    found = json.loads((tmp_path / "samples" / "yield.json").read_bytes())
    nearest = found["unseen"].pop("nearest")
    assert found == {
        "made": 12,
        "kept": 3,
        "dropped": 9,
        "steps": [
            ["questions", 11, 1],
            ["judge_questions", 10, 1],
            ["answers", 10, 0],
            ["judge_pairs", 10, 0],
            ["judge", 3, 7],
        ],
        "reasons": reasons(),
        "lost": [],
        "unseen": {"made": 2, "kept": 1, "too_near": 2},
        "reworded": {"made": 1, "kept": 1},
    }
    assert 0 <= nearest < 0.5


def test_what_was_found_early_or_answered_before_changes_no_byte(tmp_path: Path) -> None:
    """One attempt finds repeats as they come; another has them only here, with their answers, or turned down by a judge."""
    early = [
        row(1, TWO),
        row(2, SET[1].question, answer="", scores=()).dropped("judge", "seed", SEEDS[2], 3),
        row(3, REWORDED_TWO, answer="", scores=()).dropped("judge", "near", TWO, 1),
        row(4, TWO.upper()).dropped("judge_pairs", "score"),
        *SET[4:],
    ]

    for name, made in (("late", SET), ("early", early)):
        perform(JUDGE, job(tmp_path / name, made))

    for path in JUDGE.writes:
        assert (tmp_path / "early" / path).read_bytes() == (tmp_path / "late" / path).read_bytes()


def test_a_sample_of_knowledge_keeps_the_answer_that_came_with_its_question(tmp_path: Path) -> None:
    made = [replace(one, kind="knowledge", document="The light.") for one in SET[:4]]

    perform(JUDGE, job(tmp_path, made))

    assert [(one.answer, one.scores) for one in judged(tmp_path)[2:]] == [(one.answer, ()) for one in SET[2:4]]


def test_grounded_samples_repeat_by_question_and_context_and_leak_by_their_context(tmp_path: Path) -> None:
    table, ask = (
        "The ferry leaves at dawn, the mail boat at noon, the fishers when the tide lets them out.",
        "Who leaves first?",
    )
    fog = f"{UNSEEN} It was told by the keeper's daughter, who had been out in it more than once."
    made = [
        row(1, ask, context=table),
        row(2, "Who leaves last of all?", context=table),
        row(3, ask, context=table.replace("fishers", "sailors")),
        row(4, ask, context="Nobody leaves on Sundays, for the harbour sleeps till the bells have rung."),
        row(5, ask, context=fog),
    ]
    work = job(tmp_path, [replace(one, kind="grounded") for one in made])
    rows.write(tmp_path / rows.UNSEEN, [Row("u1", 1, "unseen", "grounded", LEAF, 5, "What was it like?", "Dim.", fog)])

    perform(JUDGE, work)

    found = [told_of(one) for one in judged(tmp_path)]
    assert found[:4] == [(True, "", "", "", 0), (True, "", "", "", 0), (False, "judge", "near", ask, 1), (True, "", "", "", 0)]
    assert found[4][:3] == (False, "judge", "unseen")


def test_where_no_sample_is_left_it_says_why_and_nothing_passes_for_a_set(tmp_path: Path) -> None:
    work = job(tmp_path, [SET[1], replace(SET[7], scores=(Score("judge_questions", 0, "It asks for a letter."),))])

    with pytest.raises(Invalid) as caught:
        perform(JUDGE, work)

    [problem] = caught.value.problems
    seed, score = json.loads(problem.facts["advice"])
    assert (problem.code, problem.facts["made"], problem.facts["kept"]) == ("generate.none", "2", "0")
    assert (seed["code"], seed["sample"], seed["seed"], seed["other"]) == ("repeats_seed", 2, 3, SEEDS[2])
    assert (score["step"], score["sample"], score["reason"]) == ("judge_questions", 8, "It asks for a letter.")
    assert [one.why for one in judged(tmp_path)] == ["seed", "score"]
    assert not (tmp_path / "receipts" / "judge.json").exists()


def test_where_no_list_led_to_a_sample_it_says_what_was_wrong_with_them(tmp_path: Path) -> None:
    lost = {"step": "questions", "why": "malformed", "count": 7, "wrong": "it is no list"}

    with pytest.raises(Invalid, match="7 at questions:malformed") as caught:
        perform(JUDGE, job(tmp_path, [], lost=[lost]))

    [one] = json.loads(caught.value.problems[0].facts["advice"])
    assert (one["code"], one["step"], one["count"], one["reason"]) == ("malformed", "questions", 7, "it is no list")
    assert json.loads((tmp_path / "samples" / "yield.json").read_bytes())["lost"] == [lost]


def test_no_rows_are_no_set_either(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="there is no sample"):
        perform(JUDGE, job(tmp_path, []))


def test_a_damaged_row_is_named_by_its_line(tmp_path: Path) -> None:
    work = job(tmp_path, SET)
    with (tmp_path / rows.GENERATED).open("ab") as file:
        file.write(b'{"id": "x", "number": 13, "set": "tra')

    with pytest.raises(Failed, match=r"generated\.jsonl, line 13, is no row"):
        perform(JUDGE, work)
    assert not (tmp_path / rows.SAMPLES).exists()


def test_without_taxonomy_plan_or_held_out_sets_there_is_less_to_compare_with(tmp_path: Path) -> None:
    work = job(tmp_path, [row(1, KNOWN), row(2, UNSEEN)])
    for path in (rows.UNSEEN, rows.REWORDED, "samples/plan.json"):
        (tmp_path / path).unlink()

    perform(JUDGE, replace(work, settings={}))

    assert [one.kept for one in judged(tmp_path)] == [True, True]


def test_samples_in_german_and_japanese_are_compared_by_their_words(tmp_path: Path) -> None:
    german = "Wie frage ich am Hafen höflich nach dem kürzesten Weg zum alten Leuchtturm am Ende der Mole?"
    japanese = "港で古い灯台への一番近い道を丁寧に尋ねるにはどう言えばよいですか。"
    made = [
        row(1, german),
        row(2, german.replace("höflich", "freundlich")),
        row(3, japanese),
        row(4, japanese.replace("尋ねる", "聞く")),
    ]

    perform(JUDGE, job(tmp_path, made))

    assert [(one.kept, one.of) for one in judged(tmp_path)] == [(True, 0), (False, 1), (True, 0), (False, 3)]


def test_it_says_how_far_it_is_and_takes_more_rows_than_it_looks_at_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.generating.comparing.CHUNK", 3)
    monkeypatch.setattr("pipeline.stages.judge.CHUNK", 3)
    told: list[Any] = []

    perform(JUDGE, job(tmp_path, SET, told))

    fractions = [fraction for fraction, _ in told]
    assert fractions == sorted(fractions) and 0 < fractions[0] < 0.5 < fractions[-1] <= 1
    assert {facts["stage"] for _, facts in told} == {"judge"}
    assert [one.why for one in judged(tmp_path)][:4] == ["", "seed", "near", "same"]
