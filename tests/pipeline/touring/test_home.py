from pathlib import Path

from pipeline import config
from pipeline.generating import recipes
from pipeline.mixing import sizes
from pipeline.touring import home
from pipeline.training import settings
from tests.conftest import HOME


def test_a_home_of_the_tour_is_ours_with_the_changes_of_its_file_and_loads(tmp_path: Path) -> None:
    made = home.make(tmp_path / "home", HOME, home.settings(HOME), home.seeded(3))
    recipe, ours = recipes.load(made, "freeform"), recipes.load(HOME, "freeform")

    assert (recipe.config.samples, recipe.config.unseen, recipe.config.reworded) == (108, 180, 8)
    assert recipe.prompts() == ours.prompts()
    assert settings.load(made / settings.FILE, "tiny").seed == 45
    assert config.load(made / "configs" / "bot.yaml", {}).taxonomy.path == ""
    assert sizes.load(made / sizes.FILE).skills == ()
