"""How samples are made: `configs/recipes/KIND.yaml`, the prompts that it names, and what each step asks a model for.

A step lists new material (`list`), writes one text (`text`) or scores (`judge`). Its request is a system message, the
prompt as it is, so that servers keep it computed, and one JSON object with what the step `gives`: no text in it can pass
for another or for an instruction of ours. Judges give the reason before the score, so that the score follows from it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from pipeline import config
from pipeline.config import Section
from pipeline.errors import Invalid, Problem
from pipeline.files import digest
from pipeline.generating.rows import Kind
from pipeline.judging.asking import sent
from pipeline.models.endpoint import Message, Options

FOLDER, PROMPTS = "configs/recipes", "configs/prompts/generate"
QUESTION_CHARS, REASON_CHARS = 2000, 400

Listed = Literal["questions", "contexts", "pairs"]
Given = Literal[
    "task",
    "examples",
    "liked",
    "disliked",
    "facet",
    "wanted",
    "context",
    "document",
    "question",
    "reworded",
    "answer",
]


class StepConfig(Section):
    """A step of a recipe: what it does, whom it asks, with what, and what is kept."""

    name: str = Field(
        pattern=r"^[a-z][a-z_]{0,39}$", description="its name, and that of its prompt in configs/prompts/generate"
    )
    does: Literal["list", "text", "judge"] = Field(description="lists new material, writes one text, or scores")
    of: Listed = Field(default="questions", description="what a list holds")
    each: int = Field(default=1, ge=1, le=30, description="entries that a list is asked for at once")
    role: Literal["teacher", "judge"] = Field(description="whose endpoint in roles.yaml answers")
    gives: tuple[Given, ...] = Field(min_length=1, description="what the model is given, in this order")
    scores: tuple[int, int] = Field(default=(0, 1), description="the lowest and the highest score")
    keep: int = Field(default=1, description="the lowest score that is kept")
    temperature: float = Field(default=0.0, ge=0, le=2, description="how freely it is drawn")
    max_tokens: int = Field(default=1024, ge=16, le=32_768, description="most tokens of an answer")
    chars: int = Field(
        default=12_000, ge=1, le=100_000, description="most characters of a text; fewer cut texts of long-winded models"
    )


class StopConfig(Section):
    after: int = Field(default=24, ge=1, description="samples that must have been judged before the run may stop early")
    share: float = Field(default=0.25, ge=0, le=1, description="less than this share kept stops the run; 0 never does")


class RecipeConfig(Section):
    """The whole of a recipe."""

    samples: int = Field(default=30, ge=1, le=100_000, description="samples asked for, for each source that trains")
    unseen: int = Field(
        default=30, ge=0, le=1000, description="the same for each seed example that is held out; 0 holds out none"
    )
    reworded: int = Field(default=4, ge=0, le=20, description="rewordings of each question that trains")
    examples: int = Field(default=3, ge=1, le=20, description="seed examples shown with a request")
    chunk: int = Field(default=500, ge=50, le=8000, description="most tokens of a document's chunk, as the teacher counts")
    facets: dict[str, tuple[str, ...]] = Field(default={}, description="what samples are spread over")
    stop: StopConfig = Field(default=StopConfig(), description="when too few survive")
    steps: tuple[StepConfig, ...] = Field(min_length=1, description="how a sample is made, in order")
    rewordings: tuple[StepConfig, ...] = Field(default=(), description="how a seed's question is put in other words")

    @model_validator(mode="after")
    def _steps_fit(self) -> "RecipeConfig":
        for steps in filter(None, (self.steps, self.rewordings)):
            lists = [step.does == "list" for step in steps]
            if not lists[0] or sorted(lists, reverse=True) != lists:
                raise ValueError("lists come first, and at least one is needed")
            names = [step.name for step in steps]
            if len(set(names)) < len(names):
                raise ValueError("each step has a name of its own")
            for step in steps:
                if step.does == "judge" and not step.scores[0] <= step.keep <= step.scores[1]:
                    raise ValueError(f"{step.name}: keep must be one of its scores")
        return self


@dataclass(frozen=True)
class Step:
    """A step with its prompt."""

    config: StepConfig
    prompt: str

    @property
    def name(self) -> str:
        return self.config.name

    @cached_property
    def digest(self) -> str:
        """Of everything about the step that its answers depend on."""
        told = self.config.model_dump(exclude={"keep"})
        return digest(json.dumps([told, self.prompt], sort_keys=True).encode())

    @cached_property
    def item(self) -> dict[str, Any]:
        """The schema of one entry of a list."""
        question, text = _text(min(self.config.chars, QUESTION_CHARS)), _text(self.config.chars)
        if self.config.of == "pairs":
            fields = {"question": question, "answer": text}
            return {"type": "object", "properties": fields, "required": ["question", "answer"]}
        return text if self.config.of == "contexts" else question

    @cached_property
    def schema(self) -> dict[str, Any]:
        """The JSON schema of an answer."""
        fields: dict[str, Any]
        if self.config.does == "list":
            fields = {self.config.of: {"type": "array", "items": self.item, "minItems": 1, "maxItems": self.config.each}}
        elif self.config.does == "text":
            fields = {"answer": _text(self.config.chars)}
        else:
            low, high = self.config.scores
            reason = {"type": "string", "maxLength": REASON_CHARS}
            fields = {"reason": reason, "score": {"type": "integer", "minimum": low, "maximum": high}}
        return {"type": "object", "properties": fields, "required": list(fields)}

    def messages(self, given: Mapping[str, Any]) -> list[Message]:
        """The request about a sample. What the step gives and the sample has not is left out."""
        told = {name: given[name] for name in self.config.gives if given.get(name)}
        asked = sent(json.dumps(told, ensure_ascii=False))
        return [{"role": "system", "content": self.prompt}, {"role": "user", "content": asked}]

    @property
    def options(self) -> Options:
        return Options(temperature=self.config.temperature, max_tokens=self.config.max_tokens)


@dataclass(frozen=True)
class Recipe:
    """How samples of one kind are made."""

    kind: Kind
    config: RecipeConfig
    steps: tuple[Step, ...]
    rewordings: tuple[Step, ...]

    @property
    def roles(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(step.config.role for step in (*self.steps, *self.rewordings)))

    def prompts(self) -> dict[str, str]:
        """The digest of each prompt, by the name of its step."""
        return {step.name: digest(step.prompt.encode()) for step in (*self.steps, *self.rewordings)}

    def listed(self) -> int:
        """How many samples one request of the first step leads to."""
        count = 1
        for step in self.steps:
            count *= step.config.each if step.config.does == "list" else 1
        return count


def load(home: Path, kind: Kind, changes: Mapping[str, Any] | None = None) -> Recipe:
    """The recipe of a kind, with single settings changed by their dotted path ("stop.share": 0).

    Raises Invalid with every problem of the file and of the prompts that it names, each with its path.
    """
    path = home / FOLDER / f"{kind}.yaml"
    found = config.read(path)
    if not isinstance(found, dict):
        raise Invalid(Problem("config.shape", "the file is no mapping of settings", path.name, "Begin with `samples: 30`."))
    for name, value in (changes or {}).items():
        config.put(found, name.split("."), value)
    try:
        made = RecipeConfig.model_validate(found)
    except ValidationError as error:
        raise Invalid(
            *(config.problem(path.name, one["loc"], one["msg"], one.get("input")) for one in error.errors())
        ) from None
    steps = _steps(home, (*made.steps, *made.rewordings))
    return Recipe(kind, made, steps[: len(made.steps)], steps[len(made.steps) :])


def _steps(home: Path, found: Sequence[StepConfig]) -> tuple[Step, ...]:
    made, problems = [], []
    for one in found:
        path = home / PROMPTS / f"{one.name}.md"
        try:
            made.append(Step(one, path.read_text(encoding="utf-8").strip()))
        except (OSError, UnicodeDecodeError) as error:
            fix = "Write the prompt of the step, or name the step as its prompt is named."
            problems.append(Problem("recipe.prompt", f"the prompt cannot be read: {error}", str(path), fix))
    if problems:
        raise Invalid(*problems)
    return tuple(made)


def _text(most: int) -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "maxLength": most}
