"""A draft's run on the fake GitHub: what tests of proposals start from."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline import vault
from pipeline.stage import Job
from tests.conftest import HOME
from tests.fakes.github import FakeGitHub

LEAF = "compositional_skills/linguistics/order_tickets"
QNA = """version: 3
task_description: Turn an order into a ticket
created_by: alice
seed_examples:
""" + "".join(f"  - question: {number} lamps\n    answer: 'item: lamps | count: {number}'\n" for number in range(5))
INPUTS = {
    "leaf": LEAF,
    "root": "compositional_skills",
    "description": "Turn an order into a ticket",
    "replaces": False,
    "name": "Alice Ünal",
    "mail": "alice@lab.example",
    "signed_at": 1767312000.7,
    "dco": "1.1",
}
KEY = vault.key()
TOKEN = "gho_PLANTEDTOKENofalice000000000000000001"


@pytest.fixture
def hub() -> Iterator[FakeGitHub]:
    with FakeGitHub().up() as hub:
        hub.repo("lab/taxonomy", {"README.md": "A taxonomy\n", "compositional_skills/arts/there/qna.yaml": "version: 3\n"})
        hub.user("alice", TOKEN)
        yield hub


@pytest.fixture(autouse=True)
def vaulted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABBOT_VAULT_KEY", KEY)


def account(token: str = TOKEN, login: str = "alice") -> dict[str, str]:
    """What a worker hands to the stage."""
    return {"login": login, "user": "1", "token": vault.Vault([KEY]).seal(token, "github:1").decode()}


def job(
    hub: FakeGitHub, runs: Path, run: str = "k7abcdef.1", qna: str = QNA, given: dict[str, str] | None = None, **changed: Any
) -> Job:
    folder = runs / run
    (folder / "entry").mkdir(parents=True, exist_ok=True)
    (folder / "entry" / "qna.yaml").write_text(qna, encoding="utf-8")
    (folder / "entry" / "attribution.txt").write_text("Title of work: Order tickets\nLink to work: -\n", encoding="utf-8")
    settings = {
        "repo": "lab/taxonomy",
        "branch": "main",
        "template": str(HOME / "configs" / "pull.md"),
        "github": hub.settings(),
    }
    said: list[dict[str, str]] = []
    made = Job(
        folder,
        {**INPUTS, **changed},
        settings,
        lambda fraction, facts: said.append(dict(facts)),
        account=account() if given is None else given,
    )
    return made
