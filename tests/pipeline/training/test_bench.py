"""The benches of training count right, and what they run here in small runs as they would on a large machine."""

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench import gpu, training, training_model, training_ours
from tests.bench.training import Side
from tests.bench.training_model import SMALL

STEP = {"tokens": 100.0, "seconds": 2.0, "cpu": 4.0, "memory": 3e9, "device_memory": 5e9}


def side(*tokens: float) -> Side:
    found = Side(None)  # type: ignore[arg-type]  # nothing is asked of its process
    found.steps = [{**STEP, "tokens": one} for one in tokens]
    return found


def test_the_first_step_does_not_count() -> None:
    told = side(9000, 100, 200).figures()
    assert told == {"tokens_s": 75.0, "cpu_tokens_s": 37.5, "steps": 2, "step_tokens": 150.0, "gb": 3.0}


def test_a_side_steps_until_it_has_been_through_all_samples() -> None:
    assert side(500).left(400)  # two at least
    assert side(200, 100).left(400)
    assert not side(200, 200).left(400)


def test_sides_step_in_turns_and_stop_where_the_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []

    def step(one: Side) -> None:
        order.append("fast" if one is fast else "slow")
        one.steps.append({**STEP, "tokens": 200 if one is fast else 100})

    monkeypatch.setattr(Side, "step", step)
    fast, slow = side(), side()
    training.turns([fast, slow], 400, 1000)
    assert order == ["fast", "slow", "fast", "slow", "slow", "slow"]
    again = side()
    training.turns([again], 10_000, -1)
    assert len(again.steps) == 2


def test_figures_are_told_by_side_and_as_ours_by_theirs() -> None:
    sides = {"ours": side(0, 400), "trl_padded": side(0, 100), "trl_packed": side(0, 200)}
    found = training.compare({name: one.figures() for name, one in sides.items()})
    assert (found["over_trl_padded"], found["over_trl_packed"], found["memory_over_trl_padded"]) == (4.0, 2.0, 1.0)
    assert list(training.compare({"ours": sides["ours"].figures()})) == [f"ours_{name}" for name in sides["ours"].figures()]


def test_samples_are_of_mixed_lengths_and_only_answers_are_learned() -> None:
    found = training_model.samples(400, 1000)
    lengths = [len(one.tokens) for one in found]
    assert found == training_model.samples(400, 1000)
    assert 220 < sum(lengths) / len(lengths) < 280
    assert max(lengths) > 10 * min(lengths)
    for one in found:
        learned = [at for at, label in enumerate(one.labels) if label != training_model.IGNORED]
        assert learned == list(range(learned[0], len(one.tokens)))
        assert all(one.labels[at] == one.tokens[at] for at in learned)


def test_mfu_counts_four_flops_a_weight_and_token_and_what_the_steps_had() -> None:
    samples = training_model.samples(50, 1000)
    steps = [{**STEP, "tokens": 1000.0}] * 3
    found = gpu.measured(steps, training_model.SEVEN, samples, 989e12)
    assert found["tokens_s"] == 500 and found["gb"] == 5
    through = 4 * 32 * (4 * 4096**2 + 3 * 4096 * 11_008) * 500 / 1e12
    assert through < found["tflops"] < 1.1 * through  # the adapter, attention and the head beside it
    assert found["mfu"] == pytest.approx(found["tflops"] / 989)
    assert "mfu" not in gpu.measured(steps, training_model.SEVEN, samples, None)


def test_a_part_that_cannot_be_measured_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "trl", lambda: "")
    assert gpu.missing("lora", "cuda", 1) == ""
    assert gpu.missing("lora", "cuda", -1) == "there is no time left"
    assert gpu.missing("qlora", "cpu", 1) == "4 bits need CUDA and bitsandbytes"
    assert gpu.missing("trl_packed", "cuda", 1) == "there is no trl here"


def test_our_side_takes_a_step_at_each_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    training_model.make(SMALL, tmp_path, "cpu")
    samples = training_model.samples(12, SMALL.vocabulary)
    config = {**gpu.LORA, "device": "cpu", "batch_tokens": 512, "micro_tokens": 256}
    data = {"input_ids": [one.tokens for one in samples], "labels": [one.labels for one in samples]}
    given = {"model": str(tmp_path), "samples": data, "config": config}
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(given) + "\ngo\ngo\nend\n"))
    with pytest.raises(SystemExit):
        training_ours.main()
    ready, *steps = capsys.readouterr().out.splitlines()
    assert ready == "ready" and len(steps) == 2
    told = [json.loads(step) for step in steps]
    assert all(0 < step["tokens"] <= 512 and step["memory"] > 0 for step in told)
    assert gpu.measured(told, SMALL, samples, None)["tokens_s"] > 0


@pytest.mark.faults
def test_the_command_for_a_gpu_runs_on_a_cpu_in_small() -> None:
    command = [sys.executable, "-m", "tests.bench.gpu", "--shape", "tiny", "--device", "cpu", "--json", "--only", "lora"]
    told = subprocess.run([*command, "--only", "lora_long"], capture_output=True, text=True, check=True, timeout=300)
    found = json.loads(told.stdout.splitlines()[-1])
    assert found["lora_tokens_s"] > 0 and found["lora_long_steps"] == 2
