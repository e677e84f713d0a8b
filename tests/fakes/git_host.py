"""A git host on the loopback interface: real repositories, git's own http-backend, real TLS with an authority of its own.

It can be told to misbehave: to redirect, to fail, to drip or to pour without end, to take no wants by hash (as servers
without git's second protocol do), to show a certificate that nobody signed for it, to lose the answer to a push.
Who pushes shows a token of `tokens`, as GitHub's users do.
"""

import os
import re
import ssl
import subprocess
import threading
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import trustme

IDENTITY = ("-c", "user.name=Alice", "-c", "user.email=alice@lab.example", "-c", "commit.gpgSign=false")
DATE = "2026-01-02T03:04:05Z"  # the same files are the same commit, whenever they are made
DRIP_S = 0.05


@dataclass
class GitHost:
    """`with GitHost(folder).up() as url:` serves every repository made by `repo` at url/NAME.git."""

    folder: Path
    names: tuple[str, ...] = ("127.0.0.1", "localhost")  # that the certificate is for
    redirects: dict[str, str] = field(default_factory=dict)  # a path's beginning -> where it leads
    status: int = 0  # what every request gets instead of an answer
    drips: str = ""  # where this stands in a request's path, the answer comes byte by byte
    pours: str = ""  # and here references without end, as fast as it can
    old: bool = False  # speaks git's first protocol only, and takes no wants that it did not offer
    asked: list[str] = field(default_factory=list)  # method and path of every request
    tokens: dict[str, str] = field(default_factory=dict)  # who may push, by their token
    loses: int = 0  # so many answers to pushes that were taken in
    meanwhile: list[Callable[[], object]] = field(default_factory=list)  # each is done once, just before a push is taken in

    def __post_init__(self) -> None:
        self.authority = trustme.CA()
        self.ca = self.folder / "ca.pem"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.authority.cert_pem.write_to_path(self.ca)
        self.stopping = threading.Event()

    @contextmanager
    def up(self) -> Iterator[str]:
        server = _Server(self)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"https://127.0.0.1:{server.server_address[1]}"
        finally:
            self.stopping.set()
            server.shutdown()
            server.server_close()  # waits for the requests that run
            thread.join()

    def repo(self, name: str, files: dict[str, bytes], links: dict[str, str] | None = None, branch: str = "main") -> str:
        """Commit these files and links, and no others, on a branch of a repository; return the commit.

        A link whose target is a full hash is a submodule at that commit.
        """
        bare = self.empty(name)
        rows = [("100644", path, content) for path, content in files.items()]
        modules = {path: target for path, target in (links or {}).items() if re.fullmatch("[0-9a-f]{40}", target)}
        rows += [("120000", path, target.encode()) for path, target in (links or {}).items() if path not in modules]
        blobs = [(mode, path, _git(bare, "hash-object", "-w", "--stdin", given=content)) for mode, path, content in rows]
        blobs += [("160000", path, commit) for path, commit in modules.items()]
        listed = "".join(f"{mode} {blob}\t{path}\0" for mode, path, blob in blobs).encode()
        index = {"GIT_INDEX_FILE": str(bare / "index.made")}
        _git(bare, "read-tree", "--empty", env=index)
        _git(bare, "update-index", "-z", "--add", "--index-info", given=listed, env=index)
        tree = _git(bare, "write-tree", env=index)
        parent = _git(bare, "for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}")
        commit = _git(bare, *IDENTITY, "commit-tree", tree, "-m", "Text", *(("-p", parent) if parent else ()))
        _git(bare, "update-ref", f"refs/heads/{branch}", commit)
        return commit

    def empty(self, name: str) -> Path:
        """A repository, without a commit if it is new; return its folder."""
        bare = self.folder / f"{name}.git"
        if not bare.exists():
            _git(self.folder, "init", "--quiet", "--bare", "--initial-branch=main", str(bare))
        return bare

    def git(self, name: str, *words: str) -> str:
        """Run git in a repository of this host."""
        return _git(self.folder / f"{name}.git", *IDENTITY, *words)


class _Server(ThreadingHTTPServer):
    daemon_threads = False

    def __init__(self, host: GitHost) -> None:
        self.host = host
        self.secure = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        host.authority.issue_cert(*host.names).configure_cert(self.secure)
        super().__init__(("127.0.0.1", 0), _Request)

    def finish_request(self, request: Any, address: Any) -> None:
        """The handshake is done in the request's own thread: one that hangs holds up nobody."""
        request.settimeout(10)
        with suppress(OSError), self.secure.wrap_socket(request, server_side=True) as line:
            super().finish_request(line, address)


class _Request(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.0"  # a connection a request, whose end is the body's end

    def do_GET(self) -> None:
        host = self.server.host
        host.asked.append(f"{self.command} {self.path}")
        moved = next((old for old in host.redirects if self.path.startswith(old)), None)
        if moved is not None:
            self._say(301, {"Location": host.redirects[moved] + self.path.removeprefix(moved), "Content-Length": "0"})
        elif host.status:
            self._say(host.status, {"Content-Length": "0"})
        elif host.pours and host.pours in self.path:
            self._pour()
        else:
            self._serve()

    do_POST = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        """A test shows what it looked at; the host says nothing."""

    def _who(self) -> str:
        """Whose token the request shows; "" for nobody's."""
        kind, _, shown = self.headers.get("Authorization", "").partition(" ")
        return self.server.host.tokens.get(b64decode(shown).decode().partition(":")[2], "") if kind == "Basic" else ""

    def _say(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _pour(self) -> None:
        kind = "advertisement" if self.command == "GET" else "result"
        self._say(200, {"Content-Type": f"application/x-git-upload-pack-{kind}"})
        lines = b"".join(b"0040%040d refs/heads/%07d\n" % (at, at) for at in range(1, 1000))
        with suppress(OSError):
            while not self.server.host.stopping.is_set():
                self.wfile.write(lines)

    def _serve(self) -> None:
        """Answer as git's http-backend does, by CGI (RFC 3875)."""
        url, host = urlsplit(self.path), self.server.host
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            raise NotImplementedError("git sends requests over 1 MiB in chunks; no test makes one")
        pushes = url.path.endswith("/git-receive-pack")
        who = self._who()
        if not who and (pushes or "git-receive-pack" in url.query):
            self._say(401, {"WWW-Authenticate": 'Basic realm="git"', "Content-Length": "0"})
            return
        if pushes and host.meanwhile:
            host.meanwhile.pop(0)()
        env = {
            **({"REMOTE_USER": who} if who else {}),
            "GIT_PROJECT_ROOT": str(host.folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": url.path,
            "QUERY_STRING": url.query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": "" if host.old else self.headers.get("Git-Protocol", ""),
            **_calm(),
        }
        done = subprocess.run(["git", "http-backend"], input=body, env=env, capture_output=True, check=False)
        if pushes and host.loses:
            host.loses -= 1
            return
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
        self._say(int(headers.pop("Status", "200").split()[0]), {**headers, "Content-Length": str(len(content))})
        size = 1 if host.drips and host.drips in self.path else len(content)
        with suppress(OSError):
            for start in range(0, len(content), size or 1):
                self.wfile.write(content[start : start + size])
                if size == 1 and host.stopping.wait(DRIP_S):
                    return


def _git(folder: Path, *words: str, given: bytes | None = None, env: dict[str, str] | None = None) -> str:
    dated = {"GIT_AUTHOR_DATE": DATE, "GIT_COMMITTER_DATE": DATE}
    done = subprocess.run(
        ["git", "-C", str(folder), *words],
        input=given,
        env={**_calm(), **dated, **(env or {})},
        capture_output=True,
        check=True,
    )
    return done.stdout.decode().strip()


def _calm() -> dict[str, str]:
    """An environment without anybody's settings of git."""
    return {"PATH": os.defpath, "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "LC_ALL": "C.UTF-8"}
