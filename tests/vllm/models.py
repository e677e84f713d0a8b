"""A small Llama of random weights as a folder, with an adapter: real tokenizer, real template, no sense."""

import json
from pathlib import Path

CONTEXT = 8192  # an answer that nobody stops goes on for many seconds, also on a quick machine
TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
SPECIAL = ["<unk>", "<s>", "</s>", "<|system|>", "<|user|>", "<|assistant|>"]


def make(folder: Path, texts: list[str]) -> Path:
    """Write folder/model and folder/adapter; `texts` is what the tokenizer learns from. Heads are 64 wide, as vLLM wants."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    torch.manual_seed(0)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=2048, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    whole = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>", chat_template=TEMPLATE
    )
    config = LlamaConfig(
        vocab_size=len(whole),
        hidden_size=256,
        intermediate_size=512,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=64,
        max_position_embeddings=CONTEXT,
        bos_token_id=whole.bos_token_id,
        eos_token_id=whole.eos_token_id,
        tie_word_embeddings=False,
    )
    model = LlamaForCausalLM(config)
    model.lm_head.weight.data.normal_(std=1.0 / 16)
    model.save_pretrained(folder / "model")
    whole.save_pretrained(folder / "model")
    _adapter(model, folder)
    return folder


def _adapter(model: object, folder: Path) -> None:
    """A LoRA of random weights on the query and value matrices, far from nothing, so that answers change."""
    from peft import LoraConfig, get_peft_model

    tuned = get_peft_model(model, LoraConfig(r=8, lora_alpha=16, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM"))
    for name, weights in tuned.named_parameters():
        if "lora_" in name:
            weights.data.normal_(std=0.3)
    tuned.save_pretrained(folder / "adapter")
    written = folder / "adapter" / "adapter_config.json"
    written.write_text(json.dumps(json.loads(written.read_text()) | {"base_model_name_or_path": ""}), encoding="utf-8")
