"""A run folder as the stages before `evaluate` leave it, and a model whose answers a test says, over a real tokeniser."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from tokenizers import Tokenizer

from pipeline.files import write
from pipeline.generating import rows
from pipeline.generating.rows import Kind, Row
from pipeline.judging import calibrating, reference
from pipeline.judging.agreement import Agreement, Counts
from pipeline.judging.asking import Model
from pipeline.judging.calibrating import Standing
from pipeline.models.client import Client
from pipeline.models.endpoint import Endpoint
from pipeline.stage import Job
from pipeline.training import base
from pipeline.training.settings import TrainConfig
from tests.conftest import HOME
from tests.fakes.openai_server import Asked, Server, Step, said
from tests.pipeline.generating.generating_folder import entry

EACH, FAMILIES = 2, 5  # regression questions of a family, and families of the small practice model
CHAT = "/v1/chat/completions"
Says = Callable[[bool, str], str]


class Speaker:
    """`says(tuned, prompt)`: what it answers, the prompt as text. `asked`: the prompts of every batch, base's and tuned's.

    Dies, once, before it answers the batch of that number, if `dies` is one.
    """

    packs, device, precision = False, "cpu", "fp32"

    def __init__(self, models: Path, says: Says, dies: int = 0) -> None:
        self.words = Tokenizer.from_file(str(models / "tiny" / "hf" / "tokenizer.json"))
        self.says, self.dies, self.tuned = says, dies, False
        self.asked: list[tuple[bool, tuple[tuple[int, ...], ...]]] = []

    def answers(self, prompts: Sequence[Sequence[int]], most: int, ends: frozenset[int]) -> list[list[int]]:
        if len(self.asked) + 1 == self.dies:
            raise KeyboardInterrupt
        self.asked.append((self.tuned, tuple(map(tuple, prompts))))
        texts = [self.words.decode(list(one)) for one in prompts]
        return [self.words.encode(self.says(self.tuned, text)).ids[:most] for text in texts]

    def use(self, adapter: Path | None) -> None:
        self.tuned = adapter is not None

    def of(self, tuned: bool) -> list[tuple[tuple[int, ...], ...]]:
        """The batches of one of the two."""
        return [batch for who, batch in self.asked if who is tuned]


class Judge(Server):
    """Compares: `better(given)` is "A", "B" or "same", or any other text that it says; `given` is the JSON that it reads."""

    def __init__(self, better: Callable[[Mapping[str, str]], str]) -> None:
        super().__init__()
        self.better = better

    def answer(self, asked: Asked) -> tuple[Step, ...]:
        if asked.path != CHAT:
            return super().answer(asked)
        self.asked.append(asked)
        choice = self.better(json.loads(asked.body["messages"][1]["content"]))
        named = choice in ("A", "B", "same")
        return said(json.dumps({"reason": f"{choice} it is.", "better": choice}) if named else choice)


def row(number: int, question: str, answer: str, kind: Kind = "freeform", which: rows.Set = "unseen", **more: Any) -> Row:
    return Row(f"{number:08x}", number, which, kind, "linguistics/lights", 1, question, answer, **more)


def lamps(count: int, which: rows.Set = "unseen") -> list[Row]:
    """Questions with short answers."""
    return [row(number, f"Say lamp number {number}", f"lamp: {number}", which=which) for number in range(1, count + 1)]


def tales(count: int) -> list[Row]:
    """Questions with long ones."""
    end = "and then it was switched off by the old keeper who went home to sleep at last."
    return [row(number, f"Tell tale {number}", f"Lamp {number} burned {end}") for number in range(1, count + 1)]


def job(base_folder: Path, model: Path, unseen: Sequence[Row], reworded: Sequence[Row] = (), **more: Any) -> Job:
    """A job in `base_folder`/run with an adapter of nothing. `more`: kind, url of a judge, home, and the job's own."""
    folder, models = base_folder / "run", base_folder / "models"
    home = more.pop("home", None) or small_home(base_folder)
    kind: Kind = more.pop("kind", "freeform")
    url = more.pop("url", "")
    if not folder.is_dir():
        models.mkdir(parents=True)
        (models / "tiny").symlink_to(model)
        (folder / "entry").mkdir(parents=True)
        write(folder / "entry" / "qna.yaml", yaml.safe_dump(entry(kind)))
        adapter(folder, b"one")
    rows.write(folder / rows.UNSEEN, unseen)
    rows.write(folder / rows.REWORDED, reworded)
    settings = {"home": str(home), "folder": str(models), "urls": {"LABBOT_JUDGE_URL": url} if url else {}}
    return Job(folder, {"leaf": "linguistics/lights"}, settings, more.pop("report", lambda fraction, facts: None), **more)


def small_home(base_folder: Path) -> Path:
    """Our configs, but for a regression set of few questions."""
    configs = base_folder / "home" / "configs"
    if not configs.is_dir():
        configs.mkdir(parents=True)
        for name in ("models", "prompts", "recipes", "calibration"):
            (configs / name).symlink_to(HOME / "configs" / name)
        write(configs / "regression" / "tiny.yaml", f"source: practice\neach: {EACH}\n")
    return base_folder / "home"


def adapter(folder: Path, weights: bytes, **plan: Any) -> None:
    """What a training leaves; the weights of the adapter are said by the Speaker, and nobody reads these."""
    version = base.find(folder.parent / "models", "tiny").version
    found = {"base": {"name": "tiny", "version": version}, "config": TrainConfig(context=256).model_dump()}
    found["choosing"] = {"questions": 10, "shared_with_test": False}
    write(folder / "train" / "plan.json", json.dumps({**found, **plan}))
    write(folder / "train" / "adapter" / "adapter_config.json", "{}")
    write(folder / "train" / "adapter" / "adapter_model.safetensors", weights)


async def measured(models: Path, url: str, kappa: float) -> None:
    """Have the judge at a url stand as measured."""
    client = Client(Endpoint(url))
    judge = Model(client, next(one.id for one in await client.models()))
    found = Agreement(Counts(40, 20, 0, 60), kappa, kappa, kappa)
    of = (judge.name, "", calibrating.place_of(judge), reference.load(HOME).digest, "2026-11-23")
    calibrating.keep(models, Standing(*of, found, dict.fromkeys(reference.KINDS, found), {}, 261, 0, "", ()))
    await client.close()


def scores(given: Job) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((given.folder / "scores.json").read_bytes())
    return found
