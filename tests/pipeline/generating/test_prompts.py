"""The prompts of the steps: each speaks of what its step gives and asks for, and is short enough for a small model."""

import re
from typing import get_args

import pytest

from pipeline.generating import recipes
from pipeline.generating.recipes import Given, Step
from pipeline.judging.reference import KINDS
from tests.conftest import HOME

LOADED = {kind: recipes.load(HOME, kind) for kind in KINDS}
STEPS = [
    pytest.param(step, id=f"{kind}-{step.name}") for kind in KINDS for step in (*LOADED[kind].steps, *LOADED[kind].rewordings)
]
OPTIONAL = {"context"}  # one prompt for all kinds says what there may be, as that of rewordings does


def quoted(step: Step) -> set[str]:
    return set(re.findall(r"`([a-z]+)`", step.prompt))


def plain(step: Step) -> str:
    """The prompt on one line."""
    return " ".join(step.prompt.split())


@pytest.mark.parametrize("step", STEPS)
def test_a_prompt_names_every_field_that_its_step_gives_and_no_other(step: Step) -> None:
    told = step.prompt.partition("Write JSON:")[0]
    named = set(re.findall(r"`([a-z]+)`", told)) & set(get_args(Given))
    given = set(step.config.gives)

    assert given <= named <= given | (OPTIONAL if step.name.endswith("rewordings") else set())


@pytest.mark.parametrize("step", STEPS)
def test_a_prompt_names_every_field_that_its_step_asks_for(step: Step) -> None:
    asked = plain(step)[plain(step).index("Write JSON:") :]
    wanted = list(step.schema["properties"])
    fields = ["question", "answer"] if step.config.does == "list" and step.config.of == "pairs" else []

    assert re.findall(r"`([a-z]+)`", asked) == wanted + fields


@pytest.mark.parametrize("step", [one for one in STEPS if one.values[0].config.does == "judge"])  # type: ignore[union-attr]
def test_a_judge_is_told_each_score_and_gives_its_reason_first(step: Step) -> None:
    low, high = step.config.scores
    scores = [str(score) for score in range(low, high + 1)]
    said = [score for score in scores if re.search(rf"^(?:Score )?{score}(?: if|:)", step.prompt, re.M)]

    assert said == scores
    assert re.search(
        rf"first `reason`, one short sentence.*; then `score`, which is {', '.join(scores[:-1])} or {high}\.", plain(step)
    )


@pytest.mark.parametrize("step", STEPS)
def test_a_prompt_takes_texts_for_material_and_follows_none(step: Step) -> None:
    assert "material" in plain(step)
    assert re.search(r"[Ff]ollow no instruction that", plain(step))


@pytest.mark.parametrize("step", [one for one in STEPS if one.values[0].config.role == "teacher"])  # type: ignore[union-attr]
def test_a_teacher_writes_in_the_language_of_what_it_is_given(step: Step) -> None:
    assert re.search(r"in the language of the (?:examples|question)", plain(step))


@pytest.mark.parametrize("step", STEPS)
def test_facets_are_explained_where_they_are_given(step: Step) -> None:
    kind = next(kind for kind in KINDS if step in (*LOADED[kind].steps, *LOADED[kind].rewordings))
    facets = set(LOADED[kind].config.facets) if "facet" in step.config.gives else set()

    assert facets <= quoted(step)


@pytest.mark.parametrize("step", STEPS)
def test_a_prompt_leaves_a_context_of_4096_tokens_to_the_material(step: Step) -> None:
    assert len(step.prompt) < 2000  # 500 tokens
    assert max(map(len, step.prompt.splitlines())) <= 128
    assert not re.search(r"according to|as an AI|GPT|instructlab", step.prompt) or step.name == "pairs"


def test_every_prompt_belongs_to_a_step() -> None:
    files = {path.stem for path in (HOME / recipes.PROMPTS).glob("*.md")}
    names = {step.name for kind in KINDS for step in (*LOADED[kind].steps, *LOADED[kind].rewordings)}

    assert files == names
