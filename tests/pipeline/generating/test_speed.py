"""What a run will take is told before it starts, from what the endpoint did the last time, else with the first answer."""

import json
from pathlib import Path

import pytest

from pipeline.generating import plan, recipes, speed
from pipeline.generating.leaf import leaf
from pipeline.generating.plan import Start
from pipeline.judging.asking import Model
from pipeline.models.client import Client, Endpoint
from tests.conftest import HOME

MODEL = Model(Client(Endpoint("http://127.0.0.1:9/v1")), "teacher")
OTHER = Model(Client(Endpoint("http://127.0.0.1:10/v1")), "teacher")


def starts(count: int) -> list[Start]:
    seeds = [{"question": f"Why {at}?", "answer": "So."} for at in range(5)]
    found = leaf(json.dumps({"task_description": "Teach it.", "seed_examples": seeds}), "a/b")
    return list(plan.starts(found, recipes.load(HOME, "freeform"), "train", 6 * count))


def test_the_most_requests_and_their_tokens_are_counted_step_by_step() -> None:
    one, many = speed.size(starts(1)), speed.size(starts(50))

    assert one == (1 + 6 + 6 + 6, 6 * (30 + 50 + 150 + 50))
    assert many == (50 * one[0], 50 * one[1])
    assert speed.size([]) == (0, 0)


def test_the_time_is_told_before_the_start_where_the_endpoint_answered_before(tmp_path: Path) -> None:
    speed.remember(MODEL, tmp_path, chars=40_000, seconds=100.0)  # 100 tokens a second

    made = speed.estimate(starts(50), MODEL, tmp_path)

    assert (made.requests, made.tokens, made.a_second) == (950, 84_000, 100.0)
    assert made.facts() == {"requests": "950", "low_s": "672", "high_s": "1260"}
    assert made.facts(100, 10.0) == made.facts()


def test_the_time_is_told_with_the_first_answer_where_the_endpoint_is_new(tmp_path: Path) -> None:
    speed.remember(OTHER, tmp_path, chars=40_000, seconds=100.0)

    made = speed.estimate(starts(50), MODEL, tmp_path)

    assert made.facts() == made.facts(100, 0.0) == made.facts(0, 5.0) == {"requests": "950"}
    assert made.facts(400, 10.0) == {"requests": "950", "low_s": "420", "high_s": "3150"}  # 10 tokens a second, and USUAL many


def test_the_last_run_counts_and_each_model_at_each_address_has_its_own(tmp_path: Path) -> None:
    for model, chars in ((MODEL, 400), (OTHER, 4000), (MODEL, 800)):
        speed.remember(model, tmp_path, chars=chars, seconds=10.0)

    assert [speed.estimate([], model, tmp_path).a_second for model in (MODEL, OTHER)] == [20.0, 100.0]


def test_what_is_too_short_to_tell_is_not_remembered(tmp_path: Path) -> None:
    speed.remember(MODEL, tmp_path, chars=0, seconds=100.0)
    speed.remember(MODEL, tmp_path, chars=100, seconds=0.5)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{",
        b'"text"',
        b"\xff",
        b'{"teacher http://127.0.0.1:9/v1": "fast"}',
        b'{"teacher http://127.0.0.1:9/v1": []}',
    ]
    + [
        b'{"teacher http://127.0.0.1:9/v1": %s}' % one
        for one in (b"-1", b"0", b"NaN", b"Infinity", b"1e999", b"null", b"true9")
    ],
)
def test_a_damaged_file_is_as_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "speeds.json").write_bytes(content)

    assert speed.estimate(starts(1), MODEL, tmp_path).a_second == 0.0
    speed.remember(MODEL, tmp_path, chars=400, seconds=10.0)
    assert speed.estimate(starts(1), MODEL, tmp_path).a_second == 10.0
