"""The pipeline at a glance: what runs after what. A new stage is one file in `stages` and one line here."""

from pipeline.errors import Invalid, Problem
from pipeline.stage import Stage
from pipeline.stages.fetch import FETCH
from pipeline.stages.model import ENGINE, MODEL
from pipeline.stages.propose import PROPOSE

RECIPES: dict[str, tuple[Stage, ...]] = {
    "contribution": (PROPOSE,),
    "document": (FETCH,),
    "model": (ENGINE, MODEL),
}


def stages(recipe: str, until: str | None = None) -> tuple[Stage, ...]:
    """The stages of a recipe, up to and with `until`. Raises Invalid for a name that there is not."""
    if recipe not in RECIPES:
        known = ", ".join(RECIPES)
        raise Invalid(Problem("recipe.unknown", f"no recipe {recipe!r}", fix=f"There is: {known}."))
    names = [stage.name for stage in RECIPES[recipe]]
    if until is None:
        return RECIPES[recipe]
    if until not in names:
        raise Invalid(Problem("stage.unknown", f"{recipe} has no stage {until!r}", fix=f"There is: {', '.join(names)}."))
    return RECIPES[recipe][: names.index(until) + 1]
