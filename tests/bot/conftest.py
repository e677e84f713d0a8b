"""What tests of the bot may ask for: a store on the session's Redis, and settings on a fresh data folder."""

import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bot import house
from bot import settings as settings_module
from bot.faq import Faq
from bot.play import TERMS
from bot.settings import Settings
from bot.store import Store
from pipeline import demo
from pipeline.memory import Memory
from tests.bot.taught import COMMAND
from tests.fakes.git_host import GitHost
from tests.fakes.github.told import Told, told
from tests.fakes.model import Model

HARBOUR = """# The harbour

Brookhaven has a harbour on the east bank.

## Light

The lighthouse was built in 1788 and shines nine miles. Keepers live in the tower.

## Trade

Fish is sold on the quay at six in the morning.
"""


@pytest.fixture(autouse=True)
def taught(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the transcripts in which a model learns, nobody waits for that."""
    played = getattr(request.node, "callspec", None)
    if played and getattr(played.params.get("path"), "stem", "").startswith("train"):
        monkeypatch.setattr("bot.play.TERMS", replace(TERMS, command=COMMAND))


@pytest.fixture
def store(memory: Memory) -> Store:
    return Store(memory, lease_s=0.2)


@pytest.fixture(scope="session")
def loaded() -> Settings:
    """The settings as they are shipped; to read the words takes a tenth of a second."""
    return settings_module.load({"LABBOT_TINY": "small"})


@pytest.fixture
def settings(loaded: Settings, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    environment = {**loaded.environment, "LABBOT_DATA": str(tmp_path / "data")}
    return replace(
        loaded, data=tmp_path / "data", cache=tmp_path_factory.getbasetemp() / "cache", environment=environment
    )  # fitting the FAQ takes a second


@pytest.fixture(scope="session")
def faqs() -> dict[str, Faq]:
    return {}


@pytest.fixture(autouse=True)
def read_already(faqs: dict[str, Faq], monkeypatch: pytest.MonkeyPatch) -> None:
    """An FAQ that was read is not read again: it looks itself whether its files have changed."""
    anew = house.faq_of

    def kept(given: Settings) -> Faq:
        key = repr((given.home, given.cache, given.bot.faq, given.embeddings))
        if key not in faqs:
            faqs[key] = anew(given)
        return faqs[key]

    monkeypatch.setattr(house, "faq_of", kept)


@pytest.fixture(scope="session")
def small_recipes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose recipes ask for few samples: what a transcript says of them is the same as of hundreds."""
    home, real = tmp_path_factory.mktemp("home"), settings_module.load({}).home
    recipes = home / "configs" / "recipes"
    recipes.mkdir(parents=True)
    for path in (*real.iterdir(), *(real / "configs").iterdir()):
        if path.name not in ("configs", "recipes"):
            (home / path.relative_to(real)).symlink_to(path)
    for path in (real / "configs" / "recipes").glob("*.yaml"):
        made = path.read_text(encoding="utf-8")
        for name, count in (("samples", 6), ("unseen", 4), ("reworded", 1), ("after", 12)):
            made = re.sub(rf"\b{name}: \d+", f"{name}: {count}", made, count=1)
        (recipes / path.name).write_text(made, encoding="utf-8")
    return home


@pytest.fixture(scope="session")
def read_once(loaded: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The settings, with a taxonomy that is made: what takes a while and is the same for every test."""
    tree = tmp_path_factory.mktemp("tree") / "taxonomy"
    demo.make(tree, loaded.home / "configs" / "demo")
    return settings_module.reloaded(replace(loaded, data=tree.parent), {"taxonomy.path": str(tree)})


@pytest.fixture(scope="session")
def faq(read_once: Settings, tmp_path_factory: pytest.TempPathFactory) -> Faq:
    return house.faq_of(replace(read_once, cache=tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture
def shared_cache(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """For a process whose data folder is `data`: fitting the FAQ takes a second, and tests share what comes of it."""
    shared = tmp_path_factory.getbasetemp() / "cache"
    shared.mkdir(exist_ok=True)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "cache").symlink_to(shared)


@pytest.fixture(scope="session")
def at_the_terminal() -> dict[Path, list[str]]:
    """The files that transcripts end in at the terminal, of those that were played there to be compared with."""
    return {}


@pytest.fixture
async def model() -> AsyncIterator[Model]:
    async with Model() as made:
        yield made


@pytest.fixture
def github() -> Iterator[Told]:
    with told() as made:
        yield made


@pytest.fixture(scope="session")
def docs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What the transcripts need: a git host with a document, over https."""
    host = GitHost(tmp_path_factory.mktemp("docs"))
    host.repo("harbour", {"harbour.md": HARBOUR.encode()})
    with host.up() as url:
        yield {"docs": url, "docs_host": url.removeprefix("https://"), "docs_ca": str(host.ca)}
