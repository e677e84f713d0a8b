"""A GitHub whose people a transcript tells what to do: what stands behind "# github"; `bot/transcript.py` lists it.

People are called there as they are in the transcript. The repository is lab/taxonomy, and begins as the demo does.
"""

import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from pipeline import vault
from pipeline.github.device import Grant
from tests.conftest import HOME
from tests.fakes.git_host import GitHost
from tests.fakes.github.server import FakeGitHub
from tests.fakes.github.world import Pull

REPO, CLIENT, APP = "lab/taxonomy", "Iv1.labbot", "12"
DOCUMENTS = "taxonomy-knowledge-docs"
DEMO = HOME / "configs" / "demo"
RESULTS = {"passed": "success", "failed": "failure", "running": None}
CHECK = re.compile(r"check (?P<name>.+?) (?P<result>passed|failed|running)(?: (?P<path>\S+):(?P<line>\d+) (?P<text>.+))?")
DEED = re.compile(r"(?P<who>[a-z][\w-]*) (?P<verb>approves|requests|says|merges|closes|joins)(?: (?P<rest>.+))?")
AT = re.compile(r"at (?P<line>\d+) (?P<text>.+)")


def demo() -> dict[str, str]:
    """The files of the demo taxonomy."""
    return {str(path.relative_to(DEMO)): path.read_text(encoding="utf-8") for path in DEMO.rglob("*") if path.is_file()}


class Told:
    """`fake` is where it all happens; `settings` and `environment` are what a labbot has that speaks with it.

    Git itself is spoken by `host`, once a transcript says whose documents lie there; no account is linked by a code then.
    """

    def __init__(self, fake: FakeGitHub, stack: ExitStack) -> None:
        self.fake, self.stack = fake, stack
        self.host: GitHost | None = None
        fake.repo(REPO, demo())
        fake.clients.add(CLIENT)
        self._app_key, public = _keys()
        fake.app(APP, public, "labbot", REPO)
        self.settings: dict[str, str] = {
            "taxonomy.repo": REPO,
            "github.client": CLIENT,
            "github.api": fake.url,
            "github.web": fake.url,
            "net.allow": f'["{fake.place}"]',
        }
        self.environment: Mapping[str, str] = {vault.NAME: vault.key(), "LABBOT_GITHUB_APP_KEY": self._app_key}

    def grant(self, login: str) -> Grant:
        token = self.fake.minted()
        self.fake.user(login, token)
        if self.host:
            self.host.tokens[token] = login
        return Grant(token, "public_repo")

    async def tell(self, what: str) -> tuple[str, int] | None:
        if what == "app":
            self.settings = {**self.settings, "github.app": f'"{APP}"'}
            return None
        verb, _, rest = what.partition(" ")
        if verb == "hosts":
            self._hosts(rest)
            return None
        if deed := self._deeds().get(verb):
            deed(rest)
            return None
        pull = self.fake.pull(REPO) if self.fake.repos[REPO].pulls else None
        if pull is None and not what.endswith(" joins"):
            raise ValueError(f"there is no pull request: {what}")
        self._done(pull, what)
        return (REPO, pull.number) if pull else None

    def _hosts(self, login: str) -> None:
        """Have somebody's repository of documents where git is spoken; the API hears of it when it is asked for one."""
        self.host = GitHost(Path(self.stack.enter_context(tempfile.TemporaryDirectory(prefix="labbot-git-"))))
        self.host.empty(f"{login}/{DOCUMENTS}")
        url = self.stack.enter_context(self.host.up())
        allowed = f'["{self.fake.place}", "{url.removeprefix("https://")}"]'
        self.settings = self.settings | {"github.web": url, "net.allow": allowed, "net.ca": str(self.host.ca)}

    def _deeds(self) -> Mapping[str, Callable[[str], object]]:
        """What is done to no pull request."""
        main = {"README.md": f"Changed, {self.fake.now()}\n"}
        return {
            "device": self._device,
            "revokes": self.fake.unlinked,
            "moves": lambda rest: self.fake.push(REPO, "main", main),
            "takes": lambda leaf: self.fake.push(REPO, "main", {f"{leaf}/qna.yaml": "version: 3\n"}),
            "archives": lambda rest: setattr(self.fake.repos[REPO], "archived", True),
            "opens": lambda rest: self._opens(),
            "hides": lambda rest: setattr(self.fake.repos[REPO], "private", True),
        }

    def _opens(self) -> None:
        self.fake.repos[REPO].archived = self.fake.repos[REPO].private = False

    def _device(self, rest: str) -> None:
        verb, _, login = rest.partition(" ")
        code = [*self.fake.devices.values()][-1].user_code
        match verb:
            case "approve":
                self.fake.approve(code, login)
            case "deny":
                self.fake.deny(code)
            case _:
                raise ValueError(f"no device {verb}")

    def _done(self, pull: Pull | None, what: str) -> None:
        verb, _, rest = what.partition(" ")
        if found := DEED.fullmatch(what):
            return self._deed(pull, found["who"], found["verb"], found["rest"] or "")
        assert pull
        if found := CHECK.fullmatch(what):
            notes = ((self._path(pull, found["path"]), int(found["line"]), found["text"]),) if found["path"] else ()
            self.fake.check(pull, found["name"], RESULTS[found["result"]], notes)
        elif verb in ("labels", "unlabels"):
            (self.fake.label if verb == "labels" else self.fake.unlabel)(pull, rest)
        else:
            raise ValueError(f"no github {what}")

    def _deed(self, pull: Pull | None, who: str, verb: str, rest: str) -> None:
        if verb == "joins":
            self.fake.user(who)
            self.fake.repos[REPO].members.add(who)
            return
        assert pull
        match verb:
            case "approves":
                self.fake.reviews(pull, who, "APPROVED", rest)
            case "requests":
                self.fake.reviews(pull, who, "CHANGES_REQUESTED", rest)
            case "says" if found := AT.fullmatch(rest):
                self.fake.reviews(pull, who, "COMMENTED", found["text"], self._path(pull, "qna.yaml"), int(found["line"]))
            case "says":
                self.fake.user(who)
                self.fake.says(pull, who, rest)
            case "merges":
                self.fake.merge(pull)
            case _:
                self.fake.close(pull)

    def _path(self, pull: Pull, name: str) -> str:
        """A file that the pull request changes, by the end of its path."""
        before = self.fake.files(REPO, pull.base)
        changed = [path for path, held in self.fake.files(pull.head, pull.branch).items() if before.get(path) != held]
        return next((path for path in changed if path.endswith(f"/{name}")), name)


@cache
def _keys() -> tuple[str, str]:
    """An App's key, and what it is known by."""
    made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    plain, pem = serialization.NoEncryption(), serialization.Encoding.PEM
    public = made.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
    return made.private_bytes(pem, serialization.PrivateFormat.TraditionalOpenSSL, plain).decode(), public.decode()


@contextmanager
def told() -> Iterator[Told]:
    with ExitStack() as stack:
        yield Told(stack.enter_context(FakeGitHub().up()), stack)
