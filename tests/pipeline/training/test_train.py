"""The stage that trains: what it reads, refuses, tells and leaves."""

import json
import math
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from pipeline.errors import Invalid
from pipeline.stages.train import train
from pipeline.training import adapters, loop, settings
from pipeline.training.torch_learner import TorchLearner
from tests.pipeline.generating.mixing_folder import held, many
from tests.pipeline.training import training_folder

PNG = b"\x89PNG\r\n\x1a\n"


def refused(tmp_path: Path, **settings: Any) -> str:
    with pytest.raises(Invalid) as caught:
        train(training_folder.job(tmp_path, many(6), **settings))
    assert caught.value.problems[0].fix or caught.value.problems[0].where
    return caught.value.problems[0].code


def test_an_adapter_is_trained_its_curves_are_drawn_and_the_plan_says_with_what(tmp_path: Path) -> None:
    told: list[Any] = []
    job = training_folder.job(tmp_path, many(40), held(44), told)
    facts = train(job)
    folder = job.folder / "train"
    plan = json.loads((folder / "plan.json").read_bytes())
    config = json.loads((folder / "adapter" / adapters.CONFIG).read_bytes())
    assert plan["base"]["name"] == config["base_model_name_or_path"] == "tiny"
    assert plan["samples"]["rows"] == 40 + plan["samples"]["replay"]
    assert plan["choosing"] == {"questions": plan["choosing"]["questions"], "shared_with_test": False}
    assert 0 < plan["choosing"]["questions"] < 44
    assert len(load_file(folder / "adapter" / adapters.WEIGHTS)) == 2 * 2 * 7  # A and B, layers, linear layers of a block
    assert (folder / "curves.png").read_bytes().startswith(PNG)
    assert float(facts["held_loss"]) < float(facts["held_before"])
    steps = [facts for _, facts in told if facts.get("act") == "train"]
    assert steps and {"step", "steps", "loss", "speed", "low_s", "high_s", "device", "base"} <= steps[-1].keys()
    assert not (folder / ".adapter").exists()


def test_a_second_training_of_the_same_goes_on_at_the_end_and_changes_nothing(tmp_path: Path) -> None:
    job = training_folder.job(tmp_path, many(8))
    train(job)
    kept = {path: path.read_bytes() for path in sorted((job.folder / "train" / "adapter").iterdir())}
    train(job)
    assert {path: path.read_bytes() for path in sorted((job.folder / "train" / "adapter").iterdir())} == kept


def test_a_training_that_is_told_to_end_saves_and_ends_with_the_signal_s_status(tmp_path: Path) -> None:
    def end(_fraction: float, facts: Any) -> None:
        if facts.get("act") == "train":
            os.kill(os.getpid(), signal.SIGTERM)

    job = training_folder.job(tmp_path, many(8), epochs=6)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as ended:
        train(type(job)(job.folder, job.inputs, job.settings, end))
    assert ended.value.code == 128 + signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is before
    assert list((job.folder / "train" / "checkpoints").glob("step-*"))
    train(job)
    steps = [json.loads(line)["step"] for line in (job.folder / "train" / "metrics.jsonl").read_text().splitlines()]
    assert steps == list(range(1, len(steps) + 1))


def test_what_cannot_be_trained_is_refused_with_a_way_out(tmp_path: Path) -> None:
    assert refused(tmp_path / "a", base="granite-4.1-3b") == "train.no_weights"
    assert refused(tmp_path / "b", targets=["nose"]) == "train.targets"
    assert refused(tmp_path / "c", method="qlora") == "train.qlora"
    assert refused(tmp_path / "d", rate=0) == "config.value"
    assert refused(tmp_path / "e", context=16, too_long="refuse") == "train.long"


def test_a_loss_that_is_no_number_ends_it_with_what_to_do_and_keeps_what_was_made(tmp_path: Path) -> None:
    job = training_folder.job(tmp_path, many(8), rate=0.99, clip=1e30, alpha=1e18, epochs=40)
    with pytest.raises(Invalid) as caught:
        train(job)
    assert caught.value.problems[0].code == "train.nan"
    lines = [json.loads(line) for line in (job.folder / "train" / "metrics.jsonl").read_text().splitlines()]
    assert lines[-1]["loss"] is None or not math.isfinite(lines[-1]["norm"] or math.inf)


def test_a_damaged_row_is_named_by_file_and_line(tmp_path: Path) -> None:
    job = training_folder.job(tmp_path, many(8))
    path = job.folder / "mix" / "skills_train_msgs.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b'{"messages": [\n' + b"".join(lines[1:]))
    with pytest.raises(Invalid, match=r"skills_train_msgs.jsonl.*2"):
        train(job)


def test_a_disk_that_is_full_leaves_the_checkpoints_that_were_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = training_folder.job(tmp_path, many(8), checkpoints=4)
    real, many_saves = adapters.write_files, 0

    def full(folder: Path, *rest: Any) -> None:
        nonlocal many_saves
        many_saves += 1
        if many_saves == 2:
            raise OSError(28, os.strerror(28))
        real(folder, *rest)

    monkeypatch.setattr(adapters, "write_files", full)
    with pytest.raises(Exception, match="No space left"):
        train(job)
    assert len(list((job.folder / "train" / "checkpoints").glob("step-*"))) == 1
    assert train(job)["steps"]


def test_a_device_that_runs_out_of_memory_says_what_to_set_and_keeps_the_checkpoints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, steps = TorchLearner.learn, 0

    def full(learner: TorchLearner, *given: Any) -> Any:
        nonlocal steps
        steps += 1
        if steps == 4:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return real(learner, *given)

    monkeypatch.setattr(TorchLearner, "learn", full)
    job = training_folder.job(tmp_path, many(16), epochs=4, checkpoints=8)
    with pytest.raises(Invalid, match="checkpointing: yes") as caught:
        train(job)
    assert caught.value.problems[0].code == "train.out_of_memory"
    assert list((job.folder / "train" / "checkpoints").glob("step-*"))
    before = (job.folder / "train" / "metrics.jsonl").read_text().splitlines()
    smaller = {**job.settings, "train": {**job.settings["train"], "checkpointing": "yes"}}
    train(type(job)(job.folder, job.inputs, smaller, job.report))
    assert (job.folder / "train" / "metrics.jsonl").read_text().splitlines()[:2] == before[:2]  # it went on


def test_where_the_best_checkpoint_rotted_the_next_best_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = loop.train

    def rotten(learner: Any, course: Any) -> Any:
        progress = real(learner, course)
        best = course.folder / loop.FOLDER / f"step-{progress.best.step:08d}"
        (best / adapters.WEIGHTS).write_bytes(b"")
        return progress

    monkeypatch.setattr(loop, "train", rotten)
    job = training_folder.job(tmp_path, many(16), checkpoints=4)
    facts = train(job)
    plan = json.loads((job.folder / "train" / "plan.json").read_bytes())
    assert plan["best"]["step"] == int(facts["best"]) < plan["steps"]


def test_rows_that_say_nothing_are_not_hidden_behind_replay(tmp_path: Path) -> None:
    job = training_folder.job(tmp_path, many(6))
    row = {"messages": [{"role": "user", "content": "Hello?"}, {"role": "assistant", "content": ""}], "unmask": False}
    (job.folder / "mix" / "skills_train_msgs.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(Invalid) as caught:
        train(job)
    assert caught.value.problems[0].code == "train.none"


def test_yes_and_no_are_what_they_are_in_yaml(tmp_path: Path) -> None:
    path = tmp_path / "train.yaml"
    path.write_text("checkpointing: yes\nmodels: {tiny: {checkpointing: no}}\n")
    assert settings.load(path, "").checkpointing == "yes"
    assert settings.load(path, "tiny").checkpointing == "no"
