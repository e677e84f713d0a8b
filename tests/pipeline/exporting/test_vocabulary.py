"""Tokenisers as llama.cpp has them: it cuts texts into the same tokens as transformers, whatever the kind."""

import json
from pathlib import Path

import gguf
import pytest
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from pipeline.errors import Invalid
from pipeline.exporting import vocabulary
from pipeline.exporting.asking import TEXTS
from tests.pipeline.exporting import small

SPECIAL = ["<unk>", "<s>", "</s>"]
TEMPLATE = "{% for m in messages %}<s>{{ m['content'] }}</s>{% endfor %}"
SPACE = vocabulary.SPACE
PATTERNS = {name: pattern for pattern, name in vocabulary.PATTERNS.items()}


def byte_level(name: str) -> Tokenizer:
    """Byte-level BPE that cuts texts into words by the pattern of that name, trained on the README."""
    cut, ignores = PATTERNS[name]
    words = Tokenizer(models.BPE(ignore_merges=ignores))
    if cut == vocabulary.PLAIN:
        words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    elif cut == vocabulary.DIGITS:
        by_words = pre_tokenizers.ByteLevel(add_prefix_space=False)
        words.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), by_words])
    else:
        raw = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        words.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(cut), "isolated"), raw])
    words.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=900, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False)
    words.train_from_iterator(small.prompts(), trainer)
    return words


def pieces(scheme: str = "normaliser") -> Tokenizer:
    """BPE over characters with a token for each byte, as what SentencePiece made looks in tokenizer.json."""
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.Metaspace(replacement=SPACE, prepend_scheme="always", split=True)
    trained.train_from_iterator(small.prompts(), trainers.BpeTrainer(vocab_size=600, show_progress=False))
    model = json.loads(trained.to_str())["model"]
    order = [left + right for left, right in model["merges"]]
    letters = [one for one in model["vocab"] if len(one) == 1]
    listed = [*SPECIAL, *(f"<0x{byte:02X}>" for byte in range(256)), *order, *letters]
    vocab = {token: number for number, token in enumerate(dict.fromkeys(listed))}
    # SentencePiece merges any two neighbours that make a token, so every way to cut one in two is a merge
    merges = [(one[:at], one[at:]) for one in order for at in range(1, len(one)) if one[:at] in vocab and one[at:] in vocab]
    words = Tokenizer(models.BPE(vocab=vocab, merges=merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    if scheme == "normaliser":
        words.normalizer = normalizers.Sequence([normalizers.Prepend(SPACE), normalizers.Replace(" ", SPACE)])
    else:
        words.pre_tokenizer = pre_tokenizers.Metaspace(replacement=SPACE, prepend_scheme=scheme, split=False)
    words.add_special_tokens([AddedToken(one, special=True, normalized=False) for one in SPECIAL])
    words.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return words


def kept(words: Tokenizer, folder: Path, **settings: str) -> PreTrainedTokenizerFast:
    """In a folder, as transformers writes it."""
    made = PreTrainedTokenizerFast(tokenizer_object=words, bos_token="<s>", eos_token="</s>", unk_token="<unk>", **settings)
    made.save_pretrained(folder)
    return made


def llama_cpp(folder: Path, size: int):
    """The tokeniser in a folder as llama.cpp has it, in a model without sense."""
    from pipeline.models.llama import Model
    from tests.pipeline.models import random_gguf

    path = random_gguf.make(folder / "whole.gguf", vocab=size, layers=1)
    reader, writer = gguf.GGUFReader(path), gguf.GGUFWriter(folder / "model.gguf", "llama")
    for name, field in reader.fields.items():
        if name.startswith("llama."):
            writer.add_key_value(name, field.contents(), field.types[0])
    vocabulary.read(folder, size).write(writer)
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, tensor.data)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return Model(folder / "model.gguf").vocabulary


@pytest.mark.parametrize("name", PATTERNS)
def test_byte_level_tokenisers_cut_200_sentences_and_odd_texts_alike_whatever_their_pattern(tmp_path, name):
    theirs = kept(byte_level(name), tmp_path)
    ours = llama_cpp(tmp_path, len(theirs) + 5)
    texts = [*small.prompts(), *TEXTS]

    assert vocabulary.read(tmp_path, len(theirs)).pre == name
    assert [text for text in texts if list(ours.tokens(text)) != theirs(text)["input_ids"]] == []
    assert (ours.begins, ours.name(ours.eos), ours.size) == (-1, "</s>", len(theirs) + 5)


@pytest.mark.parametrize("scheme", ["normaliser", "always", "first", "never"])
def test_tokenisers_as_sentencepiece_makes_them_cut_200_sentences_and_odd_texts_alike(tmp_path, scheme):
    theirs = kept(pieces(scheme), tmp_path)
    ours = llama_cpp(tmp_path, len(theirs))
    texts = [*small.prompts(), *TEXTS]

    found = [list(ours.tokens(text, begin=True)) for text in texts]

    assert (vocabulary.read(tmp_path, len(theirs)).model, ours.begins) == ("llama", 1)
    assert [text for text, one in zip(texts, found, strict=True) if one != theirs(text)["input_ids"]] == []
    assert any(token < 3 + 256 and token > 2 for one in found for token in one)  # bytes, where there is no letter


def test_a_chat_is_cut_alike_where_a_space_is_put_before_the_first_word_only(tmp_path):
    theirs = kept(pieces("first"), tmp_path, chat_template=TEMPLATE)
    ours = llama_cpp(tmp_path, len(theirs))
    said = [{"role": "user", "content": "What is it?"}, {"role": "assistant", "content": " Nothing."}]
    text = theirs.apply_chat_template(said, tokenize=False)

    assert list(ours.tokens(text, special=True)) == theirs(text, add_special_tokens=False)["input_ids"]


def test_words_that_were_added_are_known_by_their_kind(tmp_path):
    words = byte_level("qwen2")
    words.add_special_tokens(["<|end|>"])
    words.add_tokens([AddedToken("<tool>", normalized=False), AddedToken("<|fim|>", normalized=False)])
    theirs = kept(words, tmp_path, pad_token="<|end|>")
    found = vocabulary.read(tmp_path, len(theirs))
    ours = llama_cpp(tmp_path, len(theirs))

    kinds = {name: found.kinds[found.tokens.index(name)].name for name in ("<|end|>", "<tool>", "<|fim|>", "the")}
    assert kinds == {"<|end|>": "CONTROL", "<tool>": "USER_DEFINED", "<|fim|>": "CONTROL", "the": "NORMAL"}
    assert found.special == {"bos": 1, "eos": 2, "pad": found.tokens.index("<|end|>")}
    assert list(ours.tokens("a <tool> b<|end|>", special=True)) == theirs("a <tool> b<|end|>")["input_ids"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            {"model": {"type": "WordLevel", "vocab": {"<unk>": 0, "a": 1}, "unk_token": "<unk>"}},
            "a tokeniser of type 'WordLevel'",
        ),
        ({"pre_tokenizer": {"type": "Whitespace"}}, "of another kind .it cuts texts into words by Whitespace"),
        ({"pre_tokenizer": None}, "of another kind"),
        ({"normalizer": {"type": "Lowercase"}}, "of another kind"),
        (
            {"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}},
            "another kind",
        ),
    ],
)
def test_a_tokeniser_of_another_kind_is_refused(tmp_path, change, reason):
    kept(byte_level("gpt-2"), tmp_path)
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))

    with pytest.raises(Invalid, match=reason) as refused:
        vocabulary.read(tmp_path, 1000)

    assert refused.value.facts["code"] == "export.model"
