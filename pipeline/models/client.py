"""One door to every model: an async client of any OpenAI-compatible endpoint, over the `openai` library.

Answers always come as a stream, also where the whole is wanted: closing a stream (break and aclose, or the task's cancel)
closes its connection at once, and by that servers stop generating. A stream that ends without a finish_reason was cut,
whatever came before it, and is an error. A request is repeated only where nothing of it can have begun
(`reasons.pause_s`), never after the first piece. One that waits for `Endpoint.concurrency` is told its place.

Chunks are read as plain JSON and checked in `_piece`: 12 µs each here, where the library's typed ones cost 80 to 140.
"""

import asyncio
import logging
import math
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import Failed, Invalid, LabError, Temporary
from pipeline.models import reasons, schemas
from pipeline.models.endpoint import Endpoint, Message, ModelInfo, Options, Piece
from pipeline.models.estimate import estimate
from pipeline.models.wire import Wire

if TYPE_CHECKING:
    import openai

__all__ = ["Client", "Endpoint", "Message", "ModelInfo", "Options", "Piece"]

CONTEXT = 4096  # tokens, where a server does not tell: what Ollama and many small servers start with
EMBED_AT_ONCE = 64  # texts in a request
_DRAIN_S = 1.0  # for [DONE] and usage after the finish_reason, so that the connection can be used again
_BEGINNING = 1000  # characters of a wrong answer that are shown to the model again
_CHAT = "/chat/completions"
_ANY = Options()
_log = logging.getLogger(__name__)


class Client:
    """All methods raise Temporary and Failed with the server's reason; what the person can mend is Invalid:

    model.url and model.key (already when it is made), model.unknown (fact `there`), model.overflow (facts `asked`, `context`),
    model.request, model.adapter, model.schema.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._wire = Wire(endpoint)
        self._url = self._wire.at.url
        self._turns = asyncio.Semaphore(endpoint.concurrency)
        self._waiting = 0
        self._counts = True

    @property
    def url(self) -> str:
        return self._url

    async def open(self) -> None:
        """Load what a request needs; the first request does so too."""
        await self._wire.open()

    async def close(self) -> None:
        await self._wire.close()

    async def stream(
        self, messages: Sequence[Message], *, model: str = "", options: Options = _ANY, schema: schemas.Schema | None = None
    ) -> AsyncGenerator[Piece, None]:
        """Yield an answer as it comes; close it to stop the generation. The last piece has a `finish`."""
        body = await self._body(messages, model, options, schema)
        if self._turns.locked():
            yield Piece(position=self._waiting + 1)
        with self._in_line():
            await self._turns.acquire()
        try:
            frames = await self._wire.ask(lambda api: _opened(api, body), _CHAT, self._wire.at.first_s)
            try:
                _check_kind(frames, self._url)
                rest, wait_s, finish = aiter(frames), self._wire.at.first_s, ""
                while (frame := await self._frame(rest, wait_s, finish)) is not None:
                    piece = await self._piece(frame)
                    finish = piece.finish or finish
                    wait_s = _DRAIN_S if finish else self._wire.at.silence_s if piece.text else wait_s
                    if piece != Piece():
                        yield piece
            finally:
                await frames.close()
        finally:
            self._turns.release()
        if not finish:
            raise Temporary(f"{self._url} ended the answer without a reason: it stopped, or let another request pass")

    async def chat(
        self, messages: Sequence[Message], *, model: str = "", options: Options = _ANY, schema: schemas.Schema | None = None
    ) -> str:
        """The whole answer; one that `max_tokens` cut is returned as far as it went."""
        return (await self._whole(messages, model, options, schema))[0]

    async def structured(
        self, messages: Sequence[Message], schema: schemas.Schema, *, model: str = "", options: Options = _ANY
    ) -> Any:
        """An answer as data that fits the schema. One that does not is asked for once more, with what was wrong with it.

        Raises Invalid model.schema for a schema that is none, Failed where the second answer does not fit either.
        """
        schemas.check(schema)
        text, unfit = await self._fitting(messages, schema, model, options)
        if not unfit:
            return schemas.instance(text, schema)
        again = [
            *messages,
            {"role": "assistant", "content": text[:_BEGINNING] or "{}"},
            {"role": "user", "content": schemas.repair(unfit, schema)},
        ]
        try:
            text, unfit = await self._fitting(again, schema, model, options)
        except Invalid as error:  # of the longer conversation, not of the one that was given
            unfit = f"{unfit}, and it could not be asked again: {error}"
        if unfit:
            began = reasons.masked(text[:200], self._wire.at.key)
            raise Failed(f"{self._url} gave no answer in the form that was asked for: {unfit}. It began {began!r}")
        return schemas.instance(text, schema)

    async def count(self, messages: Sequence[Message], *, model: str = "") -> int:
        """Tokens of the conversation as the model reads it, up to where its answer begins.

        A server without vLLM's /tokenize is asked for it once; then they are estimated, too many rather than too few.
        """
        if self._counts:
            body = {"model": await self._wire.name(model), "messages": [dict(one) for one in messages]}
            try:
                answer = await self._wire.post(f"{self._wire.root}/tokenize", body)
            except (Failed, Invalid) as error:
                if isinstance(error, Invalid) and error.problems[0].code in {"model.unknown", "model.overflow"}:
                    raise
                answer = error
            if isinstance(answer, dict) and isinstance(answer.get("count"), int):
                return int(answer["count"])
            self._counts = False
            _log.info("%s counts no tokens, so they are estimated (%.200s)", self._url, answer)
        return estimate(messages)

    async def context(self, model: str = "") -> int:
        """Tokens that a conversation and its answer may have together; CONTEXT where the server does not tell."""
        name = await self._wire.name(model)
        there = {one.id: one for one in await self._wire.listed()}
        info = there.get(name, ModelInfo(name))
        told: object = info.context or there.get(info.parent, info).context
        if not told and info.owner == "llamacpp":
            answer = await self._wire.get(f"{self._wire.root}/props")
            settings = answer.get("default_generation_settings") if isinstance(answer, dict) else None
            told = settings.get("n_ctx") if isinstance(settings, dict) else 0
        return told if isinstance(told, int) and told > 0 else CONTEXT

    async def embed(self, texts: Sequence[str], *, model: str = "") -> list[list[float]]:
        """A vector for each text, all of one length."""
        name, made = await self._wire.name(model), list[list[float]]()
        for at in range(0, len(texts), EMBED_AT_ONCE):
            part = list(texts[at : at + EMBED_AT_ONCE])
            async with self._turns:
                answer = await self._wire.post("/embeddings", {"model": name, "input": part, "encoding_format": "float"})
            made += _vectors(answer, len(part), self._url)
        if len({len(one) for one in made}) > 1:
            raise Failed(f"{self._url}/embeddings sent vectors of several lengths")
        return made

    async def models(self) -> tuple[ModelInfo, ...]:
        """What the server has, adapters among them."""
        return await self._wire.models()

    async def load_adapter(self, name: str, path: Path | str) -> None:
        """Let the server take an adapter under a name. `path` is one on the server's machine."""
        await self._wire.post("/load_lora_adapter", {"lora_name": name, "lora_path": str(path)})
        self._wire.forget()

    async def unload_adapter(self, name: str) -> None:
        await self._wire.post("/unload_lora_adapter", {"lora_name": name})
        self._wire.forget()

    async def _whole(
        self, messages: Sequence[Message], model: str, options: Options, schema: schemas.Schema | None
    ) -> tuple[str, str]:
        """(answer, why it ended)."""
        text, finish = [], ""
        async with aclosing(self.stream(messages, model=model, options=options, schema=schema)) as pieces:
            async for piece in pieces:
                text.append(piece.text)
                finish = piece.finish or finish
        return "".join(text), finish

    async def _fitting(
        self, messages: Sequence[Message], schema: schemas.Schema, model: str, options: Options
    ) -> tuple[str, str]:
        """(answer, what is wrong with it)."""
        text, finish = await self._whole(messages, model, options, schema)
        try:
            schemas.instance(text, schema)
        except ValueError as error:
            cut = "it was cut where its tokens were spent, and " if finish == "length" else ""
            return text, f"{cut}{error}"
        return text, ""

    async def _body(
        self, messages: Sequence[Message], model: str, options: Options, schema: schemas.Schema | None
    ) -> dict[str, object]:
        body = {"model": await self._wire.name(model), "messages": [dict(one) for one in messages], "stream": True}
        if schema is not None:
            narrow = schemas.sent(schema, options.max_tokens)
            body["response_format"] = schemas.response_format(narrow, await self._dialect())
        return body | options.body()

    async def _dialect(self) -> schemas.Dialect:
        """llama-cpp-python's own server is the one whose models are owned by "me"."""
        return "json_object" if any(one.owner == "me" for one in await self._wire.listed()) else "json_schema"

    @contextmanager
    def _in_line(self) -> Iterator[None]:
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1

    async def _frame(self, rest: AsyncIterator[object], wait_s: float, finish: str) -> Any:
        """The next frame, None at the end; after the finish_reason nothing that happens can take the answer back."""
        import openai

        try:
            async with asyncio.timeout(wait_s):
                return await anext(rest, None)
        except TimeoutError:
            error: LabError = Temporary(f"{self._url} said nothing for {wait_s:g} s")
        except openai.APIError as found:
            error = await self._wire.kind(found, _CHAT)
        except (ValueError, RecursionError) as found:
            error = Failed(f"{self._url} sent a frame that is no JSON: {found}")
        if finish:
            return None
        raise error

    async def _piece(self, frame: Any) -> Piece:
        try:
            if error := frame.get("error"):
                raise await self._wire.named(reasons.in_stream(error, self._url, self._wire.at.key))
            if not frame.get("choices"):
                return Piece(position=int(frame["queue"]["position"])) if frame.get("queue") else Piece()
            choice = frame["choices"][0]
            text, finish = (choice.get("delta") or {}).get("content") or "", choice.get("finish_reason") or ""
            if not isinstance(text, str):
                raise TypeError(text)
        except (AttributeError, KeyError, IndexError, TypeError, ValueError):
            raise Failed(f"{self._url} sent a frame of an unknown form: {str(frame)[:100]}") from None
        if finish not in {"", "stop", "length"}:
            broken = Temporary if finish in {"abort", "cancelled"} else Failed
            raise broken(f"{self._url} broke the answer off: {str(finish)[:100]}")
        return Piece(text, finish=finish)


async def _opened(api: "openai.AsyncOpenAI", body: dict[str, object]) -> "openai.AsyncStream[object]":
    import openai

    return await api.post(_CHAT, cast_to=object, body=body, stream=True, stream_cls=openai.AsyncStream[object])


def _check_kind(frames: "openai.AsyncStream[object]", url: str) -> None:
    kind = frames.response.headers.get("content-type", "nothing").partition(";")[0]
    if kind != "text/event-stream":
        raise Failed(f"{url} answered with {kind[:100]} where a stream was asked for")


def _vectors(answer: Any, wanted: int, url: str) -> list[list[float]]:
    try:
        rows = sorted(answer["data"], key=lambda one: one["index"])
        made = [[float(number) for number in one["embedding"]] for one in rows]
    except (KeyError, TypeError, ValueError):
        raise Failed(f"{url}/embeddings sent no vectors") from None
    if len(made) != wanted or not all(one and all(map(math.isfinite, one)) for one in made):
        raise Failed(f"{url}/embeddings sent {len(made)} vectors for {wanted} texts, or numbers that are none")
    return made
