"""What judges are measured on: samples of ours in `configs/calibration/KIND.yaml`, good and bad, whose labels are known.

A file lists entries. An entry has what its samples share (`task`, `examples`, and a `context` or a `document`), all in one
`language`. A sample's `kept` names steps of the recipe that judge it, and whether they ought to keep it: it is good where
all do. A step that is not named is not asked: the samples of a flow that are dropped at one step never come to the next, and
of some bad samples it is open what another step should say. `reason` is ours, for whoever doubts the label.

Half of the samples of each kind are good, so that a judge that always says the same agrees with half, and gets no kappa.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from pydantic import Field, ValidationError

from pipeline import config
from pipeline.config import Section
from pipeline.errors import Invalid, Problem
from pipeline.files import digest
from pipeline.generating import recipes
from pipeline.generating.recipes import Step
from pipeline.generating.rows import Kind

FOLDER = "configs/calibration"
KINDS: tuple[Kind, ...] = get_args(Kind)


class ExampleConfig(Section):
    context: str = ""
    question: str
    answer: str


class SampleConfig(Section):
    question: str
    answer: str = ""
    kept: dict[str, bool] = Field(min_length=1, description="a step that judges -> whether it ought to keep the sample")
    reason: str = Field(min_length=1, description="why the label is what it is")


class EntryConfig(Section):
    language: str = Field(pattern=r"^[a-z]{2}$")
    task: str = ""
    examples: tuple[ExampleConfig, ...] = ()
    context: str = ""
    document: str = ""
    samples: tuple[SampleConfig, ...] = Field(min_length=1)


class FileConfig(Section):
    entries: tuple[EntryConfig, ...] = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class Question:
    """What a judge is asked of a sample in a step, and whether it ought to keep it (`good`) with our `reason`."""

    step: Step
    given: Mapping[str, Any]
    good: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Sample:
    """`number` counts the samples of a kind from 1, in the order of their file; it is good where all its questions are."""

    kind: Kind
    number: int
    questions: tuple[Question, ...]

    @property
    def good(self) -> bool:
        return all(one.good for one in self.questions)


@dataclass(frozen=True, slots=True)
class Reference:
    """The samples of all kinds; `digest` is that of everything that a judge's answers about them depend on."""

    samples: tuple[Sample, ...]
    digest: str

    @property
    def questions(self) -> tuple[Question, ...]:
        return tuple(one for sample in self.samples for one in sample.questions)


def load(home: Path) -> Reference:
    """The samples, with the prompts and the schemas by which the recipes of this installation have them judged.

    Steps that a recipe has not are left out, and with them the samples that only those would drop. Raises Invalid with every
    problem of the files, of a recipe or of its prompts, each with its path.
    """
    samples, asked = list[Sample](), list[Any]()
    for kind in KINDS:
        judges = {step.name: step for step in recipes.load(home, kind).steps if step.config.does == "judge"}
        path = home / FOLDER / f"{kind}.yaml"
        found = list(_samples(kind, _entries(path), judges))
        if not {True, False} <= {sample.good for sample in found}:
            fix = f"Take those of the repository, or name there what configs/recipes/{kind}.yaml has."
            raise Invalid(Problem("calibrate.steps", "its samples fit no step of the recipe that judges", str(path), fix))
        samples += found
        asked += [[step.digest, step.config.keep] for step in judges.values()]
    told = [[one.step.name, one.given, one.good] for sample in samples for one in sample.questions]
    return Reference(tuple(samples), digest(json.dumps([asked, told], sort_keys=True).encode()))


def _entries(path: Path) -> tuple[EntryConfig, ...]:
    try:
        return FileConfig.model_validate({"entries": config.read(path)}).entries
    except ValidationError as error:
        problems = [config.problem(path.name, one["loc"][1:], one["msg"], one.get("input")) for one in error.errors()]
        raise Invalid(*problems) from None


def _samples(kind: Kind, entries: tuple[EntryConfig, ...], judges: Mapping[str, Step]) -> Iterator[Sample]:
    rows = [(entry, sample) for entry in entries for sample in entry.samples]
    for number, (entry, sample) in enumerate(rows, 1):
        examples = [one.model_dump(exclude_defaults=True) for one in entry.examples]
        told = {"task": entry.task, "examples": examples, "context": entry.context, "document": entry.document}
        given = {**told, "question": sample.question, "answer": sample.answer}
        labels = {name: good for name, good in sample.kept.items() if name in judges}
        if labels and all(labels.values()) == all(sample.kept.values()):
            questions = tuple(Question(judges[name], given, good, sample.reason) for name, good in labels.items())
            yield Sample(kind, number, questions)
