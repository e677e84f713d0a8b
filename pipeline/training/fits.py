"""Whether a training fits into a device's memory, and how long it takes, reckoned before anything is loaded.

The sums are upper figures: a training that was told to fit and is killed in the night is worse than a smaller micro-batch.
Each term says what it counts; the sum was held against the peak memory of real trainings (tests/pipeline/training/test_fits.py
does it again for a small one).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.errors import Invalid, Problem
from pipeline.training import batches, devices
from pipeline.training.batches import Room
from pipeline.training.devices import Place
from pipeline.training.flops import Shape, Work, computed
from pipeline.training.learner import Ints
from pipeline.training.settings import TrainConfig

FUSED = frozenset("llama mistral granite qwen2 qwen3".split())  # families whose blocks keep less: see fused.py
# Python, torch, transformers, peft and the picture's library; on a GPU its context and the workspaces of its libraries.
OVERHEAD_BYTES = {"cpu": 550_000_000, "cuda": 1_200_000_000, "mps": 600_000_000, "mlx": 400_000_000}
LOOSE = 1.1  # of what is allocated and freed in a step: what lies between the pieces
# Blocks' worth of tensors that are there beside those that are kept: one for the gradients of the block that is computed.
# A CPU's malloc does not give back what lies between pieces in use; measured with glibc, where giving back all of it, with
# MALLOC_MMAP_THRESHOLD_=65536, takes a third longer.
BESIDE = {"cpu": 7, "cuda": 1, "mps": 2, "mlx": 2}
NF4_BYTES = 0.516  # of a weight in NormalFloat4 with double quantisation: 4 bits and 0.127 for its scales (arXiv 2305.14314)
ADAM_BYTES = 16  # of a weight that is learned, in fp32: itself, its gradient, and two moments
MOST = {"cpu": 2048, "mps": 4096, "mlx": 4096}  # tokens at once beyond which nothing gets faster; on CUDA a whole step
ENOUGH = {"cpu": 256, "cuda": 2048, "mps": 512, "mlx": 512}  # under which activations had better be computed twice
LEAST = 64  # tokens of a micro-batch
SHORTER = (2048, 1024, 512, 256)  # contexts that are suggested
LEARNED = 0.5  # share of tokens that is learned, where nobody says
PLANNED = 20_000  # samples by which the padding of all is told
# From slow to fast: which share of the speed of a large product of matrices a training reaches, and the seconds that a block
# takes beside that in a micro-batch. CPU: measured with models of 2 and 135 million weights. CUDA: LoRA trainings that others
# published are at 0.40 to 0.46 of the peak on an H100.
SHARES = {"cpu": (0.4, 0.85), "cuda": (0.25, 0.55), "mps": (0.2, 0.6), "mlx": (0.2, 0.6)}
BLOCK_S = {"cpu": (8e-3, 3e-3), "cuda": (2e-3, 5e-4), "mps": (4e-3, 1e-3), "mlx": (4e-3, 1e-3)}
AROUND = 1.15  # loading, checkpoints and their scores, in the slow case


@dataclass(frozen=True, slots=True)
class Need:
    """Memory in bytes. `steps`: what is allocated while a micro-batch is computed."""

    weights: int
    adapter: int
    steps: int
    overhead: int

    @property
    def total(self) -> int:
        return self.weights + self.adapter + self.steps + self.overhead


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a training takes: memory in bytes, time in seconds between two figures; and what was chosen so that it fits."""

    memory_bytes: int
    low_s: float
    high_s: float
    micro_tokens: int
    checkpointing: bool


def estimate(
    shape: Mapping[str, Any], config: TrainConfig, place: Place, lengths: Ints, learned: int = 0, flops_per_s: float = 0.0
) -> Estimate:
    """What training on samples of these lengths takes. `shape`: config.json of the base.

    `learned`: tokens that are learned, 0: about half. `flops_per_s`: of a product of matrices there, 0: what the device is
    known for, or found by trying. Raises Invalid: train.memory with the setting that would fit, train.memory_taken where
    other programs have what is needed, train.too_large where no setting helps.
    """
    longest = int(np.max(lengths)) if len(lengths) else 1
    have = place.free_bytes if place.kind == "cpu" else place.memory_bytes  # elsewhere the server of the model makes room
    chosen = _chosen(shape, config, place, longest, have)
    if chosen is None:
        raise _refused(shape, config, place, longest, have)
    micro, checkpointing = chosen
    memory = need(shape, config, place, max(micro, longest), checkpointing=checkpointing)
    speed = flops_per_s or place.peak_flops or devices.speed(place, bf16=in_16_bits(config, place))
    speed *= devices.sharing(place, config.method)
    low, high = _seconds(Shape.of(shape), config, place, lengths, learned, chosen, speed)
    return Estimate(memory.total, round(low, 1), round(high, 1), micro, checkpointing)


def make_sure(found: Estimate, place: Place) -> None:
    """Look again when the accelerator is one's own. Raises Invalid train.memory_taken where others have what is needed."""
    if place.kind != "cpu" and place.free_bytes < found.memory_bytes:
        raise _taken(_gb(found.memory_bytes), _gb(place.free_bytes), place)


def in_16_bits(config: TrainConfig, place: Place) -> bool:
    """Whether the base is computed in bfloat16."""
    return config.method == "qlora" or config.precision == "bf16" or (config.precision == "auto" and place.bf16)


def need(shape: Mapping[str, Any], config: TrainConfig, place: Place, tokens: int, *, checkpointing: bool) -> Need:
    """Memory for a training with `tokens` computed at once, padding included."""
    known, size = Shape.of(shape), 2 if in_16_bits(config, place) else 4
    whole = known.weights * size
    if size == 4:
        whole += whole // 4  # files have 16 bits mostly, and what was read is not given back at once
    if config.method == "qlora":
        whole = int(known.blocks * NF4_BYTES) + (known.weights - known.blocks) * size
    if (parts := devices.sharing(place, config.method)) > 1:  # of the blocks each has its part, and the one that is computed
        whole = (known.weights - known.blocks + known.blocks // parts + 2 * known.blocks // known.layers) * size
    adapter = known.adapter(config.rank, config.targets, config.ranks) * (ADAM_BYTES + (2 if size == 2 else 0))
    fused = shape.get("model_type") in FUSED and not config.dropout
    steps = _kept(known, config, place, size, fused=fused, checkpointing=checkpointing) * tokens + _head(known, place, size)
    return Need(whole, adapter, int(steps * LOOSE), OVERHEAD_BYTES[place.kind])


def _kept(shape: Shape, config: TrainConfig, place: Place, size: int, *, fused: bool, checkpointing: bool) -> int:
    """Bytes that are kept for each token for the way back, and what is there beside them.

    A block keeps (in tensors of that width): its input, both norms' inputs and outputs (4 x width; a norm of transformers'
    own keeps its input in fp32), queries and what attention gave (2 x), keys and values (2 x; on a CPU torch has them as wide
    as the queries), and of the feed-forward layers gate, value and product (3 x, and silu(gate) where it is not fused); of
    each adapter its inner product. With checkpointing it keeps its input, and one block at a time all the rest. Beside the
    blocks: the last norm, and the hidden states that are learned with their gradients.
    """
    queries = shape.heads * shape.head
    keys = queries if place.kind == "cpu" else shape.key_heads * shape.head
    norms = 4 * shape.width * size if fused else 2 * shape.width * (4 + size)
    inner = (3 if fused else 4) * shape.inner * shape.used
    block = norms + (2 * queries + 2 * keys + inner + 7 * config.rank) * size + 8 * shape.heads
    blocks = (shape.layers * shape.width * size + block) if checkpointing else shape.layers * block
    return blocks + BESIDE[place.kind] * block + 6 * shape.width * max(size, 4)


def _head(shape: Shape, place: Place, size: int) -> int:
    """The logits of a chunk: in fp32, and in 16 bits both as they come from the head and as their gradient goes to it."""
    room = devices.LOGITS_BYTES.get(place.kind, devices.CHUNK_BYTES)
    return max(16 * 4 * shape.vocabulary, room) * (1 if size == 4 else 2)


# --- what is chosen


def _chosen(shape: Mapping[str, Any], config: TrainConfig, place: Place, longest: int, have: int) -> tuple[int, bool] | None:
    """Tokens at once, and whether activations are computed twice: the fastest that fits; None where nothing does."""
    for micro, checkpointing in _ways(config, place, longest):
        if need(shape, config, place, max(micro, longest), checkpointing=checkpointing).total <= have:
            return micro, checkpointing
    return None


def _ways(config: TrainConfig, place: Place, longest: int) -> Iterator[tuple[int, bool]]:
    """Many tokens at once before few, and computing once before computing twice, unless it is for very few."""
    most = max(LEAST, min(config.batch_tokens, MOST.get(place.kind, config.batch_tokens)), longest)
    sizes = [most]
    while sizes[-1] // 2 >= max(LEAST, longest):
        sizes.append(sizes[-1] // 2)
    sizes = [config.micro_tokens] if config.micro_tokens else sizes
    enough = [one for one in sizes if one >= ENOUGH[place.kind]]
    if config.checkpointing != "yes":
        yield from ((one, False) for one in (sizes if config.checkpointing == "no" else enough or sizes))
    if config.checkpointing != "no":
        yield from ((one, True) for one in sizes)


def _refused(shape: Mapping[str, Any], config: TrainConfig, place: Place, longest: int, have: int) -> Invalid:
    least = need(shape, config, place, longest, checkpointing=config.checkpointing != "no").total
    facts = {"need": _gb(least), "have": _gb(have), "device": place.name}
    if have < place.memory_bytes and _chosen(shape, config, place, longest, place.memory_bytes):
        return _taken(facts["need"], facts["have"], place)
    told = f"the training needs {facts['need']} of memory at least"
    for setting, changes, shorter in _smaller(config, place, longest):
        if _chosen(shape, config.model_copy(update=changes), place, shorter, have):
            fix = f"Set `{setting}` in configs/recipes/train.yaml: that fits."
            message = f"{told}, and {place.name} has {facts['have']}."
            return Invalid(Problem("train.memory", message, "train.yaml", fix, {**facts, "set": setting}))
    message = f"{told}, and {place.name} has {facts['have']}; no setting changes that."
    return Invalid(Problem("train.too_large", message, "base", "Take a smaller base, or a machine with more memory.", facts))


def _taken(wanted: str, have: str, place: Place) -> Invalid:
    facts = {"need": wanted, "have": have, "device": place.name}
    message = f"the training needs {wanted} of memory at least, and other programs have left {have} of {place.name}."
    return Invalid(Problem("train.memory_taken", message, "device", "End some of them and start it again.", facts))


def _smaller(config: TrainConfig, place: Place, longest: int) -> Iterator[tuple[str, dict[str, Any], int]]:
    """Settings that need less, those first that cost least: in words, as changes, and the longest sample with them."""
    found: dict[str, Any] = {}
    if config.micro_tokens:
        found |= {"micro_tokens": 0}
        yield "micro_tokens: 0", dict(found), longest
    if config.checkpointing == "no":
        found |= {"checkpointing": "auto"}
        yield _said(found), dict(found), longest
    if config.precision == "fp32" and place.bf16:
        yield _said(found | {"precision": "bf16"}), found | {"precision": "bf16"}, longest
    if place.kind == "cuda" and config.method != "qlora":
        yield _said(found | {"method": "qlora"}), found | {"method": "qlora"}, longest
    for context in (one for one in SHORTER if one < longest):
        yield _said(found | {"context": context}), found | {"context": context}, context
        if place.kind == "cuda" and config.method != "qlora":
            both = {"method": "qlora", "context": context}
            yield _said(found | both), found | both, context


def _said(changes: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}: {value}" for name, value in changes.items())


def _gb(size_bytes: int) -> str:
    return f"{size_bytes / 1e9:.1f} GB"


# --- time


def _seconds(
    shape: Shape,
    config: TrainConfig,
    place: Place,
    lengths: Ints,
    learned: int,
    chosen: tuple[int, bool],
    speed: float,
) -> tuple[float, float]:
    """The whole course: products of matrices at a share of the device's speed, and a price for each block and micro-batch."""
    whole = np.asarray(lengths, dtype=np.int64)
    tokens = int(whole.sum())
    if not tokens:
        return 0.0, 0.0
    some = whole[:: -(-len(whole) // PLANNED)]
    micro, checkpointing = chosen
    room = Room(config.batch_tokens, micro, place.packs)
    step = batches.plan(some, room, seed=config.seed, epoch=0)
    passes = sum(len(one) for one in step) * len(whole) / len(some)
    padding = sum(_padded(some, row, room) for one in step for row in one) / int(some.sum())
    work = Work(int(tokens * padding), learned or int(tokens * LEARNED), int((whole**2).sum() * padding))
    adapter = shape.adapter(config.rank, config.targets, config.ranks)
    epochs = config.steps * config.batch_tokens / tokens if config.steps else config.epochs
    flops = computed(shape, adapter, work, checkpointing=checkpointing) * epochs
    fixed = passes * epochs * shape.layers * (4 / 3 if checkpointing else 1)
    slow, fast = (
        flops / speed / share + fixed * block for share, block in zip(SHARES[place.kind], BLOCK_S[place.kind], strict=True)
    )
    return fast, slow * AROUND


def _padded(lengths: Ints, micro: batches.Micro, room: Room) -> int:
    """Tokens of a micro-batch with its padding."""
    filled = max(sum(int(lengths[one]) for one in row) for row in micro)
    return len(micro) * (max(filled, room.width) if room.packs else filled)
