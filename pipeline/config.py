"""`configs/bot.yaml` and `configs/models/roles.yaml` as frozen models.

Every problem is reported at once, with its path, what is there and the way out.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline import secret
from pipeline.errors import Invalid, Problem
from pipeline.models.endpoint import Endpoint, Options, wrong

_PER_S = {"s": 1, "min": 60, "h": 3600, "day": 86_400}


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, str_max_length=1000)


class RoleConfig(Section):
    """What a role may do. A quota is written "5/day" (per s, min, h or day)."""

    denied: tuple[str, ...] = Field(default=(), description="commands and acts that this role may not do")
    quotas: dict[str, str] = Field(default={}, description="act -> how often, for example draft: 10/day")
    cooldowns_s: dict[str, float] = Field(default={}, description="act -> seconds to wait after it")
    weight: float = Field(default=1.0, gt=0, le=100, description="share of the worker pool against other roles")
    waiting: int = Field(default=0, ge=0, description="most runs of one person that may wait; 0 for no limit")
    running: int = Field(default=0, ge=0, description="most runs of one person that are carried at once; 0 for no limit")


Feature = Literal["faq", "chat", "drafts", "submit"]


class WorkspaceConfig(Section):
    roles: dict[str, str] = Field(default={}, description="a role or user name of the platform -> a role of ours")
    channels: tuple[str, ...] = Field(default=(), description="channels that labbot speaks in; empty for all")
    features: dict[Feature, bool] = Field(default={}, description="what is offered there; on unless it says false")
    triagers: str = Field(
        default="",
        description="who hears daily what waits for triage: @name, elsewhere @id or a channel's id; empty for nobody",
    )
    maintainers: str = Field(
        default="",
        description="who is asked what the FAQ does not say: @name, elsewhere @id or a channel's id; empty for nobody",
    )
    waiting: int = Field(default=0, ge=0, description="most runs from there that may wait; 0 for no limit")
    running: int = Field(default=0, ge=0, description="most runs from there that are carried at once; 0 for no limit")


class DiscordConfig(Section):
    """What `labbot discord` reads."""

    message_content: bool = Field(
        default=False, description="read messages that do not name labbot, in its threads; the intent of that name must be on"
    )
    shards: bool = Field(default=False, description="several connections, as Discord asks of bots in 2,500 servers and more")
    threads: Literal["public", "private"] = Field(default="public", description="who sees the thread of a draft")


class SlackConfig(Section):
    """What `labbot slack` reads."""

    url: str = Field(
        default="",
        pattern=r"^$|^https://[A-Za-z0-9.-]+(:\d+)?$",
        description="where Slack reaches this labbot, such as https://labbot.example.org; empty for Socket Mode",
    )


class PlatformsConfig(Section):
    """What holds on a platform as a whole; what holds in one of its servers is in `workspaces`."""

    discord: DiscordConfig = Field(default=DiscordConfig(), description="how labbot is in Discord, in every server")
    slack: SlackConfig = Field(default=SlackConfig(), description="how labbot is in Slack, in every workspace")


class TaxonomyConfig(Section):
    path: str = Field(default="", description="the taxonomy's git checkout; empty for a demo made on the spot")
    branch: str = Field(
        default="main", pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]*$", description="the branch that proposals start from"
    )
    repo: str = Field(
        default="",
        pattern=r"^$|^[A-Za-z0-9-]+/[A-Za-z0-9._-]+$",
        description="OWNER/NAME on GitHub that pull requests go to; empty: proposals are branches of the checkout",
    )


class GithubConfig(Section):
    """How labbot is on GitHub. Secrets are in the environment: LABBOT_GITHUB_APP_KEY, LABBOT_GITHUB_WEBHOOK_SECRET."""

    client: str = Field(
        default="",
        pattern=r"^[A-Za-z0-9._]*$",
        description="the client id with which people link their account; empty: they cannot",
    )
    app: str = Field(
        default="",
        pattern=r"^[A-Za-z0-9._]*$",
        description="the id of a GitHub App that opens pull requests for whoever has linked none; empty for none",
    )
    fork: str = Field(
        default="",
        pattern=r"^$|^[A-Za-z0-9-]+/[A-Za-z0-9._-]+$",
        description="the fork that the App puts branches into; empty: the taxonomy's repository itself",
    )
    documents: str = Field(
        default="taxonomy-knowledge-docs",
        pattern=r"^[A-Za-z0-9._-]+$",
        description="a person's own repository of documents, by its name",
    )
    comments: bool = Field(default=False, description="whether a triager may post the table of /triage on the pull request")
    poll_s: float = Field(default=300.0, ge=5, description="how often a pull request is looked at of which nothing is heard")
    lgtms: int = Field(default=2, ge=1, le=10, description="how many members have to agree")
    stale_days: float = Field(
        default=15.0, gt=0, description="days of silence after which the repository's bot marks one stale"
    )
    close_days: float = Field(default=31.0, gt=0, description="further days after which it closes one")
    api: str = Field(
        default="https://api.github.com",
        pattern=r"^https?://[^\s@?#]+$",
        description="where its API is; http only on this machine, and if net.allow names it",
    )
    web: str = Field(default="https://github.com", pattern=r"^https?://[^\s@?#]+$", description="where people and git see it")


class RunsConfig(Section):
    """How workers carry runs; what they may hold of a machine."""

    timeout_s: float = Field(default=600.0, gt=0, description="longest time that a stage may take which names none of its own")
    silence_s: float = Field(default=900.0, gt=0, description="longest time that a stage may say nothing")
    at_once: int = Field(default=2, ge=1, le=64, description="runs that a worker carries at once in the lane cpu")
    memory_gib: float = Field(default=0.0, ge=0, description="most memory that a stage may take; 0 for no limit")
    tries: int = Field(default=3, ge=1, le=20, description="how often a stage is begun before its run is given up")
    lease_s: float = Field(default=5.0, ge=0.2, le=120, description="a worker that is silent for so long has lost its runs")
    grace_s: float = Field(default=10.0, ge=0, description="how long a worker that is to end lets its runs go on")


class RetentionConfig(Section):
    inbox_days: float = Field(default=7.0, gt=0, description="how long an event's id is remembered, so that it is heard once")
    conversations_days: float = Field(default=30.0, gt=0, description="how long after its last message a conversation is kept")
    questions_days: float = Field(default=90.0, gt=0, description="how long questions to the FAQ are kept for its report")
    discarded_days: float = Field(default=7.0, gt=0, description="how long a discarded draft can be brought back")
    runs_days: float = Field(default=90.0, gt=0, description="how long the folder of a run is kept that no draft refers to")
    runs_gib: float = Field(default=0.0, ge=0, description="room for all of them, beyond which the oldest go; 0 for no limit")


class WordsConfig(Section):
    locale: str = Field(default="en", pattern=r"^[a-z]{2}(-[A-Z]{2})?$", description="the language where a platform names none")


class NetConfig(Section):
    """Where labbot may go by itself; see pipeline.net."""

    allow: tuple[str, ...] = Field(default=(), description="host or host:port that need not be public")
    ca: str = Field(default="", description="a file with further certificate authorities")


class FaqConfig(Section):
    """What questions are answered from."""

    paths: tuple[str, ...] = Field(
        default=("configs/faq",), description="markdown files and folders; relative ones lie in LABBOT_HOME"
    )
    base_url: str = Field(default="", description="where the files can be read; relative links are completed with it")
    embeddings: str = Field(
        default="", description="an OpenAI-compatible endpoint such as http://127.0.0.1:8080/v1; empty for search by words"
    )
    grounded: bool = Field(default=True, description="where there is a model, it writes the answer from the entries found")


class BotConfig(Section):
    """The whole of bot.yaml. `everyone` is the role of whoever has no other."""

    platforms: PlatformsConfig = PlatformsConfig()
    workspaces: dict[str, WorkspaceConfig] = Field(default={}, description="guild or workspace -> what holds there")
    roles: dict[str, RoleConfig] = Field(default={"everyone": RoleConfig()}, description="roles of ours, by name")
    taxonomy: TaxonomyConfig = TaxonomyConfig()
    github: GithubConfig = GithubConfig()
    runs: RunsConfig = RunsConfig()
    retention: RetentionConfig = RetentionConfig()
    words: WordsConfig = WordsConfig()
    net: NetConfig = NetConfig()
    faq: FaqConfig = FaqConfig()


ModelRole = Literal["chat", "teacher", "judge", "embeddings"]


class SamplingConfig(Section):
    """How answers are drawn; what is left out is the server's to choose."""

    temperature: float | None = Field(default=None, ge=0, le=2, description="0 takes the likeliest word always")
    top_p: float | None = Field(default=None, gt=0, le=1, description="take from the likeliest words that have this share")
    top_k: int | None = Field(default=None, ge=0, description="take from so many of the likeliest words; 0 for all")
    min_p: float | None = Field(default=None, ge=0, le=1, description="leave out words below this share of the likeliest's")
    repetition: float | None = Field(default=None, gt=0, le=2, description="above 1 makes words that came already less likely")
    max_tokens: int | None = Field(default=None, gt=0, description="longest answer; without it to the end of the context")


class EndpointConfig(Section):
    """Where a role's model is. Everything that needs a model speaks OpenAI's protocol to one endpoint."""

    url: str = Field(default="", description="such as https://host/v1; empty for the server that labbot runs on this machine")
    model: str = Field(default="", description="a model or adapter by the name that the server lists; empty for its first")
    key_env: str = Field(
        default="", pattern=r"^([A-Z][A-Z0-9_]*)?$", description="the environment variable that holds the endpoint's key"
    )
    concurrency: int = Field(default=8, ge=1, le=4096, description="requests at the same time; further ones wait")
    silence_s: float = Field(default=60.0, gt=0, description="longest wait for the next piece of an answer")
    first_s: float = Field(default=300.0, gt=0, description="longest wait for the first one: a long prompt takes its time")


class ChatConfig(EndpointConfig):
    system: str = Field(default="", max_length=8000, description="what the model is told before every conversation")
    sampling: SamplingConfig = Field(default=SamplingConfig(), description="how answers are drawn")

    @property
    def options(self) -> Options:
        return Options(**self.sampling.model_dump())


class RolesConfig(Section):
    """The whole of roles.yaml: one endpoint a role."""

    plain_http: tuple[str, ...] = Field(default=(), description="hosts besides this machine that may be asked without TLS")
    chat: ChatConfig = Field(default=ChatConfig(), description="answers people")
    teacher: EndpointConfig = Field(default=EndpointConfig(), description="writes training data")
    judge: EndpointConfig = Field(default=EndpointConfig(), description="scores answers and training data")
    embeddings: EndpointConfig = Field(default=EndpointConfig(), description="turns texts into vectors")

    def endpoint(
        self, role: ModelRole, environment: Mapping[str, str], *, url: str = "", key: str = "", ca: str = ""
    ) -> Endpoint | None:
        """A role's endpoint with its key; `url` and `key` are those of the server on this machine, None where it is needed."""
        own: EndpointConfig = getattr(self, role)
        if not (own.url or url):
            return None
        return Endpoint(
            own.url or url,
            own.model,
            secret.read(environment, own.key_env) if own.url else key,
            concurrency=own.concurrency,
            silence_s=own.silence_s,
            first_s=own.first_s,
            plain_http=self.plain_http,
            ca=ca,
        )


def load(path: Path, overrides: dict[str, str] | None = None) -> BotConfig:
    """Read bot.yaml. `overrides` sets single values by their dotted path ("roles.everyone.weight": "2").

    Raises Invalid with every problem in the file, each with its path.
    """
    return check(read(path), path.name, overrides or {})


def roles(path: Path, environment: Mapping[str, str]) -> RolesConfig:
    """Read roles.yaml. LABBOT_CHAT_URL, _TEACHER_, _JUDGE_ and _EMBEDDINGS_URL stand above the urls in it.

    Raises Invalid with every problem, each with its path; a variable of `key_env` that is not set is one.
    """
    found = read(path)
    if not isinstance(found, dict):
        raise Invalid(
            Problem("config.shape", "the file is no mapping of settings", path.name, "Begin with a line like `chat:`.")
        )
    for role in get_args(ModelRole):
        if url := environment.get(f"LABBOT_{role.upper()}_URL"):
            put(found, [role, "url"], url)
    try:
        made = RolesConfig.model_validate(found)
    except ValidationError as error:
        raise Invalid(*(problem(path.name, one["loc"], one["msg"], _shown(one)) for one in error.errors())) from None
    if problems := [one for role in get_args(ModelRole) for one in _unusable(made, role, path.name, environment)]:
        raise Invalid(*problems)
    return made


def _shown(error: Any) -> Any:
    """What stands at a wrong place of roles.yaml; a key that somebody wrote there is not told again."""
    return "***" if "key" in str(error["loc"][-1]) else error.get("input")


def _unusable(made: RolesConfig, role: str, name: str, environment: Mapping[str, str]) -> list[Problem]:
    own: EndpointConfig = getattr(made, role)
    problems = []
    if own.url and (bad := wrong(own.url, made.plain_http)):
        problems.append(Problem("config.value", f"{bad.message} (it says {bad.where})", f"{name}: {role}.url", bad.fix))
    if own.url and own.key_env and not secret.read(environment, own.key_env):
        fix = f"Set {own.key_env}, or take key_env out."
        problems.append(Problem("config.key", "the variable with the key is not set", f"{name}: {role}.key_env", fix))
    return problems


def check(found: Any, name: str, overrides: dict[str, str]) -> BotConfig:
    if not isinstance(found, dict):
        raise Invalid(Problem("config.shape", "the file is no mapping of settings", name, "Begin with a line like `roles:`."))
    for path, value in overrides.items():
        put(found, path.split("."), _value(path, value))
    problems = []
    config = BotConfig()
    try:
        config = BotConfig.model_validate(found)
    except ValidationError as error:
        problems += [problem(name, one["loc"], one["msg"], one.get("input")) for one in error.errors()]
    problems += _more(name, found)
    if problems:
        raise Invalid(*problems)
    return config


def _value(path: str, text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise Invalid(Problem("config.yaml", f"{text!r} is no YAML", path, "Put it into quotes.")) from error


def quota(text: str) -> tuple[int, float]:
    """ "5/day" -> (5, 86400.0). Raises ValueError for anything else."""
    count, _, unit = text.partition("/")
    if not count.strip().isdecimal() or unit.strip() not in _PER_S:
        raise ValueError(f"{text!r} is no quota")
    return int(count), float(_PER_S[unit.strip()])


def read(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except FileNotFoundError:
        fix = "Take the one of the repository, or set LABBOT_HOME."
        raise Invalid(Problem("config.missing", "there is no such file", str(path), fix)) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise Invalid(Problem("config.yaml", " ".join(str(error).split()), path.name, "Mend the line named here.")) from None


def _more(name: str, found: dict[str, Any]) -> list[Problem]:
    """What the types cannot say: how a quota is written, and that roles are there."""
    problems = []
    roles = found.get("roles", {})
    roles = roles if isinstance(roles, dict) else {}
    for role, settings in roles.items():
        quotas = settings.get("quotas", {}) if isinstance(settings, dict) else {}
        texts = quotas.items() if isinstance(quotas, dict) else ()
        for act, text in ((act, text) for act, text in texts if isinstance(text, str)):  # the types tell the others
            try:
                quota(text)
            except ValueError:
                problems.append(
                    problem(name, ("roles", role, "quotas", act), "write a number a time, like 5/day or 2/min", text)
                )
    if roles and "everyone" not in roles:
        problems.append(problem(name, ("roles",), "the role `everyone` is missing", list(roles)))
    return problems


def problem(name: str, where: tuple[int | str, ...], message: str, value: Any) -> Problem:
    return Problem("config.value", f"{message} (it says {value!r})", f"{name}: {'.'.join(map(str, where))}")


def put(found: dict[str, Any], path: list[str], value: Any) -> None:
    for part in path[:-1]:
        found = found.setdefault(part, {})
        if not isinstance(found, dict):
            raise Invalid(Problem("config.path", f"{part} is a value and has no settings below it", ".".join(path)))
    found[path[-1]] = value


def roles_schema() -> str:
    """The JSON schema of roles.yaml, as it lies in configs/schema/roles.json."""
    return json.dumps(RolesConfig.model_json_schema(), indent=2, sort_keys=True) + "\n"


def schema() -> str:
    """The JSON schema of bot.yaml, as it lies in configs/schema/bot.json: what each setting means and may be."""
    return json.dumps(BotConfig.model_json_schema(), indent=2, sort_keys=True) + "\n"
