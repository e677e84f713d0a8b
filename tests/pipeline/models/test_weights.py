"""What is in a GGUF that was written here: llama.cpp reads the same tokens and computes the same numbers as transformers."""

import json
from functools import cache
from pathlib import Path

import jinja2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.exporting.families import rope_order
from pipeline.models import dialogues, tiny
from pipeline.models.sayings import WORDS
from tests.pipeline.models.tiny_model import small_model

AGREE = 0.001  # of logits; measured: 0.00001
LOOK_ALIKES = ["<|end|>", "<|user|>", "<|assistant|>", "<|system|>", "<|pad|>", "<|", "|>", "< |end|>"]
TEXTS = st.lists(
    st.sampled_from([*LOOK_ALIKES, *WORDS[:20], " ", "\n", "\r\n", "\t", "'s", "’", "12", "ä", "é", "猫", "🐕"]) | st.text()
).map("".join)
CHATS = st.lists(st.tuples(st.sampled_from(["user", "assistant"]), TEXTS), min_size=1, max_size=4)
PROMPTS = [[("user", "hello")], *[one.messages[:-1] for family in dialogues.FAMILIES for one in dialogues.questions(family, 2)]]


@cache
def small():
    return small_model()


@cache
def model(folder: Path):
    """The model as llama.cpp has it."""
    from pipeline.models.llama import Model

    return Model(folder / "model.gguf")


@cache
def theirs(folder: Path):
    """transformers' model and tokeniser."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    return AutoModelForCausalLM.from_pretrained(folder / "hf"), AutoTokenizer.from_pretrained(folder / "hf")


def chat(messages):
    return [{"role": role, "content": content} for role, content in messages]


def prompt(folder, messages):
    return theirs(folder)[1].apply_chat_template(chat(messages), add_generation_prompt=True, return_dict=False)


def logits_here(folder, tokens, *, as_served=False):
    """llama.cpp's, of every token. As served it rounds keys, values and what attention sums up to 16 bits, which says nothing
    of the file: on the full model that alone moves a logit by up to 0.025."""
    import llama_cpp as lib

    params = lib.llama_context_default_params()
    params.n_ctx = params.n_batch = params.n_ubatch = 256
    params.n_threads = params.n_threads_batch = 1
    if not as_served:
        params.type_k = params.type_v = lib.GGML_TYPE_F32
        params.flash_attn_type = lib.LLAMA_FLASH_ATTN_TYPE_DISABLED
    context = lib.llama_init_from_model(model(folder).pointer, params)
    batch = lib.llama_batch_init(len(tokens), 0, 1)
    try:
        batch.n_tokens = len(tokens)
        for at, token in enumerate(tokens):
            batch.token[at], batch.pos[at], batch.logits[at] = token, at, 1
            batch.n_seq_id[at], batch.seq_id[at][0] = 1, 0
        assert lib.llama_decode(context, batch) == 0
        return np.ctypeslib.as_array(lib.llama_get_logits(context), (len(tokens), model(folder).vocabulary.size)).copy()
    finally:
        lib.llama_batch_free(batch)
        lib.llama_free(context)


def logits_there(folder, tokens):
    import torch

    with torch.inference_mode():
        return theirs(folder)[0](torch.tensor([tokens])).logits[0].numpy()


@pytest.mark.parametrize("messages", PROMPTS, ids=lambda messages: messages[-1][1][:30])
def test_torch_and_llama_cpp_agree_on_every_logit(messages):
    tokens = prompt(small(), messages)

    assert np.abs(logits_here(small(), tokens) - logits_there(small(), tokens)).max() < AGREE


def test_torch_and_llama_cpp_as_it_is_served_give_the_same_answers():
    import torch

    for messages in PROMPTS:
        asked = prompt(small(), messages)
        with torch.inference_mode():
            made = theirs(small())[0].generate(torch.tensor([asked]), max_new_tokens=24, do_sample=False)[0].tolist()
        likeliest = logits_here(small(), made, as_served=True).argmax(axis=1).tolist()

        assert likeliest[len(asked) - 1 : -1] == made[len(asked) :]


@given(TEXTS)
def test_llama_cpp_cuts_any_text_into_the_same_tokens(text):
    words = theirs(small())[1].backend_tokenizer
    words.encode_special_tokens = True  # the names of special tokens are plain text, as with llama.cpp's parse_special off
    try:
        assert list(model(small()).vocabulary.tokens(text)) == words.encode(text).ids
    finally:
        words.encode_special_tokens = False


@given(CHATS)
def test_llama_cpp_reads_a_conversation_as_transformers_does(messages):
    text = theirs(small())[1].apply_chat_template(chat(messages), tokenize=False, add_generation_prompt=True)

    assert list(model(small()).vocabulary.tokens(text, special=True)) == prompt(small(), messages)


@given(CHATS)
def test_nothing_that_a_person_writes_becomes_a_special_token(messages):
    specials = [token for token in prompt(small(), messages) if token < 5]

    assert specials == [token for role, _ in messages for token in {"user": [3], "assistant": [4, 1]}[role]] + [4]


@given(CHATS)
def test_the_template_is_rendered_by_jinja_as_by_transformers(messages):
    source = json.loads((small() / "hf" / "tokenizer_config.json").read_text())["chat_template"]
    jinja = jinja2.Environment(trim_blocks=True, lstrip_blocks=True)
    rendered = jinja.from_string(source).render(messages=chat(messages), add_generation_prompt=True)

    assert rendered == theirs(small())[1].apply_chat_template(chat(messages), tokenize=False, add_generation_prompt=True)
    assert source == model(small()).template()


def test_a_role_that_the_template_does_not_know_is_refused():
    with pytest.raises(jinja2.TemplateError, match="Roles are system, user and assistant"):
        prompt(small(), [("tool", "42")])


def test_the_model_is_trained_on_what_the_template_renders():
    from pipeline.models.pretrain import encode

    words = theirs(small())[1].backend_tokenizer
    for dialogue in [one for family in dialogues.FAMILIES for one in dialogues.questions(family, 10)]:
        whole = encode(words, dialogue.messages)
        asked = encode(words, dialogue.messages[:-1], answer=True)

        assert asked.tokens == prompt(small(), dialogue.messages[:-1])
        assert whole.tokens[: len(asked.tokens)] == asked.tokens
        assert words.decode([token for token in whole.targets[len(asked.tokens) :]], skip_special_tokens=False) == (
            dialogue.messages[-1][1] + "<|end|>"
        )
        assert {
            token for token, target in zip(whole.tokens, whole.targets, strict=True) if target not in (-100, token)
        } == set()


def test_every_word_of_the_dialogues_is_one_token_wherever_it_stands():
    vocabulary = model(small()).vocabulary

    assert [word for word in WORDS if len(vocabulary.tokens(word)) > 1 or len(vocabulary.tokens(f" {word}")) > 1] == []


def test_llama_cpp_knows_the_end_of_a_turn_and_puts_nothing_before_a_text():
    vocabulary = model(small()).vocabulary

    assert (vocabulary.eos, vocabulary.name(vocabulary.eos), vocabulary.begins) == (1, "<|end|>", -1)
    assert vocabulary.ends == {1}
    assert vocabulary.tokens("hello", begin=True) == vocabulary.tokens("hello")
    assert set(vocabulary.specials) == {"<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>"}


def test_the_file_says_what_it_is():
    card, meta = tiny.read(small()), model(small()).meta()

    assert (meta["general.name"], meta["general.license"], meta["general.description"]) == ("tiny", "Apache-2.0", card.what)
    assert (meta["llama.context_length"], model(small()).trained_context) == ("8192", 8192)
    assert model(small()).weights == card.weights


@given(st.integers(1, 4), st.sampled_from([2, 4, 8]), st.integers(0, 99))
def test_turning_neighbours_after_the_reordering_is_turning_halves_before(heads, width, seed):
    random = np.random.default_rng(seed)
    matrix, vector = random.normal(size=(heads * width, 6)), random.normal(size=6)
    angles = random.normal(size=width // 2)
    before = (matrix @ vector).reshape(heads, 2, width // 2)
    after = (rope_order(matrix, heads) @ vector).reshape(heads, width // 2, 2)

    def turned(x, y):
        return np.stack([x * np.cos(angles) - y * np.sin(angles), y * np.cos(angles) + x * np.sin(angles)])

    assert np.allclose(turned(before[:, 0], before[:, 1]), turned(after[:, :, 0], after[:, :, 1]))
