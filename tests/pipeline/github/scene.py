"""A taxonomy on the fake GitHub, and pull requests to it from people's forks."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.fakes.github import FakeGitHub
from tests.fakes.github.world import BEGIN, Pull

NOW = BEGIN.timestamp() + 10_000
QNA = "compositional_skills/tickets/qna.yaml"


@contextmanager
def scene() -> Iterator[FakeGitHub]:
    """dora and emil are members there."""
    with FakeGitHub().up() as hub:
        hub.repo("lab/taxonomy", {"README.md": "Hello\n"})
        hub.repos["lab/taxonomy"].members |= {"dora", "emil"}
        yield hub


def proposed(fake: FakeGitHub, number: int = 12, by: str = "alice", title: str = "Order tickets") -> Pull:
    """A pull request from a branch of a fork."""
    name = f"{by}/taxonomy"
    if name not in fake.repos:
        fork = fake.repo(name)
        fork.branches, fork.parent = dict(fake.repos["lab/taxonomy"].branches), "lab/taxonomy"
    branch = f"labbot/k{number}"
    fake.repos[name].branches[branch] = fake.repos["lab/taxonomy"].branches["main"]
    fake.push(name, branch, {QNA: "version: 3\n"})
    at = fake.now()
    made = Pull("lab/taxonomy", number, by, title, "", name, branch, "main", at, at)
    fake.repos["lab/taxonomy"].pulls[number] = made
    return made
