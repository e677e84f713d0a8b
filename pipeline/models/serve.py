"""Our engine behind the OpenAI protocol: what each path answers. See protocol.py for what is taken, replies.py for streams.

Everything that blocks (reading a long prompt into tokens, compiling a schema, embeddings, adapters) is done in threads;
the loop only passes pieces on.
"""

import asyncio
import base64
import struct
import time
import weakref
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from pipeline.errors import Failed, Invalid, Problem, Temporary
from pipeline.models import answers, engine, metrics, protocol, replies
from pipeline.models.answers import Shape
from pipeline.models.guard import BODY_BYTES, Guard, refusal, too_large
from pipeline.models.replies import Part, Streaming

T = TypeVar("T")
RETRY_S = 2  # what a client that came at a bad time is told to wait
EMBEDDED_AT_ONCE = 16  # texts, before the next look whether the client is still there
_CODES = {"context.overflow": "context_length_exceeded", "adapter.unknown": "model_not_found"}


class Service:
    """The endpoints over one engine. Adapters are loaded from the folders `adapters` and from nowhere else."""

    def __init__(self, served: engine.Engine, adapters: Iterable[Path] = ()) -> None:
        self.engine = served
        self._folders = tuple(folder.resolve() for folder in adapters)
        self._created = int(time.time())
        self._open: weakref.WeakSet[engine.Stream] = weakref.WeakSet()
        self._ended = False
        self._loading = asyncio.Lock()
        self._prompts = ThreadPoolExecutor(2, "prompts")
        self._slow = ThreadPoolExecutor(4, "slow")  # these wait for the engine's steps; prompts must not wait for them

    def app(self, key: str = "") -> ASGIApp:
        posts: dict[str, Callable[[Request], Any]] = {
            "/v1/chat/completions": self.chat,
            "/v1/completions": self.completions,
            "/v1/embeddings": self.embeddings,
            "/v1/load_lora_adapter": self.load_adapter,
            "/v1/unload_lora_adapter": self.unload_adapter,
            "/tokenize": self.tokenize,
            "/detokenize": self.detokenize,
        }
        gets: dict[str, Callable[[Request], Any]] = {
            "/health": self.health,
            "/metrics": self.metrics,
            "/v1/models": self.models,
            "/v1/models/{name:path}": self.model,
        }
        routes = [Route(path, act, methods=["POST"]) for path, act in posts.items()]
        routes += [Route(path, act, methods=["GET"]) for path, act in gets.items()]
        told = {Invalid: _invalid, Temporary: _temporary, Failed: _failed, HTTPException: _http, Exception: _broken}
        return Guard(Starlette(routes=routes, exception_handlers=told), key)

    def end(self) -> None:
        """End every answer that is being written, with the reason that the server stops."""
        self._ended = True
        for stream in self._open:
            stream.cancel()

    def close(self) -> None:
        self._prompts.shutdown(wait=False, cancel_futures=True)
        self._slow.shutdown(wait=False, cancel_futures=True)

    # --- answers

    async def chat(self, request: Request) -> Response | ASGIApp:
        asked = await self._read(request, protocol.ChatRequest)
        texts, adapter = asked.texts(), self._adapter(asked.model)
        tops = asked.top_logprobs if asked.logprobs else -1

        def submitted() -> list[engine.Stream]:
            prompt = self.engine.chat_prompt(texts)
            return self._submit([self._wanted(asked, prompt, asked.length, adapter, tops)], asked.n)

        streams = await self._in(self._prompts, submitted)
        parts = [Part(index, stream) for index, stream in enumerate(streams)]
        shape = answers.Chat(request.scope["id"], adapter or self.engine.name, int(time.time()), logprobs=asked.logprobs)
        return await self._answer(request, asked, parts, shape, 1)

    async def completions(self, request: Request) -> Response | ASGIApp:
        asked = await self._read(request, protocol.CompletionRequest)
        adapter = self._adapter(asked.model)
        tops = -1 if asked.logprobs is None else asked.logprobs
        given = asked.prompts()

        def submitted() -> tuple[list[tuple[int, ...]], list[engine.Stream]]:
            prompts = [self._tokens(prompt, begin=asked.add_special_tokens) for prompt in given]
            wanted = [self._wanted(asked, prompt, max(1, asked.max_tokens), adapter, tops) for prompt in prompts]
            wanted = [replace(one, echo=asked.echo and tops >= 0) for one in wanted]
            return prompts, self._submit(wanted, asked.n)

        prompts, streams = await self._in(self._prompts, submitted)
        parts = []
        for number, stream in enumerate(streams):
            at, copy = number % len(given), number // len(given)
            before = self._text(given[at]) if asked.echo else ""
            parts.append(Part(at * asked.n + copy, stream, before, len(prompts[at]), asked.max_tokens == 0))
        shape = answers.Text(request.scope["id"], adapter or self.engine.name, int(time.time()), tops=tops)
        return await self._answer(request, asked, parts, shape, len(given))

    async def _answer(
        self, request: Request, asked: protocol.Generation, parts: Sequence[Part], shape: Shape, prompts: int
    ) -> Response | ASGIApp:
        self._open.update(part.stream for part in parts)
        if self._ended:  # while the prompt was read
            self.end()
        said = request.scope["said"]
        said["model"] = asked.model or self.engine.name
        if asked.stream:
            usage = bool(asked.stream_options and asked.stream_options.include_usage)
            return Streaming(parts, shape, prompts, usage=usage, steps=lambda: self.engine.stats().steps)
        try:
            choices = await replies.whole(parts, request.receive)
        finally:
            said |= replies.told(parts, prompts)
        choices.sort(key=lambda choice: choice.index)
        return JSONResponse(shape.whole(choices, replies.used(parts, prompts)))

    def _wanted(
        self, asked: protocol.Generation, prompt: tuple[int, ...], length: int, adapter: str, tops: int
    ) -> engine.Request:
        sampling = engine.Sampling(**asked.sampling(), seed=asked.seed)  # type: ignore[arg-type]  # top_k alone is whole
        return engine.Request(prompt, length, asked.stops(), sampling, asked.constraint(), adapter, tops)

    def _submit(self, wanted: Sequence[engine.Request], copies: int) -> list[engine.Stream]:
        """An answer to each, then a second to each, and so on; all or none. Of a seed, every copy has another one."""
        streams: list[engine.Stream] = []
        try:
            for copy in range(copies):
                for one in wanted:
                    seed = one.sampling.seed
                    how = one.sampling if seed is None else replace(one.sampling, seed=seed + copy)
                    streams.append(self.engine.submit(replace(one, sampling=how)))
        except BaseException:
            for stream in streams:
                stream.cancel()
            raise
        return streams

    # --- tokens

    async def tokenize(self, request: Request) -> Response:
        asked = await self._read(request, protocol.TokenizeRequest)
        self._adapter(asked.model)
        if asked.messages is not None:
            tokens = await self._in(self._prompts, lambda: self.engine.chat_prompt(asked.texts()))
        else:
            begin = asked.add_special_tokens is not False
            tokens = await self._in(self._prompts, lambda: self._tokens(asked.prompt or "", begin=begin))
        return JSONResponse({"count": len(tokens), "max_model_len": self.engine.context, "tokens": tokens})

    async def detokenize(self, request: Request) -> Response:
        asked = await self._read(request, protocol.DetokenizeRequest)
        self._adapter(asked.model)
        return JSONResponse({"prompt": self._text(asked.tokens, "tokens")})

    def _tokens(self, prompt: str | Sequence[int], *, begin: bool, where: str = "prompt") -> tuple[int, ...]:
        """Whoever writes a whole prompt may write special tokens by their names, as in vLLM; in a chat nobody may."""
        vocabulary = self.engine.vocabulary
        if isinstance(prompt, str):
            return vocabulary.tokens(prompt, special=True, begin=begin)
        wrong = next((token for token in prompt if not 0 <= token < vocabulary.size), None)
        if wrong is not None:
            message = f"{wrong} is no token; {self.engine.name} has 0 to {vocabulary.size - 1}."
            raise Invalid(Problem("request.token", message, where))
        return tuple(prompt)

    def _text(self, prompt: str | Sequence[int], where: str = "prompt") -> str:
        if isinstance(prompt, str):
            return prompt
        vocabulary = self.engine.vocabulary
        tokens = self._tokens(prompt, begin=False, where=where)
        pieces = (vocabulary.pieces[token] or vocabulary.name(token).encode() for token in tokens)
        return b"".join(pieces).decode(errors="replace")

    async def embeddings(self, request: Request) -> Response:
        asked = await self._read(request, protocol.EmbeddingRequest)
        if self._adapter(asked.model):
            raise Invalid(Problem("request.field", "embeddings are the bare model's.", "model", f"Ask {self.engine.name}."))
        texts = asked.texts()
        vectors: list[list[float]] = []
        async with replies.read_by(request.receive) as client:
            while len(vectors) < len(texts) and not client.gone:
                some = texts[len(vectors) : len(vectors) + EMBEDDED_AT_ONCE]
                vectors += await self._in(self._slow, partial(self.engine.embed, some))
        count = await self._in(self._prompts, lambda: sum(len(self.engine.tokenize(text)) for text in texts))
        data = [
            {
                "object": "embedding",
                "index": index,
                "embedding": _encoded(vector) if asked.encoding_format == "base64" else vector,
            }
            for index, vector in enumerate(vectors)
        ]
        usage = {"prompt_tokens": count, "total_tokens": count}
        return JSONResponse({"object": "list", "data": data, "model": self.engine.name, "usage": usage})

    # --- models

    async def models(self, request: Request) -> Response:
        return JSONResponse(answers.models(self.engine.name, self.engine.adapters, self.engine.context, self._created))

    async def model(self, request: Request) -> Response:
        name = request.path_params["name"]
        self._adapter(name)
        found = answers.models(self.engine.name, self.engine.adapters, self.engine.context, self._created)
        return JSONResponse(next(one for one in found["data"] if one["id"] == name))

    async def load_adapter(self, request: Request) -> Response:
        asked = await self._read(request, protocol.LoadAdapter)
        path = adapter_file(asked.lora_path, self._folders)
        async with self._loading:
            if asked.load_inplace and asked.lora_name in self.engine.adapters:
                await self._in(self._slow, lambda: self.engine.unload_adapter(asked.lora_name))
            await self._in(self._slow, lambda: self.engine.load_adapter(asked.lora_name, path))
        return PlainTextResponse(f"Success: LoRA adapter '{asked.lora_name}' added successfully.")

    async def unload_adapter(self, request: Request) -> Response:
        asked = await self._read(request, protocol.UnloadAdapter)
        async with self._loading:
            await self._in(self._slow, lambda: self.engine.unload_adapter(asked.lora_name))
        return PlainTextResponse(f"Success: LoRA adapter '{asked.lora_name}' removed successfully.")

    def _adapter(self, model: str) -> str:
        """The adapter that a request names, "" for the bare model. Raises Invalid for a name that is not there."""
        if model in ("", self.engine.name):
            return ""
        if model in self.engine.adapters:
            return model
        here = ", ".join((self.engine.name, *self.engine.adapters))
        raise Invalid(Problem("adapter.unknown", f"there is no model {model!r}.", "model", f"Served here: {here}."))

    # --- operators

    async def health(self, request: Request) -> Response:
        alive = self.engine.alive()
        return JSONResponse({"status": "ok" if alive else "the engine has ended"}, 200 if alive else 503)

    async def metrics(self, request: Request) -> Response:
        text = metrics.text(self.engine.name, self.engine.capacity, self.engine.stats())
        return PlainTextResponse(text, media_type=metrics.KIND)

    # --- within

    async def _read(self, request: Request, kind: type[protocol.Kind]) -> protocol.Kind:
        """The request's body. Raises Invalid for what is wrong with it, HTTPException where it is too large."""
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > BODY_BYTES:
                raise HTTPException(413)
        return protocol.read(kind, body)

    async def _in(self, threads: ThreadPoolExecutor, act: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(threads, act)


def adapter_file(path: str, folders: Sequence[Path]) -> Path:
    """The GGUF file of an adapter, within the folders that adapters may come from. Raises Invalid for any other."""
    if not folders:
        fix = "Start the server with --adapters DIR."
        raise Invalid(Problem("adapter.folder", "this server loads no adapters.", "lora_path", fix))
    given = Path(path)
    found = (given if given.is_absolute() else folders[0] / given).resolve()
    if not any(found.is_relative_to(folder) for folder in folders):
        fix = f"Put it below {' or '.join(map(str, folders))}."
        raise Invalid(Problem("adapter.folder", "it lies outside of the folders for adapters.", "lora_path", fix))
    if found.is_dir():
        files = sorted(found.glob("*.gguf"))
        if len(files) != 1:
            message = f"the folder holds {len(files) or 'no'} .gguf files, and one is wanted."
            raise Invalid(Problem("adapter.folder", message, "lora_path", "A PEFT adapter is exported as GGUF first."))
        return adapter_file(str(files[0]), folders)  # it may be a link
    if not found.is_file() or found.suffix != ".gguf":
        raise Invalid(Problem("adapter.file", "there is no GGUF file.", "lora_path", "Name the .gguf, or its folder."))
    return found


def _encoded(vector: Sequence[float]) -> str:
    """As OpenAI's clients ask for it: 32-bit floats, little endian, in base64."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, Invalid)
    first = error.problems[0]
    code = _CODES.get(first.code, first.code)
    return refusal(404 if code == "model_not_found" else 400, str(error), param=first.where or None, code=code)


async def _temporary(request: Request, error: Exception) -> Response:
    response = refusal(429, str(error), kind="rate_limit_error", code="queue_full")
    response.headers["retry-after"] = str(RETRY_S)
    return response


async def _failed(request: Request, error: Exception) -> Response:
    if str(error) == replies.STOPPING:
        return refusal(503, str(error), kind="server_error", code="stopping")
    return refusal(500, str(error), kind="server_error", code="failed")


async def _broken(request: Request, error: Exception) -> Response:
    message = f"The server made a mistake; its log says where, under {request.scope['id']}."
    return refusal(500, message, kind="server_error", code="failed")


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 413:
        return too_large()
    if error.status_code == 404:
        return refusal(404, f"There is no {request.url.path} here.", code="no_such_path")
    return refusal(error.status_code, error.detail, code="refused")
