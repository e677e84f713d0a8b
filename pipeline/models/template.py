"""The model's own chat template: messages -> tokens, where nothing that a person wrote can become a special token."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, NoReturn

from jinja2 import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from pipeline.errors import Invalid, Problem

Tokens = tuple[int, ...]
ROLES = ("system", "user", "assistant")


class Template:
    """A template as models carry it (Jinja as transformers runs it), in a sandbox: it came with a download.

    `tokens(text, special)` is the vocabulary's tokeniser; `specials` are the texts of its special tokens.
    """

    def __init__(self, source: str, tokens: Callable[[str, bool], Tokens], specials: Sequence[str], bos: str, eos: str) -> None:
        jinja = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"])
        jinja.globals.update(raise_exception=_refuse, strftime_now=lambda form: datetime.now().strftime(form))
        try:
            self._template = jinja.from_string(source)
        except TemplateError as error:
            raise _invalid(f"its chat template is broken: {error}") from None
        self._tokens, self._specials = tokens, tuple(specials)
        self._names = {"bos_token": bos, "eos_token": eos}
        self._bos = bos

    def render(self, messages: Sequence[Mapping[str, Any]]) -> str:
        """The conversation as the model was trained to read it, up to where the assistant begins.

        Raises Invalid for a role or an order of messages that the template does not take.
        """
        try:
            return self._template.render(messages=list(messages), add_generation_prompt=True, **self._names)
        except (TemplateError, TypeError) as error:
            raise _invalid(f"its chat template does not take this conversation: {error}") from None

    def tokens(self, messages: Sequence[Mapping[str, Any]]) -> tuple[Tokens, bool]:
        """Its tokens, and whether it begins with BOS by itself.

        Where somebody wrote the name of a special token ("</s>"), that is put aside while the template is rendered and
        taken letter by letter afterwards.
        """
        mark = f"\ue000{secrets.token_hex(8)}\ue001"
        aside: list[str] = []
        safe = [{**message, "content": self._without(str(message.get("content") or ""), mark, aside)} for message in messages]
        text = self.render(safe)
        plain = iter(aside)
        found: list[int] = []
        for index, part in enumerate(text.split(mark)):
            if index:
                found += self._tokens(next(plain, ""), False)
            if part:
                found += self._tokens(part, True)
        return tuple(found), bool(self._bos) and text.startswith(self._bos)

    def _without(self, content: str, mark: str, aside: list[str]) -> str:
        """The content with a mark where a special token's name stood; the names go to `aside`, in their order."""
        rest, kept = content, ""
        while found := [(at, name) for name in self._specials if (at := rest.find(name)) >= 0]:
            at, name = min(found, key=lambda pair: (pair[0], -len(pair[1])))
            kept += rest[:at] + mark
            aside.append(name)
            rest = rest[at + len(name) :]
        return kept + rest


def _refuse(message: str) -> NoReturn:
    raise TemplateError(message)


def _invalid(message: str) -> Invalid:
    return Invalid(Problem("model.template", message, "messages", "Roles are system, user and assistant, in turn."))
