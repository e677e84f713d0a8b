"""A real headless Chromium: the one of this machine, with nothing of the network but what a test gives it."""

import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MAC = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")
FLAGS = (
    "--no-sandbox", # in a container there is none to be had, and the page is our own
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)  # fmt: skip


def path() -> str:
    """Where Chromium is. Skips the test where there is none."""
    found = next(filter(None, map(shutil.which, NAMES)), str(MAC) if MAC.is_file() else None)
    if found is None:
        pytest.skip("there is no Chromium; Debian has it as `apt-get install chromium`")
    return found


class Sink:
    """A server that nobody should call: it counts who does."""

    def __init__(self, listening: socket.socket) -> None:
        self.calls = 0
        self.listening = listening
        self.url = f"http://127.0.0.1:{listening.getsockname()[1]}"

    def serve(self) -> None:
        while True:
            try:
                called, _ = self.listening.accept()
            except OSError:  # closed: the test is over
                return
            self.calls += 1
            called.close()


@contextmanager
def sink() -> Iterator[Sink]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        made = Sink(listening)
        thread = threading.Thread(target=made.serve)
        thread.start()
        yield made
        listening.shutdown(socket.SHUT_RDWR)
    thread.join()
