"""A document in its author's own repository: one signed-off commit, pushed by git over https, exactly once.

Every round looks first: the branch's tip is fetched, and where it holds the file as it is nothing is pushed. So an answer
that was lost, a second press or a push of somebody else's in between leads to one commit. The token is in git's
environment alone, for this repository's address alone, and redirects are not followed.
"""

import re
import time
import unicodedata
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pipeline.errors import Failed, Invalid, Problem, Temporary
from pipeline.net import Net, authorities, reach
from pipeline.stages.fetch import SIZE_BYTES, TARGET, TIMEOUT_S, Source
from pipeline.texts import HTML, text_of

FILE_BYTES = 10 * 2**20
BUFFER = "16m"  # more than a file: a push is one request, not chunks, which some hosts do not take
PAUSES_S = (1.0, 2.0, 3.0)  # between tries
TRIES = len(PAUSES_S) + 1
PART = 60  # characters of a name in a path
READ = (".md", ".pdf")  # what upstream's data generation reads; the rest becomes the first
TEXTS = (".md", ".markdown", ".txt", *HTML)
QUICKER = re.compile(r"rejected|fetch first|non-fast-forward|cannot lock ref|failed to update ref|incorrect old value")


@dataclass(frozen=True, slots=True)
class Signer:
    """Who signs the commit off, and when they agreed to (seconds since 1970): a second attempt makes the same commit."""

    name: str
    mail: str
    at: float

    @property
    def environment(self) -> Mapping[str, str]:
        facts = {"NAME": self.name, "EMAIL": self.mail, "DATE": f"@{int(self.at)} +0000"}
        return {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER") for what, value in facts.items()}


def document(name: str, content: bytes) -> tuple[str, bytes]:
    """A file as it is published: its safe name, and its content: PDF and markdown as they are, HTML and text as markdown.

    Raises Invalid publish.kind, publish.large, document.wordless, and what `text_of` does.
    """
    end = PurePosixPath(name).suffix.lower()
    if end not in (*READ, *TEXTS):
        raise _invalid("publish.kind", name, "that is no document", "Send .md, .txt, .html or .pdf.", name=name)
    if len(content) > FILE_BYTES:
        limit = f"{FILE_BYTES / 2**20:.0f} MiB"
        raise _invalid("publish.large", name, f"it is larger than {limit}", "Send a smaller one.", name=name, limit=limit)
    safe = slug(PurePosixPath(name.replace("\\", "/")).stem) or "document"
    text = text_of(content, f"{safe}{end if end in (*READ, *HTML) else '.md'}")
    if not text.strip():
        fix = "A scanned PDF has to be made into text first."
        raise _invalid("document.wordless", name, "there is no text in it", fix, listed=name)
    return (f"{safe}.pdf", content) if end == ".pdf" else (f"{safe}.md", content if end == ".md" else text.encode())


def slug(text: str) -> str:
    """A part of a path of small ASCII letters, digits, hyphens and underscores, which no pattern takes for one; may be ""."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9_]+", "-", plain).strip("-")[:PART].strip("-")


def header(url: str, token: str) -> dict[str, str]:
    """Git's settings that show a token to one repository, as its environment has them."""
    shown = b64encode(f"x-access-token:{token}".encode()).decode()
    pairs = {f"http.{url}.extraHeader": f"Authorization: Basic {shown}", "http.postBuffer": BUFFER}
    rows = {
        f"GIT_CONFIG_{what}_{at}": value
        for at, pair in enumerate(pairs.items())
        for what, value in zip(_PAIR, pair, strict=True)
    }
    return {"GIT_CONFIG_COUNT": str(len(pairs)), **rows}


_PAIR = ("KEY", "VALUE")


@dataclass(frozen=True, slots=True)
class Push:
    """One file on its way to one path of a branch. `source.env` holds the token and who commits."""

    source: Source
    branch: str
    path: str
    content: bytes
    message: str

    def settle(self) -> str:
        """Have the file there; return the full hash of a commit that holds it.

        Raises Invalid publish.path, github.refused, net.certificate or document.large; Temporary where the host is away.
        """
        (self.source.folder / "file").write_bytes(self.content)
        (self.source.folder / "message").write_text(self.message, encoding="utf-8")
        blob = self._git("hash-object", "-w", "--no-filters", "--", str(self.source.folder / "file"))
        for pause_s in (*PAUSES_S, None):
            try:
                return self._once(blob)
            except Temporary:
                if pause_s is None:
                    raise
            except Failed as error:
                if not QUICKER.search(str(error)):
                    raise
            time.sleep(pause_s or 0.0)
        raise Temporary(f"{self.source.place.url} changes too fast")

    def _once(self, blob: str) -> str:
        """Look what is there; commit on top of it and push, unless the file is there already."""
        tip = self._tip()
        if tip and self._blob(tip) == blob:
            return tip
        commit = self._commit(tip, self._tree(tip, blob))
        self._talk("push", "--quiet", "--", self.source.place.url, f"{commit}:refs/heads/{self.branch}")
        return commit

    def _tip(self) -> str:
        """The branch's commit, fetched; "" while there is none."""
        url, ref = self.source.place.url, f"refs/heads/{self.branch}"
        tip = self._talk("ls-remote", "--", url, ref).partition("\t")[0]
        if tip:
            self._talk("fetch", "--quiet", "--depth=1", "--no-tags", "--", url, f"+{tip}:{TARGET}")
        return tip

    def _blob(self, tip: str) -> str:
        """The file's blob in a commit; "" if it is not there. Raises Invalid where a link or a file is in its way."""
        parts = self.path.split("/")
        for depth in range(1, len(parts) + 1):
            path = "/".join(parts[:depth])
            mode, _, rest = self._git("ls-tree", tip, "--", path).partition(" ")
            if (mode and (mode == "040000") == (depth == len(parts))) or mode in ("120000", "160000"):
                fix = "Take it away there, or give your file another name."
                raise _invalid("publish.path", path, "something else has that path in your repository", fix, path=path)
        return rest.split()[1] if mode else ""

    def _tree(self, tip: str, blob: str) -> str:
        self._git("read-tree", *((tip,) if tip else ("--empty",)))
        self._git("update-index", "--add", "--index-info", given=f"100644 {blob}\t{self.path}\n")
        return self._git("write-tree")

    def _commit(self, tip: str, tree: str) -> str:
        above = ("-p", tip) if tip else ()
        return self._git("commit-tree", tree, *above, "-F", str(self.source.folder / "message"))

    def _git(self, *words: str, given: str = "") -> str:
        return self.source.git(*words, given=given).decode(errors="replace").strip()

    def _talk(self, *words: str) -> str:
        """Run what talks to the host: what it does not let us see or change there, this account has no right to."""
        try:
            return self._git(*words)
        except Invalid as error:
            if error.problems[0].code != "document.repo":
                raise
            why = f"git {words[0]} is refused at {self.source.place.url}"
            raise _invalid("github.refused", self.source.place.url, why, "Look at your rights there.", why=why) from None


def pushed(url: str, token: str, signer: Signer, push: Mapping[str, object], folder: Path, net: Net) -> str:
    """Push a file (`branch`, `path`, `content`, `message`) to a repository, by way of an empty folder; return the commit."""
    place = reach(url, net)
    env = {**header(place.url, token), **signer.environment}
    source = Source(place, folder, SIZE_BYTES, time.monotonic() + TIMEOUT_S, _quiet, env)
    if net.ca:
        (folder / "ca.pem").write_bytes(authorities(net))
    source.git("init", "--quiet", "--bare", "--template=", "--", str(folder / "git"))
    return Push(source, **push).settle()  # type: ignore[arg-type]


def _quiet(size_bytes: int) -> None:
    """What comes is little: nobody is told of it."""


def _invalid(code: str, where: str, message: str, fix: str, **facts: str) -> Invalid:
    return Invalid(Problem(code, message, where, fix, facts))
