"""Models of random weights, made once a session, and an engine over the small one."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.models.engine import Engine, EngineSettings
from tests.pipeline.models import random_gguf


@pytest.fixture(scope="session")
def gguf_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_gguf.make(tmp_path_factory.mktemp("models") / "random.gguf")


@pytest.fixture(scope="session")
def gguf_adapters(gguf_file: Path) -> tuple[Path, Path]:
    """Two adapters for it that change its answers, each in its way."""
    folder = gguf_file.parent
    return tuple(random_gguf.adapter(folder / f"{name}.gguf", gguf_file, seed=seed) for seed, name in enumerate("ab", 1))  # type: ignore[return-value]  # two of them


@pytest.fixture
def engines(gguf_file: Path) -> Iterator[Callable[..., Engine]]:
    """Make an engine of given settings; all are closed at the end."""
    made = []

    def make(**settings: object) -> Engine:
        made.append(Engine(EngineSettings(settings.pop("model", gguf_file), **{"threads": 1, **settings})))  # type: ignore[arg-type]  # by name
        return made[-1]

    yield make
    for engine in made:
        engine.close()
