"""Adapters of peft's are understood, or refused with the way round: nothing is quietly left out."""

import json
import shutil

import numpy as np
import pytest

from pipeline.errors import Invalid
from pipeline.exporting import adapter_gguf, adapters
from pipeline.exporting.families import config_of
from tests.pipeline.exporting import small


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return small.model(tmp_path_factory.mktemp("base") / "hf", "llama")


@pytest.fixture(scope="module")
def plain(base):
    return small.adapter(base.parent / "plain", base)


def changed(folder, target, **settings):
    """The same with other settings in its configuration."""
    shutil.copytree(folder, target)
    path = target / adapters.CONFIG
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))
    return target


def test_every_layer_has_its_own_scale(base, tmp_path):
    patterns = {"rank_pattern": {"q_proj": 8}, "alpha_pattern": {"layers.1.self_attn.k_proj": 3, "down_proj": 32}}
    folder = small.adapter(tmp_path / "a", base, r=4, lora_alpha=8, **patterns)

    found = {name.removeprefix("model."): (one.rank, one.scale) for name, one in adapters.read(folder).changes.items()}

    assert len(found) == 14
    assert found["layers.0.self_attn.q_proj"] == (8, 1.0)
    assert [found[f"layers.{layer}.self_attn.k_proj"] for layer in (0, 1)] == [(4, 2.0), (4, 0.75)]
    assert found["layers.0.mlp.down_proj"] == (4, 8.0)
    rooted = adapters.read(changed(folder, tmp_path / "b", use_rslora=True)).changes["model.layers.0.mlp.down_proj"]
    assert rooted.scale == 16.0


def test_16_bits_are_read_as_32(base, plain, tmp_path):
    import torch
    from safetensors.torch import load_file, save_file

    folder = changed(plain, tmp_path / "a")
    tensors = {name: one.bfloat16() for name, one in load_file(plain / adapters.WEIGHTS).items()}
    save_file(tensors, folder / adapters.WEIGHTS, {"format": "pt"})
    name = "model.layers.0.self_attn.q_proj"

    found = adapters.read(folder).changes[name]

    assert found.a.dtype == np.float32
    assert torch.equal(torch.from_numpy(found.a), tensors[f"{adapters.PREFIX}{name}.lora_A.weight"].float())


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"use_dora": True}, "DoRA .on 14 layers."),
        ({"bias": "lora_only"}, "biases .such as model.layers.0.self_attn.k_proj.bias."),
        ({"modules_to_save": ["lm_head"]}, "whole tensors .such as lm_head.weight."),
    ],
)
def test_what_llama_cpp_cannot_add_is_refused_with_the_way_round(base, tmp_path, settings, what):
    own = small.model(tmp_path / "hf", "qwen2") if "bias" in settings else base  # only some have biases
    found = adapters.read(small.adapter(tmp_path / "a", own, **settings))

    with pytest.raises(Invalid, match=f"this adapter has {what}.*Export the merged model instead") as refused:
        adapter_gguf.write(found, config_of(own), tmp_path / "a.gguf", name="mine")

    assert refused.value.facts["code"] == "export.adapter"


def test_a_head_that_is_tied_cannot_be_changed_alone(tmp_path):
    tied = small.model(tmp_path / "hf", "llama", tie_word_embeddings=True)
    found = adapters.read(small.adapter(tmp_path / "a", tied))
    found.changes["lm_head"] = found.changes["model.layers.0.mlp.up_proj"]

    with pytest.raises(Invalid, match="a change of lm_head, which the base has once for two purposes"):
        adapter_gguf.write(found, config_of(tied), tmp_path / "a.gguf", name="mine")


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"init_lora_weights": "pissa_niter_4"}, "init_lora_weights = 'pissa_niter_4', which changes the base"),
        ({"fan_in_fan_out": True}, "fan_in_fan_out"),
        ({"layer_replication": [[0, 2], [1, 2]]}, "layer_replication"),
        ({"alora_invocation_tokens": [1]}, "alora_invocation_tokens"),
        ({"trainable_token_indices": [3]}, "trainable_token_indices"),
        ({"something_new": "x"}, "something_new = 'x'"),
    ],
)
def test_what_no_export_can_bring_along_is_refused(plain, tmp_path, settings, what):
    with pytest.raises(Invalid, match=rf"this adapter has {what}.*Train it again without that"):
        adapters.read(changed(plain, tmp_path / "a", **settings))


def test_an_adapter_of_the_embeddings_is_refused(base, tmp_path):
    folder = small.adapter(tmp_path / "a", base, target_modules=["q_proj", "embed_tokens"])

    with pytest.raises(Invalid, match=r"tensors such as model\.embed_tokens\.lora_embedding_A"):
        adapters.read(folder)


@pytest.mark.parametrize("harm", ["no config", "config", "other", "no weights", "half", "missing", "empty"])
def test_a_damaged_adapter_is_told(plain, tmp_path, harm):
    from safetensors.torch import load_file, save_file

    folder = changed(plain, tmp_path / "a", **({"peft_type": "IA3"} if harm == "other" else {}))
    config, weights = folder / adapters.CONFIG, folder / adapters.WEIGHTS
    tensors = load_file(weights)
    match harm:
        case "no config":
            config.unlink()
        case "config":
            config.write_text("{")
        case "no weights":
            weights.unlink()
        case "half":
            weights.write_bytes(weights.read_bytes()[:1000])
        case "missing":
            save_file({name: one for name, one in tensors.items() if "q_proj.lora_B" not in name}, weights)
        case "empty":
            save_file({}, weights)

    with pytest.raises(Invalid, match="this adapter cannot be read") as told:
        adapters.read(folder)

    assert told.value.facts["code"] == "export.damaged"
