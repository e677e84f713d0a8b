"""The stages that set a model up: what it needs is installed, then it is made or downloaded, and chosen.

Both make something outside the run folder, the environment and LABBOT_DATA/models, and are free where it is there already.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.stage import Job

if TYPE_CHECKING:  # what these import takes 0.1 s, which no other recipe need wait for
    from pipeline.models.catalog import Card, Named

Report = Callable[[float, Mapping[str, str]], None]

LOG = "install.log"


@dataclass(frozen=True, slots=True)
class Asked:
    """The model that a run sets up. `known`: what named.yaml says; None for one that was made from another here."""

    name: str
    home: Path
    folder: Path
    known: "Named | None"
    here: bool

    @property
    def made(self) -> bool:
        return not self.here and self.known is not None and self.known.made_here


def engine(job: Job) -> Mapping[str, str]:
    """Install what the model's engine, and for a model that is made here its training, lack.

    Raises Invalid first for what could not be set up after all that time: an unknown name, a disk without room.
    """
    from pipeline.models import download, install

    asked = _asked(job)
    if asked.known and not asked.here and not asked.made:
        download.make_sure_of_room(asked.name, asked.known.size_bytes, asked.known.size_bytes, asked.folder)
    extras = ("local", "train") if asked.made else ("local",)
    installed = install.install(asked.home, extras, asked.folder / LOG, job.report)
    return {"act": "installed", "package": ", ".join(installed)}


def model(job: Job) -> Mapping[str, str]:
    """Make or download the model, unless it is here, and serve it from now on."""
    from pipeline.models import catalog, download

    asked = _asked(job)
    if asked.made:
        make(asked.folder, job.report, small=bool(job.settings.get("small")))
    elif asked.known and not asked.here:
        download.download(asked.name, asked.known, asked.folder, download.hub_of(os.environ), job.report)
    card = catalog.choose(asked.folder, asked.name)
    title = asked.known.title if asked.known else asked.name
    return {"act": "chosen", "name": card.name, "title": title, "total": catalog.amount(card.size), "licence": card.licence}


def make(folder: Path, report: Report, *, small: bool = False, seed: int | None = None) -> "Card":
    """Make the tiny model below `folder`; free where it is made already. Raises Failed if what came out is no good."""
    from pipeline.models import catalog, tiny
    from pipeline.models.download import lasting

    def told(fraction: float, facts: Mapping[str, str]) -> None:
        left = {"left": lasting(float(facts["left_s"]))} if "left_s" in facts else {}
        report(fraction, {**facts, **left})

    recipe = tiny.SMALL if small else tiny.FULL
    tiny.make(recipe if seed is None else replace(recipe, seed=seed), folder / catalog.TINY, told)
    made = catalog.card(folder, catalog.TINY)
    assert made, "whoever makes a model writes its card"
    return made


def _asked(job: Job) -> Asked:
    """What the run is about. Raises Invalid for a name that there is not."""
    from pipeline.models import catalog

    name, home, folder = str(job.inputs["name"]), Path(str(job.settings["home"])), Path(str(job.settings["folder"]))
    named = catalog.load(home / "configs" / "models" / "named.yaml")
    here = catalog.card(folder, name) is not None
    return Asked(name, home, folder, named.get(name) if here else catalog.one_of(named, name), here)
