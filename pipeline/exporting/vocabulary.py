"""A model's tokeniser as llama.cpp has it.

Two kinds are known. Byte-level BPE ("gpt2" in GGUF) first cuts a text into words by a pattern, which llama.cpp knows by a name;
it is found by the pattern itself. BPE over characters with a token for each byte ("llama" in GGUF) is what SentencePiece makes;
llama.cpp merges by tokens' scores, transformers by a list of merges in order, so its place there is a token's score.

Whether the result reads texts as transformers does is looked at after writing (verifying.py): a kind that is thought to be
known and is not is found there.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
from gguf import TokenType

from pipeline.errors import Invalid
from pipeline.exporting.families import unwritten

_CONTRACTED = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_WORDS = r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_CASED = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+%s"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*%s"
    r"|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
LLAMA3, QWEN2 = _CONTRACTED + _WORDS % "{1,3}", _CONTRACTED + _WORDS % ""
TEKKEN, GPT4O = _CASED % ("", "", ""), _CASED % (f"{_CONTRACTED}?", f"{_CONTRACTED}?", "{1,3}")
PLAIN, DIGITS = "words", "digits, words"  # ByteLevel's own pattern, alone and with each digit cut off before

# llama.cpp's names (llama-vocab.cpp) by the pattern and `ignore_merges`: whether a word that is a token is never taken apart.
PATTERNS = {
    (PLAIN, False): "gpt-2",
    (DIGITS, False): "refact",
    (LLAMA3, True): "llama-bpe",
    (LLAMA3, False): "dbrx",
    (QWEN2, False): "qwen2",
    (TEKKEN, True): "tekken",
    (GPT4O, False): "gpt-4o",
}
NORMAL = (None, "NFC")  # normalisers that llama.cpp can do without: texts of people are in NFC already, with few exceptions
SPACE = "\u2581"  # SentencePiece's sign for a space
UNUSED_SCORE = -1e4


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What GGUF holds of a tokeniser. `pre`: llama.cpp's name of the pattern, "default" for SentencePiece's kind.

    `scores` and `space` (whether a space is put before a text) are of SentencePiece's kind, `merges` of the other.
    `special`: numbers of tokens by "bos", "eos", "unk" and "pad". `begins`: whether bos is put before a text.
    """

    model: str
    pre: str
    tokens: Sequence[str]
    kinds: Sequence[TokenType]
    special: Mapping[str, int]
    begins: bool
    template: str
    merges: Sequence[str] = ()
    scores: Sequence[float] = ()
    space: bool = False

    def write(self, writer: gguf.GGUFWriter) -> None:
        writer.add_tokenizer_model(self.model)
        writer.add_tokenizer_pre(self.pre)
        writer.add_token_list(self.tokens)
        if self.scores:
            writer.add_token_scores(self.scores)
        writer.add_token_types(self.kinds)
        if self.merges:
            writer.add_token_merges(self.merges)
        for name, number in self.special.items():
            getattr(writer, f"add_{name}_token_id")(number)
        writer.add_add_bos_token(self.begins)
        writer.add_add_eos_token(False)
        if self.scores:
            writer.add_add_space_prefix(self.space)
        if self.template:
            writer.add_chat_template(self.template)


def read(folder: Path, size: int) -> Vocabulary:
    """The tokeniser in a transformers' folder, of a model with `size` tokens.

    It is asked of transformers, which for some families goes by their own rules and not by what tokenizer.json says.
    Raises Invalid (export.model) for a tokeniser of another kind.
    """
    words = _words(folder)
    found = json.loads(words.backend_tokenizer.to_str())
    model = found.get("model") or {}
    if model.get("type") != "BPE":
        raise unwritten(folder.name, f"a tokeniser of type {model.get('type')!r}")
    listed = model["vocab"]
    if max((*listed.values(), *(one["id"] for one in found["added_tokens"]))) >= size:
        raise unwritten(folder.name, f"a tokeniser with more words than the {size:,} of its model")
    merges = [pair if isinstance(pair, str) else " ".join(pair) for pair in model["merges"]]
    pieces, template = bool(model.get("byte_fallback")), _template(words)
    tokens, kinds = _tokens(found, listed, size, pieces)
    common: dict[str, Any] = {"tokens": tokens, "kinds": kinds, "template": template, "begins": _begins(words)}
    special = _special(words, pieces)
    if pieces:
        space = _space_before(found, folder.name, template)
        return Vocabulary("llama", "default", special=special, scores=_scores(tokens, merges), space=space, **common)
    return Vocabulary("gpt2", _pattern(found, folder.name), special=special, merges=merges, **common)


def _words(folder: Path) -> Any:
    from transformers import AutoTokenizer

    try:
        words = AutoTokenizer.from_pretrained(folder)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise unwritten(folder.name, f"a tokeniser that transformers cannot read ({error})") from None
    if not getattr(words, "is_fast", False):
        raise unwritten(folder.name, "a tokeniser without tokenizer.json")
    return words


def _tokens(found: Mapping[str, Any], listed: Mapping[str, int], size: int, pieces: bool) -> tuple[list[str], list[TokenType]]:
    """All tokens and their kinds, in the order of their numbers; where a model has more rows than words, the rest is unused."""
    tokens = [f"[PAD{number}]" for number in range(size)]
    kinds = [TokenType.UNUSED] * size
    for token, number in listed.items():
        byte = pieces and len(token) == 6 and token.startswith("<0x") and token.endswith(">")
        tokens[number], kinds[number] = token, TokenType.BYTE if byte else TokenType.NORMAL
    for one in found["added_tokens"]:
        number, token = one["id"], str(one["content"])
        # names such as <|fim|>, which some do not mark, and which nobody may be able to type
        control = one["special"] or (token.startswith("<|") and token.endswith("|>"))
        kinds[number] = TokenType.CONTROL if control else TokenType.USER_DEFINED
        tokens[number] = token if control or not pieces else token.replace(SPACE, " ")
    if pieces and (unknown := listed.get(str(found["model"].get("unk_token")))) is not None:
        kinds[unknown] = TokenType.UNKNOWN
    return tokens, kinds


def _scores(tokens: Sequence[str], merges: Sequence[str]) -> list[float]:
    """A token's score: minus the place of the first merge that makes it."""
    place: dict[str, int] = {}
    for at, pair in enumerate(merges):
        place.setdefault(pair.replace(" ", "", 1), at)
    return [-float(place[token]) if token in place else UNUSED_SCORE for token in tokens]


def _special(words: Any, pieces: bool) -> dict[str, int]:
    """bos, eos, unk and pad, as far as there are any; byte-level BPE has no unk.

    Without a bos the end stands for it and is never put before a text: without a number llama.cpp would take token 11 (or 1).
    """
    unknown = words.unk_token_id if pieces else None
    bos = words.eos_token_id if words.bos_token_id is None else words.bos_token_id
    found = {"bos": bos, "eos": words.eos_token_id, "unk": unknown, "pad": words.pad_token_id}
    return {name: number for name, number in found.items() if number is not None}


def _begins(words: Any) -> bool:
    """Whether bos is put before a text."""
    first = words("a")["input_ids"][0]
    return words.bos_token_id is not None and bool(first == words.bos_token_id)


def _template(words: Any) -> str:
    """The chat template; where there are several, the one that is meant if nobody names one."""
    found = words.chat_template or ""
    return str(found.get("default", "") if isinstance(found, dict) else found)


def _pattern(found: Mapping[str, Any], where: str) -> str:
    """llama.cpp's name for how a text is cut into words. Raises Invalid (export.model) for a pattern without a name."""
    before = found.get("pre_tokenizer") or {}
    steps = before.get("pretokenizers", [before])
    ignores = bool(found["model"].get("ignore_merges"))
    name = PATTERNS.get((_cut(steps), ignores))
    normal = (found.get("normalizer") or {}).get("type")
    if name is None or normal not in NORMAL:
        raise _strange(where, steps)
    return name


def _cut(steps: Sequence[Mapping[str, Any]]) -> str:
    """The pattern of a pre-tokeniser; "" for one of another shape."""
    last = steps[-1]
    if last.get("type") != "ByteLevel" or last.get("add_prefix_space"):
        return ""
    if last.get("use_regex", True):
        one_by_one = [{"type": "Digits", "individual_digits": True}]
        return PLAIN if len(steps) == 1 else DIGITS if list(steps[:-1]) == one_by_one else ""
    if len(steps) != 2 or steps[0].get("type") != "Split" or steps[0].get("invert"):
        return ""
    return str((steps[0].get("pattern") or {}).get("Regex", ""))


def _strange(where: str, steps: Sequence[Mapping[str, Any]]) -> Invalid:
    kinds = ", ".join(str(one.get("type")) for one in steps)
    return unwritten(where, f"a tokeniser of another kind (it cuts texts into words by {kinds})")


def _space_before(found: Mapping[str, Any], where: str, template: str) -> bool:
    """Whether a space is put before a text, with SentencePiece's kind of tokeniser.

    "first" puts one before a text that begins with no special token. llama.cpp puts one after every special token or after
    none, so where there is a chat template, whose texts begin with one, it is none. Raises Invalid (export.model) for what
    cannot be told.
    """
    normal, before = found.get("normalizer") or {}, found.get("pre_tokenizer") or {}
    steps = normal.get("normalizers", [normal] if normal else [])
    kinds = [one["type"] for one in steps]
    if before.get("type") == "Metaspace" and not steps and not before.get("split", True):
        scheme = before.get("prepend_scheme", "always")
        return bool(scheme == "always" or (scheme == "first" and not template))
    if not before and kinds in (["Prepend", "Replace"], ["Replace"]) and steps[-1].get("content") == SPACE:
        return "Prepend" in kinds
    raise _strange(where, [*steps, before])
