"""A model whose answers a transcript tells, behind the OpenAI protocol on the loopback interface.

What it says where nothing was told: "small says: QUESTION (question 2)", the model's name and how many questions it was
given in all. A word of the text is a token; in what is told, "||" is where it stops until it is told to go on.
What a step of a recipe asks it answers as `tests.fakes.teacher` does, with the fates of samples that were told.
"""

import asyncio
from pathlib import Path

from tests.fakes.openai_server import CUT, Asked, Server, Step, answer, chunk, finished, queued, streamed
from tests.fakes.teacher import Teacher

GATE = "||"
PLAIN = {"content-type": "text/plain; charset=utf-8"}


class Model(Server):
    """`tell` takes what stands behind "# model" in a transcript; `bot/transcript.py` lists it."""

    def __init__(self, context: int = 4096) -> None:
        super().__init__()
        self.context = context
        self.names: dict[str, str] = {"small": ""}  # with the model that it adapts
        self.teacher = Teacher()
        self.ahead = 0
        self._next: list[tuple[str, bool]] = []  # what it says, and whether it breaks off then
        self._gates: list[asyncio.Event] = []
        self._places: list[tuple[int, asyncio.Event]] = []

    def tell(self, what: str) -> None:
        verb, _, rest = what.partition(" ")
        match verb:
            case "says" | "breaks":
                self._next.append((rest.removeprefix("off ").replace("\\n", "\n"), verb == "breaks"))
            case "goes":
                self._open(self._gates)
            case "steps":
                self._open([gate for gate in self._gates if not gate.is_set()][:1])
            case "busy":
                self.ahead = int(rest)
                self._open([gate for place, gate in self._places if place > self.ahead])
            case "teaches":
                shares = (one.partition("=") for one in rest.split())
                self.teacher = Teacher({fate: float(share) for fate, _, share in shares})
            case "lists":
                pairs = (one.strip().partition(" of ") for one in rest.split(","))
                self.names = {name: parent for name, _, parent in pairs}
            case _:
                raise ValueError(f"no model {verb}")

    def _open(self, gates: list[asyncio.Event]) -> None:
        for gate in gates:
            gate.set()

    def answer(self, asked: Asked) -> tuple[Step, ...]:
        self.asked.append(asked)
        match asked.path:
            case "/v1/models":
                listed = [
                    {"id": name, "parent": parent, "max_model_len": self.context, "owned_by": "tests"}
                    for name, parent in self.names.items()
                ]
                return (answer(200, {"object": "list", "data": listed}),)
            case "/tokenize":
                words = sum(len(one["content"].split()) + 1 for one in asked.body["messages"])
                return (answer(200, {"count": words, "max_model_len": self.context, "tokens": []}),)
            case "/v1/load_lora_adapter":
                return (self._load(asked.body["lora_name"], Path(asked.body["lora_path"])),)
            case "/v1/unload_lora_adapter":
                known = self.names.pop(asked.body["lora_name"], None)
                missing = answer(404, {"error": {"message": "there is no adapter of that name"}})
                return (missing if known is None else answer(200, "Success: LoRA adapter removed.", PLAIN),)
            case "/v1/chat/completions" if asked.body["model"] not in self.names:
                said = f"The model `{asked.body['model']}` does not exist."
                return (answer(404, {"error": {"message": said, "code": "model_not_found"}}),)
            case "/v1/chat/completions" if _of_recipe(asked):
                return self.teacher.answer(asked)
            case "/v1/chat/completions":
                return streamed(*self._queue(), *self._text(asked))
            case _:
                return (answer(404, {"detail": "Not Found"}),)

    def _load(self, name: str, path: Path) -> bytes:
        """Take an adapter of the first model, from a GGUF that is there, by a name that is free."""
        if name in self.names or not path.read_bytes().startswith(b"GGUF"):
            return answer(400, {"error": {"message": f"the name {name!r} is in use, or {path} is no adapter"}})
        self.names[name] = next(one for one, parent in self.names.items() if not parent)
        return answer(200, f"Success: LoRA adapter '{name}' added successfully.", PLAIN)

    def _queue(self) -> list[Step]:
        steps: list[Step] = []
        for place in range(self.ahead, 0, -1):
            gate = asyncio.Event()
            self._places.append((place, gate))
            steps += [queued(place), gate]
        return steps

    def _text(self, asked: Asked) -> list[Step]:
        asks = [one["content"] for one in asked.body["messages"] if one["role"] == "user"]
        text, breaks = f"{asked.body['model']} says: {asks[-1]} (question {len(asks)})", False
        if self._next:
            text, breaks = self._next.pop(0)
        steps: list[Step] = []
        for index, part in enumerate(text.split(GATE)):
            if index:
                self._gates.append(asyncio.Event())
                steps.append(self._gates[-1])
            steps += [chunk(f"{'' if at + index == 0 else ' '}{word}") for at, word in enumerate(part.strip(" ").split(" "))]
        return [*steps, CUT] if breaks else [*steps, finished()]


def _of_recipe(asked: Asked) -> bool:
    """Whether a step of a recipe asks: by the schema of its answer, which no other request has."""
    form = asked.body.get("response_format") or {}
    schema = form.get("schema") or form.get("json_schema", {}).get("schema", {})
    return not {"questions", "contexts", "pairs", "answer", "score"}.isdisjoint(schema.get("properties", ()))
