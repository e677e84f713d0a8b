"""How many tokens a conversation is at most, said without its tokenizer: too many rather than too few.

A byte-level tokenizer never makes more tokens of a text than it has bytes, and in words of ASCII letters one with 8,000
tokens or more makes one of about four. Counted here: a run of ASCII letters with the space before it as one token for
every three letters begun; every digit, sign, and further white space as one; everything else by its bytes.
"""

import re
from collections.abc import Sequence

from pipeline.models.endpoint import Message

_WORD = re.compile(r" ?[A-Za-z]+")
_MESSAGE = 8  # the marks around a message, its role among them, in the widest templates known (Llama 3: 5, Granite: 4)
_SYSTEM = 64  # templates of Granite and Qwen put a system message where the conversation has none


def estimate(messages: Sequence[Message]) -> int:
    own = sum(_MESSAGE + tokens(one.get("content", "")) for one in messages)
    return own + _MESSAGE + (0 if any(one.get("role") == "system" for one in messages) else _SYSTEM)


def tokens(text: str) -> int:
    words = [word.strip() for word in _WORD.findall(text)]
    rest = _WORD.sub("", text)
    return sum(-(-len(word) // 3) for word in words) + len(rest.encode())
