"""The small recipe of the tiny model, made once and kept in the checkout: real weights for every test that needs some."""

from pathlib import Path

from pipeline.models import tiny

CACHE = Path(__file__).resolve().parents[3] / ".cache" / "tests"


def small_model(cache: Path = CACHE) -> Path:
    """The folder with model.gguf, card.json and hf/. Made in some ten seconds where it is not there; others wait for it."""
    folder = cache / f"tiny-{tiny.digest(tiny.SMALL).removeprefix('sha256:')[:16]}"
    tiny.make(tiny.SMALL, folder)
    return folder
