"""Steps hold a budget of tokens, each sample is learned once an epoch, and little of what is computed is padding."""

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.training.batches import PACKED, SORTED, Room, Step, batch, packed, padded, plan, together
from pipeline.training.learner import IGNORED, Encoded

LENGTHS = st.lists(st.integers(1, 60), max_size=80)
ROOMS = st.builds(Room, st.integers(1, 200), st.integers(1, 200), st.booleans(), st.sampled_from([1, 8]))


def numbers(steps: list[Step]) -> list[int]:
    return [one for step in steps for micro in step for row in micro for one in row]


def mixed(count: int) -> list[int]:
    """Lengths as questions and answers have them: most short, a few very long."""
    return np.clip(np.random.default_rng(1).lognormal(5, 0.8, count).astype(int), 8, 4096).tolist()


def filled(steps: list[Step], lengths: list[int], room: Room) -> float:
    """The share of what is computed that is no padding."""
    samples = [sample(one) for one in lengths]
    made = [batch(samples, micro, room) for step in steps for micro in step]
    return sum(one.filled for one in made) / sum(one.tokens.size for one in made)


def sample(length: int, start: int = 1) -> Encoded:
    """Of which the later half is learned."""
    tokens = tuple(range(start, start + length))
    return Encoded(tokens, tuple(IGNORED if at < length // 2 or at == 0 else token for at, token in enumerate(tokens)))


@given(LENGTHS, ROOMS, st.integers(0, 3), st.integers(0, 3))
def test_an_epoch_has_each_sample_once_and_comes_out_the_same_again(
    lengths: list[int], room: Room, seed: int, epoch: int
) -> None:
    made = plan(lengths, room, seed=seed, epoch=epoch)

    assert sorted(numbers(made)) == list(range(len(lengths)))
    assert made == plan(np.array(lengths, dtype=np.int64), room, seed=seed, epoch=epoch)


@given(LENGTHS, ROOMS)
@example([60, 55, 50], Room(100, 40))
@example([60, 50, 50], Room(100, 100, packs=True, multiple=8))
def test_only_a_single_sample_is_more_than_a_step_or_a_micro_batch_may_have(lengths: list[int], room: Room) -> None:
    samples = [sample(one) for one in lengths]

    for step in plan(lengths, room, seed=0, epoch=0):
        alone = len(numbers([step])) == 1
        assert alone or sum(lengths[one] for one in numbers([step])) <= room.step
        for micro in step:
            size = batch(samples, micro, room).tokens.size
            assert size <= room.micro or len(micro) == 1
            if not room.packs and len(micro) == 1:
                assert size < lengths[micro[0][0]] + room.multiple


def test_epochs_and_seeds_have_steps_of_their_own() -> None:
    lengths = mixed(300)

    made = [plan(lengths, Room(2048, 1024), seed=seed, epoch=epoch) for seed, epoch in [(1, 0), (1, 1), (2, 0)]]

    assert len({str(one) for one in made}) == 3


def test_steps_have_about_the_same_number_of_tokens_and_none_is_a_rest() -> None:
    lengths = [250] * 1000

    made = plan(lengths, Room(8192, 2048), seed=0, epoch=0)

    assert {len(numbers([step])) for step in made} == {31, 32}  # 31 of 32 would leave a rest of 8


def test_buckets_waste_little_and_steps_stay_mixed() -> None:
    lengths = mixed(3000)
    room = Room(8192, 2048)
    made = plan(lengths, room, seed=0, epoch=0)

    random = [tuple((one,) for one in range(start, start + 8)) for start in range(0, 3000, 8)]

    assert filled(made, lengths, room) > 0.95
    assert filled([random], lengths, room) < 0.6  # what batches of eight would waste
    assert SORTED < 3000  # of all samples, those of a step are near each other in length, but not the nearest
    assert np.mean([np.std([lengths[one] for one in numbers([step])]) for step in made]) > 20


def test_packed_rows_are_full() -> None:
    lengths = mixed(PACKED + 500)
    room = Room(8192, 4096, packs=True, multiple=64)

    made = plan(lengths, room, seed=0, epoch=0)

    assert filled(made, lengths, room) > 0.97
    assert room.width == 4096
    assert {len(micro) for step in made for micro in step} == {1}
    assert np.mean([sum(lengths[one] for one in numbers([step])) for step in made]) > 0.93 * 8192


def test_rows_are_as_wide_as_makes_a_step_of_full_ones() -> None:
    assert [Room(8192, micro, packs=True, multiple=64).width for micro in (100_000, 8192, 5000, 4096, 64)] == [
        8192,
        8192,
        4096,
        4096,
        64,
    ]


def test_what_is_only_looked_at_has_each_sample_once_in_few_passes() -> None:
    lengths = mixed(64)

    for room in (Room(64, 2048), Room(4096, 4096, packs=True)):
        step = together(range(4, 64), lengths, room)
        assert sorted(numbers([step])) == list(range(4, 64))
        assert len(step) < 20
        assert step == together(range(63, 3, -1), lengths, room)


def test_nothing_makes_no_steps() -> None:
    assert plan([], Room(8, 8), seed=0, epoch=0) == [] == plan([], Room(8, 8, packs=True), seed=0, epoch=0)
    assert together([], [3], Room(8, 8)) == ()


def test_a_padded_batch_has_a_sample_a_row() -> None:
    made = padded([sample(2), sample(3, start=7)], multiple=4)

    assert made.tokens.tolist() == [[1, 2, 0, 0], [7, 8, 9, 0]]
    assert made.targets.tolist() == [[IGNORED, 2, IGNORED, IGNORED], [IGNORED, 8, 9, IGNORED]]
    assert made.positions.tolist() == [[0, 1, 2, 3], [0, 1, 2, 3]]
    assert (made.spans, made.learned, made.filled) == (((2,), (3,)), 3, 5)


def test_a_packed_batch_counts_anew_with_each_sample_and_with_the_padding() -> None:
    learned = Encoded((5, 6), (5, 6))  # whose first token nothing can predict

    made = packed([[sample(2), learned], [sample(3, start=7)]], 6)

    assert made.tokens.tolist() == [[1, 2, 5, 6, 0, 0], [7, 8, 9, 0, 0, 0]]
    assert made.targets.tolist() == [
        [IGNORED, 2, IGNORED, 6, IGNORED, IGNORED],
        [IGNORED, 8, 9, IGNORED, IGNORED, IGNORED],
    ]
    assert made.positions.tolist() == [[0, 1, 0, 1, 0, 1], [0, 1, 2, 0, 1, 2]]
    assert (made.spans, made.learned, made.filled) == (((2, 2), (3,)), 4, 7)
