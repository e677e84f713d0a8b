"""The loop: what it learns, writes down, keeps, and goes on with."""

import json
import math
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from pipeline.errors import Failed, Invalid
from pipeline.training import adapters, batches, checkpoints, loop
from pipeline.training.learner import IGNORED, Encoded, Learned
from pipeline.training.loop import Course, Progress
from tests.pipeline.training import small
from tests.pipeline.training.small import CONFIG


def lines(path: Path) -> list[dict[str, Any]]:
    """What is in a file of lines, without how long steps took."""
    return [{**json.loads(line), "seconds": 0} for line in path.read_text().splitlines()]


def outcome(folder: Path, progress: Progress) -> tuple[Any, ...]:
    last = checkpoints.at(folder / loop.FOLDER, progress.step)
    assert last
    weights = {
        name: one.numpy().tobytes() for file in last.folder.glob("*.safetensors") for name, one in load_file(file).items()
    }
    return lines(folder / loop.METRICS), [replace_seconds(one) for one in lines(folder / loop.HELD)], weights, progress.scores


def replace_seconds(line: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in line.items() if name != "seconds"}


@pytest.fixture(scope="module")
def whole(one_thread: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, ...]:
    """A course in one go."""
    folder = tmp_path_factory.mktemp("whole")
    return outcome(folder, loop.train(small.learner(), small.course(folder)))


def test_what_is_taught_is_learned_and_questions_that_were_not_get_better_too(tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"epochs": 12, "rank": 8})
    progress = loop.train(small.learner(config), small.course(tmp_path, config))
    first, *_, last = lines(tmp_path / loop.METRICS)
    assert last["loss"] < 0.6 * first["loss"]
    assert progress.best and progress.best.loss < progress.scores[0].loss


def test_each_step_and_each_checkpoint_is_written_down(tmp_path: Path) -> None:
    course = small.course(tmp_path)
    progress = loop.train(small.learner(), course)
    steps = loop.count(course)
    assert [one["step"] for one in lines(tmp_path / loop.METRICS)] == list(range(1, steps + 1))
    assert [one["step"] for one in lines(tmp_path / loop.HELD)] == [0, *loop.scored_at(steps, CONFIG.checkpoints)]
    assert sum(one["tokens"] for one in lines(tmp_path / loop.METRICS)) == 3 * int(course.lessons.lengths.sum())
    assert progress.step == steps


class Killed(BaseException):
    """Stands for a kill: nothing after it runs but what Python must."""


@pytest.mark.parametrize("after", [1, 4, 7, 11])
def test_a_course_that_was_killed_ends_bit_for_bit_as_one_that_was_not(
    tmp_path: Path, whole: tuple[Any, ...], after: int
) -> None:
    def kill(step: loop.Step, _steps: int) -> None:
        if step.step == after:
            raise Killed

    with pytest.raises(Killed):
        loop.train(small.learner(), small.course(tmp_path, told=kill, save_s=0.0 if after == 7 else 300.0))
    torch.manual_seed(99)  # as in another process
    again = loop.train(small.learner(), small.course(tmp_path))
    assert outcome(tmp_path, again) == whole


def test_a_course_with_dropout_goes_on_with_the_chance_that_it_had(tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"dropout": 0.2})
    one = loop.train(small.learner(config), small.course(tmp_path / "one", config))
    ended = False

    def ending() -> bool:
        return ended

    def end(step: loop.Step, _steps: int) -> None:
        nonlocal ended
        ended = step.step >= 5

    with pytest.raises(loop.Ended):
        loop.train(small.learner(config), small.course(tmp_path / "two", config, told=end, ending=ending))
    torch.manual_seed(99)
    two = loop.train(small.learner(config), small.course(tmp_path / "two", config))
    assert outcome(tmp_path / "two", two) == outcome(tmp_path / "one", one)


def test_a_course_that_is_told_to_end_saves_what_it_has(tmp_path: Path) -> None:
    with pytest.raises(loop.Ended):
        loop.train(small.learner(), small.course(tmp_path, ending=lambda: True))
    found = checkpoints.newest(tmp_path / loop.FOLDER, "mark")
    assert found and found.step == 1


def test_other_data_or_settings_begin_anew(tmp_path: Path, whole: tuple[Any, ...]) -> None:
    loop.train(small.learner(), replace(small.course(tmp_path), mark="other"))
    again = loop.train(small.learner(), small.course(tmp_path))
    assert outcome(tmp_path, again) == whole


def test_a_checkpoint_that_rotted_is_passed_over_for_the_one_before(tmp_path: Path, whole: tuple[Any, ...]) -> None:
    loop.train(small.learner(), small.course(tmp_path))
    newest = max((tmp_path / loop.FOLDER).glob("step-*"))
    content = bytearray((newest / adapters.WEIGHTS).read_bytes())
    content[-1] ^= 1
    (newest / adapters.WEIGHTS).write_bytes(content)
    again = loop.train(small.learner(), small.course(tmp_path))
    assert outcome(tmp_path, again) == whole


def test_the_two_newest_checkpoints_and_the_best_are_kept(tmp_path: Path) -> None:
    for step in (2, 4, 6, 8):
        checkpoints.write_one(tmp_path, step, lambda folder: (folder / "weights").write_bytes(b"w") and None, {"course": "a"})
        checkpoints.prune(tmp_path, best=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000002", "step-00000006", "step-00000008"]


def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before(tmp_path: Path) -> None:
    checkpoints.write_one(tmp_path, 1, lambda folder: (folder / "weights").write_bytes(b"w") and None, {"course": "a"})

    def full(folder: Path) -> None:
        (folder / "weights").write_bytes(b"half")
        raise OSError(28, os.strerror(28))

    with pytest.raises(Failed, match="No space left"):
        checkpoints.write_one(tmp_path, 2, full, {"course": "a"})
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000001"]
    found = checkpoints.newest(tmp_path, "a")
    assert found and found.step == 1


def test_a_shorter_course_in_the_same_folder_keeps_its_own_checkpoints(tmp_path: Path) -> None:
    longer = CONFIG.model_copy(update={"epochs": 6})
    loop.train(small.learner(longer), small.course(tmp_path, longer))
    course = replace(small.course(tmp_path), mark="another", held=())
    progress = loop.train(small.learner(), course)
    assert checkpoints.at(tmp_path / loop.FOLDER, progress.step)
    assert max(path.name for path in (tmp_path / loop.FOLDER).iterdir()) == f"step-{progress.step:08d}"


def test_a_checkpoint_s_score_is_the_mean_over_all_tokens_that_are_wanted(tmp_path: Path) -> None:
    learner, course = small.learner(), small.course(tmp_path)
    held = [
        *course.held,
        Encoded((1, 5, 6, 7, 8, 9, 3, *[5] * 12, 2), (*[IGNORED] * 7, *[5] * 12, 2)),
        Encoded((1, 4), (IGNORED,) * 2),
    ]
    progress = loop.train(learner, replace(course, held=held))
    small_steps = [batches.padded([one]) for one in held]
    learner.load(max((tmp_path / loop.FOLDER).glob("step-*")))
    each = [(loss, one.learned) for loss, one in zip(learner.losses(small_steps), held, strict=True) if one.learned]
    mean = sum(loss * many for loss, many in each) / sum(many for _, many in each)
    assert progress.scores[-1].loss == pytest.approx(mean, abs=1e-4)


def test_lessons_with_nothing_in_them_are_refused_and_no_endless_course(tmp_path: Path) -> None:
    with pytest.raises(Failed, match="nothing to learn"):
        loop.train(small.learner(), replace(small.course(tmp_path), lessons=small.lessons([]), held=()))


def test_rotten_lines_of_the_metrics_stop_no_training(tmp_path: Path, whole: tuple[Any, ...]) -> None:
    loop.train(small.learner(), small.course(tmp_path))
    path = tmp_path / loop.METRICS
    path.write_bytes(path.read_bytes() + b'\xff\xfe\n{"step": 3}\n[]\n{"st')
    assert len(loop.steps(path)) == len(whole[0])
    assert outcome(tmp_path, loop.train(small.learner(), small.course(tmp_path)))[1:] == whole[1:]


class Losing:
    """A learner whose loss is no number at some steps."""

    def __init__(self, bad: set[int]) -> None:
        self.real, self.bad, self.steps = small.learner(), bad, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def learn(self, batches: Any, rate: float) -> Learned:
        self.steps += 1
        if self.steps in self.bad:
            with torch.no_grad():
                kept = [weight.clone() for weight in self.real._weights]
                self.real._weights[0].fill_(math.nan)
            told = self.real.learn(batches, rate)
            with torch.no_grad():
                for weight, one in zip(self.real._weights, kept, strict=True):
                    weight.copy_(one)
            return told
        return self.real.learn(batches, rate)


def test_a_single_loss_that_is_no_number_changes_nothing_and_the_course_goes_on(tmp_path: Path) -> None:
    progress = loop.train(Losing({3}), small.course(tmp_path))
    assert [one["step"] for one in lines(tmp_path / loop.METRICS) if one["loss"] is None] == [3]
    assert progress.best and math.isfinite(progress.best.loss)


def test_a_loss_that_is_no_number_again_and_again_ends_the_course_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=r"Lower `rate`") as caught:
        loop.train(Losing({4, 5, 6}), small.course(tmp_path))
    assert caught.value.problems[0].code == "train.nan"
    assert checkpoints.newest(tmp_path / loop.FOLDER, "mark")


def test_a_step_whose_loss_is_no_number_leaves_weights_and_moments_as_they_were() -> None:
    learner = small.learner()
    course = small.course(Path("unused"))
    [micro] = loop.batches.plan(course.lessons.lengths, course.room, seed=0, epoch=0)[0][:1]
    batch = loop.batches.batch(course.lessons, micro, course.room)
    learner.learn([batch], 0.01)
    with torch.no_grad():
        learner._weights[0][0, 0] = math.inf
    before = [weight.clone() for weight in learner._weights]
    told = learner.learn([batch], 0.01)
    assert not (math.isfinite(told.loss) and math.isfinite(told.norm))
    assert all(torch.equal(one, weight) for one, weight in zip(before, learner._weights, strict=True))


@given(steps=st.integers(1, 400), many=st.integers(1, 60), warm_up=st.floats(0, 0.9))
def test_rates_rise_and_fall_within_bounds_and_checkpoints_end_at_the_end(steps: int, many: int, warm_up: float) -> None:
    rates = [loop.share(number, steps, warm_up) for number in range(steps)]
    assert all(0 < rate <= 1 for rate in rates)
    peak = rates.index(max(rates))
    assert rates[: peak + 1] == sorted(rates[: peak + 1]) and rates[peak:] == sorted(rates[peak:], reverse=True)
    marks = loop.scored_at(steps, many)
    assert marks == sorted(set(marks)) and marks[-1] == steps and len(marks) == min(steps, many)


def test_half_an_epoch_has_half_its_steps(tmp_path: Path) -> None:
    def steps(epochs: float) -> int:
        return loop.count(small.course(tmp_path, CONFIG.model_copy(update={"epochs": epochs})))

    assert steps(0.5) == -(-steps(1) // 2)
    assert steps(2) >= steps(1.5) >= steps(1)
    course: Course = small.course(tmp_path, CONFIG.model_copy(update={"steps": 4}))
    assert loop.count(course) == 4


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Any:
    """Bit for bit the same needs no more than the same number of threads; one is quickest for so little."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
