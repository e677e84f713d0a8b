"""A merged model is what peft makes of base and adapter, without having the model in memory."""

import json
import shutil

import pytest

from pipeline.errors import Failed, Invalid
from pipeline.exporting import adapters, merging
from pipeline.exporting.tensors import Tensors
from tests.pipeline.exporting import small


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return small.model(tmp_path_factory.mktemp("base") / "hf", "qwen2")


def reference(base, adapter):
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    return PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), str(adapter)).merge_and_unload().state_dict()


def apart(folder, wanted):
    with Tensors(folder) as found:
        assert set(found.shapes) == set(wanted) - {"lm_head.weight"} | set(found.shapes) & {"lm_head.weight"}
        return max(float((found.tensor(name) - wanted[name]).abs().max()) for name in found.shapes)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"use_rslora": True, "rank_pattern": {"q_proj": 8}, "alpha_pattern": {"up_proj": 3}},
        {"use_dora": True},
        {"bias": "lora_only"},
        {"modules_to_save": ["lm_head"]},
        {"target_modules": ["q_proj", "lm_head"]},
    ],
    ids=lambda settings: "-".join(settings) or "plain",
)
def test_the_weights_are_those_of_peft(base, tmp_path, settings):
    adapter = small.adapter(tmp_path / "a", base, **settings)

    merging.merge(base, adapters.read(adapter), tmp_path / "merged")

    assert apart(tmp_path / "merged", reference(base, adapter)) < 1e-6


def test_the_folder_is_whole_and_says_nothing_of_a_rounding_that_is_not_there(base, tmp_path):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    own = shutil.copytree(base, tmp_path / "hf")
    config = json.loads((own / "config.json").read_text())
    (own / "config.json").write_text(json.dumps({**config, "quantization_config": {"quant_method": "bitsandbytes"}}))
    (own / "model.bin").write_text("another form of the weights")
    merging.merge(own, adapters.read(small.adapter(tmp_path / "a", base)), tmp_path / "merged")

    merged = tmp_path / "merged"
    assert "quantization_config" not in json.loads((merged / "config.json").read_text())
    assert {path.name for path in base.iterdir()} == {path.name for path in merged.iterdir()}
    assert AutoTokenizer.from_pretrained(merged)("hello").input_ids == AutoTokenizer.from_pretrained(base)("hello").input_ids
    assert AutoModelForCausalLM.from_pretrained(merged).num_parameters() > 0


def test_a_base_in_several_files_of_16_bits_stays_so_and_is_added_to_in_32(base, tmp_path):
    import torch
    from transformers import AutoModelForCausalLM

    own = shutil.copytree(base, tmp_path / "hf")
    (own / "model.safetensors").unlink()
    AutoModelForCausalLM.from_pretrained(base).bfloat16().save_pretrained(own, max_shard_size="100KB")
    adapter = small.adapter(tmp_path / "a", base)
    ticks = []

    merging.merge(own, adapters.read(adapter), tmp_path / "merged", tick=lambda *at: ticks.append(at))

    with Tensors(own) as before, Tensors(tmp_path / "merged") as after:
        assert (before.files, before.numbers, before.shapes) == (after.files, after.numbers, after.shapes)
        assert len(set(after.files.values())) > 2
        name = "model.layers.1.mlp.up_proj.weight"
        change = adapters.read(adapter).changes[name.removesuffix(".weight")]
        wanted = before.tensor(name).float() + torch.from_numpy(change.scale * (change.b @ change.a))
        assert torch.equal(after.tensor(name), wanted.bfloat16())
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "merged").dtype == torch.bfloat16
    assert ticks[-1] == (len(after.files), len(after.files))


def test_an_adapter_of_another_base_is_refused(base, tmp_path):
    other = small.model(tmp_path / "other", "qwen2", width=32)
    adapter = adapters.read(small.adapter(tmp_path / "a", other))

    with pytest.raises(
        Invalid, match=r"the adapter changes model\.layers\.0\.\S+ of the shape \(\d+, \d+\), which is not there"
    ):
        merging.merge(base, adapter, tmp_path / "merged")


def test_a_head_that_is_tied_cannot_be_changed_alone(tmp_path):
    tied = small.model(tmp_path / "hf", "llama", tie_word_embeddings=True)
    adapter = adapters.read(small.adapter(tmp_path / "a", tied))
    adapter.changes["model.embed_tokens"] = merging.Change(adapter.changes["model.layers.0.mlp.up_proj"].a, _rows(tied), 1.0)

    with pytest.raises(Invalid, match=r"a change of model\.embed_tokens, which the base has once for two purposes"):
        merging.merge(tied, adapter, tmp_path / "merged")


def _rows(folder):
    import numpy as np

    words = json.loads((folder / "config.json").read_text())["vocab_size"]
    return np.zeros((words, 4), np.float32)


def test_weights_that_are_no_numbers_any_more_are_told(base, tmp_path):
    found = adapters.read(small.adapter(tmp_path / "a", base))
    found.changes["model.layers.0.mlp.up_proj"].a[0, 0] = float("inf")

    with pytest.raises(Failed, match=r"up_proj\.weight has weights that are no numbers any more"):
        merging.merge(base, found, tmp_path / "merged")
