"""Exports against transformers and peft on 200 sentences that people wrote, every family and every kind of adapter.

The tolerances were set before anything was measured: in 32 bits no logit off by more than 0.01 and the likeliest token the same
everywhere; in Q8_0, Q5_K_M and Q4_K_M the likeliest token the same in 99, 97 and 95% of places. A model of chance has no
opinion that a rounding could not change (measured with Q4_K_M: the same token in half of the places), so what is rounded here
has learned something: it is the practice model.
"""

import pytest

from pipeline.exporting import adapter_gguf, adapters, merging, model_gguf
from pipeline.exporting.families import config_of
from pipeline.exporting.verifying import agreement
from pipeline.models import quantize
from tests.pipeline.exporting import small
from tests.pipeline.models.tiny_model import small_model

pytestmark = pytest.mark.faults

ADAPTERS = {
    "plain": {},
    "rslora": {"use_rslora": True, "r": 16},
    "patterns": {"rank_pattern": {"q_proj": 8, "layers.1.mlp.up_proj": 2}, "alpha_pattern": {"k_proj": 3, "down_proj": 32}},
    "both": {"use_rslora": True, "rank_pattern": {"q_proj": 8}, "alpha_pattern": {"v_proj": 3}},
}
SHARES = {"Q8_0": 0.99, "Q5_K_M": 0.97, "Q4_K_M": 0.95}


@pytest.fixture(scope="module", params=small.FAMILIES)
def base(request, tmp_path_factory):
    """A model, its GGUF in 32 bits, and 200 prompts."""
    folder = tmp_path_factory.mktemp("oracle")
    made = small.model(folder / "hf", request.param)
    model_gguf.write(made, folder / "base.gguf", kind="F32", name="small", licence="MIT", about="")
    return made, folder / "base.gguf", small.tokens(made, small.prompts(200))


def right(found):
    return found.logit <= 0.01 and found.likeliest == 1.0 and found.places > 4000


def test_a_model_computes_the_same(base):
    folder, path, asked = base

    assert right(agreement(small.llama(path, asked), small.theirs(folder, asked)))


@pytest.mark.parametrize("kind", ADAPTERS)
def test_an_adapter_and_the_model_that_it_is_merged_into_compute_the_same(base, tmp_path, kind):
    folder, path, asked = base
    source = small.adapter(tmp_path / "adapter", folder, **ADAPTERS[kind])
    found = adapters.read(source)
    adapter_gguf.write(found, config_of(folder), tmp_path / "adapter.gguf", name="small")
    merging.merge(folder, found, tmp_path / "merged")
    model_gguf.write(tmp_path / "merged", tmp_path / "merged.gguf", kind="F32", name="small", licence="MIT", about="")

    wanted = small.theirs(folder, asked, source)
    tuned, merged = small.llama(path, asked, tmp_path / "adapter.gguf"), small.llama(tmp_path / "merged.gguf", asked)

    assert right(agreement(tuned, wanted))
    assert right(agreement(merged, wanted))
    assert agreement(tuned, small.llama(path, asked)).logit > 1


@pytest.fixture(scope="module")
def taught(tmp_path_factory):
    """The practice model as GGUF in 16 bits, what transformers says to 200 prompts, and the prompts."""
    folder, base = tmp_path_factory.mktemp("taught"), small_model() / "hf"
    model_gguf.write(base, folder / "F16.gguf", kind="F16", name="tiny", licence="MIT", about="")
    asked = small.tokens(base, small.prompts(200))
    return folder, asked, small.theirs(base, asked)


@pytest.mark.parametrize("kind", SHARES)
def test_what_is_rounded_says_the_same_in_nearly_every_place(taught, kind):
    folder, asked, wanted = taught
    quantize.quantize(folder / "F16.gguf", folder / f"{kind}.gguf", kind, lambda _fraction, _facts: None)

    found = agreement(small.llama(folder / f"{kind}.gguf", asked), wanted)

    assert found.likeliest >= SHARES[kind]
