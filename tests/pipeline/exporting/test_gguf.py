"""What is in the files that llama.cpp gets: it computes the same with them as transformers and peft, for every family.

The tolerances were set before anything was measured: no logit off by more than 0.01, and the likeliest token the same in every
place. Here a few prompts of the README are asked; `make faults` asks 200, and more kinds of adapters.
"""

import json
import shutil
from functools import cache

import numpy as np
import pytest

from pipeline.errors import Failed, Invalid
from pipeline.exporting import adapter_gguf, adapters, model_gguf
from pipeline.exporting.families import FAMILIES, Names, config_of
from pipeline.exporting.verifying import Agreement, agreement
from tests.pipeline.exporting import small

ASKED = 6
MIXED = {"r": 8, "use_rslora": True, "rank_pattern": {"q_proj": 4, "layers.1.mlp.up_proj": 2}, "alpha_pattern": {"k_proj": 3}}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("gguf")


@pytest.fixture(scope="module")
def bases(place):
    """`bases(kind, **changes)`: a folder of transformers', and its GGUF in 32 bits; each is made once."""

    @cache
    def made(kind, changes):
        name = f"{kind}-{len(list(place.glob('*.gguf')))}"
        folder = small.model(place / name, kind, **json.loads(changes))
        return folder, written(folder, place / f"{name}.gguf")

    return lambda kind, **changes: made(kind, json.dumps(changes))


def written(folder, path, kind="F32"):
    model_gguf.write(folder, path, kind=kind, name="small", licence="MIT", about="A test.")
    return path


def exported(folder, base, path):
    adapter_gguf.write(adapters.read(folder), config_of(base), path, name="small")
    return path


def right(found: Agreement) -> bool:
    return found.logit <= 0.01 and found.likeliest == 1.0 and found.places > 100


@pytest.mark.parametrize("kind", small.FAMILIES)
def test_a_model_and_an_adapter_with_root_scale_ranks_and_alphas_of_its_own_compute_the_same(bases, tmp_path, kind):
    base, path = bases(kind)
    asked = small.tokens(base, small.prompts()[:ASKED])
    folder = small.adapter(tmp_path / "adapter", base, **MIXED)

    bare, tuned = small.llama(path, asked), small.llama(path, asked, exported(folder, base, tmp_path / "adapter.gguf"))

    assert right(agreement(bare, small.theirs(base, asked)))
    assert right(agreement(tuned, small.theirs(base, asked, folder)))
    assert agreement(tuned, bare).logit > 1


def test_a_plain_adapter_on_a_few_layers_computes_the_same(bases, tmp_path):
    base, path = bases("llama")
    asked = small.tokens(base, small.prompts()[:ASKED])
    folder = small.adapter(tmp_path / "adapter", base, target_modules=["v_proj", "down_proj"], layers_to_transform=[1])

    tuned = small.llama(path, asked, exported(folder, base, tmp_path / "adapter.gguf"))

    assert right(agreement(tuned, small.theirs(base, asked, folder)))


SHAPES = {
    "a tied head": ("llama", {"tie_word_embeddings": True}),
    "a head for each head": ("mistral", {"num_key_value_heads": 4}),
    "stretched as Llama 3.1": (
        "llama",
        {
            "head_dim": 16,
            "rope_parameters": {
                "rope_type": "llama3",
                "rope_theta": 500.0,
                "factor": 8.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 64,
            },
        },
    ),
    "stretched evenly": ("qwen2", {"rope_parameters": {"rope_type": "linear", "rope_theta": 100.0, "factor": 4.0}}),
}


@pytest.mark.parametrize("name", SHAPES)
def test_models_of_other_shapes_compute_the_same(bases, name):
    kind, changes = SHAPES[name]
    base, path = bases(kind, **changes)
    asked = small.tokens(base, small.prompts()[:ASKED])

    assert right(agreement(small.llama(path, asked), small.theirs(base, asked)))


def test_weights_in_16_bits_and_in_several_files_are_read_as_they_are(bases, tmp_path):
    from transformers import AutoModelForCausalLM

    base, _ = bases("granite")
    split = shutil.copytree(base, tmp_path / "split")
    (split / "model.safetensors").unlink()
    AutoModelForCausalLM.from_pretrained(base).bfloat16().save_pretrained(split, max_shard_size="100KB")
    asked = small.tokens(base, small.prompts()[:ASKED])

    path = written(split, tmp_path / "split.gguf")

    assert len(list(split.glob("*.safetensors"))) > 1
    assert right(agreement(small.llama(path, asked), small.theirs(split, asked)))


@pytest.mark.parametrize(("kind", "bits"), [("F16", 16), ("BF16", 16)])
def test_a_file_in_16_bits_is_half_as_large_and_alike(bases, tmp_path, kind, bits):
    base, whole = bases("llama")
    asked = small.tokens(base, small.prompts()[:ASKED])
    path = written(base, tmp_path / "half.gguf", kind)

    assert agreement(small.llama(path, asked), small.theirs(base, asked)).alike > 0.995
    assert path.stat().st_size < 0.6 * whole.stat().st_size + 200_000 < whole.stat().st_size + 200_000


def test_what_has_no_place_in_16_bits_is_told_and_nothing_is_left(bases, tmp_path):
    from safetensors.torch import load_file, save_file

    folder = shutil.copytree(bases("llama")[0], tmp_path / "great")
    weights = load_file(folder / "model.safetensors")
    weights["model.layers.0.mlp.up_proj.weight"][0, 0] = 70_000.0
    save_file(weights, folder / "model.safetensors", {"format": "pt"})

    with pytest.raises(Failed, match=r"up_proj\.weight has weights that are no numbers, or none in F16: the greatest is 70000"):
        written(folder, tmp_path / "great.gguf", "F16")

    assert [path.name for path in tmp_path.iterdir()] == ["great"]


def test_the_files_say_what_they_are(bases, tmp_path):
    import gguf

    base, path = bases("qwen3")
    model = gguf.GGUFReader(path)
    adapter = gguf.GGUFReader(exported(small.adapter(tmp_path / "a", base), base, tmp_path / "a.gguf"))

    assert [model.fields[f"general.{name}"].contents() for name in ("architecture", "name", "license")] == [
        "qwen3",
        "small",
        "MIT",
    ]
    names = ("general.type", "general.architecture", "adapter.type", "adapter.lora.alpha")
    assert [adapter.fields[name].contents() for name in names] == ["adapter", "qwen3", "lora", 8.0]
    assert {one.name for one in adapter.tensors} >= {"blk.0.attn_q.weight.lora_a", "blk.1.ffn_down.weight.lora_b"}


def test_an_alpha_of_nothing_is_a_change_of_nothing(bases, tmp_path):
    base, path = bases("qwen2")
    asked = small.tokens(base, small.prompts()[:2])
    folder = small.adapter(tmp_path / "a", base)
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps({**config, "lora_alpha": 0}))

    tuned = small.llama(path, asked, exported(folder, base, tmp_path / "a.gguf"))

    assert agreement(tuned, small.llama(path, asked)).logit == 0.0


# --- what cannot be written


@pytest.mark.parametrize(
    ("file", "change", "reason"),
    [
        ("config.json", {"model_type": "gemma3"}, "a model of type 'gemma3'; there is llama, mistral, granite, qwen2, qwen3"),
        ("config.json", {"attention_bias": True}, "a llama with biases"),
        ("config.json", {"hidden_act": "gelu"}, "a llama with 'gelu'"),
        ("config.json", {"rope_parameters": {"rope_type": "yarn", "rope_theta": 1.0}}, "RoPE of type 'yarn'"),
        ("config.json", {"vocab_size": 100}, "a tokeniser with more words than the 100 of its model"),
        ("tokenizer.json", None, "a tokeniser"),
        ("config.json", None, r"config\.json cannot be read"),
        ("model.safetensors", None, "these weights cannot be read"),
    ],
)
def test_what_cannot_be_written_is_refused_and_nothing_is_left(bases, tmp_path, file, change, reason):
    folder = shutil.copytree(bases("llama")[0], tmp_path / "hf")
    before = (folder / file).read_bytes()
    (folder / file).write_bytes(before[:40] if change is None else json.dumps(json.loads(before) | change).encode())

    with pytest.raises(Invalid, match=reason) as refused:
        written(folder, tmp_path / "model.gguf")

    assert refused.value.facts["code"] in ("export.model", "export.damaged")
    assert [path.name for path in tmp_path.iterdir()] == ["hf"]


def test_a_tensor_that_a_family_does_not_have_is_refused():
    names = Names({"model_type": "llama", "num_attention_heads": 4, "num_hidden_layers": 2}, "mine")

    assert names.of("model.layers.1.mlp.gate_proj.weight") == "blk.1.ffn_gate.weight"
    with pytest.raises(Invalid, match=r"mine: a llama with a tensor 'model\.vision\.weight'"):
        names.of("model.vision.weight")


def test_the_rows_of_an_adapter_are_put_in_the_order_of_its_matrix_where_llama_cpp_has_another():
    random = np.random.default_rng(0)
    b, a = random.normal(size=(16, 3)), random.normal(size=(3, 8))
    config = {"num_attention_heads": 4, "num_key_value_heads": 2, "num_hidden_layers": 1}

    for kind in FAMILIES:
        names = Names({**config, "model_type": kind}, "mine")
        for part in ("q_proj", "k_proj", "v_proj"):
            name = f"model.layers.0.self_attn.{part}.weight"
            changed = names.rows(name, b @ a)
            assert np.allclose(changed, names.rows(name, b) @ a)
            assert np.array_equal(changed, b @ a) == (part == "v_proj" or kind.startswith("qwen"))
