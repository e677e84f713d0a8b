"""From a conversation to a pull request across forks, against npm's `emulate` as GitHub: `make test-emulate`.

It is not ours, so it does not share our mistakes about GitHub's API; what it gets wrong itself stands in service.py.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bot import settings as settings_module
from bot.play import Player, play_file
from bot.settings import Settings
from pipeline.embedded import Server
from pipeline.memory import Memory
from tests.bot.discord.player import DiscordPlayer
from tests.bot.slack.player import SlackPlayer
from tests.emulate import service
from tests.fakes.github.told import REPO
from tests.fakes.model import Model
from tests.pipeline import oracle

pytestmark = pytest.mark.emulate

HERE = Path(__file__).resolve().parent
LEAF = "compositional_skills/technology/tickets/orders"
FORK = "alice/taxonomy"
KINDS = {"terminal": Player, "discord": DiscordPlayer, "slack": SlackPlayer}


@pytest.fixture(scope="module")
def there() -> None:
    if lacks := service.lacks():
        pytest.skip(lacks)


@pytest.fixture
def emulate(there: None, tmp_path: Path) -> Iterator[service.Emulate]:
    with service.up(tmp_path) as made:
        yield made


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    loaded = settings_module.load({"LABBOT_TINY": "small"})
    return replace(loaded, data=tmp_path / "data", cache=tmp_path / "cache")


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """One guild is there when the gateway says that it is ready."""
    monkeypatch.setattr("bot.platforms.discord.gateway.GUILDS_S", 0.0)


@pytest.mark.parametrize("platform", KINDS)
async def test_a_conversation_becomes_one_pull_request_whose_files_pass_upstreams_checks(
    platform: str, emulate: service.Emulate, settings: Settings, server: Server, memory: Memory, tmp_path: Path
) -> None:
    await _plays(KINDS[platform], emulate, settings, server)

    found = emulate.ask("GET", f"/repos/{REPO}/pulls?state=all")
    assert [(one["head"]["repo"]["full_name"], one["base"]["repo"]["full_name"], one["user"]["login"]) for one in found] == [
        (FORK, REPO, "alice")
    ]
    branch = found[0]["head"]["ref"]
    assert _signed(emulate, branch) == [True, True]
    assert _judged(emulate, branch, tmp_path) == {"ci": [0, 0], "ilab": [0, 0]}
    assert "- [x] All commits are signed off (DCO 1.1" in found[0]["body"]


def _signed(emulate: service.Emulate, branch: str) -> list[bool]:
    """Of each commit that the branch has and the base has not, whether it is signed off by whoever wrote it."""
    commits = emulate.ask("GET", f"/repos/{FORK}/compare/main...{branch}")["commits"]
    signed = "Signed-off-by: Alice Example <alice@example.org>"
    return [signed in one["commit"]["message"].splitlines() for one in commits]


def _judged(emulate: service.Emulate, branch: str, folder: Path) -> dict[str, oracle.Verdict]:
    """What upstream's parser says of the file, as CI and as ilab run it; both files are there."""
    assert emulate.file(FORK, f"{LEAF}/attribution.txt", branch).decode().startswith("Title of work: ")
    path = folder / LEAF / "qna.yaml"
    path.parent.mkdir(parents=True)
    path.write_bytes(emulate.file(FORK, f"{LEAF}/qna.yaml", branch))
    return oracle.ask(path)


async def _plays(kind: Callable[..., Player], emulate: service.Emulate, settings: Settings, server: Server) -> None:
    async with Model() as model:
        player = await play_file(settings, HERE / "pull_request.txt", server, model=model, kind=kind, github=emulate)
    assert (player.lacks, player.differences) == ([], [])


def test_what_emulate_gets_wrong_is_what_is_written_down(emulate: service.Emulate) -> None:
    """Each of these GitHub does otherwise; our own fake does as GitHub. Whatever is mended there goes from the list."""
    emulate.ask("POST", f"/repos/{REPO}/forks", {}, by="alice")
    told = {"message": "Add it", "content": "aGk=", "branch": "main"}
    tip = emulate.ask("PUT", f"/repos/{FORK}/contents/x.txt", told, by="alice")["commit"]["sha"]
    asked = {"title": "It", "head": "alice:main", "base": "main", "body": ""}
    numbers = [emulate.ask("POST", f"/repos/{REPO}/pulls", asked, by="alice")["number"] for _ in range(2)]

    assert numbers == [1, 2]
    assert emulate.ask("GET", f"/repos/{REPO}/pulls/1/files") == []
    assert emulate.status("GET", f"/repos/{REPO}/commits/{tip}/check-runs") == 404
    assert emulate.status("GET", "/user", token="gho_nobodys") == 200
    assert emulate.status("POST", f"/repos/{FORK}/merge-upstream", {"branch": "main"}, by="alice") == 404
    assert emulate.status("POST", "/login/device/code", {"client_id": "Iv1.labbot"}) == 404
