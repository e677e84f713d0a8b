"""In whose name a stage acts on GitHub: the person's own account, or the operator's App.

LABBOT_GITHUB_APP_KEY   the App's private key (PEM), with `github.app` its id
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from gidgethub import apps

from pipeline import secret, vault
from pipeline.errors import Failed, Invalid, LabError, Problem, Temporary
from pipeline.github import accounts
from pipeline.github.client import GitHub, Hub, at, hub_of

APP_KEY = "LABBOT_GITHUB_APP_KEY"
AWAY, SEALED = "github.away", "github.sealed"  # a worker could not fetch the account just now, or not open it
SECRETS = (APP_KEY, f"{APP_KEY}_FILE", vault.NAME, f"{vault.NAME}_FILE")  # that a stage needs which acts on GitHub
PERMISSIONS = {"contents": "write", "issues": "write", "pull_requests": "write"}  # the least with which one is opened
READS = {"checks": "read", "statuses": "read"}  # what a private repository lets it tell of, where its owner granted that


@dataclass(frozen=True, slots=True)
class Identity:
    """Who acts. `mail`: what commits of the App's are written as, "" for a person, who signs with their own."""

    kind: Literal["person", "app"]
    login: str
    token: str = field(repr=False)
    mail: str = ""


async def of(settings: Mapping[str, Any], account: Mapping[str, str], environment: Mapping[str, str], *repos: str) -> Identity:
    """The person's account where they have linked one, else the App as it is installed on these repositories.

    `settings`: `Installation.github`. Raises Invalid: github.unlinked, github.app; Failed where no key opens the account.
    """
    if account.get("token"):
        return Identity("person", account["login"], accounts.opened(vault.load(environment), account))
    if problem := account.get("problem"):
        raise _kept_back(problem, account.get("cause", ""))
    if not settings["app"]:
        fix = "Link one, with /github link; a run that is performed by hand has none."
        raise Invalid(Problem("github.unlinked", "there is no GitHub account to act with", "GitHub", fix))
    return await app(settings, environment, *repos)


async def app(settings: Mapping[str, Any], environment: Mapping[str, str], *repos: str) -> Identity:
    """The App with a token for these repositories of one owner, minted now: good for an hour, and no more rights than it needs.

    https://docs.github.com/en/rest/apps/apps#create-an-installation-access-token-for-an-app
    """
    async with GitHub(hub_of(settings), app=(str(settings["app"]), _key(settings, environment, repos[0]))) as github:
        with _told(repos[0]):
            slug = f"{(await github.get('/app'))['slug']}[bot]"
            token = await _minted(github, repos)
    return Identity("app", slug, token, await _mail(hub_of(settings), slug, token))


async def _minted(github: GitHub, repos: Sequence[str]) -> str:
    place = await github.get(at("repos", repos[0], "installation"))
    granted = place.get("permissions") or {}  # to ask for more is refused as a whole, with 422
    rights = PERMISSIONS | {name: level for name, level in READS.items() if name in granted}
    asked = {"repositories": [repo.partition("/")[2] for repo in repos], "permissions": rights}
    return str((await github.post(at("app", "installations", place["id"], "access_tokens"), asked))["token"])


def _key(settings: Mapping[str, Any], environment: Mapping[str, str], repo: str) -> str:
    """The App's private key; in a variable its lines may be separated by backslash and n. Raises Invalid where it is none."""
    key = secret.read(environment, APP_KEY).replace("\\n", "\n")
    fix = f"Set {APP_KEY}_FILE to the file of its private key."
    if not key:
        raise Invalid(Problem("github.app", "the App's private key is not there", APP_KEY, fix, {"repo": repo}))
    try:
        apps.get_jwt(app_id=str(settings["app"]), private_key=key)
    except Exception:  # whichever it is, its words are not shown: they may quote the key
        raise Invalid(Problem("github.app", "the App's private key cannot be used", APP_KEY, fix, {"repo": repo})) from None
    return key


@contextmanager
def _told(repo: str) -> Iterator[None]:
    """What GitHub refuses the App is for an operator to mend."""
    try:
        yield
    except Invalid as error:
        fix = f"Install the App on {repo}, with write access to contents, issues and pull requests."
        raise Invalid(Problem("github.app", f"the App cannot act: {error}", "github.app", fix, {"repo": repo})) from None


def _kept_back(problem: str, cause: str) -> LabError:
    """Why a worker gave a stage no account."""
    if problem == AWAY:
        return Temporary(cause, kind="away")
    if problem == SEALED:
        return Failed(cause)
    return Invalid(Problem(problem, cause, "GitHub", "Link it again: /github link."))


async def _mail(hub: Hub, slug: str, token: str) -> str:
    """The address by which GitHub knows a commit as the App's."""
    async with GitHub(hub, token) as github:
        user = await github.get(at("users", slug))
    host = hub.web.rpartition("://")[2].partition("/")[0]
    return f"{user['id']}+{slug}@users.noreply.{host}"
