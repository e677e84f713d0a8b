"""The tour's teacher and judge: no model, but the rule of `skill`, behind OpenAI's protocol in a process of its own.

It answers the requests of the stages as any model does, by the JSON that they hold. It writes orders whose tickets it can
write, and judges by what the rule would have said; so the tour shows how samples are made and sifted, and nothing about how
well a model would do it. It makes mistakes on purpose (MISTAKES), so that the judge has something to find. A teacher is
first tried on the seed examples: a rule that does not say what they say would teach another skill.

    python -m pipeline.touring.teacher [QNA_YAML [SEED]]     says {"url": ...} and serves until its standard input ends;
                                                             without an entry it can judge, and has nothing to teach
"""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from pipeline.errors import Invalid, Problem
from pipeline.generating.leaf import leaf
from pipeline.touring import skill

if TYPE_CHECKING:
    from starlette.types import ASGIApp

NAME = "template"  # the model's, in the list of models
CONTEXT = 32_768  # tokens: a rule reads whatever it is given
MISTAKES = 0.05  # of the questions lack their number, of the answers have two fields the wrong way round

Told = Mapping[str, Any]


class Template:
    """The rule as a teacher of an entry, and as a judge.

    Raises Invalid tour.rule where it does not give the seed examples' own answers.
    """

    def __init__(self, entry: str = "", seed: int = 0) -> None:
        found = leaf(entry, "tour") if entry else None
        pairs = [pair for one in found.examples for pair in one.pairs] if found else []
        wrong = [pair.question for pair in pairs if ticket(pair.question) != pair.answer]
        if wrong:
            message = f"the tour's rule answers {len(wrong)} of the {len(pairs)} seed examples otherwise: {wrong[0]!r}"
            raise Invalid(Problem("tour.rule", message, "qna.yaml", "Keep to the examples that the tour drafts."))
        self.seeds, self._seed = len(pairs), seed
        self._held = {pair.question for one in found.held for pair in one.pairs} if found else set[str]()
        self._asked: Counter[str] = Counter()  # a list that is asked for again in the same words is another one

    def answer(self, asked: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to a request: its JSON, and the properties of the answer's schema."""
        told: Told = json.loads(asked)
        if "score" in fields:
            return _scored(told, *_scores(fields["score"]))
        if "better" in fields:
            return _compared(told)
        if "answer" in fields:
            return {"answer": self._written(str(told["question"]))}
        self._asked[asked] += 1
        turn = self._asked[asked]
        if order := skill.read(str(told.get("question"))):
            return {"questions": skill.reworded(order, int(told["wanted"]), turn - 1)}
        return {"questions": self._listed(Random(f"{self._seed} {turn} {asked}"), told)}

    def _listed(self, random: Random, told: Told) -> list[str]:
        """New orders, on the side of the split that the examples are on; now and then the number is forgotten."""
        held = any(one["question"] in self._held for one in told.get("examples", ()))
        made = []
        for _ in range(int(told["wanted"])):
            question = skill.drawn(random, held=held).put(random.choice(skill.WORDINGS))
            forgets = random.random() < MISTAKES
            made.append(" ".join(word for word in question.split() if not (forgets and word.isdecimal())))
        return made

    def _written(self, question: str) -> str:
        """The ticket, now and then with item and kind the wrong way round."""
        order = skill.read(question)
        if order is None:
            return "I cannot read that order."
        if Random(question).random() < MISTAKES:
            return skill.Order(order.name, order.count, order.thing, order.kind).ticket
        return order.ticket


def ticket(question: str) -> str:
    """What the rule answers; "" where it cannot read the question."""
    order = skill.read(question)
    return order.ticket if order else ""


def _scored(told: Told, low: int, high: int) -> dict[str, Any]:
    """A judge's word: whether the rule can read the question, and says what the answer says where there is one."""
    question, answer = str(told.get("reworded") or told.get("question") or ""), told.get("answer")
    right = ticket(question)
    if not right:
        return {"reason": "The order does not say who wants how many of what.", "score": low}
    if answer is not None and answer != right:
        return {"reason": "The ticket says something else than the order.", "score": low}
    return {"reason": "It is what the task asks for.", "score": high}


def _compared(told: Told) -> dict[str, Any]:
    """A vote on two answers, as the precheck asks for one."""
    wanted = ticket(str(told.get("question") or ""))
    right = [number for number in ("1", "2") if told.get(f"answer {number}") == wanted]
    if len(right) == 1:
        return {"reason": f"Answer {right[0]} is the ticket that the order asks for.", "better": right[0]}
    return {"reason": "Neither is better than the other.", "better": "same"}


def _scores(field: Mapping[str, Any]) -> tuple[int, int]:
    """The lowest and the highest: small ranges come as lists (models.schemas)."""
    found = field.get("enum") or [field["minimum"], field["maximum"]]
    return min(found), max(found)


# --- the server


def app(template: Template) -> "ASGIApp":
    """/v1/models and /v1/chat/completions, whose answers are always streams: nobody here asks otherwise."""
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import JSONResponse, Response, StreamingResponse
    from starlette.routing import Route

    async def models(request: Request) -> Response:
        listed = [{"id": NAME, "object": "model", "owned_by": "labbot", "max_model_len": CONTEXT}]
        return JSONResponse({"object": "list", "data": listed})

    async def chat(request: Request) -> Response:
        try:
            body = await request.json()
            schema = body["response_format"]["json_schema"]["schema"]
            said = template.answer(body["messages"][1]["content"], schema["properties"])
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            return JSONResponse({"error": {"message": f"no request of a recipe: {error!r}"}}, 400)
        return StreamingResponse(_streamed(json.dumps(said)), media_type="text/event-stream")

    return Starlette(routes=[Route("/v1/models", models), Route("/v1/chat/completions", chat, methods=["POST"])])


async def _streamed(text: str) -> AsyncIterator[str]:
    for delta, finish in (({"role": "assistant", "content": text}, None), ({}, "stop")):
        yield f"data: {json.dumps({'model': NAME, 'choices': [{'index': 0, 'delta': delta, 'finish_reason': finish}]})}\n\n"
    yield "data: [DONE]\n\n"


async def serve(template: Template) -> None:
    """Serve at a free port of this machine until standard input ends: whoever started this is gone then."""
    from pipeline import http

    def ready(port: int) -> None:
        sys.stdout.write(json.dumps({"url": f"http://127.0.0.1:{port}/v1", "seeds": template.seeds}) + "\n")
        sys.stdout.flush()

    serving = asyncio.create_task(http.serve(app(template), "127.0.0.1", 0, ready))
    parent = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(parent), sys.stdin)
    ended = asyncio.create_task(parent.read())
    await asyncio.wait((serving, ended), return_when=asyncio.FIRST_COMPLETED)
    serving.cancel()
    ended.cancel()
    await asyncio.gather(serving, ended, return_exceptions=True)
    if not serving.cancelled() and (error := serving.exception()):
        raise error


if __name__ == "__main__":
    try:
        taught = Path(sys.argv[1]).read_text(encoding="utf-8") if sys.argv[1:] else ""
        asyncio.run(serve(Template(taught, int((sys.argv[2:] or ["0"])[0]))))
    except Invalid as problem:
        sys.exit(str(problem))
