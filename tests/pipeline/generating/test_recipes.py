"""The shipped recipes load; a wrong one says everything that is wrong with it, with its place."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema.validators import validator_for

from pipeline.errors import Invalid
from pipeline.generating import recipes
from pipeline.generating.recipes import FOLDER, PROMPTS, Recipe
from pipeline.generating.rows import Kind
from tests.conftest import HOME

KINDS: tuple[Kind, ...] = ("freeform", "grounded", "knowledge")
STEPS = {
    "freeform": "questions judge_questions answers judge_pairs",
    "grounded": "contexts grounded_questions judge_grounded_questions grounded_answers judge_grounded_pairs",
    "knowledge": "pairs judge_faithfulness judge_relevancy judge_verifiability",
}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An installation whose recipes may be changed."""
    for folder in (FOLDER, PROMPTS):
        shutil.copytree(HOME / folder, tmp_path / folder)
    return tmp_path


def changed(home: Path, change: Callable[[dict[str, Any]], object]) -> tuple[str, ...]:
    """The problems of the freeform recipe after a change of its file."""
    path = home / FOLDER / "freeform.yaml"
    found = yaml.safe_load(path.read_text(encoding="utf-8"))
    change(found)
    path.write_text(yaml.safe_dump(found), encoding="utf-8")
    with pytest.raises(Invalid) as caught:
        recipes.load(home, "freeform")
    return tuple(one.where for one in caught.value.problems)


@pytest.mark.parametrize("kind", KINDS)
def test_the_shipped_recipes_load_with_their_steps_and_prompts(kind: Kind) -> None:
    made = recipes.load(HOME, kind)

    assert " ".join(step.name for step in made.steps) == STEPS[kind]
    assert [step.name for step in made.rewordings] == ["rewordings", "judge_rewordings"]
    assert all(step.prompt for step in (*made.steps, *made.rewordings))
    assert made.roles == ("teacher", "judge")
    assert set(made.prompts()) == {step.name for step in (*made.steps, *made.rewordings)}
    assert (made.config.unseen >= 20, made.config.unseen <= 50) == (True, True)


@pytest.mark.parametrize("kind", KINDS)
def test_every_schema_of_a_shipped_recipe_is_one_and_judges_give_the_reason_first(kind: Kind) -> None:
    made = recipes.load(HOME, kind)

    for step in (*made.steps, *made.rewordings):
        validator_for(step.schema).check_schema(step.schema)
        if step.config.does == "judge":
            assert list(step.schema["properties"]) == step.schema["required"] == ["reason", "score"]


def test_how_many_samples_a_request_leads_to_is_the_product_of_its_lists() -> None:
    assert [recipes.load(HOME, kind).listed() for kind in KINDS] == [6, 6, 4]


def test_single_settings_are_changed_by_their_path() -> None:
    made = recipes.load(HOME, "freeform", {"stop.share": 0, "samples": 7, "facets": {}})

    assert (made.config.stop.share, made.config.stop.after, made.config.samples, made.config.facets) == (0, 24, 7, {})


@pytest.mark.parametrize(
    "changes", [{"stop.shared": 0}, {"stop.share": 2}, {"samples.more": 1}, {"samples": "many"}, {"no": 1}]
)
def test_a_change_that_is_none_is_refused_with_its_path(changes: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as caught:
        recipes.load(HOME, "freeform", changes)

    assert [one.where.removeprefix("freeform.yaml: ") for one in caught.value.problems] == list(changes)


def test_every_problem_of_a_file_is_told_at_once_with_its_path(home: Path) -> None:
    def change(found: dict[str, Any]) -> None:
        found["samples"] = 0
        found["stop"]["share"] = 2
        found["colour"] = "red"
        found["steps"][1]["does"] = "guess"
        found["steps"][2]["gives"] = ["everything"]

    assert set(changed(home, change)) >= {
        f"freeform.yaml: {where}" for where in ("samples", "stop.share", "colour", "steps.1.does", "steps.2.gives.0")
    }


@pytest.mark.parametrize(
    "change",
    [
        lambda found: found["steps"].reverse(),
        lambda found: found["steps"].pop(0),
        lambda found: found["steps"].append(dict(found["steps"][0], name="others")),
        lambda found: found["steps"].append(found["steps"][1]),
        lambda found: found["steps"][1].update(keep=2),
        lambda found: found["rewordings"].pop(0),
    ],
)
def test_steps_that_do_not_follow_each_other_are_refused(home: Path, change: Callable[[dict[str, Any]], object]) -> None:
    assert len(changed(home, change)) == 1


def test_every_prompt_that_cannot_be_read_is_told_at_once_with_its_file(home: Path) -> None:
    (home / PROMPTS / "answers.md").unlink()
    (home / PROMPTS / "judge_pairs.md").write_bytes(b"\xff\xfe")
    (home / PROMPTS / "judge_rewordings.md").unlink()

    with pytest.raises(Invalid) as caught:
        recipes.load(home, "freeform")

    assert [Path(one.where).name for one in caught.value.problems] == ["answers.md", "judge_pairs.md", "judge_rewordings.md"]


@pytest.mark.parametrize("text", ["", "- a", "text", "a: ["])
def test_a_file_that_is_no_recipe_is_refused(home: Path, text: str) -> None:
    (home / FOLDER / "freeform.yaml").write_text(text, encoding="utf-8")

    with pytest.raises(Invalid):
        recipes.load(home, "freeform")


def test_a_request_is_the_prompt_and_one_object_with_what_the_step_gives_in_its_order() -> None:
    step = recipes.load(HOME, "freeform").steps[1]
    given = {"question": 'Why "}]?', "answer": "kept back", "examples": [{"question": "Wer? ä"}], "task": "Teach it."}

    system, user = step.messages(given)

    assert system == {"role": "system", "content": step.prompt}
    assert user["role"] == "user" and "ä" in str(user["content"])
    assert list(json.loads(str(user["content"])).items()) == [(name, given[name]) for name in ("task", "examples", "question")]


def test_a_request_can_be_sent_whatever_stands_in_a_seed_example() -> None:
    step = recipes.load(HOME, "freeform").steps[1]

    content = step.messages({"task": "a\ud800b\u2028"})[1]["content"]

    assert str(content).encode("utf-8").decode("utf-8") == content


def test_what_an_answer_depends_on_changes_a_steps_digest_and_what_is_kept_does_not(home: Path) -> None:
    def digest(change: dict[str, Any]) -> str:
        return (
            made({"steps": [dict(one, **change) if at == 1 else one for at, one in enumerate(plain["steps"])]}).steps[1].digest
        )

    def made(changes: dict[str, Any]) -> Recipe:
        return recipes.load(home, "freeform", changes)

    plain = yaml.safe_load((home / FOLDER / "freeform.yaml").read_text(encoding="utf-8"))
    before = made({}).steps[1].digest
    assert digest({"keep": 0}) == before
    changed = [digest(one) for one in ({"temperature": 0.5}, {"max_tokens": 300}, {"scores": [0, 3]}, {"gives": ["question"]})]
    (home / PROMPTS / "judge_questions.md").write_text("Another prompt.", encoding="utf-8")

    assert len({before, *changed, made({}).steps[1].digest}) == 6
