"""TRL's SFTTrainer, a step at a time: {"model", "samples", "batch", "gather", "packing", "rank", "alpha", "rate"} in a line.

`samples` are lists of tokens and labels, `batch` rows a micro-batch, `gather` micro-batches a step; `more`, if it is there, are
settings of SFTConfig. It says "ready" once the
trainer stands and takes a step at each "go" (see turns.py); `tokens` are those without padding, and `leaks` says whether a
sample in a pack sees the one before it.

All else is as TRL has it: gradient checkpointing, rows drawn at random, packs of 1,024 tokens by best fit. The base's
weights are loaded in bf16, as ours are; TRL's own default is fp32 under autocast, with twice the memory.
"""

import json
import os
import sys
import tempfile
from collections import deque
from typing import Any

os.environ |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}

import torch
from datasets import Dataset, disable_progress_bars
from peft import LoraConfig
from transformers import TrainerCallback
from trl import SFTConfig, SFTTrainer
from turns import Turns


class Steps(TrainerCallback):
    """Each step in its turn."""

    def __init__(self, turns: Turns) -> None:
        self.turns, self.parts, self.leaks = turns, 1, 0
        self.counted: deque[int] = deque()  # tokens of the micro-batches that were put together and not yet computed

    def counting(self, collate: Any) -> Any:
        """The collator, which tells what its batches hold: a packed one has no mask, and no padding."""

        def collated(rows: list[dict[str, Any]]) -> Any:
            batch = collate(rows)
            self.counted.append(int(batch["attention_mask"].sum() if "attention_mask" in batch else batch["input_ids"].numel()))
            return batch

        return collated

    def on_step_begin(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        self.turns.wait()
        self.parts = 1

    def on_substep_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        self.parts += 1  # the last step of an epoch may have fewer than the others

    def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        used = 0
        if torch.cuda.is_available():
            torch.cuda.synchronize()
            used = torch.cuda.max_memory_allocated()
        self.turns.told(tokens=sum(self.counted.popleft() for _ in range(self.parts)), leaks=self.leaks, device_memory=used)


@torch.no_grad()
def leaks(trainer: SFTTrainer) -> int:
    """Whether another first sample in a pack changes what is said of the second one."""

    def said(first: int) -> torch.Tensor:
        tokens = [first] * 8 + [30] * 8
        batch = trainer.data_collator([{"input_ids": tokens, "labels": tokens, "seq_lengths": [8, 8]}])
        there = {name: one.to(trainer.model.device) if hasattr(one, "to") else one for name, one in batch.items()}
        return trainer.model(**there, fused_lm_head=True).log_probs[0, 8:]

    return int(not torch.equal(said(20), said(25)))


def main() -> None:
    given = json.loads(sys.stdin.readline())
    turns = Turns()
    sys.stdout = sys.stderr  # the trainer prints its logs
    disable_progress_bars()
    steps = Steps(turns)
    with tempfile.TemporaryDirectory() as folder:
        config = SFTConfig(
            output_dir=folder,
            packing=given["packing"],
            per_device_train_batch_size=given["batch"],
            gradient_accumulation_steps=given["gather"],
            learning_rate=given["rate"],
            num_train_epochs=1000,
            report_to="none",
            disable_tqdm=True,
            model_init_kwargs={"dtype": "bfloat16"},
            **given.get("more", {}),
        )
        lora = LoraConfig(r=given["rank"], lora_alpha=given["alpha"], target_modules="all-linear", task_type="CAUSAL_LM")
        data = Dataset.from_dict(given["samples"])
        trainer = SFTTrainer(given["model"], args=config, train_dataset=data, peft_config=lora, callbacks=[steps])
        steps.leaks = leaks(trainer) if given["packing"] else 0
        trainer.data_collator = steps.counting(trainer.data_collator)
        turns.ready()
        trainer.train()


if __name__ == "__main__":
    main()
