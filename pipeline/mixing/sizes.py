"""What is mixed, and how much of each: `configs/recipes/mix.yaml`.

The figures are those of instructlab-sdg 0.8.3: NUM_SYNTH_SKILLS (30 of each skill), MIN_UPSAMPLE_THRESHOLD (knowledge is
drawn up to 3 % of the base mix of skills), RAFT with p = 0.4 and four documents, the seed 42.
"""

from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, field_validator

from pipeline import config
from pipeline.config import Section
from pipeline.errors import Invalid, Problem

FILE = "configs/recipes/mix.yaml"

Size = int | float


class BaseConfig(Section):
    """A file of a base mix."""

    path: str = Field(min_length=1, description="JSON lines with `messages`; from the folder of mix.yaml, or absolute")
    size: Size = Field(
        default=1.0, gt=0, description="1.0 for all rows, another fraction for that share, a whole number of rows"
    )

    @field_validator("size")
    @classmethod
    def _not_one(cls, size: Size) -> Size:
        if isinstance(size, int) and size == 1:
            raise ValueError("write 1.0 for all rows; a single row cannot be drawn")  # upstream, too, reads 1 as 1.0
        return size


class MixConfig(Section):
    """The whole of mix.yaml."""

    system: str = Field(min_length=1, description="the system prompt of every row")
    seed: int = Field(default=42, ge=0, lt=2**32, description="of everything that is drawn")
    leaf_samples: int = Field(default=30, ge=2, description="rows of each skill that is mixed with others")
    knowledge_share: float = Field(default=0.03, ge=0, le=1, description="least share of knowledge beside a base mix of skills")
    golden: float = Field(default=0.4, ge=0, le=1, description="share of questions whose own document is among several")
    documents: int = Field(default=4, ge=1, le=20, description="documents that stand before such a question")
    closed_book: bool = Field(default=True, description="whether knowledge is asked for without any document, too")
    skills: tuple[BaseConfig, ...] = Field(default=(), description="the base mix of the skills phase")
    knowledge: tuple[BaseConfig, ...] = Field(default=(), description="the base mix of the knowledge phase")
    languages: dict[str, str] = Field(default={}, description="the commonest words of a language, by its ISO code")


def load(path: Path) -> MixConfig:
    """Read mix.yaml, the paths in it made absolute.

    Raises Invalid with every problem of the file, and mix.base for files of a base mix that are not there.
    """
    found = config.read(path)
    if not isinstance(found, dict):
        raise Invalid(Problem("config.shape", "the file is no mapping of settings", path.name, "Begin with `system: ...`."))
    try:
        made = MixConfig.model_validate(found)
    except ValidationError as error:
        raise Invalid(
            *(config.problem(path.name, one["loc"], one["msg"], one.get("input")) for one in error.errors())
        ) from None
    skills, knowledge = _placed(made.skills, path), _placed(made.knowledge, path)
    if missing := [one.path for one in (*skills, *knowledge) if not Path(one.path).is_file()]:
        fix = f"Put it there, or take it out of {path.name}: then no base mix is replayed, and the card says so."
        raise Invalid(*(Problem("mix.base", "there is no such file", place, fix, {"path": place}) for place in missing))
    return made.model_copy(update={"skills": skills, "knowledge": knowledge})


def settings(home: Path) -> dict[str, Any]:
    """What the stage is given: where mix.yaml is, and path, size in bytes and time of each file of the base mix.

    Of these a receipt is void when one changes. What is wrong with mix.yaml the stage says.
    """
    try:
        found = load(home / FILE)
    except Invalid:
        return {"home": str(home), "base": []}
    files = [Path(one.path) for one in (*found.skills, *found.knowledge)]
    return {"home": str(home), "base": [[str(one), one.stat().st_size, one.stat().st_mtime_ns] for one in files]}


def _placed(files: tuple[BaseConfig, ...], config_path: Path) -> tuple[BaseConfig, ...]:
    return tuple(one.model_copy(update={"path": str(config_path.parent.absolute() / one.path)}) for one in files)
