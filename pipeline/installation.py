"""One installation of labbot as all its processes see it: where it lies, its Redis, and what its stages are given.

LABBOT_ARTEFACTS  where hosts without a common disk keep the files of runs: a folder, or such as s3://BUCKET/PREFIX
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import config, demo, places, secret
from pipeline.carrying import Terms
from pipeline.config import BotConfig
from pipeline.stages import precheck

if TYPE_CHECKING:
    from pipeline.artefacts import Store

GIB = 2**30


@dataclass(frozen=True, slots=True)
class Installation:
    """`redis_url`: "" for the Redis that labbot starts itself."""

    home: Path
    data: Path
    redis_url: str = field(repr=False)
    config: BotConfig
    environment: Mapping[str, str] = field(repr=False)

    @property
    def runs(self) -> Path:
        return self.data / "runs"

    @property
    def checkout(self) -> Path:
        """The operator's checkout of the taxonomy, or the demo, made if it is not there yet."""
        if self.config.taxonomy.path:
            return Path(self.config.taxonomy.path).expanduser().absolute()
        folder = self.data / "taxonomy"
        demo.make(folder, self.home / "configs" / "demo")
        return folder

    @property
    def store(self) -> "Store | None":
        """Where hosts without a common disk find each other's artefacts. Raises Invalid for a place that is none."""
        from pipeline.artefacts import Store

        return Store.of(self.environment.get("LABBOT_ARTEFACTS", ""))

    @property
    def stages(self) -> dict[str, Mapping[str, Any]]:
        """What each stage is given on this machine, by its name."""
        small = self.environment.get("LABBOT_TINY") == "small"
        models = {"home": str(self.home), "folder": str(self.data / "models"), "small": small}
        pull = str(self.home / "configs" / "pull.md")
        return {
            "precheck": precheck.settings(self.home, self.data / "models", self.environment),
            "propose": {"path": str(self.checkout), "branch": self.config.taxonomy.branch, "template": pull},
            "fetch": {"net": self.config.net.model_dump(mode="json")},
            "engine": models,
            "model": models,
        }

    @property
    def terms(self) -> Terms:
        """How its workers carry runs."""
        found = self.config.runs
        return Terms(
            lease_s=found.lease_s,
            limit_s=found.timeout_s,
            silence_s=found.silence_s,
            memory_bytes=int(found.memory_gib * GIB),
            tries=found.tries,
            grace_s=found.grace_s,
        )

    @contextmanager
    def redis(self) -> Iterator[str]:
        """The URL of its Redis while it is used: the operator's, or labbot's own."""
        from pipeline import embedded

        if self.redis_url:
            yield self.redis_url
        else:
            with embedded.lent(self.data / "redis") as url:
                yield url


def read(environment: Mapping[str, str]) -> Installation:
    """Raises Invalid with every problem of bot.yaml and of the secrets."""
    home, data = places.home(environment), places.data(environment)
    found = config.load(home / "configs" / "bot.yaml", {})
    return Installation(home, data, secret.redis_url(environment), found, environment)
