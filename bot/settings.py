"""The environment and `configs/`, read once into a frozen value. Nothing else reads the environment.

LABBOT_HOME            the checkout that holds configs/ (default: where this package lies)
LABBOT_DATA            what labbot keeps: redis/ runs/ log/ taxonomy/ cache/ (default: .data/ in the checkout)
LABBOT_REDIS_URL       a Redis of the operator's own (default: one that labbot starts)
LABBOT_REDIS_PASSWORD  its password, where the URL has none
LABBOT_LOG=json|text   write the log to stderr too (see pipeline/logs.py)
LABBOT_CHAT_URL        an OpenAI-compatible endpoint to talk with (default: configs/models/roles.yaml; so for other roles)
LABBOT_TINY=small      make the practice model as tests do: in seconds, good for nothing
LABBOT_EMBEDDINGS_URL  an OpenAI-compatible endpoint, by which the FAQ is searched by meaning too (default: faq.embeddings)

NAME_FILE names a file that holds a secret NAME instead; pipeline/secret.py reads them, and lists the others.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import yaml

from bot.core.rules import Quota, Role
from bot.core.talk import Event
from bot.core.words import FALLBACK, Table
from bot.keys import DAY_S, Retention
from pipeline import config, places, secret
from pipeline.config import BotConfig
from pipeline.errors import Invalid, Problem
from pipeline.secret import masked


@dataclass(frozen=True, slots=True)
class Settings:
    home: Path
    data: Path
    cache: Path  # what can be made anew at any time
    redis_url: str
    bot: BotConfig
    words: Mapping[str, Table]
    embeddings: str = ""
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)  # where the keys of endpoints are

    def __repr__(self) -> str:
        return f"Settings(home={str(self.home)!r}, data={str(self.data)!r}, redis_url={masked(self.redis_url)!r})"

    @property
    def roles(self) -> dict[str, Role]:
        return {name: _role(name, section) for name, section in self.bot.roles.items()}

    @property
    def retention(self) -> Retention:
        kept = self.bot.retention
        days = (kept.inbox_days, kept.conversations_days, kept.discarded_days, kept.questions_days, kept.runs_days)
        inbox, conversations, discarded, questions, runs = (one * DAY_S for one in days)
        return Retention(inbox, conversations, discarded, questions, runs, int(kept.runs_gib * 2**30))

    def policy(self, event: Event) -> tuple[dict[str, str], bool]:
        """Features that are left out where an event comes from, and whether its channel is one of those that are named."""
        section = self.bot.workspaces.get(event.workspace or event.platform)
        if section is None:
            return {}, True
        off = {str(name): "" for name, on in section.features.items() if not on}
        where = event.place.partition(":")[2].split("/")
        return off, not section.channels or where[0].startswith("@") or bool(set(where) & set(section.channels))

    def room(self, workspace: str) -> tuple[int, int]:
        """How many runs from a workspace may wait, and be carried at once; 0 for no limit."""
        section = self.bot.workspaces.get(workspace)
        return (section.waiting, section.running) if section else (0, 0)

    def roles_of(self, workspace: str, theirs: tuple[str, ...]) -> tuple[str, ...]:
        """Roles of ours for somebody whom the platform knows by those names."""
        section = self.bot.workspaces.get(workspace)
        ours = [section.roles[name] for name in theirs if name in section.roles] if section else []
        return tuple(dict.fromkeys(("everyone", *ours)))


def load(environment: Mapping[str, str], overrides: Mapping[str, str] | None = None) -> Settings:
    """Read everything. Raises Invalid with every problem of bot.yaml and of the words."""
    home, data = places.home(environment), places.data(environment)
    bot = config.load(home / "configs" / "bot.yaml", dict(overrides or {}))
    tables = words(home / "configs" / "words")
    embeddings = environment.get("LABBOT_EMBEDDINGS_URL", "") or bot.faq.embeddings
    return Settings(home, data, data / "cache", secret.redis_url(environment), bot, tables, embeddings, environment)


def reloaded(settings: Settings, overrides: Mapping[str, str]) -> Settings:
    """The same settings with single values of bot.yaml set anew, by their dotted paths."""
    return replace(settings, bot=config.load(settings.home / "configs" / "bot.yaml", dict(overrides)))


def words(folder: Path) -> dict[str, Table]:
    """Every locale's table of words; lists become tuples of spellings."""
    tables: dict[str, Table] = {}
    for path in sorted(folder.glob("*.yaml")):
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
        wrong = [name for name, value in found.items() if not _is_words(value)]
        if wrong:
            raise Invalid(
                *(Problem("words.value", f"{name} is neither a text nor a list of texts", path.name) for name in wrong)
            )
        tables[path.stem] = {name: tuple(value) if isinstance(value, list) else value for name, value in found.items()}
    if FALLBACK not in tables:
        raise Invalid(Problem("words.missing", f"there is no {FALLBACK}.yaml", str(folder), "Set LABBOT_HOME to the checkout."))
    return tables


def _is_words(value: object) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(one, str) for one in value))


def _role(name: str, section: config.RoleConfig) -> Role:
    quotas = {act: Quota(*config.quota(text)) for act, text in section.quotas.items()}
    return Role(
        name,
        frozenset(section.denied),
        quotas,
        dict(section.cooldowns_s),
        section.weight,
        section.waiting,
        section.running,
    )
