"""A model hub on the loopback interface: what huggingface_hub asks for one file, as the real one answers it.

`HEAD` and `GET /OWNER/REPO/resolve/REVISION/FILE` redirect to a storage host that serves ranges; small files, which need no
LFS, it answers itself. `GET /api/models/OWNER/REPO/revision/REVISION?blobs=true` lists a repository. Storage stands under
another name of this machine, takes signed addresses only and no authorization, as the real one: a client that sends its
token on gets 400. It can be told to cut answers, to send other bytes, to know no ranges, to refuse.
"""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

COMMIT = "c0ffee" + 34 * "0"
PLAIN = (".json", ".txt", ".jinja", ".py")  # files that are small enough to need no LFS


@dataclass
class HubHost:
    """`with HubHost().up() as url:` offers the files of `files`, by OWNER/REPO/FILE."""

    files: dict[str, bytes] = field(default_factory=dict)
    cuts: list[int] = field(default_factory=list)  # after how many bytes the next answers of storage end
    held: threading.Event = field(default_factory=threading.Event)  # set when an answer stands still at its cut
    holds: threading.Event | None = None  # an answer that is cut waits for it before it ends
    damaged: bool = False  # storage sends other bytes than were promised
    ranges: bool = True
    status: int = 0  # what every request for a file gets instead of an answer
    code: str = ""  # the hub's own X-Error-Code beside it
    token: str = ""  # the one that is asked for; "" for none
    plain: bool = False  # answers as some server that is no hub
    asked: list[tuple[str, str, str]] = field(default_factory=list)  # method, where (hub or storage), Range

    @contextmanager
    def up(self) -> Iterator[str]:
        server = _Server(self)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    def sha256(self, name: str) -> str:
        return hashlib.sha256(self.files[name]).hexdigest()


def blob(content: bytes) -> str:
    """Git's name of a file that the hub keeps without LFS."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _sibling(host: HubHost, name: str, owner: str) -> dict[str, Any]:
    content = host.files[name]
    told = {"rfilename": name.removeprefix(f"{owner}/"), "size": len(content), "blobId": blob(content)}
    lfs = {"sha256": host.sha256(name), "size": len(content), "pointerSize": 134}
    return told if name.endswith(PLAIN) else told | {"lfs": lfs}


class _Server(ThreadingHTTPServer):
    daemon_threads = False

    def __init__(self, host: HubHost) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.host = host

    def handle_error(self, *_: Any) -> None:
        """A client that goes away in the middle is no error here."""


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, *_: Any) -> None: ...

    def _answer(self) -> None:
        host, path = self.server.host, urlsplit(self.path).path
        storage = self.headers["Host"].startswith("localhost:")
        host.asked.append((self.command, "storage" if storage else "hub", self.headers.get("Range", "")))
        if storage:
            self._stored(host, path.removeprefix("/"))
        elif path.startswith("/api/models/"):
            self._listed(host, path.removeprefix("/api/models/"))
        else:
            self._resolved(host, path)

    def _resolved(self, host: HubHost, path: str) -> None:
        """The hub's part: where the file is, and what is known of it."""
        owner, _, rest = path.removeprefix("/").partition("/resolve/")
        revision, _, file = rest.partition("/")
        name = f"{owner}/{file}"
        if host.plain:
            self._end(200, {"Content-Length": "2"}, b"ok")
        elif host.status:
            self._refuse(host.status, host.code)
        elif host.token and self.headers.get("Authorization") != f"Bearer {host.token}":
            sent = "Authorization" in self.headers
            self._refuse(401, "" if sent else "GatedRepo", "Invalid credentials in Authorization header" if sent else "")
        elif not any(one.startswith(f"{owner}/") for one in host.files):
            self._refuse(401 if "Authorization" not in self.headers else 404, "RepoNotFound", "Repository not found")
        elif revision not in ("main", COMMIT):
            self._refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        elif name not in host.files:
            self._refuse(404, "EntryNotFound", "Entry not found")
        elif name.endswith(PLAIN):
            told = {"ETag": f'"{blob(host.files[name])}"', "X-Repo-Commit": COMMIT}
            content = host.files[name][:-1] + b"!" if host.damaged else host.files[name]
            self._end(200, told | {"Content-Length": str(len(content))}, content)
        else:
            content, digest = host.files[name], host.sha256(name)
            location = f"http://localhost:{self.server.server_address[1]}/{name}?signed={digest}"
            told = {"Location": location, "X-Repo-Commit": COMMIT, "X-Linked-Etag": f'"{digest}"'}
            self._end(302, told | {"X-Linked-Size": str(len(content)), "Content-Length": "0"})

    def _listed(self, host: HubHost, path: str) -> None:
        """What `model_info` asks for: the files of a repository with their sizes and digests."""
        owner, _, revision = path.partition("/revision/")
        names = [name for name in host.files if name.startswith(f"{owner}/")]
        if not names:
            self._refuse(404, "RepoNotFound", "Repository not found")
        elif revision not in ("main", COMMIT) or "blobs=" not in self.path:
            self._refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        else:
            told = {"id": owner, "sha": COMMIT, "siblings": [_sibling(host, name, owner) for name in names]}
            body = json.dumps(told).encode()
            self._end(200, {"Content-Type": "application/json", "Content-Length": str(len(body))}, body)

    def _stored(self, host: HubHost, name: str) -> None:
        """Storage: bytes, or a range of them, for whoever has a signed address."""
        if "Authorization" in self.headers or name not in host.files or "signed=" not in self.path:
            self._end(400, {"Content-Length": "0"})
            return
        content = host.files[name]
        if host.damaged:
            content = content[:-1] + bytes([content[-1] ^ 1])
        start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-")) if host.ranges and "Range" in self.headers else 0
        if start >= len(content):
            self._end(416, {"Content-Range": f"bytes */{len(content)}", "Content-Length": "0"})
            return
        told = {"Content-Length": str(len(content) - start), "Accept-Ranges": "bytes"}
        if start:
            told["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        cut = host.cuts.pop(0) if host.cuts else len(content)
        self._end(206 if start else 200, told, content[start : start + cut])
        if host.holds and start + cut < len(content):
            self.wfile.flush()
            host.held.set()
            host.holds.wait()

    def _refuse(self, status: int, code: str, message: str = "") -> None:
        told = {"X-Error-Code": code} if code else {}
        told |= {"X-Error-Message": message} if message else {}
        self._end(status, told | {"Content-Length": "0"} | ({"Retry-After": "7"} if status == 429 else {}))

    def _end(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in {**headers, "Connection": "close"}.items():  # so that nobody waits for a client at the end
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)
