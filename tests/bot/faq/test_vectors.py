"""Search by meaning, against a scripted endpoint on loopback: what is asked of it, kept, and done without when it is away."""

import json
import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from bot.faq import Faq
from bot.faq.load import entries
from bot.faq.vectors import AT_ONCE, Vectors

TEXT = "## What does postage cost?\n\n85 cents.\n\n## How do I grow ferns?\n\nIn shade.\n\n## When is noon?\n\nAt twelve.\n"
MEANINGS = (("postage", "stamp", "cents"), ("fern", "plant", "shade"), ("noon", "midday", "twelve"))


@dataclass
class Endpoint:
    """An endpoint that knows three meanings. It refuses requests that OpenAI's would refuse, as that does."""

    url: str = ""
    asked: list[list[str]] = field(default_factory=list)
    answer: str = "vectors"  # or "error", "nonsense", "short"


def meaning(text: str) -> list[float]:
    return [0.01 + sum(word in text.lower() for word in words) for words in MEANINGS]


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    scripted = Endpoint()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.path == "/v1/models"
            self.tell(200 if known else 404, {"object": "list", "data": [{"id": "tiny", "object": "model"}]} if known else {})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            wrong = self.path != "/v1/embeddings" or body.get("model") != "tiny" or not body.get("input")
            if wrong or not all(isinstance(text, str) and text for text in body["input"]):
                return self.tell(400, {"error": {"message": "bad request", "type": "invalid_request_error"}})
            scripted.asked.append(body["input"])
            if scripted.answer == "error":
                return self.tell(503, {"error": {"message": "loading"}})
            if scripted.answer == "nonsense":
                return self.tell(200, {"data": "none"})
            made = [{"object": "embedding", "index": at, "embedding": meaning(one)} for at, one in enumerate(body["input"])]
            return self.tell(200, {"object": "list", "data": made[:-1] if scripted.answer == "short" else made[::-1]})

        def tell(self, status: int, body: object) -> None:
            told = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(told)))
            self.end_headers()
            self.wfile.write(told)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing: the test's own output is enough."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    scripted.url = f"http://127.0.0.1:{server.server_port}/v1"
    yield scripted
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "faq.md").write_text(TEXT, encoding="utf-8")
    return tmp_path / "faq.md"


def test_what_shares_no_word_is_found_by_meaning(endpoint: Endpoint, path: Path) -> None:
    question = "price of a stamp"
    by_words, by_meaning = Faq([path]), Faq([path], embeddings=endpoint.url)

    assert by_meaning.ask(question).hits[0].title == "What does postage cost?"
    assert by_meaning.ask("plant").hits[0].title == "How do I grow ferns?" != by_words.ask("plant").hits[0].title


def test_vectors_of_entries_are_made_once_and_kept(endpoint: Endpoint, path: Path, tmp_path: Path) -> None:
    found = entries(TEXT, "faq.md")
    told = [Vectors(endpoint.url, found, tmp_path / "cache")("midday") for _ in range(2)]
    made = [texts for texts in endpoint.asked if texts != ["midday"]]

    assert len(made) == 1 and len(made[0]) == 6
    assert told[0] is not None and told[1] is not None
    assert np.array_equal(told[0], told[1]) and int(told[0].argmax()) == 2


def test_many_texts_are_sent_in_parts(endpoint: Endpoint) -> None:
    text = "\n\n".join(f"## Question {number}?\n\nAnswer {number}.\n" for number in range(AT_ONCE))

    assert Vectors(endpoint.url, entries(text, "faq.md"), None)("anything") is not None
    assert [len(texts) for texts in endpoint.asked] == [AT_ONCE, AT_ONCE, 1]


@pytest.mark.parametrize("answer", ["error", "nonsense", "short"])
def test_search_goes_on_by_words_when_the_endpoint_fails_and_that_is_said_once(
    endpoint: Endpoint, path: Path, caplog: pytest.LogCaptureFixture, answer: str
) -> None:
    caplog.set_level(logging.WARNING, "bot.faq")
    endpoint.answer = answer
    faq, plain = Faq([path], embeddings=endpoint.url), Faq([path])
    questions = ["postage", "what is noon", "ferns"]

    assert [faq.ask(one) for one in questions] == [plain.ask(one) for one in questions]
    assert [record.name for record in caplog.records] == ["bot.faq.vectors"]
    assert len(endpoint.asked) == 1  # it is left alone for a while


def test_an_endpoint_that_is_not_there_is_done_without(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "bot.faq")
    faq = Faq([path], embeddings="http://127.0.0.1:9/v1")

    assert faq.ask("postage") == Faq([path]).ask("postage")
    assert len(caplog.records) == 1
