"""Who holds which KV cells: what is shared counts once, and what nobody holds is free.

llama.cpp keeps the cells themselves; it does not tell how many are free, so the engine counts along.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(eq=False, slots=True)
class Stretch:
    """Cells of neighbouring positions that the same sequences hold."""

    length: int
    holders: "set[Held]"


@dataclass(eq=False, slots=True)
class Held:
    """The cells of one sequence: `tokens` that they were computed from, with that adapter."""

    sequence: int
    adapter: str
    tokens: list[int] = field(default_factory=list)
    stretches: list[Stretch] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.tokens)


class Cells:
    """The ledger of one context: `used` cells of `capacity`."""

    def __init__(self, capacity: int) -> None:
        self.capacity, self.used = capacity, 0

    @property
    def free(self) -> int:
        return self.capacity - self.used

    def grow(self, held: Held, tokens: Sequence[int]) -> None:
        """A sequence got further cells of its own."""
        if held.stretches and held.stretches[-1].holders == {held}:
            held.stretches[-1].length += len(tokens)
        elif tokens:
            held.stretches.append(Stretch(len(tokens), {held}))
        held.tokens += tokens
        self.used += len(tokens)

    def share(self, source: Held, target: Held, end: int) -> None:
        """`target` gets the cells of `source` from where it stands to before position `end`."""
        at, begin = 0, len(target)
        for stretch in list(source.stretches):
            first, last = max(at, begin), min(at + stretch.length, end)
            if first < last:
                part = self._cut(stretch, first - at, last - at)
                part.holders.add(target)
                target.stretches.append(part)
            at += stretch.length
        target.tokens += source.tokens[begin:end]

    def drop(self, held: Held) -> None:
        """A sequence gave its cells away; those that it alone held are free."""
        for stretch in held.stretches:
            stretch.holders.discard(held)
            if not stretch.holders:
                self.used -= stretch.length
        held.stretches, held.tokens = [], []

    def _cut(self, stretch: Stretch, first: int, last: int) -> Stretch:
        """Cut a stretch, for all that hold it, so that one part is [first, last) of it; return that part."""
        parts = [Stretch(size, set(stretch.holders)) for size in (first, last - first, stretch.length - last)]
        kept = [part for part in parts if part.length]
        for holder in stretch.holders:
            at = holder.stretches.index(stretch)
            holder.stretches[at : at + 1] = kept
        return parts[1]


def common(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens two sequences begin with alike."""
    alike, most = 0, min(len(one), len(other))
    while alike < most:  # halves are compared in C; token by token a long prompt would hold up a step
        middle = (alike + most + 1) // 2
        if one[alike:middle] == other[alike:middle]:
            alike = middle
        else:
            most = middle - 1
    return alike
