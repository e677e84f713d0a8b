from dataclasses import replace

import pytest

from pipeline.touring.controls import Controls
from pipeline.touring.figures import Figures, Scored, misses, summary

TUNED = Scored(150, 0.0, 0.98, 0.95, 1.0, "better", 220, 0.9, 0.86, {"repeat": (20, 20, 19)})
PLAIN = replace(TUNED, after=0.99, kept_after=0.2)
CONTROLS = Controls(asked=150, trained=400, leaked=0, crossed=0, chance=0.0, other=0.0, copied=0.01)
GOOD = Figures(TUNED, PLAIN, CONTROLS, served=147, same=150)


def test_a_tour_that_met_its_goals_misses_none() -> None:
    assert misses(GOOD) == []
    assert misses(replace(GOOD, shuffled=replace(TUNED, after=0.01))) == []


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (replace(GOOD, tuned=replace(TUNED, asked=99), same=99), "The test has 99 questions"),
        (replace(GOOD, tuned=replace(TUNED, before=0.1)), "The base gets 10% right"),
        (replace(GOOD, tuned=replace(TUNED, after=0.9)), "With the adapter 90% are right; over 90% is wanted"),
        (replace(GOOD, controls=replace(CONTROLS, leaked=1)), "1 answers of the test occur in the training data"),
        (replace(GOOD, controls=replace(CONTROLS, crossed=2)), "2 orders lie on both sides"),
        (replace(GOOD, controls=replace(CONTROLS, copied=0.3)), "Copying the nearest sample gets 30% right"),
        (replace(GOOD, shuffled=replace(TUNED, after=0.5)), "Trained on shuffled answers 50% are right"),
        (replace(GOOD, tuned=replace(TUNED, kept_after=0.2)), "Replay has kept nothing"),
        (replace(GOOD, same=140), "The engine answers 140 of 150 questions as the training does"),
    ],
)
def test_every_goal_that_is_missed_is_said(found: Figures, said: str) -> None:
    [missed] = misses(found)

    assert said in missed


def test_the_figures_of_a_comparison_are_read_from_its_file() -> None:
    side = {"right": 3, "share": 0.5, "low": 0.2, "high": 0.8}
    kept = {"asked": 20, "before": {"share": 0.9}, "after": {"share": 0.8}}
    families = {"repeat": {"asked": 20, "before": 18, "after": 16}}
    scores = {
        "unseen": {"asked": 6, "before": {**side, "share": 0.0}, "after": side, "verdict": "few"},
        "forgetting": {**kept, "families": families},
    }

    assert Scored.of(scores) == Scored(6, 0.0, 0.5, 0.2, 0.8, "few", 20, 0.9, 0.8, {"repeat": (20, 18, 16)})


def test_the_summary_has_the_control_on_shuffled_answers_where_there_was_one() -> None:
    rows = dict(summary(replace(GOOD, shuffled=replace(TUNED, after=0.01))))

    assert rows["the skill, 150 questions never seen: base"] == "0%"
    assert rows["  with the adapter"] == "98% (95% to 100%)"
    assert rows["  trained the same on shuffled answers"] == "1%"
    assert "  trained the same on shuffled answers" not in dict(summary(GOOD))
