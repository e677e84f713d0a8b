"""A small Llama from nothing: a tokeniser, the training loop, and questions that measure what came of it.

What makes it work in minutes on two cores (facts/tour.md), each beside the lines that do it: Muon for the matrices inside,
loss on the answers only, batches of one length, words that are one token each wherever they stand.
"""

import json
import math
import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor
from torch.nn.functional import cross_entropy, embedding
from transformers import LlamaConfig, LlamaForCausalLM

from pipeline.errors import Failed
from pipeline.files import write
from pipeline.models import dialogues
from pipeline.models.dialogues import Dialogue, Role
from pipeline.models.muon import Muon
from pipeline.models.pretraining import Recipe
from pipeline.models.sayings import WORDS

PAD, END = "<|pad|>", "<|end|>"
SPECIAL = (PAD, END, "<|system|>", "<|user|>", "<|assistant|>")  # the first tokens of the vocabulary, in this order
PAD_ID, END_ID = 0, 1
# Words of people stay words: what looks like a special token is broken by a space. `trim`: many clients add a line's end.
TEMPLATE = (
    "{%- for message in messages %}"
    "{%- if message['role'] not in ['system', 'user', 'assistant'] %}"
    "{{- raise_exception('Roles are system, user and assistant.') }}"
    "{%- endif %}"
    "{{- '<|' + message['role'] + '|>' + message['content'] | trim | replace('<|', '< |') }}"
    "{%- if message['role'] == 'assistant' %}{{- '<|end|>' }}{%- endif %}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|assistant|>' }}{%- endif %}"
)
Network = Any  # transformers' Llama: its types do not fit its own methods
Llama: Network = LlamaForCausalLM
IGNORED = -100  # a target that is not trained on; cross_entropy's own number
SORTED = 2048  # dialogues that are sorted by length together: enough for batches without padding, few enough to stay mixed
SAMPLE = 15_000  # dialogues that the tokeniser is trained on
WEIGHT = 200  # how often each word is told to the tokeniser beside that, so that all become one token
EPSILON = 1e-5  # of the norms
COPYING = "repeat"  # the family that all later skills stand on
LONGEST = 64  # tokens of an answer when measuring; a haiku has about 25
ASKED_AT_ONCE = 64

Tell = Callable[[int, int, float, float], None]  # step, steps, loss in nats per target token, tokens per second


@dataclass(frozen=True, slots=True)
class Encoded:
    """A dialogue's tokens, and as targets the same ones where the assistant speaks, IGNORED elsewhere."""

    tokens: list[int]
    targets: list[int]


def tokeniser(heard: Iterable[Dialogue], vocabulary: int) -> Tokenizer:
    """Byte-level BPE, words cut as GPT-2 cuts them. Each of WORDS is one token, with a space before it and without."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    texts = [text for dialogue in heard for _, text in dialogue.messages]
    words = [form for word in WORDS for form in (word, f" {word}") for _ in range(WEIGHT)]
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator(texts + words, trainer)
    return made


def encode(words: Tokenizer, messages: Sequence[tuple[Role, str]], *, answer: bool = False) -> Encoded:
    """Messages as TEMPLATE renders them; with `answer`, up to where the assistant is to answer."""
    tokens: list[int] = []
    targets: list[int] = []
    for role, text in messages:
        said = words.encode(text).ids
        tokens += [SPECIAL.index(f"<|{role}|>"), *said]
        if role == "assistant":
            tokens.append(END_ID)
            targets += [IGNORED, *said, END_ID]
        else:
            targets += [IGNORED] * (1 + len(said))
    if answer:
        tokens.append(SPECIAL.index("<|assistant|>"))
    return Encoded(tokens, targets)


class Vectors:
    """The tokens' vectors while they are learned, for reading and for writing alike.

    A word has one token at the start of a text and another, with the space, within. Most of what is learned here is to put
    one where the other was, so the two have the same vector but for `start`, which all words share: that is learned once,
    where it would otherwise be learned for each word. The model that is saved knows nothing of it.
    """

    def __init__(self, network: Network, words: Tokenizer) -> None:
        self.own = network.model.embed_tokens.weight
        self.start = torch.nn.Parameter(torch.randn(self.own.shape[1]) * network.config.initializer_range)
        self._whose = torch.arange(len(self.own))
        for token, index in words.get_vocab().items():
            first = words.token_to_id(token[1:]) if token.startswith("Ġ") else None  # Ġ: how byte-level BPE writes a space
            if first is not None:
                self._whose[first] = index
        self._starts = (self._whose != torch.arange(len(self.own))).float()[:, None]

    def table(self) -> Tensor:
        """Shape (vocabulary, width)."""
        table: Tensor = self.own[self._whose] + self._starts * self.start
        return table

    @torch.no_grad()
    def settle(self) -> None:
        """Give each token its vector for good."""
        self.own.copy_(self.table())


def network(recipe: Recipe, words: Tokenizer) -> Network:
    """A Llama with chance for weights (torch's generator)."""
    config = LlamaConfig(
        vocab_size=words.get_vocab_size(),
        hidden_size=recipe.width,
        intermediate_size=recipe.inner,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads,
        max_position_embeddings=recipe.context,
        rms_norm_eps=EPSILON,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=END_ID,
        pad_token_id=PAD_ID,
    )
    return Llama(config)


def batches(lengths: Sequence[int], room: int, random: Random) -> list[list[int]]:
    """Which dialogues are trained on together: about equally long ones, at most `room` tokens with padding."""
    made: list[list[int]] = []
    for start in range(0, len(lengths), SORTED):
        window = sorted(range(start, min(start + SORTED, len(lengths))), key=lambda at: lengths[at])
        cut: list[list[int]] = [[]]
        for at in window:
            if cut[-1] and (len(cut[-1]) + 1) * lengths[at] > room:
                cut.append([])
            cut[-1].append(at)
        random.shuffle(cut)
        made += cut
    return made


def learn(network: Network, words: Tokenizer, heard: Sequence[Encoded], recipe: Recipe, tell: Tell) -> None:
    """Train on each dialogue once. Raises Failed if the loss is not a number any more.

    Muon moves the matrices inside, AdamW the vectors and norms. Both rates rise for some steps, then fall to nothing.
    """
    vectors = Vectors(network, words)
    inside = [weight for weight in network.model.layers.parameters() if weight.ndim == 2]
    norms = [weight for weight in network.parameters() if weight.ndim == 1]
    muon = Muon(inside, recipe.muon_rate)
    adam = torch.optim.AdamW([vectors.own, vectors.start, *norms], lr=recipe.adam_rate, betas=(0.9, 0.95), weight_decay=0.0)
    plan = batches([len(one.tokens) for one in heard], recipe.batch_tokens, Random(recipe.seed))
    network.train()
    began, seen = time.monotonic(), 0
    for step, batch in enumerate(plan):
        tokens = _padded([heard[at].tokens for at in batch], PAD_ID)
        targets = _padded([heard[at].targets for at in batch], IGNORED)[:, 1:]
        trained_on = targets != IGNORED
        table = vectors.table()
        hidden = network.model(inputs_embeds=embedding(tokens, table), use_cache=False).last_hidden_state[:, :-1]
        # Only where the assistant speaks: what people type is not to be learned, and the head is the dearest layer.
        loss = cross_entropy(hidden[trained_on] @ table.T, targets[trained_on])
        if not math.isfinite(loss.item()):
            raise Failed(f"the loss became {loss.item()} at step {step} of {len(plan)}: try another seed, or a lower rate")
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_([*inside, *norms, vectors.own, vectors.start], 1.0)
        share = min(1.0, (step + 1) / recipe.warm_up) * (1 - step / len(plan))
        muon.rate = recipe.muon_rate * share
        adam.param_groups[0]["lr"] = recipe.adam_rate * share
        muon.step()
        adam.step()
        network.zero_grad()
        vectors.start.grad = None
        seen += tokens.numel()
        tell(step + 1, len(plan), loss.item(), seen / (time.monotonic() - began))
    vectors.settle()


def _padded(rows: Sequence[Sequence[int]], filler: int) -> Tensor:
    """Rows as one int64 tensor, the shorter ones filled at their ends: what stands behind a token cannot change it."""
    longest = max(map(len, rows))
    return torch.tensor([[*row, *[filler] * (longest - len(row))] for row in rows])


@torch.inference_mode()
def answers(network: Network, words: Tokenizer, asked: Sequence[Sequence[tuple[Role, str]]]) -> list[str]:
    """What the model says to each conversation, always taking the likeliest token."""
    network.eval()
    prompts = [encode(words, messages, answer=True).tokens for messages in asked]
    said: dict[int, str] = {}
    in_order = sorted(range(len(prompts)), key=lambda at: len(prompts[at]))
    for start in range(0, len(in_order), ASKED_AT_ONCE):
        together = in_order[start : start + ASKED_AT_ONCE]
        longest = max(len(prompts[at]) for at in together)
        tokens = torch.tensor([[PAD_ID] * (longest - len(prompts[at])) + prompts[at] for at in together])
        seen = torch.tensor([[0] * (longest - len(prompts[at])) + [1] * len(prompts[at]) for at in together])
        made = network.generate(input_ids=tokens, attention_mask=seen, max_new_tokens=LONGEST, do_sample=False)
        for at, row in zip(together, made[:, longest:].tolist(), strict=True):
            end = row.index(END_ID) if END_ID in row else len(row)
            said[at] = words.decode(row[:end], skip_special_tokens=False)
    return [said[at] for at in range(len(prompts))]


def scores(network: Network, words: Tokenizer, families: Sequence[str], count: int) -> dict[str, float]:
    """The share of right answers, letter by letter, by family; COPYING apart for sentences with a word that was made up."""
    asked = {family: dialogues.questions(family, count) for family in families}
    if COPYING in asked:
        known = set(WORDS)
        sentences = dialogues.questions(COPYING, 6 * count, seed=1)
        of_list = {one.messages: known.issuperset(re.findall(r"\w+", one.accepted[0])) for one in sentences}
        asked[COPYING] = [one for one in sentences if of_list[one.messages]][:count]
        asked[f"{COPYING}, a word made up"] = [one for one in sentences if not of_list[one.messages]][:count]
    every = [one for several in asked.values() for one in several]
    said = iter(answers(network, words, [one.messages[:-1] for one in every]))
    return {family: sum(next(said) in one.accepted for one in several) / len(several) for family, several in asked.items()}


def save(network: Network, words: Tokenizer, folder: Path) -> None:
    """As AutoModelForCausalLM and AutoTokenizer read it, and vLLM with them. A tied head is not written."""
    folder.mkdir()
    network.config.save_pretrained(folder)
    tensors = {name: weight for name, weight in network.state_dict().items() if name != "lm_head.weight"}
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})  # what transformers looks for before it reads one
    words.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": network.config.max_position_embeddings,
        "clean_up_tokenization_spaces": False,
        "bos_token": None,
        "eos_token": END,
        "pad_token": PAD,
        "additional_special_tokens": list(SPECIAL[2:]),
        "chat_template": TEMPLATE,
    }
    write(folder / "tokenizer_config.json", json.dumps(settings, indent=1) + "\n")
    write(folder / "generation_config.json", json.dumps({"eos_token_id": END_ID, "pad_token_id": PAD_ID}) + "\n")
