"""Names of people, found by presidio where an operator has installed it and says so in configs/screen.yaml.

Presidio needs a model of the language (hundreds of megabytes), so it is no dependency; nothing of it is imported before
the first text is looked at.
"""

from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from pipeline.errors import Problem
from pipeline.screening.places import Place, finding, masked

PACKAGE = "presidio_analyzer"
SURE = 0.8  # presidio's own score; 0.85 is what it gives to names that its model finds


def installed() -> bool:
    return find_spec(PACKAGE) is not None


def find(place: Place) -> list[Problem]:
    """One finding where the text names a person. Raises ImportError where presidio is not installed."""
    found = [one for one in _engine().analyze(text=place.text, language="en", entities=["PERSON"]) if one.score >= SURE]
    if not found:
        return []
    name = masked(place.text[found[0].start : found[0].end])
    return [finding("name", place, name, f"name: {name}", wording="question")]


@lru_cache(maxsize=1)
def _engine() -> Any:
    return import_module(PACKAGE).AnalyzerEngine()
