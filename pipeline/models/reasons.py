"""What went wrong at an endpoint, as one of the three kinds of errors, with the server's own reason and no key in it.

Servers say the same in many ways: `{"error": {"message", "type", "code"}}` (OpenAI, vLLM, llama.cpp), `{"error": "..."}`
(Ollama), `{"detail": ...}` (FastAPI), a page of HTML (a proxy); with a status, or within a stream that began with 200.
"""

import re
import ssl
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

from pipeline.errors import Failed, Invalid, LabError, Problem, Temporary

if TYPE_CHECKING:
    import openai

PATIENCE_S = 20.0  # longest Retry-After that is waited for; beyond, the person is told
_BUSY = {408, 409, 425, 429, 502, 503, 504, 529}
_REFUSED = {400, 413, 422}
_REPEATABLE = {429, 503}  # said before anything was begun
_ADAPTERS = ("/load_lora_adapter", "/unload_lora_adapter")
_OVERFLOW = re.compile(r"context (?:length|window|size)|max_model_len|context_length_exceeded|exceed_context_size", re.I)
_LIMIT = re.compile(
    r"(?:context (?:length|window|size)|max_model_len)\D{0,24}?([1-9][0-9]*)|context of \S{1,200} holds ([1-9][0-9]*)", re.I
)
_NO_MODEL = re.compile(r"\bmodel\b.{0,200}\b(?:not exist|not found|unknown)|unknown model|model_not_found", re.I | re.S)


def kind(error: "openai.APIError", url: str, key: str, path: str = "") -> LabError:
    """The error to raise for one of the client library."""
    import openai  # slow, and long there when an error comes

    if isinstance(error, openai.APIStatusError):
        return by_status(error.status_code, error.body, url, key, path=path, wait_s=retry_after_s(error))
    if isinstance(error, openai.APIConnectionError):
        return _unreached(error, url, key)
    return by_status(_status(error.body), error.body or error.message, url, key, path=path)


def by_status(status: int, body: object, url: str, key: str, *, path: str = "", wait_s: float | None = None) -> LabError:
    said = reason(body, key)
    if path in _ADAPTERS and status in {400, 404, 409, 422} and said.lower() != "not found":
        return Invalid(Problem("model.adapter", said, url, facts={"reason": said}))
    if _NO_MODEL.search(f"{said} {_code(body)}") and status in {400, 404}:
        return Invalid(Problem("model.unknown", said, url, "Name one that it lists.", {"reason": said}))
    if status in _REFUSED:
        return _overflow(body, said) or Invalid(
            Problem("model.request", f"{url} does not take this request: {said}", facts={"reason": said})
        )
    if status in {401, 403}:
        return Failed(f"{url} refuses the key: {said}. Look at the variable that key_env names in roles.yaml.")
    if status == 404 and path in _ADAPTERS:
        return Failed(f"{url} takes no adapters while it runs. vLLM does with VLLM_ALLOW_RUNTIME_LORA_UPDATING=True.")
    if status in {404, 405, 501}:
        return Failed(f"there is no {path or 'such path'} at {url}: {said}. An endpoint's url most often ends in /v1.")
    if status in _BUSY:
        wait = f" It asks to wait {wait_s:.0f} s." if wait_s else ""
        kind: Literal["", "busy"] = "busy" if status in _REPEATABLE else ""
        return Temporary(f"{url} is busy ({status}): {said}.{wait}", kind=kind, wait_s=wait_s)
    if 300 <= status < 400:
        return Failed(f"{url} leads elsewhere ({status}), and no key is sent after it. Write the address that it leads to.")
    return Failed(f"{url} failed ({status}): {said}")


def in_stream(body: object, url: str, key: str) -> LabError:
    """For an error that came within a stream."""
    return by_status(_status(body), body, url, key)


def pause_s(error: "openai.APIError", usual_s: float, *, idempotent: bool) -> float | None:
    """Seconds to wait before the same request may be sent again; None where that is not safe, or not worth it.

    Safe is what was not begun: nobody answered the connection, or the server turned it away (429, 503); and what
    changes nothing (`idempotent`).
    """
    import openai

    if isinstance(error, openai.APIStatusError):
        asked = retry_after_s(error)
        if error.status_code in _REPEATABLE or (idempotent and error.status_code >= 500):
            return usual_s if asked is None else asked if asked <= PATIENCE_S else None
        return None
    if not isinstance(error, openai.APIConnectionError) or _certificate(error):
        return None
    return usual_s if idempotent or is_refused(error) else None


def is_refused(error: BaseException) -> bool:
    """Whether the connection was not made, so that nothing can have been sent."""
    return any(type(one).__name__ == "ConnectError" for one in _chain(error))


def retry_after_s(error: "openai.APIStatusError") -> float | None:
    """What the server asks to wait; its form as a date is not read (no server of models sends it)."""
    text = error.response.headers.get("retry-after", "")
    return float(text) if re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,6})?", text) else None


def reason(body: object, key: str) -> str:
    """The server's own words, at most 300 characters of them."""
    found = " ".join(_words(body).split()).rstrip(".")
    if found.startswith("<"):
        found = "a page of HTML"
    return masked(found[:300], key) or "no reason given"


def masked(text: str, key: str) -> str:
    return text.replace(key, "***") if key else text


def _words(body: object) -> str:
    if isinstance(body, Mapping):
        found = next((body[name] for name in ("message", "detail", "error", "msg") if body.get(name)), "")
        return _words(found)
    if isinstance(body, list):
        return "; ".join(_words(one) for one in body[:3])
    return str(body or "")


def _code(body: object) -> str:
    """The short names that a server gives an error."""
    return " ".join(str(body.get(name) or "") for name in ("code", "type")) if isinstance(body, Mapping) else ""


def _status(body: object) -> int:
    """The status that an error within a stream would have had."""
    code = body.get("code") if isinstance(body, Mapping) else None
    if str(code).isdecimal() and 400 <= int(str(code)) < 600:
        return int(str(code))
    return 400 if _OVERFLOW.search(_code(body)) else 500


def _overflow(body: object, said: str) -> Invalid | None:
    """The conversation and its answer do not fit: with both numbers, where they are told."""
    if not _OVERFLOW.search(f"{said} {_code(body)}"):
        return None
    asked, context = _numbers(body, said)
    message = (
        f"the conversation and its answer need at least {asked} tokens, and the model takes {context}"
        if asked and context
        else said
    )
    facts = {"asked": str(asked or ""), "context": str(context or ""), "reason": said}
    return Invalid(Problem("model.overflow", message, fix="Make it shorter, or ask for fewer tokens.", facts=facts))


def _numbers(body: object, said: str) -> tuple[int, int]:
    """(tokens that were asked for, tokens that fit), 0 for what is not said. llama.cpp gives them as fields."""
    told: Mapping[str, Any] = body if isinstance(body, Mapping) else {}
    if isinstance(told.get("n_ctx"), int) and isinstance(told.get("n_prompt_tokens"), int):
        return told["n_prompt_tokens"], told["n_ctx"]
    limit = _LIMIT.search(said)
    if not limit:
        return 0, 0
    context = int(limit[1] or limit[2])
    bare = re.sub(r" *\(parameter=.*", "", said)  # vLLM's own, which may count characters
    rest = [int(one) for one in re.findall(r"\b[0-9]{1,9}\b(?! characters)", bare)]
    return max((one for one in rest if one > context), default=0), context


def _unreached(error: BaseException, url: str, key: str) -> LabError:
    import openai

    why = masked(next((str(one) for one in reversed(list(_chain(error))) if str(one)), ""), key)
    if certificate := _certificate(error):
        return Failed(f"the certificate of {url} does not hold: {certificate.verify_message}. Add its authority to net.ca.")
    if is_refused(error):
        return Temporary(f"{url} cannot be reached: {why}", kind="away")
    if isinstance(error, openai.APITimeoutError):
        return Temporary(f"{url} did not take the connection in time")
    return Temporary(f"{url} cut the connection: {why}")


def _certificate(error: BaseException) -> ssl.SSLCertVerificationError | None:
    return next((one for one in _chain(error) if isinstance(one, ssl.SSLCertVerificationError)), None)


def _chain(error: BaseException) -> Iterator[BaseException]:
    one: BaseException | None = error
    while one is not None:
        yield one
        one = one.__cause__ or one.__context__
