"""The ledger of KV cells, held against sets of cells that are counted one by one."""

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from pipeline.models.cells import Cells, Held, common

ACTS = st.lists(st.tuples(st.sampled_from(["grow", "share", "drop"]), st.integers(0, 5), st.integers(0, 5), st.integers(0, 30)))


@dataclass
class Plain:
    """The same ledger, with a set of cells a sequence."""

    cells: list[list[object]] = field(default_factory=lambda: [[] for _ in range(6)])

    @property
    def used(self) -> int:
        return len({id(cell) for row in self.cells for cell in row})


@given(ACTS)
def test_cells_that_several_sequences_hold_count_once(acts: list[tuple[str, int, int, int]]) -> None:
    ledger, plain = Cells(10_000), Plain()
    held = [Held(number, "") for number in range(6)]
    for act, one, other, size in acts:
        if act == "grow":
            ledger.grow(held[one], list(range(size)))
            plain.cells[one] += [object() for _ in range(size)]
        elif act == "drop":
            ledger.drop(held[one])
            plain.cells[one] = []
        elif one != other:
            end = min(size, len(held[one]))
            if end > len(held[other]):
                ledger.share(held[one], held[other], end)
                plain.cells[other] += plain.cells[one][len(plain.cells[other]) : end]
        assert ledger.used == plain.used
        assert [len(one) for one in held] == [len(row) for row in plain.cells]
        assert [sum(part.length for part in one.stretches) for one in held] == [len(row) for row in plain.cells]


@given(st.lists(st.integers(0, 2)), st.lists(st.integers(0, 2)))
def test_the_common_beginning_is_as_long_as_both_are_alike(one: list[int], other: list[int]) -> None:
    size = common(one, other)
    assert one[:size] == other[:size]
    assert size in (len(one), len(other)) or one[size] != other[size]
