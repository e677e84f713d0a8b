"""What agrees and what does not: a file that was written wrong is told with its figures."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import Failed
from pipeline.exporting import asking, verifying
from pipeline.exporting.llama_logits import computed
from pipeline.exporting.verifying import agreement


def some(seed: int, places: int = 5, words: int = 20):
    return np.random.default_rng(seed).normal(size=(places, words)).astype(np.float32)


def test_the_same_logits_agree_wholly_also_where_one_has_more_rows():
    wide = np.concatenate([some(1), np.full((5, 3), 99, np.float32)], axis=1)

    found = agreement([some(1), wide], [some(1), some(1)])

    assert (found.logit, found.likeliest, found.places, round(found.alike, 5)) == (0.0, 1.0, 10, 1.0)


@given(st.integers(0, 99), st.floats(-5, 5), st.floats(0.5, 3))
def test_a_shift_and_a_stretch_leave_logits_alike_and_the_greatest_difference_is_told(seed, shift, stretch):
    ours = [some(seed) * np.float32(stretch) + np.float32(shift)]

    found = agreement(ours, [some(seed)])

    assert (found.likeliest, round(found.alike, 3)) == (1.0, 1.0)
    assert found.logit == pytest.approx(np.abs(ours[0] - some(seed)).max(), rel=1e-6)


def test_chance_is_not_alike():
    found = agreement([some(1, 500)], [some(2, 500)])

    assert abs(found.alike) < 0.1
    assert found.likeliest < 0.2


@pytest.mark.parametrize("harm", [np.nan, np.inf])
def test_what_is_no_number_agrees_with_nothing(harm):
    broken = some(1)
    broken[2, 3] = harm

    with np.errstate(invalid="ignore"):
        found = agreement([some(3), broken], [some(3), some(1)])

    assert not found.logit <= 1e9


def test_a_file_that_is_off_is_told_with_its_figures():
    asked = asking.Asked(((1, 2),), ("a",))
    seen = verifying.Known(asked, (some(1),), (some(1),), ([1],), exact=True)
    check = verifying._logits("model-Q8_0.gguf", "Q8_0", agreement([some(2)], [some(1)]), seen)

    with pytest.raises(
        Failed, match=r"model-Q8_0\.gguf is not what was to be written \(logits\): found .*; wanted alike 0\.95"
    ):
        verifying._passed([check])


def test_what_llama_cpp_says_of_a_file_that_it_cannot_take_is_told(tmp_path):
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF" + 60 * b"\0")

    with (
        pytest.raises(Failed, match=r"llama\.cpp cannot use model\.gguf: model\.gguf: llama\.cpp cannot load it"),
        computed(path, [[1]]),
    ):
        raise AssertionError("it was loaded")


def test_looking_needs_no_torch_in_llama_cpps_process():
    said = "import sys, pipeline.exporting.llama_logits; print('torch' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True).stdout == "False\n"
