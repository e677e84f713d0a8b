"""Which samples are learned together: a budget of tokens for a step, and rows that waste little of what is computed.

A step holds about the same number of tokens whatever its samples' lengths. Where attention over packed rows is free (CUDA)
samples are put one behind the other into rows; elsewhere each has a row of its own, and those of about one length go together.
Who learns with whom depends on the lengths, the seed and the epoch alone: nothing is kept between two epochs, and whoever
resumes asks for the same plan again.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from pipeline.training.learner import IGNORED, Batch, Encoded, Ints

SORTED = 256  # samples that are sorted by length together: enough that neighbours are alike, few enough to stay mixed
PACKED = 4096  # samples that are packed together: rows of 4,096 are full to over 99% with samples of 20 to 2,000 tokens
# Tokens of padding that cost about as much as another pass, forward and backward: on a CPU 80 with a model of 2 million
# weights and 30 with one of 135 million, by measuring both.
DEAR = 48
FILLER = 0  # the token in the padding: any will do, since nobody sees it

Row = tuple[int, ...]  # numbers of samples, one behind the other
Micro = tuple[Row, ...]  # rows that are computed at once
Step = tuple[Micro, ...]  # after which the weights are changed


@dataclass(frozen=True, slots=True)
class Room:
    """How many tokens go together: in a step without padding, in a micro-batch (what memory holds at once) with it.

    `packs`: rows hold several samples, else one. `multiple`: rows are as wide as a multiple of it, where a device likes that.
    """

    step: int
    micro: int
    packs: bool = False
    multiple: int = 1

    @property
    def width(self) -> int:
        """Of packed rows: as many of them as micro-batches need make a step, so that each is full."""
        rows = -(-self.step // max(1, min(self.micro, self.step)))
        return self.step // rows // self.multiple * self.multiple or self.step // rows


def plan(lengths: Sequence[int] | Ints, room: Room, *, seed: int, epoch: int) -> list[Step]:
    """The steps of an epoch, in their order; each sample is in one of them. `lengths`: tokens of each, 1 at least.

    No step has more than `room.step` tokens, but one of a single sample that is longer. No micro-batch has more than
    `room.micro` with padding, but one of a single sample that is longer.
    """
    chance = np.random.default_rng((seed, epoch))
    sizes = np.asarray(lengths, dtype=np.int64)
    known: list[int] = sizes.tolist()
    order = chance.permutation(len(sizes))
    if room.packs:
        rows = _rows(order.tolist(), known, room.width)
        units = [rows[at] for at in chance.permutation(len(rows))]
    else:
        units = [(one,) for one in _by_length(order, sizes).tolist()]
    filled = [sum(known[one] for one in row) for row in units]
    steps = [units[start:end] for start, end in _budgeted(filled, room.step)]
    return [_micros(steps[at], known, room) for at in chance.permutation(len(steps))]


def together(numbers: Iterable[int], lengths: Sequence[int] | Ints, room: Room) -> Step:
    """Samples that are all computed without learning, as few and full micro-batches; the same ones in whatever order."""
    sizes = [int(one) for one in lengths]
    chosen = sorted(numbers)
    return _micros(_rows(chosen, sizes, room.width) if room.packs else [(one,) for one in chosen], sizes, room)


def batch(samples: Sequence[Encoded], micro: Micro, room: Room) -> Batch:
    """The arrays of a micro-batch. `samples`: all of them, by their numbers."""
    rows = [[samples[one] for one in row] for row in micro]
    if not room.packs:
        return padded([row[0] for row in rows], room.multiple)
    return packed(rows, max(room.width, *(sum(len(one.tokens) for one in row) for row in rows)), room.multiple)


def padded(samples: Sequence[Encoded], multiple: int = 1) -> Batch:
    """One sample a row, as wide as the longest, rounded up to a multiple.

    Positions run on through the padding, as they do where a model counts for itself: what stands behind a token cannot
    change it, so no mask is needed, and transformers sees no second sample in the row.
    """
    found = packed([[one] for one in samples], max(len(one.tokens) for one in samples), multiple)
    return Batch(found.tokens, found.targets, np.tile(np.arange(found.tokens.shape[1]), (len(samples), 1)), found.spans)


def packed(rows: Sequence[Sequence[Encoded]], width: int, multiple: int = 1) -> Batch:
    """Several samples a row, one behind the other, then padding up to `width`, which is rounded up to a multiple.

    Positions begin again at 0 with each sample, and with the padding.
    """
    width = _wide(width, multiple)
    tokens = np.full((len(rows), width), FILLER, dtype=np.int64)
    targets = np.full((len(rows), width), IGNORED, dtype=np.int64)
    positions = np.zeros((len(rows), width), dtype=np.int64)
    for at, row in enumerate(rows):
        start = 0
        for one in row:
            end = start + len(one.tokens)
            tokens[at, start:end], targets[at, start:end] = one.tokens, one.targets
            targets[at, start] = IGNORED  # nothing within the sample predicts its first token
            positions[at, start:end] = np.arange(len(one.tokens))
            start = end
        positions[at, start:] = np.arange(width - start)
    return Batch(tokens, targets, positions, tuple(tuple(len(one.tokens) for one in row) for row in rows))


def _by_length(order: Ints, sizes: Ints) -> Ints:
    """Sorted in windows, the short first in one and the long first in the next, so that neighbours are alike across them."""
    found = order.copy()
    for number, start in enumerate(range(0, len(order), SORTED)):
        window = order[start : start + SORTED]
        rising = window[np.argsort(sizes[window], kind="stable")]
        found[start : start + SORTED] = rising[::-1] if number % 2 else rising
    return found


def _rows(order: Sequence[int], sizes: Sequence[int], width: int) -> list[Row]:
    """Best fit decreasing: the longest first, each into the fullest row that has room for it; no sample is cut."""
    rows: list[list[int]] = []
    for start in range(0, len(order), PACKED):
        free: list[tuple[int, int]] = []  # room left and number of each row of this window, sorted
        for one in sorted(order[start : start + PACKED], key=lambda one: -sizes[one]):
            at = bisect_left(free, (sizes[one], 0))
            space, row = free.pop(at) if at < len(free) else (width, len(rows))
            if row == len(rows):
                rows.append([])
            rows[row].append(one)
            if space > sizes[one]:
                insort(free, (space - sizes[one], row))
    return [tuple(row) for row in rows]


def _budgeted(filled: Sequence[int], budget: int) -> list[tuple[int, int]]:
    """From where to where each step goes: as few as the budget allows, and about even, so that the last is no rest."""
    total = [0, *accumulate(filled)]
    fewest = _cuts(total, budget, float("inf"))
    return _cuts(total, budget, total[-1] / len(fewest)) if fewest else []


def _cuts(total: Sequence[int], budget: int, even: float) -> list[tuple[int, int]]:
    """Each step ends where the sum is nearest to a multiple of `even`, or before that where the budget does."""
    cuts, start = [], 0
    while start < len(total) - 1:
        most = bisect_right(total, total[start] + budget) - 1
        half = (total[start + 1] - total[start]) / 2  # of a unit, which are of about one size
        wanted = bisect_left(total, (round(total[start] / even) + 1) * even - half)
        end = max(start + 1, min(most, wanted))
        cuts.append((start, end))
        start = end
    return cuts


def _micros(units: Sequence[Row], sizes: Sequence[int], room: Room) -> Step:
    """The rows of a step, cut where memory ends, or where padding would cost more than another pass."""
    micros: list[list[Row]] = []
    width = wasted = 0
    for filled, row in sorted(((sum(sizes[one] for one in row), row) for row in units), key=lambda one: (-one[0], one[1])):
        wasted += width - filled
        full = bool(micros) and (len(micros[-1]) + 1) * width > room.micro
        if not micros or full or (wasted > DEAR and not room.packs):
            micros.append([])
            width, wasted = _wide(max(filled, room.width) if room.packs else filled, room.multiple), 0
        micros[-1].append(row)
    return tuple(tuple(rows) for rows in micros)


def _wide(filled: int, multiple: int) -> int:
    return -(-filled // multiple) * multiple
