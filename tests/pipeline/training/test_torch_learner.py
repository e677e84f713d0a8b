"""The learner in torch, held against peft, transformers and torch used plainly."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch.nn.functional import cross_entropy

from pipeline.errors import Failed
from pipeline.training import adapters, batches
from pipeline.training.learner import IGNORED, Batch, Encoded
from pipeline.training.torch_learner import TorchLearner, opened
from tests.pipeline.training import small
from tests.pipeline.training.small import CONFIG, CPU, network, samples

END = frozenset({2})


def step_of(learned: list[Encoded]) -> list[Batch]:
    """All samples as one step of two micro-batches."""
    half = len(learned) // 2
    return [batches.padded(learned[:half]), batches.padded(learned[half:])]


def taught(learner: TorchLearner, steps: int = 4, rate: float = 0.02) -> list[float]:
    return [learner.learn(step_of(samples(8)), rate).loss for _ in range(steps)]


def plainly(method: str, steps: int = 4) -> tuple[list[float], Any]:
    """The same training as a textbook has it: peft's own model, one sample at a time, all logits, torch's AdamW."""
    torch.manual_seed(CONFIG.seed)
    config = LoraConfig(
        r=CONFIG.rank,
        lora_alpha=int(CONFIG.alpha),
        use_rslora=method == "rslora",
        target_modules=["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
    )
    made: Any = network()
    torch.manual_seed(CONFIG.seed)
    made = get_peft_model(made, config)
    weights = [weight for weight in made.parameters() if weight.requires_grad]
    adam = torch.optim.AdamW(weights, lr=0.02, betas=CONFIG.betas, weight_decay=0.0)
    losses = []
    for _ in range(steps):
        total = torch.zeros(())
        for one in samples(8):
            logits = made(input_ids=torch.tensor([one.tokens])).logits[0]
            total = total + cross_entropy(logits[:-1], torch.tensor(one.targets[1:]), ignore_index=IGNORED, reduction="sum")
        loss = total / sum(one.learned for one in samples(8))
        adam.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, CONFIG.clip)
        adam.step()
        losses.append(loss.item())
    return losses, made


@pytest.mark.parametrize("method", ["lora", "rslora"])
def test_steps_are_those_of_peft_and_torch_used_plainly(method: str) -> None:
    learner = small.learner(CONFIG.model_copy(update={"method": method}))
    losses, plain = plainly(method)
    assert taught(learner) == pytest.approx(losses, abs=1e-5)
    ours, theirs = adapters.state(learner.network), adapters.state(plain)
    assert ours.keys() == theirs.keys()
    for name in ours:
        torch.testing.assert_close(ours[name], theirs[name], atol=2e-4, rtol=1e-3)


def test_an_adapter_that_was_saved_gives_the_same_logits_in_peft(tmp_path: Path) -> None:
    learner = small.learner(CONFIG.model_copy(update={"ranks": {"q_proj": 8}, "alphas": {"q_proj": 4.0}, "method": "rslora"}))
    taught(learner)
    learner.save(tmp_path)
    theirs = PeftModel.from_pretrained(network(), str(tmp_path)).eval()
    learner.network.eval()
    tokens = torch.tensor([[1, 5, 6, 7, 3]])
    with torch.no_grad():
        torch.testing.assert_close(learner.network(tokens).logits, theirs(tokens).logits, atol=1e-5, rtol=0)


def test_a_base_in_16_bits_learns_and_its_adapter_stays_in_32() -> None:
    learner = TorchLearner(network().to(torch.bfloat16), CONFIG, CPU, base="small")
    losses = taught(learner, steps=12)
    assert learner.precision == "bf16"
    assert {weight.dtype for weight in adapters.learning(learner.network)} == {torch.float32}
    assert losses[-1] < losses[0] and all(map(math.isfinite, losses))
    assert learner.losses(step_of(samples(8))) and learner.answers([(1, 5, 3)], 3, END)


def test_computing_activations_twice_changes_nothing() -> None:
    assert taught(small.learner(checkpointing=True)) == taught(small.learner())


def test_answers_are_the_likeliest_tokens_one_after_the_other_whoever_else_is_asked() -> None:
    learner = small.learner()
    taught(learner, steps=8)
    prompts = [sample.tokens[: sample.targets.index(sample.tokens[-3], 1)] for sample in samples(20, seed=5)]

    def alone(prompt: Any) -> list[int]:
        tokens = list(prompt)
        for _ in range(4):
            with torch.no_grad():
                best = int(learner.network(torch.tensor([tokens])).logits[0, -1].argmax())
            if best in END:
                break
            tokens.append(best)
        return tokens[len(prompt) :]

    learner.network.eval()
    assert learner.answers(prompts, 4, END) == [alone(prompt) for prompt in prompts]


def test_losses_of_samples_are_what_cross_entropy_says_of_each() -> None:
    learner = small.learner()
    taught(learner)
    learner.network.eval()
    for one, found in zip(samples(8), learner.losses(step_of(samples(8))), strict=True):
        with torch.no_grad():
            logits = learner.network(torch.tensor([one.tokens])).logits[0]
        assert found == pytest.approx(cross_entropy(logits[:-1], torch.tensor(one.targets[1:])).item(), abs=1e-5)


def test_the_base_and_an_adapter_answer_in_turn(tmp_path: Path) -> None:
    learner = small.learner()
    prompts = [sample.tokens[:-3] for sample in samples(6)]
    base = learner.answers(prompts, 3, END)
    taught(learner, steps=10)
    learner.save(tmp_path)
    tuned = learner.answers(prompts, 3, END)
    learner.use(None)
    assert learner.answers(prompts, 3, END) == base
    learner.use(tmp_path)
    assert learner.answers(prompts, 3, END) == tuned != base


def test_an_adapter_of_another_base_is_refused(tmp_path: Path) -> None:
    other = TorchLearner(network(hidden_size=16, num_key_value_heads=4), CONFIG, CPU, base="other")
    other.save(tmp_path)
    with pytest.raises(Failed, match="does not fit"):
        small.learner().use(tmp_path)


def test_what_is_written_names_the_base_and_no_folder_of_this_machine(tmp_path: Path) -> None:
    small.learner().save(tmp_path)
    text = (tmp_path / adapters.CONFIG).read_text()
    assert '"base_model_name_or_path": "small"' in text and "/" not in text.replace("</", "")


def test_answers_are_the_likeliest_ones_whatever_habits_the_base_s_authors_gave_it(tmp_path: Path) -> None:
    base = network()
    base.generation_config.repetition_penalty = 3.0
    base.save_pretrained(tmp_path)
    prompts = [sample.tokens[:-3] for sample in samples(6)]
    found = opened(tmp_path, CONFIG, CPU, base="small").answers(prompts, 12, END)
    assert found == small.learner().answers(prompts, 12, END)


def test_an_adapter_or_a_base_that_is_cut_is_a_sentence(tmp_path: Path) -> None:
    learner = small.learner()
    learner.save(tmp_path)
    path = tmp_path / adapters.WEIGHTS
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(Failed, match="cannot be read"):
        learner.use(tmp_path)
    network().save_pretrained(tmp_path / "base")
    weights = tmp_path / "base" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:500])
    with pytest.raises(Failed, match="cannot be read"):
        opened(tmp_path / "base", CONFIG, CPU, base="small")
