"""What a step asks a model, and what came of it: each answer is on disk before anything is made of it.

An answer that does not fit its schema is asked for once more, with what was wrong with it. What then still does not fit is
kept as such, so that no later attempt asks for it again.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pipeline.errors import Invalid
from pipeline.generating.items import Items
from pipeline.generating.memo import Memo, key
from pipeline.generating.recipes import Step
from pipeline.judging.asking import Model, sent

if TYPE_CHECKING:  # as in judging.asking: 0.3 s
    from pipeline.models.client import Message

WRONG_CHARS = 300
BEGINNING = 1000  # characters of a wrong answer that are shown to the model again
SPARED = ("liked", "disliked")  # what a list can do without where all of it is too long for the model

Listener = Callable[[int, Any], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Out:
    """What came of a request: the answer as data, or why there is none ("malformed" or "cut") and what was `wrong`.

    `chars` is how much was written for it, 0 where it was there already; `began`: with what, where it does not fit.
    """

    found: Any = None
    why: str = ""
    wrong: str = ""
    chars: int = 0
    began: str = ""


@dataclass(frozen=True, slots=True)
class Asking:
    """A step's request about one sample, made by whoever it is asked of.

    A list that was asked for in the same words before is another one by its `turn` (see plan), and is written anew.
    `brief`: the messages without what people think of samples, where that is among them.
    """

    step: Step
    model: Model
    messages: "Sequence[Message]"
    id: str
    brief: "Sequence[Message]" = ()

    @classmethod
    def of(cls, step: Step, model: Model, given: Mapping[str, Any]) -> "Asking":
        messages = step.messages(given)
        turn = given.get("turn", 0) if step.config.does == "list" else 0
        shown = any(name in step.config.gives and given.get(name) for name in SPARED)
        brief = step.messages({name: one for name, one in given.items() if name not in SPARED}) if shown else ()
        return cls(step, model, messages, key(step.digest, model.told(), messages, turn), brief)

    def known(self, memo: Memo) -> Out | None:
        """What was answered before; None where nothing was, or a list has no end yet."""
        record = memo.get(f"{self.id}/end" if self.step.config.does == "list" else self.id)
        return Out(record.get("found"), record.get("why", ""), record.get("wrong", "")) if record else None

    def begun(self, memo: Memo) -> bool:
        """Whether anything of it is on disk: the answer, or the first entry of a list."""
        return self.known(memo) is not None or memo.get(f"{self.id}/0") is not None

    async def ask(self, memo: Memo, listener: Listener | None = None) -> Out:
        """Ask. Entries of a list are handed to the listener one by one, in their order, as soon as the disk has them.

        Raises what the client does; but a list that is too long for the model is asked for once more, in brief.
        """
        if self.step.config.does == "list":
            assert listener
            try:
                return await self._list(memo, listener)
            except Invalid as error:
                if not self.brief or error.problems[0].code != "model.overflow":
                    raise
            return await replace(self, messages=self.brief, brief=())._list(memo, listener)
        out = await self._text(self.messages)
        if out.why:
            again = await self._again(out)
            out = replace(again, chars=out.chars + again.chars)
        told = {"found": out.found} if not out.why else {"why": out.why, "wrong": out.wrong}
        await memo.keep((self.id, told))
        return out

    async def tried(self) -> None:
        """Ask, and keep nothing: it only shows that the endpoint answers. Raises what the client does."""
        await self._text(self.brief or self.messages)

    def entries(self, memo: Memo, out: Out) -> list[Any]:
        """The entries of a list that is at its end."""
        records = [memo.get(f"{self.id}/{at}") for at in range(int(out.found or 0))]
        return [record["item"] for record in records if record]

    async def _text(self, messages: "Sequence[Message]") -> Out:
        from pipeline.models import schemas

        text, finish = "", ""
        async with aclosing(self._stream(messages)) as pieces:
            async for piece in pieces:
                text, finish = text + piece.text, piece.finish or finish
        try:
            return Out(_clean(schemas.instance(text, self.step.schema), self.step.schema), chars=len(text))
        except ValueError as error:
            wrong = str(error)
        except RecursionError:
            wrong = "it is nested too deeply"
        why = "cut" if finish == "length" else "malformed"
        return Out(why=why, wrong=wrong[:WRONG_CHARS], chars=len(text), began=text[:BEGINNING])

    async def _again(self, out: Out) -> Out:
        try:
            return await self._text(self._repair(out))
        except Invalid as error:  # of the longer conversation, not of the one that was given
            return replace(out, wrong=f"{out.wrong}, and it could not be asked again: {error}"[:WRONG_CHARS], chars=0)

    async def _list(self, memo: Memo, listener: Listener) -> Out:
        found, chars, finish = await self._listed(self.messages, memo, listener)
        if not found.count and found.wrong:
            wrong = Out(why="malformed", wrong=found.wrong)
            found, more, finish = await self._listed(self._repair(wrong), memo, listener)
            chars += more
        count = found.count
        while record := memo.get(f"{self.id}/{count}"):  # an earlier attempt came further, and these samples are under way
            await listener(count, record["item"])
            count += 1
        why = "" if count else "empty" if found.closed else "cut" if finish == "length" else "malformed"
        await memo.keep((f"{self.id}/end", {"found": count, "why": why, "wrong": found.wrong[:WRONG_CHARS] if why else ""}))
        return Out(count, why, found.wrong, chars)

    async def _listed(self, messages: "Sequence[Message]", memo: Memo, listener: Listener) -> tuple[Items, int, str]:
        items, chars, finish = Items(self.step.config.of, self.step.item), 0, ""
        handed = 0
        async with aclosing(self._stream(messages)) as pieces:
            async for piece in pieces:
                chars, finish = chars + len(piece.text), piece.finish or finish
                for item in items.feed(piece.text):
                    if handed < self.step.config.each:
                        handed = await self._hand(memo, listener, handed, _clean(item, self.step.item))
        items.end()
        items.count = handed
        return items, chars, finish

    async def _hand(self, memo: Memo, listener: Listener, at: int, item: Any) -> int:
        """Keep an entry and hand it on; one that an earlier attempt has kept at its place counts instead."""
        id = f"{self.id}/{at}"
        await memo.keep((id, {"item": item}))
        record = memo.get(id)
        await listener(at, record["item"] if record else item)
        return at + 1

    def _stream(self, messages: "Sequence[Message]") -> Any:
        return self.model.client.stream(messages, model=self.model.name, options=self.step.options, schema=self.step.schema)

    def _repair(self, out: Out) -> "list[Message]":
        from pipeline.models import schemas

        return [
            *self.messages,
            {"role": "assistant", "content": out.began or "{}"},
            {"role": "user", "content": schemas.repair(out.wrong, self.step.schema)},
        ]


def _clean(found: Any, schema: Mapping[str, Any]) -> Any:
    """Texts as they can be sent on, without blanks around them; and nothing that was not asked for."""
    if isinstance(found, str):
        return sent(found).strip()
    if isinstance(found, dict):
        return {name: _clean(found[name], part) for name, part in schema["properties"].items() if name in found}
    return found
