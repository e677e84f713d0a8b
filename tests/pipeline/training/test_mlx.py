"""MLX learns what torch learns: beside transformers and peft on the same weights, on the CPU."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from peft import PeftModel
from torch.nn.functional import cross_entropy

from pipeline.errors import Failed, Invalid
from pipeline.stages.train import train
from pipeline.training.devices import Place
from pipeline.training.learner import IGNORED, Batch
from pipeline.training.settings import TrainConfig
from tests.pipeline.generating.mixing_folder import many
from tests.pipeline.training import training_folder

pytest.importorskip("mlx_lm", reason="the extra mlx is not installed")

import mlx.core as mx
from mlx.utils import tree_flatten

from pipeline.training import mlx_learner
from pipeline.training.mlx_learner import MlxLearner, opened

PLACE = Place("mlx", "CPU", 2**34, 2**34, bf16=False)
RATE = 1e-2
SMALL = {
    "vocab_size": 160,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 256,
    "rope_parameters": {"rope_type": "default", "rope_theta": 500_000.0},
    "tie_word_embeddings": False,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
LLAMA_3 = {
    "rope_type": "llama3",
    "rope_theta": 500_000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
FAMILIES: dict[str, tuple[type, dict[str, Any]]] = {
    "llama": (transformers.LlamaConfig, {}),
    "llama of long contexts": (transformers.LlamaConfig, {"rope_parameters": LLAMA_3, "tie_word_embeddings": True}),
    "mistral": (transformers.MistralConfig, {}),
    "granite": (
        transformers.GraniteConfig,
        {
            "logits_scaling": 4.0,
            "embedding_multiplier": 6.0,
            "residual_multiplier": 0.3,
            "attention_multiplier": 0.2,
            "tie_word_embeddings": True,
        },
    ),
    "qwen2": (transformers.Qwen2Config, {}),
    "qwen3": (transformers.Qwen3Config, {"tie_word_embeddings": True}),
}
LORA = TrainConfig(rank=4, alpha=8.0, rate=RATE, context=256)
PATTERNS = TrainConfig(
    method="rslora", rank=4, alpha=8.0, ranks={"q_proj": 2, "1.mlp.up_proj": 6}, alphas={"v_proj": 3.0}, rate=RATE, context=256
)


def written(folder: Path, family: str = "llama", **other: Any) -> Path:
    """A model of random weights, as transformers writes it."""
    kind, own = FAMILIES[family]
    torch.manual_seed(7)
    config = kind(**{**SMALL, **own, **other})
    made = transformers.AutoModelForCausalLM.from_config(config)
    for name, weight in made.named_parameters():  # larger than they begin, so that attention attends and biases are there
        torch.nn.init.normal_(weight, mean=1.0 if "norm" in name else 0.0, std=0.2)
    made.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("mlx") / "llama")


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Without transformers' bars of progress."""
    transformers.utils.logging.disable_progress_bar()
    yield
    transformers.utils.logging.enable_progress_bar()


def batch(*lengths: int, seed: int = 0) -> Batch:
    """Samples of those lengths, the last two thirds of each learned, padded on the right."""
    chance = np.random.default_rng(seed)
    width = max(lengths) + 3
    tokens = np.zeros((len(lengths), width), np.int64)
    targets = np.full((len(lengths), width), IGNORED, np.int64)
    for row, length in enumerate(lengths):
        tokens[row, :length] = chance.integers(3, SMALL["vocab_size"], length)
        targets[row, length // 3 : length] = tokens[row, length // 3 : length]
    positions = np.tile(np.arange(width, dtype=np.int64), (len(lengths), 1))
    return Batch(tokens, targets, positions, tuple((length,) for length in lengths))


STEPS = [[batch(9, 30, 17, seed=2 * n), batch(40, 5, seed=2 * n + 1)] for n in range(5)]


def saved(learner: MlxLearner, folder: Path) -> Path:
    folder.mkdir()
    learner.save(folder)
    return folder


def logits(network: Any, computed: Batch) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = network(input_ids=torch.from_numpy(computed.tokens)).logits
    return found


def each(network: Any, computed: Batch) -> list[torch.Tensor]:
    """The losses of each sample's learned tokens, by transformers."""
    found = network(input_ids=torch.from_numpy(computed.tokens)).logits[:, :-1]
    targets = torch.from_numpy(computed.targets)[:, 1:]
    losses = cross_entropy(found.transpose(1, 2), targets, ignore_index=IGNORED, reduction="none")
    return [row[wanted != IGNORED] for row, wanted in zip(losses, targets, strict=True)]


def by_torch(base: Path, adapter: Path, config: TrainConfig) -> tuple[list[tuple[float, float]], Any]:
    """Loss and norm of five steps from that adapter on, by transformers, peft and torch's AdamW alone; and the model."""
    plain = transformers.AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    network = PeftModel.from_pretrained(plain, str(adapter), is_trainable=True)
    weights = [weight for weight in network.parameters() if weight.requires_grad]
    adam = torch.optim.AdamW(weights, lr=RATE, betas=config.betas, weight_decay=config.weight_decay)
    told = []
    for step in STEPS:
        loss = torch.cat([one for part in step for one in each(network, part)]).mean()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(weights, config.clip)
        adam.step()
        adam.zero_grad()
        told.append((loss.item(), norm.item()))
    return told, network.eval()


@pytest.mark.parametrize(
    ("family", "config"),
    [
        *((family, LORA) for family in FAMILIES),
        ("llama", PATTERNS),
        ("qwen2", LORA.model_copy(update={"weight_decay": 0.1, "targets": ("q_proj", "v_proj")})),
    ],
)
def test_five_steps_are_those_of_torch(family: str, config: TrainConfig, tmp_path: Path) -> None:
    base = written(tmp_path / "base", family)
    learner = opened(base, config, PLACE, base="small")
    start = saved(learner, tmp_path / "start")
    before = learner.losses(STEPS[0][:1])

    steps = [learner.learn(step, RATE) for step in STEPS]

    wanted, network = by_torch(base, start, config)
    assert (steps[0].loss, steps[0].norm) == pytest.approx(wanted[0], abs=1e-4, rel=1e-4)
    assert [(one.loss, one.norm) for one in steps] == [pytest.approx(one, abs=1e-3, rel=1e-3) for one in wanted]
    after = [one.mean().item() for one in each(network, STEPS[0][0])]
    assert learner.losses(STEPS[0][:1]) == pytest.approx(after, abs=1e-3) != before


@pytest.mark.parametrize("config", [LORA, PATTERNS], ids=["lora", "patterns"])
def test_peft_reads_what_mlx_wrote_and_answers_the_same(llama: Path, config: TrainConfig, tmp_path: Path) -> None:
    learner = opened(llama, config, PLACE, base="small")
    before = np.array(learner.network(mx.array(STEPS[0][0].tokens)))
    for step in STEPS:
        learner.learn(step, RATE)
    folder = saved(learner, tmp_path / "adapter")

    plain = transformers.AutoModelForCausalLM.from_pretrained(llama, dtype=torch.float32)
    assert np.abs(logits(plain, STEPS[0][0]).numpy() - before).max() < 1e-4
    theirs = logits(PeftModel.from_pretrained(plain, str(folder)).eval(), STEPS[0][0]).numpy()
    learner.network.eval()
    mine = np.array(learner.network(mx.array(STEPS[0][0].tokens)))

    assert np.abs(theirs - mine).max() < 1e-4
    assert np.abs(mine - before).max() > 0.1
    described = json.loads((folder / "adapter_config.json").read_bytes())
    assert (described["base_model_name_or_path"], described["r"], described["use_rslora"]) == (
        "small",
        4,
        config.method == "rslora",
    )


def test_a_training_goes_on_as_if_it_had_not_been_interrupted(llama: Path, tmp_path: Path) -> None:
    config = LORA.model_copy(update={"dropout": 0.3})
    whole = opened(llama, config, PLACE, base="small")
    first = [whole.learn(step, RATE) for step in STEPS[:2]]
    folder = saved(whole, tmp_path / "half")
    rest = [whole.learn(step, RATE) for step in STEPS[2:]]

    second = opened(llama, config, PLACE, base="small")
    second.load(folder)

    assert [second.learn(step, RATE) for step in STEPS[2:]] == rest
    again = opened(llama, config, PLACE, base="small")
    assert [again.learn(step, RATE) for step in STEPS[:2]] == first


def test_another_seed_begins_elsewhere(llama: Path) -> None:
    one, other = (opened(llama, LORA.model_copy(update={"seed": seed}), PLACE, base="small") for seed in (1, 2))

    assert one.learn(STEPS[0], RATE).norm != other.learn(STEPS[0], RATE).norm


def test_what_is_computed_twice_is_the_same_dropout_too(llama: Path) -> None:
    config = LORA.model_copy(update={"dropout": 0.3})
    once = opened(llama, config, PLACE, base="small")
    twice = opened(llama, config, PLACE, base="small", checkpointing=True)

    for step in STEPS[:3]:
        one, other = once.learn(step, RATE), twice.learn(step, RATE)
        assert (one.loss, one.norm) == pytest.approx((other.loss, other.norm), rel=1e-5)


def test_dropping_changes_the_learning_but_not_the_scoring(llama: Path) -> None:
    dropping = opened(llama, LORA.model_copy(update={"dropout": 0.5}), PLACE, base="small")
    plain = opened(llama, LORA, PLACE, base="small")

    assert dropping.losses(STEPS[0]) == plain.losses(STEPS[0])
    assert dropping.learn(STEPS[0], RATE).norm != plain.learn(STEPS[0], RATE).norm


def test_the_size_of_a_chunk_changes_nothing(llama: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = opened(llama, LORA, PLACE, base="small")
    wanted = [whole.learn(step, RATE) for step in STEPS[:2]]
    scores = whole.losses(STEPS[2])
    monkeypatch.setattr(mlx_learner, "CHUNK", 7)
    chunked = opened(llama, LORA, PLACE, base="small")

    found = [chunked.learn(step, RATE) for step in STEPS[:2]]

    assert [(one.loss, one.norm) for one in found] == [pytest.approx((one.loss, one.norm), rel=1e-5) for one in wanted]
    assert chunked.losses(STEPS[2]) == pytest.approx(scores, rel=1e-5)


def test_the_logits_of_a_long_batch_never_exist_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    learner = opened(written(tmp_path / "wide", vocab_size=8_192, num_hidden_layers=1), LORA, PLACE, base="small")
    long = [batch(240, 250, 230, 245)]

    whole = _peak(learner, long)
    monkeypatch.setattr(mlx_learner, "CHUNK", 32)
    chunked = _peak(learner, long)

    assert chunked < whole / 2


def _peak(learner: MlxLearner, batches: list[Batch]) -> int:
    """Bytes that a step needs beyond what is there before it."""
    before = mx.get_active_memory()
    mx.reset_peak_memory()
    learner.learn(batches, RATE)
    return mx.get_peak_memory() - before


def test_a_sample_scores_the_same_alone_and_beside_others(llama: Path) -> None:
    learner = opened(llama, LORA, PLACE, base="small")
    learner.learn(STEPS[0], RATE)
    together = batch(9, 30, 17)

    alone = [
        Batch(
            together.tokens[at : at + 1, :length], together.targets[at : at + 1, :length], together.positions[:1], ((length,),)
        )
        for at, length in enumerate((9, 30, 17))
    ]

    assert learner.losses([together]) == pytest.approx(learner.losses(alone), abs=1e-5)
    together.targets[1] = IGNORED
    assert math.isnan(learner.losses([together])[1])


def test_a_loss_that_is_no_number_changes_nothing(llama: Path, tmp_path: Path) -> None:
    learner = opened(llama, LORA, PLACE, base="small")
    learner.learn(STEPS[0], RATE)
    before = {path.name: path.read_bytes() for path in saved(learner, tmp_path / "before").iterdir()}
    embedded = learner.network.model.embed_tokens
    healthy = embedded.weight
    embedded.weight = mx.where(mx.arange(healthy.shape[0])[:, None] == STEPS[1][0].tokens[0, 0].item(), math.nan, healthy)

    told = learner.learn(STEPS[1], RATE)

    embedded.weight = healthy
    assert math.isnan(told.loss)
    assert {path.name: path.read_bytes() for path in saved(learner, tmp_path / "after").iterdir()} == before
    again = opened(llama, LORA, PLACE, base="small")
    again.load(tmp_path / "before")
    assert learner.learn(STEPS[2], RATE) == again.learn(STEPS[2], RATE)


def test_answers_are_the_likeliest_tokens_in_the_order_of_the_prompts(llama: Path, tmp_path: Path) -> None:
    learner = opened(llama, LORA, PLACE, base="small")
    for step in STEPS[:3]:
        learner.learn(step, RATE)
    prompts = [list(range(5, 5 + many)) for many in (3, 11, 1, 7, *range(2, 20))]
    plain = transformers.AutoModelForCausalLM.from_pretrained(llama, dtype=torch.float32)
    network = PeftModel.from_pretrained(plain, str(saved(learner, tmp_path / "adapter"))).eval()
    whole = [_continued(network, prompt, 8) for prompt in prompts]
    end = whole[1][3]

    assert learner.answers(prompts, 8, frozenset({159, end})) == [_until(one, {159, end}) for one in whole]
    assert learner.answers([], 8, frozenset({end})) == []


def _continued(network: Any, prompt: list[int], most: int) -> list[int]:
    tokens = list(prompt)
    with torch.no_grad():
        for _ in range(most):
            tokens.append(int(network(input_ids=torch.tensor([tokens])).logits[0, -1].argmax()))
    return tokens[len(prompt) :]


def _until(tokens: list[int], ends: set[int]) -> list[int]:
    return tokens[: next((at for at, one in enumerate(tokens) if one in ends), len(tokens))]


def test_it_answers_as_the_base_or_with_another_adapter(llama: Path, tmp_path: Path) -> None:
    learner = opened(llama, PATTERNS, PLACE, base="small")
    fresh = learner.losses(STEPS[0])
    learner.learn(STEPS[0], RATE)
    learned = learner.losses(STEPS[0])
    folder = saved(learner, tmp_path / "adapter")
    other = opened(llama, LORA, PLACE, base="small")

    other.use(folder)
    with_it = other.losses(STEPS[0])
    other.use(None)

    assert with_it == learned != fresh
    assert other.losses(STEPS[0]) == fresh


def test_bfloat16_learns_too_with_the_adapter_in_32_bits(llama: Path) -> None:
    learner = opened(llama, LORA.model_copy(update={"precision": "bf16"}), PLACE, base="small")

    told = [learner.learn(STEPS[0], RATE).loss for _ in range(4)]

    assert learner.precision == "bf16"
    assert told[-1] < told[0]
    assert {value.dtype for _, value in tree_flatten(learner.network.trainable_parameters())} == {mx.float32}


def test_the_stage_trains_by_mlx_what_it_trains_by_torch(tmp_path: Path) -> None:
    jobs = {device: training_folder.job(tmp_path / device, many(16), device=device, rank=4) for device in ("mlx", "cpu")}

    facts = {device: train(job) for device, job in jobs.items()}

    lines = {
        device: {name: (job.folder / "train" / name).read_text().splitlines() for name in ("metrics.jsonl", "held.jsonl")}
        for device, job in jobs.items()
    }
    first = {device: json.loads(found["metrics.jsonl"][0]) for device, found in lines.items()}
    base = {device: json.loads(found["held.jsonl"][0])["loss"] for device, found in lines.items()}
    assert first["mlx"]["tokens"] == first["cpu"]["tokens"]
    assert first["mlx"]["loss"] == pytest.approx(first["cpu"]["loss"], abs=1e-4)
    assert base["mlx"] == pytest.approx(base["cpu"], abs=1e-4)
    assert float(facts["mlx"]["held_loss"]) == pytest.approx(float(facts["cpu"]["held_loss"]), rel=0.2)
    network = transformers.AutoModelForCausalLM.from_pretrained(training_folder.models(tmp_path / "models") / "tiny" / "hf")
    PeftModel.from_pretrained(network, str(jobs["mlx"].folder / "train" / "adapter"))


def test_an_adapter_of_another_shape_is_refused(llama: Path, tmp_path: Path) -> None:
    folder = saved(opened(llama, LORA, PLACE, base="small"), tmp_path / "adapter")

    with pytest.raises(Failed, match="does not fit its base"):
        opened(llama, LORA.model_copy(update={"rank": 8}), PLACE, base="small").load(folder)
    (folder / mlx_learner.OPTIMISER).write_bytes(b"torn")
    with pytest.raises(Failed, match="cannot be read"):
        opened(llama, LORA, PLACE, base="small").load(folder)


def test_what_mlx_does_not_know_is_refused(llama: Path, tmp_path: Path) -> None:
    with pytest.raises(Invalid) as bits:
        opened(llama, LORA.model_copy(update={"method": "qlora"}), PLACE, base="small")
    with pytest.raises(Invalid) as window:
        opened(written(tmp_path / "mistral", "mistral", sliding_window=16), LORA, PLACE, base="small")
    other = written(tmp_path / "other")
    described = json.loads((other / "config.json").read_bytes())
    (other / "config.json").write_text(json.dumps({**described, "model_type": "ctrl"}))
    with pytest.raises(Invalid) as family:
        opened(other, LORA, PLACE, base="small")
    with pytest.raises(Invalid) as targets:
        opened(llama, LORA.model_copy(update={"targets": ("gate",)}), PLACE, base="small")

    codes = [one.value.problems[0].code for one in (bits, window, family, targets)]
    assert codes == ["train.qlora", "train.family", "train.family", "train.targets"]


def test_weights_that_are_torn_are_said_to_be(tmp_path: Path) -> None:
    base = written(tmp_path / "base")
    (base / "model.safetensors").write_bytes(b"torn")

    with pytest.raises(Failed, match="cannot be read"):
        opened(base, LORA, PLACE, base="small")
