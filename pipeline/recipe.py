"""The pipeline at a glance: what runs after what. A new stage is one file in `stages` and one line here."""

from pipeline.errors import Invalid, Problem
from pipeline.stage import Stage
from pipeline.stages.fetch import FETCH
from pipeline.stages.model import ENGINE, MODEL
from pipeline.stages.precheck import PRECHECK
from pipeline.stages.propose import PROPOSE

RECIPES: dict[str, tuple[Stage, ...]] = {
    "contribution": (PRECHECK, PROPOSE),
    "document": (FETCH,),
    "model": (ENGINE, MODEL),
}


def stages(recipe: str, until: str | None = None) -> tuple[Stage, ...]:
    """The stages of a recipe, up to and with `until`; that one only where it is `alone`. Raises Invalid for an unknown name."""
    if recipe not in RECIPES:
        known = ", ".join(RECIPES)
        raise Invalid(Problem("recipe.unknown", f"no recipe {recipe!r}", fix=f"There is: {known}."))
    names = [stage.name for stage in RECIPES[recipe]]
    if until is None:
        return RECIPES[recipe]
    if until not in names:
        raise Invalid(Problem("stage.unknown", f"{recipe} has no stage {until!r}", fix=f"There is: {', '.join(names)}."))
    at = names.index(until)
    return RECIPES[recipe][at if RECIPES[recipe][at].alone else 0 : at + 1]
