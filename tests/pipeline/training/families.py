"""Small tokenisers with the chat templates of real families, and what these templates say, written a second time.

A template is what a family's model card documents, without tools. `Family.asked` and `Family.said` tell the same in Python:
pieces of text, and special tokens as `Special`. From these `expected` makes tokens with the bare tokeniser, chunk by chunk.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

Messages = Sequence[tuple[str, str]]
CORPUS = [
    "The keeper of the lamp says that the light is on, and the light is good.",
    "Which animal has stripes? A zebra. Is it a horse? It is not a horse.",
    "Der Wärter sagt, dass das Licht brennt. Größe und Straße, schön und übel.",
    "灯台守はどこですか。灯台守は海にいます。",
    "user assistant system Today Date: 01 January 2026\n\nYou are a helpful assistant.\n\n- one\n- two\n\n",
]
SPLIT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


class Special(str):
    """A special token that the template writes."""


@dataclass(frozen=True)
class Family:
    """`asked`: messages up to where the assistant is to speak. `said`: what the assistant then writes, before `end`."""

    name: str
    template: str
    specials: tuple[str, ...]
    end: str
    asked: Callable[[Messages], list[str]]
    said: Callable[[str], str] = str.strip
    kind: str = "bytes"  # or "first" and "every": SentencePiece with a blank before the text, or behind each special token
    bos: str | None = None
    begins: bool = False  # whether the tokeniser puts BOS before every text
    composed: bool = False  # whether it normalises to NFC


def bare(family: Family, going_on: bool = False) -> Tokenizer:
    """The tokeniser without special tokens. `going_on`: for a text in the middle of another."""
    made = _bytes(family) if family.kind == "bytes" else _pieces(family, going_on)
    made.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in family.specials])
    return made


def _bytes(family: Family) -> Tokenizer:
    made = Tokenizer(models.BPE())
    made.normalizer = normalizers.NFC() if family.composed else None
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=420, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False
    )
    made.train_from_iterator(CORPUS, trainer)
    return made


def _pieces(family: Family, going_on: bool) -> Tokenizer:
    """As llama 2's: merges over whole texts, bytes for what is not in the vocabulary."""
    taught = Tokenizer(models.BPE())
    taught.pre_tokenizer = pre_tokenizers.Metaspace()
    taught.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=260, show_progress=False))
    model = json.loads(taught.to_str())["model"]
    first = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    words = sorted(model["vocab"], key=model["vocab"].get)
    merges = [tuple(pair) for pair in model["merges"]]
    # A merge over the border of question and answer, which no real vocabulary should have.
    extra = ["]N", "]No"] if family.name == "joining" else []
    merges += [("]", "N"), ("]N", "o")] if extra else []
    listed = dict.fromkeys([*first, *words, *"N]o", *extra])
    vocabulary = {word: at for at, word in enumerate(listed)}
    made = Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    every = [normalizers.Prepend("▁")] if family.kind == "every" and not going_on else []
    if family.kind == "every":
        made.normalizer = normalizers.Sequence([*every, normalizers.Replace(" ", "▁")])
    else:
        scheme = "never" if going_on else "first"
        made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme, split=False)
    made.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return made


def folder_of(family: Family, folder: Path, **more: Any) -> Path:
    """The tokeniser as a model's folder has it. `more`: settings of tokenizer_config.json."""
    folder.mkdir(parents=True)
    made = bare(family)
    if family.begins and family.bos:
        made.post_processor = processors.TemplateProcessing(
            single=f"{family.bos} $A", special_tokens=[(family.bos, made.token_to_id(family.bos))]
        )
    elif family.kind == "bytes":
        made.post_processor = processors.ByteLevel(trim_offsets=True)  # offsets without blanks, as many files have it
    made.enable_truncation(512)  # a trap: real files have it
    made.save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": family.bos, "eos_token": family.end}
    settings |= {"chat_template": family.template, "clean_up_tokenization_spaces": False, **more}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    return folder


class Oracle:
    """Tokens by hand: special tokens by their numbers, what is between them by the bare tokeniser, names as letters."""

    def __init__(self, family: Family) -> None:
        self.family = family
        self._first, self._after, self._on = bare(family), bare(family, family.kind == "first"), bare(family, True)
        for words in (self._first, self._after, self._on):
            words.encode_special_tokens = True

    def number(self, name: str) -> int:
        found = self._first.token_to_id(name)
        assert found is not None
        return found

    def prompt(self, messages: Messages) -> list[int]:
        """The conversation up to where the assistant is to speak."""
        return self._tokens(self.family.asked(messages))

    def answer(self, content: str) -> list[int]:
        """What it writes, with the end."""
        said = self._on.encode(self.family.said(content), add_special_tokens=False).ids
        return [*said, self.number(self.family.end)]

    def _tokens(self, parts: Iterable[str]) -> list[int]:
        found: list[int] = []
        text = ""
        for part in [*parts, Special("")]:
            if not isinstance(part, Special):
                text += part
                continue
            if text:
                words = self._after if found else self._first
                found += words.encode(text, add_special_tokens=False).ids
            text = ""
            if part:
                found.append(self.number(part))
        return found


# --- the families


def _tiny(messages: Messages) -> list[str]:
    parts: list[str] = []
    for role, content in messages:
        parts += [Special(f"<|{role}|>"), content.strip()]
        parts += [Special("<|end|>")] if role == "assistant" else []
    return [*parts, Special("<|assistant|>")]


def _llama2(messages: Messages) -> list[str]:
    parts: list[str] = []
    system = "".join(f"<<SYS>>\n{content}\n<</SYS>>\n\n" for role, content in messages if role == "system")
    for role, content in messages:
        if role == "user":
            parts += [Special("<s>"), "[INST] " + (system + content).strip() + " [/INST]"]
            system = ""
        elif role == "assistant":
            parts += [" " + content.strip() + " ", Special("</s>")]
    return parts


def _llama3(messages: Messages) -> list[str]:
    start, end, over = (Special(f"<|{name}|>") for name in ("start_header_id", "end_header_id", "eot_id"))
    parts: list[str] = [Special("<|begin_of_text|>")]
    for role, content in messages:
        parts += [start, role, end, "\n\n" + content.strip(), over]
    return [*parts, start, "assistant", end, "\n\n"]


def _mistral(messages: Messages) -> list[str]:
    parts: list[str] = [Special("<s>")]
    system = "".join(f"{content}\n\n" for role, content in messages if role == "system")
    for at, (role, content) in enumerate(messages, 1):
        if role == "user":
            parts += [Special("[INST]"), " " + (system if at == len(messages) else "") + content, Special("[/INST]")]
        elif role == "assistant":
            parts += [" " + content.strip(), Special("</s>")]
    return parts


def _granite(messages: Messages) -> list[str]:
    start, end, over = (Special(f"<|{name}|>") for name in ("start_of_role", "end_of_role", "end_of_text"))
    parts: list[str] = []
    if messages[0][0] != "system":
        parts += [start, "system", end, "Today's Date: January 01, 2026.\nYou are a helpful assistant.", over, "\n"]
    for role, content in messages:
        parts += [start, role, end, content, over, "\n"]
    return [*parts, start, "assistant", end]


def _qwen(messages: Messages) -> list[str]:
    start, over = Special("<|im_start|>"), Special("<|im_end|>")
    parts: list[str] = []
    if messages[0][0] != "system":
        parts += [start, "system\nYou are a helpful assistant.", over, "\n"]
    for role, content in messages:
        parts += [start, f"{role}\n{content}", over, "\n"]
    return [*parts, start, "assistant\n"]


LLAMA2 = Family(
    "llama 2",
    "{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}"
    "{% set system = '<<SYS>>\\n' + messages[0]['content'] + '\\n<</SYS>>\\n\\n' %}"
    "{% else %}{% set loop_messages = messages %}{% set system = '' %}{% endif %}"
    "{% for message in loop_messages %}"
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Roles must alternate') }}{% endif %}"
    "{% set content = (system + message['content']) if loop.index0 == 0 else message['content'] %}"
    "{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}"
    "{% else %}{{ ' ' + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}",
    ("<unk>", "<s>", "</s>"),
    "</s>",
    _llama2,
    lambda content: f" {content.strip()} ",
    kind="every",
    bos="<s>",
    begins=True,
)
LLAMA3 = Family(
    "llama 3",
    "{% for message in messages %}{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'"
    " + message['content'] | trim + '<|eot_id|>' %}"
    "{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}",
    ("<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
    "<|eot_id|>",
    _llama3,
    bos="<|begin_of_text|>",
    begins=True,
)
MISTRAL = Family(
    "mistral",
    "{%- if messages[0]['role'] == 'system' %}{%- set system = messages[0]['content'] %}{%- set rest = messages[1:] %}"
    "{%- else %}{%- set rest = messages %}{%- endif %}{{- bos_token }}"
    "{%- for message in rest %}{%- if message['role'] == 'user' %}{%- if loop.last and system is defined %}"
    "{{- '[INST] ' + system + '\\n\\n' + message['content'] + '[/INST]' }}"
    "{%- else %}{{- '[INST] ' + message['content'] + '[/INST]' }}{%- endif %}"
    "{%- elif message['role'] == 'assistant' %}{{- ' ' + message['content'] | trim + eos_token }}"
    "{%- else %}{{- raise_exception('Only user and assistant roles are supported') }}{%- endif %}{%- endfor %}",
    ("<unk>", "<s>", "</s>", "[INST]", "[/INST]"),
    "</s>",
    _mistral,
    lambda content: " " + content.strip(),
    kind="first",
    bos="<s>",
    begins=True,
)
GRANITE = Family(
    "granite",
    "{%- if messages[0]['role'] != 'system' %}{{- '<|start_of_role|>system<|end_of_role|>Today\\'s Date: '"
    " + strftime_now('%B %d, %Y') + '.\\nYou are a helpful assistant.<|end_of_text|>\\n' }}{%- endif %}"
    "{%- for message in messages %}"
    "{{- '<|start_of_role|>' + message['role'] + '<|end_of_role|>' + message['content'] + '<|end_of_text|>\\n' }}"
    "{%- endfor %}{%- if add_generation_prompt %}{{- '<|start_of_role|>assistant<|end_of_role|>' }}{%- endif %}",
    ("<|end_of_text|>", "<|start_of_role|>", "<|end_of_role|>", "<|tool_call|>"),
    "<|end_of_text|>",
    _granite,
    str,
    bos="<|end_of_text|>",
)
QWEN = Family(
    "qwen",
    "{%- if messages[0]['role'] != 'system' %}"
    "{{- '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' }}{%- endif %}"
    "{%- for message in messages %}"
    "{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}",
    ("<|endoftext|>", "<|im_start|>", "<|im_end|>"),
    "<|im_end|>",
    _qwen,
    str,
    composed=True,
)
TINY = Family(
    "tiny",
    "{%- for message in messages %}{{- '<|' + message['role'] + '|>' + message['content'] | trim }}"
    "{%- if message['role'] == 'assistant' %}{{- '<|end|>' }}{%- endif %}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|assistant|>' }}{%- endif %}",
    ("<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>"),
    "<|end|>",
    _tiny,
)
FAMILIES = (LLAMA2, LLAMA3, MISTRAL, GRANITE, QWEN, TINY)
