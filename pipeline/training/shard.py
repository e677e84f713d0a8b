"""One of torchrun's processes: a part of every frozen block (FSDP), and the whole adapter, which is the same in all of them.

    python -m torch.distributed.run --standalone --nproc-per-node 8 -m pipeline.training.shard ROOM cuda

`sharded` starts it so. The first process hears the orders and tells the others, so that all do the same at once. The batches of
a step are dealt out; loss and gradient are sums over all of them, divided by the learned tokens of all of them: what comes
out is what one process would have come to, but for the order in which numbers are added.
"""

import json
import os
import shutil
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from pipeline.errors import Invalid
from pipeline.training.devices import Place
from pipeline.training.learner import IGNORED, Batch, Learned
from pipeline.training.settings import TrainConfig
from pipeline.training.sharded import CONFESSION, LINE, read
from pipeline.training.torch_learner import TorchLearner, loaded

BLANK = Batch(np.zeros((1, 8), np.int64), np.full((1, 8), IGNORED), np.arange(8)[None], ((8,),))


class Shard(TorchLearner):
    """This process's part of a learner. `network` is on the CPU still. All processes call the same methods with the same."""

    def __init__(self, network: Any, config: TrainConfig, place: Place, *, base: str, checkpointing: bool = False) -> None:
        super().__init__(network, config, place, base=base, checkpointing=checkpointing)
        self._rank, self._many = dist.get_rank(), dist.get_world_size()
        mesh = init_device_mesh(place.kind, (self._many,))
        learned: set[Any] = set(self._weights)
        for block in self._inner.layers:
            fully_shard(block, mesh=mesh, ignored_params=learned)
        # It begins and ends each pass. What is outside of the blocks stays whole: the loss takes the head by itself.
        outside: set[Any] = {one for name, one in self._inner.named_parameters() if ".layers." not in f".{name}"}
        fully_shard(self._inner, mesh=mesh, ignored_params=learned | outside)
        self.network.to(place.kind)

    def learn(self, batches: Sequence[Batch], rate: float) -> Learned:
        torch.manual_seed(self._lot())
        return super().learn(batches, rate)

    def _dealt(self, batches: Sequence[Batch]) -> list[Batch]:
        return [batch for _, batch in dealt(batches, self._rank, self._many)]

    def _lot(self) -> int:
        """The seed of what this process drops in this step: another in each, and the same when a training goes on."""
        steps = next((int(one["step"]) for one in self._adam.state.values()), 0)
        return ((self.config.seed * self._many + self._rank) << 24) + steps

    def _add_up(self, total: Tensor) -> None:
        """Have the sums over all processes in the weights' gradients and in `total`."""
        slopes = [weight.grad if weight.grad is not None else torch.zeros_like(weight) for weight in self._weights]
        flat = torch.cat([total.view(1), *(slope.flatten() for slope in slopes)])
        dist.all_reduce(flat)
        parts = torch.split(flat, [1, *(slope.numel() for slope in slopes)])
        total.copy_(parts[0][0])
        for weight, part in zip(self._weights, parts[1:], strict=True):
            weight.grad = part.view_as(weight)

    def losses(self, batches: Sequence[Batch]) -> list[float]:
        starts = np.cumsum([0, *(sum(map(len, batch.spans)) for batch in batches)])
        found = torch.zeros(int(starts[-1]), dtype=torch.float64)
        for at, batch in dealt(batches, self._rank, self._many):
            each = super().losses([batch])
            if at >= 0:
                found[starts[at] : starts[at + 1]] = torch.tensor(each, dtype=torch.float64)
        dist.all_reduce(found)
        return [float(one) for one in found]


def dealt(batches: Sequence[Batch], rank: int, many: int) -> list[tuple[int, Batch]]:
    """What a process computes, with its number. The largest go together; who has none left while others do gets a blank, -1.

    All compute equally often: the parts of a block are exchanged whenever it is computed.
    """
    order = sorted(range(len(batches)), key=lambda at: -batches[at].tokens.size)
    mine = order[rank::many]
    blanks = -(-len(order) // many) - len(mine)
    return [*((at, batches[at]) for at in mine), *[(-1, BLANK)] * blanks]


# --- orders


def work(line: Connection | None) -> None:
    """Do what is ordered until the line is dead. `line`: None in all but the first process."""
    learner: Shard | None = None
    for order, batches in _orders(line):
        if order["do"] == "open":
            learner = _in_turn(order)
            told: Any = {"packs": learner.packs, "precision": learner.precision}
        else:
            assert learner is not None
            told = _done(learner, order, batches)
        if line is not None:
            line.send_bytes(json.dumps(told).encode())


def _orders(line: Connection | None) -> Iterator[tuple[dict[str, Any], list[Batch]]]:
    """Each order, in all processes."""
    while True:
        parts = [b"", b""]
        if line is not None:
            with suppress(EOFError, ConnectionError):  # the stage has hung up, and the empty order says so
                parts = [line.recv_bytes(), line.recv_bytes()]
        heard = [_spread(part) for part in parts]
        if not heard[0]:
            return
        yield read(heard[0], heard[1])


def _spread(part: bytes) -> bytes:
    """What the first process has, in all."""
    size = torch.tensor([len(part)])
    dist.broadcast(size, 0)
    found = torch.frombuffer(bytearray(part), dtype=torch.uint8) if part else torch.empty(int(size), dtype=torch.uint8)
    if int(size):
        dist.broadcast(found, 0)
    return found.numpy().tobytes()


def _in_turn(order: Mapping[str, Any]) -> Shard:
    """Load the base one after the other: the machine's memory holds it once, a GPU's never more than a block and its part."""
    config, place = TrainConfig.model_validate(order["config"]), Place(**order["place"])
    precise = config.precision == "fp32" or (config.precision == "auto" and not place.bf16)
    made: Shard | None = None
    for turn in range(dist.get_world_size()):
        if turn == dist.get_rank():
            network = loaded(Path(order["folder"]), place, dtype=torch.float32 if precise else torch.bfloat16)
            made = Shard(network, config, place, base=order["base"], checkpointing=order["checkpointing"])
        dist.barrier()
    assert made is not None
    return made


def _done(learner: Shard, order: Mapping[str, Any], batches: Sequence[Batch]) -> Any:
    match order["do"]:
        case "learn":
            return asdict(learner.learn(batches, order["rate"]))
        case "losses":
            return learner.losses(batches)
        case "answers":
            return learner.answers(order["prompts"], order["most"], frozenset(order["ends"]))
        case "save":
            return learner.save(Path(order["folder"])) if dist.get_rank() == 0 else None
        case "load":
            return learner.load(Path(order["folder"]))
        case "use":
            return learner.use(Path(order["adapter"]) if order["adapter"] else None)
    raise AssertionError(order["do"])


def main(room: Path, kind: str) -> None:
    """Join the others by what torchrun has put into the environment, and do what is ordered."""
    if kind == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("cpu:gloo,cuda:nccl" if kind == "cuda" else "gloo")
    try:
        if dist.get_rank():
            work(None)
            return
        with socket.socket(socket.AF_UNIX) as call:
            call.connect(str(room / LINE))
            with Connection(call.detach()) as line:
                work(line)
        shutil.rmtree(room, ignore_errors=True)  # a stage that was killed cannot
    except BaseException as error:
        _confess(room, error)
        raise
    dist.destroy_process_group()


def _confess(room: Path, error: BaseException) -> None:
    """Leave behind why this process ends; the first to do so is heard, the others are its consequences."""
    told: dict[str, Any] = {"kind": "failed", "message": f"{type(error).__name__}: {error}"}
    if isinstance(error, Invalid):
        told = {"kind": "invalid", "problems": [asdict(one) for one in error.problems]}
    elif isinstance(error, MemoryError | torch.OutOfMemoryError):
        told["kind"] = "memory"
    with suppress(OSError), (room / CONFESSION).open("x", encoding="utf-8") as file:
        json.dump(told, file)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
