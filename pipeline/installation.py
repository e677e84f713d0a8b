"""One installation of labbot as all its processes see it: where it lies, its Redis, and what its stages are given.

LABBOT_ARTEFACTS  where hosts without a common disk keep the files of runs: a folder, or such as s3://BUCKET/PREFIX
"""

import asyncio
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from pipeline import config, demo, places, secret, vault
from pipeline.config import BotConfig, ModelRole
from pipeline.errors import Invalid
from pipeline.files import file_digest
from pipeline.pool.terms import Terms
from pipeline.training import base, settings

if TYPE_CHECKING:
    from pipeline.memory import Memory
    from pipeline.models.host import Models
    from pipeline.pool.artefacts import Store

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
        from pipeline.pool.artefacts import Store

        return Store.of(self.environment.get("LABBOT_ARTEFACTS", ""))

    @property
    def stages(self) -> dict[str, Mapping[str, Any]]:
        """What each stage is given on this machine, by its name."""
        small = self.environment.get("LABBOT_TINY") == "small"
        models = {"home": str(self.home), "folder": str(self.data / "models"), "small": small}
        pull = str(self.home / "configs" / "pull.md")
        net = {"net": self.config.net.model_dump(mode="json")}
        return {
            "precheck": self.precheck,
            "document": net,
            **self.generating,
            **self.training,
            "propose": {
                "path": str(self.checkout),
                "branch": self.config.taxonomy.branch,
                "template": pull,
                **({"repo": repo, "github": self.github} if (repo := self.config.taxonomy.repo) else {}),
            },
            "act": {"github": self.github},
            "publish": {"github": self.github},
            **self.triaging,
            "fetch": net,
            "engine": models,
            "model": models,
        }

    @property
    def triaging(self) -> dict[str, dict[str, Any]]:
        """What the stages are given that look at a pull request, and tell it what they found."""
        github = {"repo": self.config.taxonomy.repo, "github": self.github}
        place = {"home": str(self.home), "taxonomy": str(self.checkout), "cache": str(self.data / "cache" / "questions")}
        return {"examine": {**github, **place}, "comment": github}

    @property
    def precheck(self) -> dict[str, Any]:
        """What the stage is given: where its models are, the endpoints that the environment names, and no key.

        The digests are there for the receipt: with other endpoints or another prompt it is void.
        """
        digests = self._digests("models/roles.yaml", "prompts/judge.md")
        return {**self._asking("chat", "judge", "embeddings"), "digests": digests}

    @property
    def generating(self) -> dict[str, dict[str, Any]]:
        """What the stages that make a set are given, with digests as above."""
        from pipeline.mixing import sizes

        place = {"home": str(self.home), "taxonomy": str(self.checkout)}
        asking = self._asking("chat", "teacher", "judge", "embeddings")
        mixing, later = self._digests("recipes/mix.yaml"), self._digests("recipes/mix.yaml", "recipes/train.yaml")
        made = self._digests("models/roles.yaml", "recipes/*.yaml", "prompts/generate/*.md")
        return {
            "generate": {**place, **asking, "digests": {path: made[path] for path in made if path not in later}},
            "judge": place,
            "mix": {**place, **sizes.settings(self.home), "digests": mixing},
        }

    @property
    def training(self) -> dict[str, dict[str, Any]]:
        """What the stages that train, compare and export are given, with digests as above."""
        place = {"home": str(self.home), "folder": str(self.data / "models")}
        chosen = {"base": self._base}
        trained = self._digests("recipes/train.yaml", "recipes/mix.yaml")
        scored = self._digests("models/roles.yaml", "regression/*.yaml", "prompts/evaluate/*.md", "recipes/mix.yaml")
        return {
            "train": {**place, **chosen, "digests": trained},
            "evaluate": {**place, **self._asking("chat", "judge", "embeddings"), "digests": scored, "judges": self._judges},
            "export": place,
        }

    @property
    def _base(self) -> list[str]:
        """The model that is trained, its weights and what is replayed of its own, as digests; nothing where there is none."""
        try:
            found = base.find(self.data / "models", settings.load(self.home / settings.FILE, "").base)
        except Invalid:  # the stage says what is wrong
            return []
        return [found.name, found.version, file_digest(found.replay) if found.replay else ""]

    @property
    def _judges(self) -> str:
        """The digest of how judges stand: one that is measured later may say what it could not say before."""
        path = self.data / "models" / "calibration.json"
        return file_digest(path) if path.is_file() else ""

    def _asking(self, *roles: str) -> dict[str, Any]:
        """Where models of these roles are to be had."""
        names = [f"LABBOT_{role.upper()}_URL" for role in roles]
        urls = {name: self.environment[name] for name in names if self.environment.get(name)}
        return {"home": str(self.home), "folder": str(self.data / "models"), "urls": urls}

    def _digests(self, *patterns: str) -> dict[str, str]:
        """Digests of files below configs, of those that are there, by their paths."""
        configs = self.home / "configs"
        found = sorted(path for pattern in patterns for path in configs.glob(pattern))
        return {path.relative_to(configs).as_posix(): file_digest(path) for path in found if path.is_file()}

    @property
    def models(self) -> "Models":
        """The door to its models. Raises Invalid with every problem of roles.yaml."""
        from pipeline.models.host import Models

        roles = config.roles(self.home / "configs" / "models" / "roles.yaml", self.environment)
        return Models(roles, self.data / "models", self.environment)

    @contextmanager
    def model_kept(self) -> Iterator[None]:
        """Keep the model's server of this machine, if a role needs it and nobody else keeps it, beside what is done here."""
        models, loop = self.models, asyncio.new_event_loop()
        keeping = loop.create_task(models.keep())
        thread = threading.Thread(target=lambda: loop.run_until_complete(asyncio.gather(keeping, return_exceptions=True)))
        thread.start()
        try:
            yield
        finally:
            loop.call_soon_threadsafe(keeping.cancel)
            thread.join()
            loop.run_until_complete(models.close())
            loop.close()

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
            keys=self._keys,
            account=self.account,
        )

    async def account(self, memory: "Memory", person: str) -> Mapping[str, str]:
        """Somebody's GitHub account as a stage is given it; {} where none is linked. Raises as `Accounts.given`."""
        from pipeline.github.accounts import Accounts
        from pipeline.github.client import hub_of

        kept = vault.load(self.environment) if secret.read(self.environment, vault.NAME) else None
        return await Accounts(memory, kept, hub_of(self.github), self.config.github.client).given(person)

    @property
    def github(self) -> dict[str, Any]:
        """How stages reach GitHub, and what an operator chose there; no secret."""
        section = self.config.github
        chosen = {name: getattr(section, name) for name in ("api", "web", "client", "app", "fork", "documents", "comments")}
        return {**chosen, "net": self.config.net.model_dump(mode="json")}

    @property
    def _keys(self) -> frozenset[str]:
        """The variables that hold keys of models, by themselves or by the file that they name."""
        roles = config.roles(self.home / "configs" / "models" / "roles.yaml", self.environment)
        names = {"HF_TOKEN", "LABBOT_SERVE_KEY"} | {getattr(roles, role).key_env for role in get_args(ModelRole)}
        urls = {f"LABBOT_{role.upper()}_URL" for role in get_args(ModelRole)}
        return frozenset({*names, *(f"{name}_FILE" for name in names), *urls} - {"", "_FILE"})

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
