"""What stages are given on a machine: places, endpoints, digests of what they follow, and no key."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from pipeline.config import BotConfig
from pipeline.installation import Installation
from pipeline.recipe import RECIPES
from tests.conftest import HOME


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A copy of the checkout's configs, which can be changed."""
    shutil.copytree(HOME / "configs", tmp_path / "home" / "configs")
    return tmp_path / "home"


def given(home: Path, **environment: str) -> dict[str, Any]:
    here = Installation(home, home.parent / "data", "", BotConfig(), environment)
    return dict(here.stages)


def test_every_stage_is_given_something(home: Path) -> None:
    found = given(home)

    assert found.keys() == {stage.name for stages in RECIPES.values() for stage in stages}
    assert found["document"] == found["fetch"]


def test_a_stage_that_asks_models_is_told_where_they_are_and_not_with_which_key(home: Path) -> None:
    url = "http://127.0.0.1:1/v1"
    found = given(home, LABBOT_TEACHER_URL=url, LABBOT_JUDGE_URL=url, LABBOT_TEACHER_KEY="secret-key", HF_TOKEN="secret-key")
    place = {"home": str(home), "taxonomy": str(home.parent / "data" / "taxonomy")}

    assert found["generate"].items() >= place.items()
    assert found["generate"]["folder"] == str(home.parent / "data" / "models")
    assert found["generate"]["urls"] == {"LABBOT_TEACHER_URL": url, "LABBOT_JUDGE_URL": url}
    assert found["judge"] == place
    assert "secret-key" not in json.dumps(found)


@pytest.mark.parametrize(
    ("path", "stages"),
    [
        ("models/roles.yaml", {"precheck", "generate", "evaluate"}),
        ("prompts/judge.md", {"precheck"}),
        ("prompts/generate/questions.md", {"generate"}),
        ("recipes/freeform.yaml", {"generate"}),
        ("recipes/mix.yaml", {"mix", "train", "evaluate"}),
        ("recipes/train.yaml", {"train"}),
        ("regression/general.yaml", {"evaluate"}),
    ],
)
def test_another_prompt_or_recipe_makes_void_what_was_made_by_it_and_nothing_else(
    home: Path, path: str, stages: set[str]
) -> None:
    before = given(home)
    with (home / "configs" / path).open("a", encoding="utf-8") as file:
        file.write("\n# another\n")
    after = given(home)

    assert {name for name in after if after[name] != before[name]} == stages


def test_another_file_of_the_base_mix_makes_void_what_was_mixed_with_it(home: Path) -> None:
    mixing = home / "configs" / "recipes" / "mix.yaml"
    mixing.write_text("system: You help.\nskills: [{path: base.jsonl}]\n", encoding="utf-8")
    base = mixing.with_name("base.jsonl")
    base.write_text('{"messages": []}\n', encoding="utf-8")
    before = given(home)
    base.write_text('{"messages": []}\n' * 2, encoding="utf-8")
    after = given(home)

    assert {name for name in after if after[name] != before[name]} == {"mix"}
