"""The stage that fetches a document: a public git repository, one commit of it, the files that patterns name, their text.

`document` is what every stage fetches with; `fetch` is the draft's, which wants passages of it.

The repository is a stranger's. git runs without a shell, without anybody's settings, credentials, proxies or hooks, over
https to the one address that was checked (see pipeline.net), into a bare repository that is thrown away; nothing is ever
checked out, so links and submodules lead nowhere. Time, disk and memory are limited, and git ends with its parent.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pipeline.errors import Failed, Invalid, LabError, Problem, Temporary
from pipeline.files import write
from pipeline.net import Net, Reach, authorities, bad_certificate, follow
from pipeline.passages import passages
from pipeline.patterns import SKIPPED, File, allowed, kinds, matches
from pipeline.stage import Job
from pipeline.texts import text_of

SIZE_BYTES = 200 * 2**20  # what git may write in all
TIMEOUT_S = 120.0  # for the whole stage's talking to the host
TEXT_BYTES = 50 * 2**20  # of the files that the patterns name
MEMORY_BYTES = 2 * 2**30  # of address space, for each process of git
LOOK_S = 0.05  # how often git's time and disk are looked at
SMALLER = "Put the documents into a repository of their own."
MAX_FILES = 100_000  # of the commit
MAX_PATTERNS = 20
MIN_HASH, SHOWN = 7, 20  # characters of a short hash, git's own abbreviation; files that a refusal lists
ADVERTISED = "/info/refs?service=git-upload-pack"  # what git asks first (gitprotocol-http)
TARGET = "refs/labbot/document"

# Runs git in a group of its own and ends that group when our end of its standard input closes, kill -9 included: git's
# helpers outlive a git that is killed. The limits hold for all of them. Words: bytes of a file, of memory, input, git ...
GUARD = """\
import os, resource, signal, subprocess, sys, threading
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
if sys.platform == "linux":  # macOS takes no limit of memory
    resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[2]),) * 2)
def watch():
    while os.read(0, 1):
        continue
    os.killpg(0, signal.SIGKILL)
threading.Thread(target=watch, daemon=True).start()
with open(sys.argv[3], "rb") as given:
    status = subprocess.call(sys.argv[4:], stdin=given)
signal.signal(signal.SIGTERM, lambda *_: None)  # not for us: for what git left running
os.killpg(0, signal.SIGTERM)
os._exit(status if 0 <= status < 256 else 128)
"""

# All that git is told of where it runs: no settings, identity, credentials or proxies of whoever started us.
ALONE = {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0"}
SETTINGS = (
    "protocol.allow=never protocol.https.allow=always http.followRedirects=false http.proxy= credential.helper= core.askPass="
    " http.lowSpeedLimit=1000 http.lowSpeedTime=30 core.hooksPath=/dev/null fetch.unpackLimit=1 fetch.recurseSubmodules=false"
    " fetch.uriProtocols= transfer.bundleURI=false gc.auto=0 maintenance.auto=false pack.threads=2"
    " core.bigFileThreshold=16m"  # larger go straight to disk
).split()

# What git and its libraries say (2.39 with GnuTLS, and OpenSSL's words), in the order in which it is looked for.
UNKNOWN = re.compile(r"not our ref")
UNOFFERED = re.compile(r"unadvertised object|want [0-9a-f]+ not valid")  # the second is JGit's
CERTIFICATE = re.compile(r"certificate|CAfile", re.I)
NO_REPOSITORY = re.compile(r"returned error: (?!429)[34]\d\d|could not read Username|not found|not valid: is this a git", re.I)
AWAY = re.compile(
    r"(?i)returned error: |could not resolve|failed to connect|couldn't connect|timed out|timeout|too slow|RPC failed|early eof"
    r"|connection (?:was )?(?:refused|reset|aborted)|hung up|(?:recv|send) (?:error|failure)|non-properly terminated"
)


@dataclass(frozen=True, slots=True)
class Source:
    """A host's repository, and the temporary folder into which git fetches of it. `until`: on time.monotonic's clock.

    `env`: what git is told besides, and nobody else: a secret goes there, not into its words, which all processes may read.
    """

    place: Reach
    folder: Path
    size_bytes: int
    until: float
    tell: Callable[[int], None]
    env: Mapping[str, str] = field(default_factory=dict, repr=False)

    def git(self, *words: str, given: str = "", room_bytes: int = 0) -> bytes:
        """Run git in the bare repository; return what it prints. `given` is its input, `room_bytes` more than its due.

        Raises Invalid document.large, net.certificate or document.repo, Temporary, Failed.
        """
        (self.folder / "in").write_text(given, encoding="ascii")
        with (self.folder / "out").open("wb") as out, (self.folder / "err").open("wb") as err:
            status = self._watch([*self._command(), *words], out.fileno(), err.fileno(), self.size_bytes + room_bytes)
        if status:
            said = (self.folder / "err").read_bytes()[-4000:].decode(errors="replace").strip()
            raise _refusal(words[0], said or f"status {status}", self.place)
        return (self.folder / "out").read_bytes()

    def _command(self) -> list[str]:
        settings = [*SETTINGS]
        if self.place.host != self.place.address:
            address = f"[{self.place.address}]" if ":" in self.place.address else self.place.address
            settings.append(f"http.curloptResolve={self.place.host}:{self.place.port}:{address}")
        if (self.folder / "ca.pem").exists():
            settings.append(f"http.sslCAInfo={self.folder / 'ca.pem'}")
        words = [word for one in settings for word in ("-c", one)]
        return [shutil.which("git") or "git", "--git-dir", str(self.folder / "git"), *words]

    def _watch(self, command: Sequence[str], out: int, err: int, limit_bytes: int) -> int:
        """Run a command to its end; kill it and all it started where it writes or takes too much."""
        limits = [str(limit_bytes), str(MEMORY_BYTES), str(self.folder / "in")]
        guarded = [sys.executable, "-I", "-S", "-c", GUARD, *limits, *command]
        env, pipe = {**ALONE, **self.env} | {"HOME": str(self.folder), "GIT_CONFIG_GLOBAL": os.devnull}, subprocess.PIPE
        process = subprocess.Popen(guarded, stdin=pipe, stdout=out, stderr=err, cwd=self.folder, env=env, process_group=0)
        try:
            while True:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(LOOK_S)
                size = _bytes_below(self.folder)
                if size >= limit_bytes:
                    repo, limit = self.place.url, _mib(limit_bytes)
                    raise _invalid("document.large", repo, f"it is larger than {limit}", SMALLER, repo=repo, limit=limit)
                if process.returncode is not None:
                    return process.returncode
                if time.monotonic() > self.until:
                    raise Temporary(f"{self.place.host} takes too long")
                self.tell(size)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            _await_end(process.pid)
            assert process.stdin
            process.stdin.close()


@dataclass(frozen=True, slots=True)
class Document:
    """`found`: repository, commit and files as document.json has them. `texts`: of its files, by path, in the tree's order."""

    found: Mapping[str, Any]
    texts: Mapping[str, str]

    @property
    def facts(self) -> Mapping[str, str]:
        """What people should know of it."""
        rows = self.found["files"]
        words, listed = str(sum(row["words"] for row in rows)), ", ".join(row["path"] for row in rows[:5])
        place = {"repo": self.found["repo"], "commit": self.found["commit"]}
        return {**place, "files": str(len(rows)), "words": words, "listed": listed}


def fetch(job: Job) -> Mapping[str, str]:
    """Fetch the document; write which commit and files it is, and its passages. Raises what `document` does."""
    found = document(job, job.inputs)
    cut = (excerpt for path, text in found.texts.items() for excerpt in passages(text, path))
    write(job.folder / "passages.jsonl", "".join(json.dumps(asdict(excerpt)) + "\n" for excerpt in cut))
    write(job.folder / "document.json", json.dumps(found.found, indent=1))
    return found.facts


def document(job: Job, inputs: Mapping[str, Any], read: Callable[[bytes, str], str] = text_of) -> Document:
    """Fetch what `inputs` (repo, ref, patterns) name, within the job's settings and reporting by it; write nothing.

    `read`: the text of a file by its content and path. Raises Invalid for what is not there, not public, too large or no
    text; Temporary where the host is away.
    """
    repo, ref, patterns = _asked(inputs)
    net = Net(tuple(job.settings.get("net", {}).get("allow", ())), str(job.settings.get("net", {}).get("ca", "")))
    until = time.monotonic() + float(job.settings.get("timeout_s", TIMEOUT_S))
    size_bytes = int(job.settings.get("size_bytes", SIZE_BYTES))
    for left in job.folder.glob(".fetch-*"):  # by an attempt that was killed
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=job.folder.resolve(), ignore_cleanup_errors=True) as temporary:
        place = _found(repo, net, until)
        job.report(0.1, {"host": place.host})
        source = Source(place, Path(temporary), size_bytes, until, _teller(job, size_bytes))
        if net.ca:
            (source.folder / "ca.pem").write_bytes(authorities(net))
        source.git("init", "--quiet", "--bare", "--template=", "--", str(source.folder / "git"))
        commit = _commit(source, ref)
        job.report(0.8, {"commit": commit})
        listed = list(_files(source, commit))
        chosen = _chosen(listed, patterns, place)
        texts = {file.path: read(content, file.path) for file, content in _contents(source, chosen)}
    asked = {"repo": place.url, "ref": ref, "commit": commit, "patterns": patterns}
    return Document({**asked, **_rows(patterns, listed, chosen, texts)}, texts)


def _asked(inputs: Mapping[str, Any]) -> tuple[str, str, list[str]]:
    """What the run was asked for. Raises Invalid for what git or glob could take for something else."""
    repo, ref, patterns = str(inputs["repo"]), str(inputs["ref"]), [str(one) for one in inputs["patterns"]]
    if ref and not _is_ref(ref):
        raise _invalid("document.ref-shape", ref, "git has no such names", "Name a branch, a tag or a commit.", ref=ref)
    if not 0 < len(patterns) <= MAX_PATTERNS:
        count, most = str(len(patterns)), str(MAX_PATTERNS)
        raise _invalid("document.patterns", "patterns", f"{count} patterns", f"Give 1 to {most}.", count=count, most=most)
    if bad := [one for one in patterns if not allowed(one)]:
        fix = "Name files from the repository's root, for example docs/*.md."
        raise Invalid(*(Problem("document.pattern", "that is no pattern", one, fix, {"pattern": one}) for one in bad))
    if "?" in repo:
        raise _invalid("net.shape", repo, "that is no repository", "Write it as https://host/path.", url=repo)
    return repo, ref, patterns


def _is_ref(ref: str) -> bool:
    """Whether git allows that name (git check-ref-format), and no option or expression hides in it."""
    bad = r"^[-/@]|[\x00-\x20\x7f~^:?*\[\\]|\.\.|//|@\{|/\.|^\.|[./]$|\.lock(?:/|$)"
    return len(ref) <= 200 and not re.search(bad, ref)


def _found(repo: str, net: Net, until: float) -> Reach:
    """Where the repository is, redirects followed. Raises Invalid where no git answers, Temporary where none can now."""
    place, answer = follow(repo, ADVERTISED, net, until)
    if answer.status == 429 or answer.status >= 500:
        raise Temporary(f"{place.host} answers {answer.status}")
    kind = answer.headers.get("content-type", "")
    if answer.status != 200 or not kind.startswith("application/x-git-upload-pack-advertisement"):
        raise _no_repository(place)
    return place


def _teller(job: Job, size_bytes: int) -> Callable[[int], None]:
    """Reports what has come, at most once for every hundredth of what may come."""
    told = 0

    def tell(size: int) -> None:
        nonlocal told
        if (step := 100 * size // size_bytes) > told:
            told = step
            job.report(0.1 + 0.7 * min(1.0, size / size_bytes), {"size": _mib(size)})

    return tell


def _commit(source: Source, ref: str) -> str:
    """Fetch what a ref names ("": the default branch) and return the commit's full hash.

    A branch comes before a tag of its name, both before a hash. A commit that is not offered by hash, or by a part of
    it, is looked for in the history of all branches and tags, within the limits.
    """
    repo = source.place.url
    rows = source.git("ls-remote", "--", repo).decode(errors="replace").splitlines()
    tips = {name: offered for offered, _, name in (row.partition("\t") for row in rows)}
    if not tips:
        raise _invalid("document.empty", repo, "nothing is committed there", "", repo=repo)
    hashed = re.fullmatch(rf"[0-9a-f]{{{MIN_HASH},40}}", ref.lower())
    if (wanted := _wanted(ref, tips)) and _taken(source, ref, wanted):
        found = f"{TARGET}^{{commit}}"
    elif hashed:
        source.git("fetch", "--quiet", "--no-tags", "--", repo, "+refs/heads/*:refs/at/heads/*", "+refs/tags/*:refs/at/tags/*")
        found = f"{hashed[0]}^{{commit}}"
    else:
        raise _no_ref(source, ref)
    with suppress(Failed):
        return source.git("rev-parse", "--verify", "--quiet", found).decode().strip()
    raise _no_ref(source, ref)


def _wanted(ref: str, tips: Mapping[str, str]) -> str:
    """The full hash that a ref names, as far as what the host offers tells it; "" if it does not."""
    names = (ref, f"refs/heads/{ref}", f"refs/tags/{ref}") if ref else ("HEAD",)
    for name in names:
        if name in tips and (name == "HEAD" or name.startswith("refs/")):
            return tips[name]
    if re.fullmatch(r"[0-9a-fA-F]{40}", ref):
        return ref.lower()
    begun = {one for one in tips.values() if one.startswith(ref.lower())} if len(ref) >= MIN_HASH else set()
    return begun.pop() if len(begun) == 1 else ""


def _taken(source: Source, ref: str, wanted: str) -> bool:
    """Fetch a single commit by its hash; False where the host gives none that it did not offer."""
    try:
        source.git("fetch", "--quiet", "--depth=1", "--no-tags", "--", source.place.url, f"+{wanted}:{TARGET}")
    except Failed as error:
        if UNKNOWN.search(str(error)):
            raise _no_ref(source, ref) from None
        if UNOFFERED.search(str(error)):
            return False
        raise
    return True


def _files(source: Source, commit: str) -> Iterator[File]:
    """The commit's files, links and submodules; without those whose names no text can hold."""
    printed, repo, most = source.git("ls-tree", "-r", "-z", "--long", "--full-tree", commit), source.place.url, str(MAX_FILES)
    if printed.count(b"\0") > MAX_FILES:
        raise _invalid("document.many", repo, f"it has more than {most} files", SMALLER, repo=repo, limit=most)
    for row in printed.split(b"\0"):
        facts, _, name = row.partition(b"\t")
        path = name.decode(errors="replace")
        if path.isprintable() and not {"", ".", ".."} & {*path.split("/")} and "\ufffd" not in path:
            mode, _, blob, size = facts.decode().split()
            yield File(path, mode, blob, int(size) if size.isdecimal() else 0)


def _chosen(listed: Sequence[File], patterns: Sequence[str], place: Reach) -> list[File]:
    """The files that patterns name and that can be read, in the tree's order."""
    chosen = [file for file in listed if any(file.named(pattern) for pattern in patterns)]
    if not chosen:
        there = [file.path for file in listed if file.kind in kinds(*patterns)]
        shown, wanted = ", ".join(there[:SHOWN]), ", ".join(patterns)
        facts = {"repo": place.url, "patterns": wanted, "there": shown, "count": str(len(there))}
        fix = f"There is: {shown}." if there else "There is no .md and no .pdf file in it."
        raise _invalid("document.unmatched", place.url, f"{wanted} names no .md or .pdf file", fix, **facts)
    if (size := sum(file.size for file in chosen)) > TEXT_BYTES:
        facts = {"repo": place.url, "size": _mib(size), "limit": _mib(TEXT_BYTES)}
        fix = f"Name fewer: {facts['limit']} are the limit."
        raise _invalid("document.text-large", place.url, f"these files hold {facts['size']}", fix, **facts)
    return chosen


def _contents(source: Source, files: Sequence[File]) -> Iterator[tuple[File, bytes]]:
    wanted = "".join(f"{file.blob}\n" for file in files)
    printed = source.git("cat-file", "--batch", given=wanted, room_bytes=2 * TEXT_BYTES)  # contents, and a line for each
    at = 0
    for file in files:
        start = printed.index(b"\n", at) + 1
        at = start + file.size + 1
        yield file, printed[start : at - 1]


def _rows(
    patterns: Sequence[str], listed: Sequence[File], chosen: Sequence[File], texts: Mapping[str, str]
) -> dict[str, list[dict[str, Any]]]:
    """The files that are read, and those that a pattern names and that are not. Raises Invalid where there is no word."""
    rows = [{"path": one.path, "bytes": one.size, "words": len(texts[one.path].split()), "kind": one.kind} for one in chosen]
    if not any(row["words"] for row in rows):
        names = ", ".join(file.path for file in chosen[:5])
        fix = "A scanned PDF has to be made into text first."
        raise _invalid("document.wordless", names, "there is no text in it", fix, listed=names)
    named = [one for one in listed if any(matches(pattern, one.path) for pattern in patterns)]
    left = [one for one in named if one.path not in texts]
    return {"files": rows, "skipped": [{"path": one.path, "why": SKIPPED.get(one.mode, "kind")} for one in left]}


def _refusal(act: str, said: str, place: Reach) -> LabError:
    """What git's words mean to us."""
    if UNKNOWN.search(said) or UNOFFERED.search(said):
        return Failed(f"git {act}: {said}")
    if CERTIFICATE.search(said):
        return bad_certificate(place, said)
    if NO_REPOSITORY.search(said):
        return _no_repository(place)
    return Temporary(f"{place.host}: {said}") if AWAY.search(said) else Failed(f"git {act}: {said}")


def _no_repository(place: Reach) -> Invalid:
    repo, message = place.url, "there is no git repository that everyone may read"
    return _invalid("document.repo", repo, message, "Look at its address.", repo=repo, host=place.host)


def _no_ref(source: Source, ref: str) -> Invalid:
    name, repo = ref or "HEAD", source.place.url
    return _invalid("document.ref", repo, f"it has no {name}", "Name a branch, a tag or a commit of it.", repo=repo, ref=name)


def _await_end(group: int) -> None:
    """Wait until a killed group is gone, so that none of it writes into the folder while that is removed; a second at most."""
    until = time.monotonic() + 1.0
    with suppress(OSError):  # there is none, or only what init has not buried yet
        while time.monotonic() < until:
            os.killpg(group, 0)
            time.sleep(0.005)


def _bytes_below(folder: Path) -> int:
    """What the files below a folder hold; git moves some away while one looks."""
    total = 0
    for top, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                total += os.lstat(os.path.join(top, name)).st_size
    return total


def _mib(size_bytes: int) -> str:
    return f"{size_bytes / 2**20:.0f} MiB" if size_bytes >= 10 * 2**20 else f"{size_bytes / 2**20:.1f} MiB"


def _invalid(code: str, where: str, message: str, fix: str, **facts: str) -> Invalid:
    return Invalid(Problem(code, message, where, fix, facts))
