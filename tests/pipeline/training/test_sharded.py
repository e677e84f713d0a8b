"""Two processes with FSDP, over gloo on the CPU, come to what one process comes to."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from multiprocessing import Pipe
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import psutil
import pytest
import torch
import torch.distributed as dist
import transformers
from torch.distributed.tensor import DTensor

from pipeline.errors import Failed, Invalid
from pipeline.training import shard, sharded, torch_learner
from pipeline.training.batches import padded
from pipeline.training.devices import Place
from pipeline.training.learner import IGNORED, Batch, Encoded
from pipeline.training.settings import TrainConfig
from pipeline.training.shard import BLANK, Shard, dealt
from pipeline.training.sharded import Sharded

HOME = Path(__file__).resolve().parents[3]
ONE = Place("cpu", "cpu", 2**34, 2**34, bf16=False)
TWO = replace(ONE, count=2)
LORA = TrainConfig(rank=4, alpha=8.0, context=256, precision="fp32")
RATE = 1e-2


def samples(*lengths: int, seed: int = 0) -> Batch:
    """A batch of random samples, the last two thirds of each learned."""
    chance = np.random.default_rng(seed)
    made = []
    for length in lengths:
        tokens = tuple(chance.integers(3, 160, length).tolist())
        made.append(Encoded(tokens, (IGNORED,) * (length // 3) + tokens[length // 3 :]))
    return padded(made)


STEPS = [[samples(9, 30, 17, seed=3 * n), samples(40, 5, seed=3 * n + 1), samples(22, seed=3 * n + 2)] for n in range(5)]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A llama of random weights, as transformers writes it."""
    folder = tmp_path_factory.mktemp("sharded") / "llama"
    torch.manual_seed(7)
    config = transformers.LlamaConfig(
        vocab_size=160, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2
    )
    transformers.utils.logging.disable_progress_bar()
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def two() -> Iterator[tuple[Sharded, list[Shard]]]:
    """A learner of two processes: this one, in a thread, and another. And this process's part of it, once it is opened."""
    here: list[Shard] = []

    class Kept(Shard):
        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(*given, **named)
            here.append(self)

    told = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free()), "WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"}
    code = "from pathlib import Path; from pipeline.training import shard; shard.main(Path('.'), 'cpu')"
    other = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, **told, "RANK": "1"}, cwd=HOME)
    near, far = Pipe()

    def work() -> None:
        with far:  # so that whoever asks is not left waiting where this gives up
            shard.work(far)

    with pytest.MonkeyPatch.context() as patch, near:
        for name, value in {**told, "RANK": "0"}.items():
            patch.setenv(name, value)
        patch.setattr(shard, "Shard", Kept)
        dist.init_process_group("gloo")
        worker = Thread(target=work)
        worker.start()
        try:
            yield Sharded(near, lambda: AssertionError("the line is dead"), TWO), here
            near.close()
            worker.join(60)
            assert other.wait(60) == 0
        finally:
            other.kill()
            other.wait()
            dist.destroy_process_group()


def _free() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@pytest.fixture
def learners(base: Path, two: tuple[Sharded, list[Shard]]) -> Callable[[TrainConfig], tuple[Sharded, Any]]:
    def opened(config: TrainConfig) -> tuple[Sharded, Any]:
        two[0].open(base, config, TWO, base="small")
        return two[0], torch_learner.opened(base, config, ONE, base="small")

    return opened


def test_two_processes_learn_what_one_learns(learners: Any) -> None:
    together, alone = learners(LORA)

    found = [together.learn(step, RATE) for step in STEPS]
    wanted = [alone.learn(step, RATE) for step in STEPS]

    assert [(one.loss, one.norm) for one in found] == [pytest.approx((one.loss, one.norm), abs=1e-5) for one in wanted]
    assert together.losses(STEPS[0]) == pytest.approx(alone.losses(STEPS[0]), abs=1e-5)
    prompts = [[5, 6, 7], [9, 8, 7, 6, 5, 4]]
    assert together.answers(prompts, 6, frozenset({2})) == alone.answers(prompts, 6, frozenset({2}))


def test_activations_that_are_computed_twice_change_nothing(base: Path, two: Any) -> None:
    config = LORA.model_copy(update={"method": "rslora", "ranks": {"q_proj": 2}, "weight_decay": 0.1})
    alone = torch_learner.opened(base, config, ONE, base="small")
    two[0].open(base, config, TWO, base="small", checkpointing=True)

    found, wanted = [[learner.learn(step, RATE) for step in STEPS[:2]] for learner in (two[0], alone)]

    assert [(one.loss, one.norm) for one in found] == [pytest.approx((one.loss, one.norm), abs=1e-5) for one in wanted]


def test_bfloat16_is_sharded_too(learners: Any) -> None:
    together, alone = learners(LORA.model_copy(update={"precision": "bf16"}))

    found, wanted = [[learner.learn(step, RATE) for step in STEPS[:2]] for learner in (together, alone)]

    assert together.precision == "bf16"
    assert [(one.loss, one.norm) for one in found] == [pytest.approx((one.loss, one.norm), abs=1e-4) for one in wanted]


def test_each_process_keeps_half_of_the_blocks_and_all_of_the_adapter(learners: Any, two: tuple[Sharded, list[Shard]]) -> None:
    learners(LORA)[0].learn(STEPS[0], RATE)

    kept = dict(two[1][-1].network.named_parameters())

    frozen = [one for name, one in kept.items() if ".layers." in name and "lora_" not in name]
    assert all(isinstance(one, DTensor) and one.to_local().numel() * 2 == one.numel() for one in frozen)
    assert not any(isinstance(one, DTensor) for name, one in kept.items() if "lora_" in name)


def test_files_are_those_of_one_process_and_a_training_goes_on_from_them(learners: Any, tmp_path: Path) -> None:
    config = LORA.model_copy(update={"dropout": 0.3})
    together, alone = learners(config)
    for name, learner in (("together", together), ("alone", alone)):
        learner.learn(STEPS[0], RATE)
        (tmp_path / name).mkdir()
        learner.save(tmp_path / name)
    rest = [together.learn(step, RATE) for step in STEPS[1:3]]

    again, plain = learners(config)
    again.load(tmp_path / "together")

    assert [again.learn(step, RATE) for step in STEPS[1:3]] == rest
    names = [sorted(path.name for path in (tmp_path / name).iterdir()) for name in ("together", "alone")]
    assert names[0] == names[1]
    plain.use(tmp_path / "together")
    again.use(tmp_path / "together")
    assert again.losses(STEPS[3]) == pytest.approx(plain.losses(STEPS[3]), abs=1e-5)
    plain.use(None)
    again.use(None)
    assert again.losses(STEPS[3]) == pytest.approx(plain.losses(STEPS[3]), abs=1e-5)


def test_a_loss_that_is_no_number_changes_nothing(learners: Any, two: tuple[Sharded, list[Shard]]) -> None:
    together, alone = learners(LORA)
    steps = [learner.learn(STEPS[0], RATE) for learner in (together, alone)]
    with torch.no_grad():
        norm = two[1][-1]._inner.norm.weight  # of this process alone: the other has a number
        before = norm.clone()
        norm.fill_(float("nan"))

    bad = together.learn(STEPS[1], RATE)

    with torch.no_grad():
        norm.copy_(before)
    assert steps[0].loss == pytest.approx(steps[1].loss, abs=1e-5)
    assert str(bad.loss) == "nan"
    assert together.learn(STEPS[2], RATE).loss == pytest.approx(alone.learn(STEPS[2], RATE).loss, abs=1e-5)


def test_batches_are_dealt_so_that_all_compute_equally_often_and_the_large_go_together() -> None:
    given = [samples(length) for length in (10, 40, 20, 30, 50)]

    hands = [dealt(given, rank, 2) for rank in range(2)]

    assert [[at for at, _ in hand] for hand in hands] == [[4, 3, 0], [1, 2, -1]]
    assert hands[1][-1][1] is BLANK
    assert BLANK.learned == 0


# --- by torchrun


def _children() -> set[psutil.Process]:
    return set(psutil.Process().children(recursive=True))


@pytest.mark.faults
def test_torchrun_starts_them_and_they_end_with_the_learner(base: Path) -> None:
    before = _children()
    learner = sharded.opened(base, LORA, TWO, base="small")
    alone = torch_learner.opened(base, LORA, ONE, base="small")
    started = _children() - before

    found, wanted = [[one.learn(step, RATE).loss for step in STEPS] for one in (learner, alone)]
    learner.close()

    assert found == pytest.approx(wanted, abs=1e-5)
    assert (len(started), psutil.wait_procs(started, timeout=10)[1]) == (3, [])


@pytest.mark.faults
def test_one_of_them_that_is_killed_is_told_of_and_the_others_end(base: Path) -> None:
    before = _children()
    learner = sharded.opened(base, LORA, TWO, base="small")
    started = _children() - before

    next(one for one in started if one.environ().get("RANK") == "1").kill()
    with pytest.raises(Failed, match="processes that train"):
        learner.learn(STEPS[0], RATE)
    learner.close()

    assert psutil.wait_procs(started, timeout=60)[1] == []


@pytest.mark.faults
def test_what_one_of_them_refuses_is_said_as_it_says_it(base: Path, tmp_path: Path) -> None:
    with pytest.raises(Invalid) as refused:
        sharded.opened(base, LORA.model_copy(update={"targets": ("gate",)}), TWO, base="small")
    with pytest.raises(Failed, match="cannot be read"):
        sharded.opened(tmp_path / "nothing", LORA, TWO, base="small")

    assert refused.value.problems[0].code == "train.targets"


@pytest.mark.faults
def test_they_end_where_the_stage_is_killed(base: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from tests.pipeline.training.test_sharded import LORA, TWO, sharded\n"
        "learner = sharded.opened(Path(sys.argv[1]), LORA, TWO, base='small'); print('open', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(base)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=HOME,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    ) as stage:
        assert stage.stdout is not None
        while stage.stdout.readline() not in ("open\n", ""):
            pass
        started = psutil.Process(stage.pid).children(recursive=True)
        stage.kill()

    assert (len(started), psutil.wait_procs(started, timeout=60)[1]) == (3, [])
    assert list(tmp_path.glob("labbot-train-*")) == []
