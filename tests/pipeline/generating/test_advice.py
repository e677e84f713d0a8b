"""Advice is the same whoever gives it, and each kind has its sentence."""

from dataclasses import replace

import pytest

from pipeline.generating import advice
from pipeline.generating.rows import Row, Score, Why

ROW = Row("a1", 14, "train", "freeform", "a/b", 3, "What is it?", "So.")


@pytest.mark.parametrize(
    ("at", "why", "code"),
    [
        ("judge_questions", "score", "off_topic"),
        ("judge_grounded_questions", "score", "off_topic"),
        ("judge_relevancy", "score", "off_topic"),
        ("judge_pairs", "score", "low_score"),
        ("judge", "unseen", "repeats_unseen"),
        ("answers", "empty", "malformed"),
    ],
)
def test_what_a_sample_was_dropped_for_tells_the_kind_of_advice(at: str, why: Why, code: str) -> None:
    row = replace(ROW, scores=(Score(at, 0, "Nobody asked."),)).dropped(at, why, "Another text.", 2)
    given = advice.advised(row, 5)

    assert (given["code"], given["count"], given["sample"]) == (code, 5, 14)
    assert given["reason"] == ("Nobody asked." if why == "score" else "Another text." if code == "malformed" else "")
    assert given["other"] == {"low_score": "So.", "repeats_unseen": "Another text."}.get(code, "")
    assert advice.said(given)


def test_a_sample_that_repeats_a_seed_example_names_that_one() -> None:
    given = advice.advised(ROW.dropped("judge", "seed", "What is this?", 2), 1)

    assert (given["code"], given["seed"], given["other"]) == ("repeats_seed", 2, "What is this?")
    assert "repeats seed 2 ('What is this?')" in advice.said(given)
