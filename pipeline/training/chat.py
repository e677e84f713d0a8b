"""A model's tokeniser and chat template: messages -> text -> tokens, as the model will read them when it is served.

What people wrote stays text: the name of a special token in a message ("</s>") becomes letters, as in `models.template`.
The template runs in transformers' sandbox, and no code that came with a model is run.
"""

import json
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from pipeline.errors import Invalid, Problem
from pipeline.mixing.forms import unbroken
from pipeline.training.rows import Message

DAY = date(2026, 1, 1)  # "today" for templates that tell it (Llama 3, Granite 3): tokens must not change over night
FIX = "Choose another base model, or one with a `chat_template` in its tokenizer_config.json that is made for training."
# What a text may be put behind so that no space is added to it: SentencePiece's tokenisers begin every text with one. Of
# these at least one runs into nothing that follows.
ANCHORS = ("", "\n", "]", "0", "\t")


@dataclass(frozen=True, slots=True)
class Text:
    """A conversation as its template renders it.

    In place of special tokens' names that messages hold stand marks with their places in `aside`. Where it is in pieces,
    piece 2i + 1 is what message `whose[i]` says, and the others are the template's.
    """

    pieces: tuple[str, ...]
    aside: tuple[str, ...] = ()
    whose: tuple[int, ...] = ()

    @property
    def whole(self) -> str:
        return "".join(self.pieces)


@dataclass(frozen=True, slots=True)
class Tokens:
    """`spans[i]` are the characters of token i, from and to, and `bounds` where the text's pieces begin, and its end."""

    ids: list[int]
    spans: list[tuple[int, int]]
    bounds: tuple[int, ...]


class Chat:
    """A fast tokeniser of transformers with its template. Raises Invalid train.template where there is none of them."""

    def __init__(self, tokeniser: Any) -> None:
        from tokenizers import Tokenizer

        fast = getattr(tokeniser, "backend_tokenizer", None)
        if fast is None:
            raise refused("its tokeniser has no fast form (tokenizer.json)")
        if not tokeniser.chat_template:
            raise refused("it has no chat template, so nobody can say how a question is put to it")
        self._jinja = tokeniser
        self._begin = _begin(tokeniser, fast)
        # Its own copy: some files have a truncation at 512 tokens in them, and what post-processors do shifts the offsets.
        self._form = json.loads(fast.to_str()) | {"truncation": None, "padding": None, "post_processor": None}
        self._words = Tokenizer.from_str(json.dumps(self._form))
        self._specials = _specials(self._form, tokeniser)
        names = sorted(self._specials, key=len, reverse=True)
        self._named = re.compile("|".join(map(re.escape, names)) or r"(?!)")
        self._key = secrets.token_hex(8)
        self._wary: tuple[Any, dict[str, str], dict[int, int]] | None = None
        self.special = frozenset(self._specials.values())
        self.size = int(self._words.get_vocab_size())
        self.begin = self._words.token_to_id(self._begin) if self._begin else None
        self.eos: int | None = tokeniser.eos_token_id

    @classmethod
    def of(cls, folder: Path) -> "Chat":
        """The one in a folder of transformers' kind. Nothing is fetched."""
        from transformers import AutoTokenizer

        try:
            return cls(AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False))
        except (OSError, ValueError, KeyError, ImportError) as error:
            raise refused(f"its tokeniser cannot be read: {error}") from None

    # --- messages to text

    def render(self, messages: Sequence[Message], *, answer: bool = False) -> Text:
        """The conversation; with `answer` up to where the assistant is to speak. Raises Invalid where the template refuses."""
        safe, aside = self._safe(messages)
        return self._plain(self._rendered(safe, answer), aside)

    def render_apart(self, messages: Sequence[Message], *, answer: bool = False) -> Text:
        """The same in pieces. Raises Invalid where it cannot be told which characters a message says.

        Templates may trim or change a content, so each is found by rendering it alone, with marks for the others.
        """
        safe, aside = self._safe(messages)
        key = secrets.token_hex(8)
        marked = [{**one, "content": f"\ue000{key}:{at}\ue001"} for at, one in enumerate(safe)]
        around = self._rendered(marked, answer)
        pieces, whose, since = [], [], 0
        for found in re.finditer(f"\ue000{key}:([0-9]+)\ue001", around):
            at = int(found[1])
            alone = self._rendered([*marked[:at], safe[at], *marked[at + 1 :]], answer)
            content = alone[found.start() : len(alone) - (len(around) - found.end())]
            pieces += [around[since : found.start()], content]
            whose.append(at)
            since = found.end()
        made = Text((*pieces, around[since:]), aside, tuple(whose))
        if made.whole != self._rendered(safe, answer):
            raise refused("its chat template rearranges what messages say, so not all of it can be learned (unmask)")
        return made

    def exchange(self, messages: Sequence[Message]) -> tuple[Text, Text]:
        """The conversation up to where its last message begins, which is the assistant's, and with it.

        Mistral's templates tell the system prompt only where a question is the last message. What a served model will
        read is the prompt, so the answer is put behind that one. Raises Invalid where another template does such a thing.
        """
        safe, aside = self._safe(messages)
        prompt, whole = self._rendered(safe[:-1], answer=True), self._rendered(safe, answer=False)
        if not whole.startswith(prompt):
            told = [one for one in safe if one["role"] != "system"]
            short = self._rendered(told[:-1], answer=True)
            if not whole.startswith(short):
                raise refused("what its chat template puts before an answer is not what it asks with")
            whole = prompt + whole[len(short) :]
        return self._plain(prompt, aside), self._plain(whole, aside)

    def _plain(self, rendered: str, aside: tuple[str, ...]) -> Text:
        """A text in one piece."""
        return Text((rendered,), aside if self._key in rendered else ())

    def _safe(self, messages: Sequence[Message]) -> tuple[list[dict[str, str]], tuple[str, ...]]:
        """Messages for the template, with marks where special tokens' names stood, and these names."""
        aside: list[str] = []

        def put(found: re.Match[str]) -> str:
            aside.append(found[0])
            return f"\ue000{self._key}:{len(aside) - 1}\ue001"

        safe = [{"role": one.role, "content": self._named.sub(put, unbroken(one.content))} for one in messages]
        return safe, tuple(aside)

    def _rendered(self, messages: Sequence[Mapping[str, str]], answer: bool) -> str:
        from jinja2 import TemplateError

        try:
            text: str = self._jinja.apply_chat_template(
                list(messages), tokenize=False, add_generation_prompt=answer, strftime_now=DAY.strftime
            )
        except (TemplateError, TypeError, ValueError) as error:
            raise refused(f"its chat template does not take this conversation: {error}") from None
        # As the server does it: BOS where the tokeniser begins texts with it, and never twice.
        return text if text.startswith(self._begin) else self._begin + text

    # --- text to tokens

    def ids(self, texts: Sequence[Text]) -> list[list[int]]:
        """The tokens of several texts, by all cores."""
        easy = [one for one in texts if not one.aside]
        found = iter(self._words.encode_batch_fast([one.whole for one in easy], add_special_tokens=False))
        return [self._warily(one).ids if one.aside else next(found).ids for one in texts]

    def tokens(self, text: Text) -> Tokens:
        """The same with offsets."""
        if text.aside:
            return self._warily(text)
        found = self._words.encode(text.whole, add_special_tokens=False)
        return Tokens(found.ids, found.offsets, _bounds(text.pieces))

    def rest(self, prompt: Text, whole: Text, head: list[int], together: list[int]) -> list[int]:
        """The tokens of `whole` behind those of `prompt`, which are `head`, as the model has to write them.

        `together`: those of `whole` at once. Mostly they begin with `head`; where a token of them runs over the border, what
        follows is read on its own.
        """
        if together[: len(head)] == head:
            return together[len(head) :]
        rest = whole.whole[len(prompt.whole) :]
        wanted = self._words.decode(together, skip_special_tokens=False)
        for anchor in ANCHORS:
            [front, both] = self.ids([Text((anchor,)), Text((anchor, rest), whole.aside)])
            if both[: len(front)] == front:
                behind = both[len(front) :]
                if self._words.decode(head + behind, skip_special_tokens=False) == wanted:
                    return behind
        raise refused("its tokeniser joins the end of the question with the beginning of the answer")

    def text(self, tokens: Sequence[int]) -> str:
        """What tokens say, without special ones."""
        return str(self._words.decode([one for one in tokens if one not in self.special], skip_special_tokens=False))

    def _warily(self, text: Text) -> Tokens:
        """Tokens of a text in which somebody wrote names of special tokens.

        A second tokeniser knows the special tokens by names that nobody can know. The template's get these names, those that
        messages hold stay what they are, and so the text is read in one go, as any other.
        """
        words, secret, own = self._wary or self._make_wary()
        mark = re.compile(f"\ue000{self._key}:([0-9]+)\ue001")
        hidden = (self._named.sub(lambda found: secret[found[0]], piece) for piece in text.pieces)
        pieces = [mark.sub(lambda found: text.aside[int(found[1])], piece) for piece in hidden]
        found = words.encode("".join(pieces), add_special_tokens=False)
        return Tokens([own.get(one, one) for one in found.ids], found.offsets, _bounds(pieces))

    def _make_wary(self) -> tuple[Any, dict[str, str], dict[int, int]]:
        from tokenizers import Tokenizer

        secret = {name: f"\ue000{secrets.token_hex(8)}\ue001" for name in self._specials}
        added = [
            {**one, "content": secret[one["content"]], "normalized": False} if one["content"] in secret else one
            for one in self._form["added_tokens"]
        ]
        words = Tokenizer.from_str(json.dumps(self._form | {"added_tokens": added}))
        # The names are new to the vocabulary, so these tokens may have got other numbers.
        changed = zip(added, self._form["added_tokens"], strict=True)
        own = {int(words.token_to_id(new["content"]) or 0): int(old["id"]) for new, old in changed}
        self._wary = words, secret, own
        return self._wary


def refused(why: str) -> Invalid:
    """The base model cannot be trained with its template."""
    return Invalid(Problem("train.template", f"the base model cannot be trained: {why}.", "", FIX, {"why": why}))


def _begin(tokeniser: Any, fast: Any) -> str:
    """The name of BOS where the tokeniser begins every text with it, else ""."""
    first = fast.encode("").ids[:1]
    return str(tokeniser.bos_token) if first and first[0] == tokeniser.bos_token_id else ""


def _specials(form: Mapping[str, Any], tokeniser: Any) -> dict[str, int]:
    """Names and numbers of the tokens that a template is made of."""
    usual = set(tokeniser.all_special_tokens)
    return {one["content"]: one["id"] for one in form["added_tokens"] if one["special"] or one["content"] in usual}


def _bounds(pieces: Sequence[str]) -> tuple[int, ...]:
    found = [0]
    for piece in pieces:
        found.append(found[-1] + len(piece))
    return tuple(found)
