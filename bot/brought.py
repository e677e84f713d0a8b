"""What tests bring to a transcript: a model that is told what to say, a GitHub on which people are told what to do."""

from collections.abc import Mapping
from typing import Protocol

from pipeline.github.device import Grant

BROUGHT = {"model": "a model that tests bring", "github": "a GitHub that tests bring"}


class Model(Protocol):
    """A model whose answers a transcript tells (`tests/fakes/model.py`). `url` is its endpoint."""

    @property
    def url(self) -> str: ...

    def tell(self, what: str) -> None:
        """Do what stands behind "# model". Raises ValueError for what it does not understand."""

    async def up(self) -> None: ...

    async def down(self) -> None: ...


class GitHub(Protocol):
    """A GitHub where a transcript tells people what to do (`tests/fakes/github/told.py`).

    `settings` are of bot.yaml by their dotted paths, `environment` what a labbot needs besides, its key to the vault among it.
    """

    @property
    def settings(self) -> Mapping[str, str]: ...

    @property
    def environment(self) -> Mapping[str, str]: ...

    def grant(self, login: str) -> Grant:
        """What somebody gives who links their account."""

    async def tell(self, what: str) -> tuple[str, int] | None:
        """Do what stands behind "# github" to the newest pull request, and return that one; None where it was no deed to one.

        Raises ValueError for what is no such thing.
        """
