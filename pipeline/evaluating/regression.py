"""What the base could do before, asked again after: `configs/regression/BASE.yaml`, by its name, else general.yaml.

A file lists short questions with the answers that are right, or says that the base is the practice model, whose own kinds
of dialogues are asked then, from the side that was never trained on (models.dialogues).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from pipeline import config
from pipeline.config import Section
from pipeline.errors import Invalid
from pipeline.evaluating import scoring
from pipeline.evaluating.questions import Question, messages
from pipeline.models import dialogues, tiny
from pipeline.training.rows import Message

FOLDER, GENERAL = "configs/regression", "general"
SEED = 2  # of the questions; those with seeds 0 and 1 are on the practice model's card

Source = Literal["questions", "practice"]


class QuestionConfig(Section):
    asks: str = Field(min_length=1, description="the question, which says what form its answer has")
    accepted: tuple[str, ...] = Field(min_length=1, description="what is right, whatever its case and marks")


class RegressionConfig(Section):
    """A file of questions by family. `each`: of a practice model, how many of each family."""

    source: Source = "questions"
    each: int = Field(default=20, ge=1, le=1000, description="with `source: practice`, questions of each family")
    families: dict[str, tuple[QuestionConfig, ...]] = Field(default={}, description="what is asked about -> its questions")


def load(home: Path, base: str) -> RegressionConfig | None:
    """The file for a base, None where there is none. Raises Invalid with every problem of it."""
    folder = home / FOLDER
    path = next((one for one in (folder / f"{Path(base).name}.yaml", folder / f"{GENERAL}.yaml") if one.is_file()), None)
    if path is None:
        return None
    try:
        return RegressionConfig.model_validate(config.read(path))
    except ValidationError as error:
        raise Invalid(
            *(config.problem(path.name, one["loc"], one["msg"], one.get("input")) for one in error.errors())
        ) from None


def questions(found: RegressionConfig, system: str, models: Path, base: str) -> list[Question]:
    """`models`: LABBOT_DATA/models, where the card of a practice model says which families it was taught."""
    return list(_practice(found, models / base) if found.source == "practice" else _listed(found, system))


def right(source: Source, one: Question, said: str) -> bool:
    """The practice model was taught to answer letter by letter, and its card is measured so."""
    fits = scoring.exact if source == "practice" else scoring.alike
    return any(fits(accepted, said) for accepted in one.accepted)


def _listed(found: RegressionConfig, system: str) -> Iterator[Question]:
    for family, listed in found.families.items():
        for number, one in enumerate(listed, 1):
            yield Question(family, number, messages(one.asks, system), one.asks, one.accepted, of=one.asks)


def _practice(found: RegressionConfig, folder: Path) -> Iterator[Question]:
    """Asked as they were taught, some with a system message of their own."""
    card = tiny.read(folder)
    for family in card.recipe["families"] if card else dialogues.FAMILIES:
        for number, one in enumerate(dialogues.questions(family, found.each, SEED), 1):
            asked = tuple(Message(role, text) for role, text in one.messages[:-1])
            same = "\n".join(message.content for message in asked)  # small talk has few wordings, and they come again
            yield Question(family, number, asked, asked[-1].content, one.accepted, of=same)
