"""A model hub that takes uploads, on the loopback interface: what huggingface_hub sends for a commit, as the real one takes it.

Repositories are made; a commit names its files, small ones in it, large ones by their digest, which have to be in storage by
then. Storage stands under another name of this machine, takes signed addresses only and no authorization, and refuses bytes
that are others than were promised. (The hub's newer way for large files, Xet, has a protocol of its own and is not here.)
"""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

COMMIT = "c0ffee" + 34 * "0"
LFS = (".safetensors", ".gguf")  # as a new repository's .gitattributes have them


@dataclass
class HubOfUploads:
    """`with HubOfUploads().up() as url:`; `files`: by OWNER/REPO/FILE, what commits brought."""

    token: str = "hf_" + 34 * "t"
    status: int = 0  # what every request gets instead of an answer
    private: dict[str, bool] = field(default_factory=dict)  # repositories
    files: dict[str, bytes] = field(default_factory=dict)
    stored: dict[str, bytes] = field(default_factory=dict)  # by digest
    commits: list[list[str]] = field(default_factory=list)

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


class _Server(ThreadingHTTPServer):
    daemon_threads = False

    def __init__(self, hub: HubOfUploads) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.hub = hub

    @property
    def storage(self) -> str:
        return f"http://localhost:{self.server_address[1]}"


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_: Any) -> None: ...

    def do_PUT(self) -> None:
        hub, body, url = self.server.hub, self._body(), urlsplit(self.path)
        digest = url.path.rpartition("/")[2]
        signed = parse_qs(url.query).get("signed") == [digest]
        right = signed and "Authorization" not in self.headers and hashlib.sha256(body).hexdigest() == digest
        if right and self.headers["Host"].startswith("localhost:"):
            hub.stored[digest] = body
            self._end(200, {})
        else:
            self._end(400, {"error": "these are not the bytes that were promised"})

    def do_GET(self) -> None:
        self._end(404, {"error": "Entry not found"})

    def do_POST(self) -> None:
        hub, body, path = self.server.hub, self._body(), urlsplit(self.path).path
        if hub.status:
            self._end(hub.status, {"error": "no"})
        elif self.headers.get("Authorization") != f"Bearer {hub.token}":
            self._end(401, {"error": "Invalid credentials in Authorization header"})
        elif path == "/api/repos/create":
            self._made(json.loads(body))
        elif path == "/api/validate-yaml":
            self._end(200, {"errors": [], "warnings": []})
        elif path.endswith("/preupload/main"):
            asked = json.loads(body)["files"]
            told = [{"path": one["path"], "uploadMode": _mode(one["path"]), "shouldIgnore": False} for one in asked]
            self._end(200, {"files": told})
        elif path.endswith(".git/info/lfs/objects/batch"):
            self._batch(json.loads(body)["objects"])
        elif path.endswith("/commit/main"):
            self._commit(path.removeprefix("/api/models/").removesuffix("/commit/main"), body)
        else:
            self._end(404, {"error": "no such thing here"})

    def _made(self, asked: dict[str, Any]) -> None:
        hub, name = self.server.hub, f"{asked.get('organization') or 'me'}/{asked['name']}"
        there = name in hub.private
        private = bool(asked.get("private") or asked.get("visibility") == "private")
        hub.private.setdefault(name, private)
        self._end(409 if there else 200, {"url": f"http://{self.headers['Host']}/{name}", "error": "you have it already"})

    def _batch(self, objects: list[dict[str, Any]]) -> None:
        told = []
        for one in objects:
            href = f"{self.server.storage}/store/{one['oid']}?signed={one['oid']}"
            have = one["oid"] in self.server.hub.stored
            told.append({**one, **({} if have else {"actions": {"upload": {"href": href}}})})
        self._end(200, {"transfer": "basic", "objects": told})

    def _commit(self, repo: str, body: bytes) -> None:
        hub, made = self.server.hub, dict[str, bytes]()
        for line in body.splitlines():
            value = (found := json.loads(line))["value"]
            if found["key"] == "file":
                made[value["path"]] = base64.b64decode(value["content"])
            elif found["key"] == "lfsFile":
                if value["oid"] not in hub.stored:
                    self._end(400, {"error": f"{value['path']} was not uploaded"})
                    return
                made[value["path"]] = hub.stored[value["oid"]]
        if repo not in hub.private:
            self._end(404, {"error": "Repository not found"})
            return
        hub.files |= {f"{repo}/{name}": content for name, content in made.items()}
        hub.commits.append(list(made))
        url = f"http://{self.headers['Host']}/{repo}/commit/{COMMIT}"
        self._end(200, {"success": True, "commitOid": COMMIT, "commitUrl": url, "hookOutput": ""})

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        read = bytearray()
        while size := int(self.rfile.readline(), 16):
            read += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return bytes(read)

    def _end(self, status: int, told: dict[str, Any]) -> None:
        body = json.dumps(told).encode()
        self.send_response(status)
        for name, value in {
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            "Connection": "close",
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def _mode(name: str) -> str:
    return "lfs" if name.endswith(LFS) else "regular"
