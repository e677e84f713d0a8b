"""Asking models on behalf of a stage: who is asked, everything at once, and nothing twice."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pipeline.errors import Failed, Temporary
from pipeline.files import digest

if TYPE_CHECKING:  # what these import takes 0.3 s, which a child that asks nobody need not wait for
    from pipeline.journal import Journal
    from pipeline.models.client import Client
    from pipeline.models.endpoint import Endpoint
    from pipeline.models.host import Models

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Model:
    """Who is asked: `version` is the beginning of its weights' digest, "" for a model that is not on this machine."""

    client: "Client"
    name: str
    version: str = ""

    def told(self) -> dict[str, str]:
        return {"name": self.name, "version": self.version}


async def model(models: "Models", folder: Path, role: str, wanted: str = "") -> Model | None:
    """The model of a role, by the name `wanted` or the first that its server lists; None where nobody answers for the role.

    `folder` is LABBOT_DATA/models. Raises Temporary where its server is only starting, or does not answer.
    """
    client = models.client(role)
    if client is None:
        if models.state(role) == "starting":
            raise Temporary(f"the model is starting{f' anew: {models.cause}' if models.cause else ''}")
        return None
    name = wanted
    if not name:
        try:
            name = next((one.id for one in await client.models() if not one.parent), "")
        except Failed:  # a server that lists none may answer all the same; where it does not, the first question says why
            name = ""
    from pipeline.models import catalog

    return Model(client, name, catalog.version(folder, name))


def whose(models: "Models", role: str) -> str:
    """The role whose endpoint answers for `teacher` or `judge`: its own where that has a url, else the teacher's where that

    has one, else its own again: the server on this machine.
    """
    return next((name for name in (role, "teacher") if models.configured(name)), role)


async def maker(models: "Models", folder: Path, role: str) -> "tuple[Endpoint, Model] | None":
    """Who answers for `teacher` or `judge` when samples are made (see whose), None where nobody does. Raises as `model`."""
    name = whose(models, role)
    endpoint = models.endpoint(name)
    found = await model(models, folder, name, endpoint.model if endpoint else "")
    if found and endpoint is None:  # its server came up between the two looks
        return await maker(models, folder, role)
    return (endpoint, found) if found and endpoint else None


@dataclass(frozen=True, slots=True)
class Log:
    """A journal by what was asked: a record's id is the digest of everything that its answer depends on."""

    journal: "Journal"

    async def once(
        self,
        asked: Sequence[Any],
        ask: Callable[[], Awaitable[dict[str, Any]]],
        worth: Callable[[dict[str, Any]], bool] = bool,
    ) -> dict[str, Any]:
        """What was answered to `asked` (JSON); `ask` is only called where nothing was that is `worth` keeping."""
        id = digest(json.dumps(asked, sort_keys=True).encode()).removeprefix("sha256:")[:32]
        if (record := self.journal.get(id)) is None:
            record = await ask()
            if worth(record):
                self.journal.append(id, record)
        return record


async def together(work: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """All at once, and each to its end: what one of them gave is kept when another fails.

    Raises what no second attempt would change before what it would.
    """
    found = await asyncio.gather(*work, return_exceptions=True)
    errors = [one for one in found if isinstance(one, BaseException)]
    if errors:
        raise min(errors, key=lambda error: isinstance(error, Temporary))
    return [one for one in found if not isinstance(one, BaseException)]


def sent(text: str) -> str:
    """A text as it can be sent: halves of surrogate pairs, which a model may write, have no UTF-8."""
    return text.encode("utf-8", "replace").decode()
