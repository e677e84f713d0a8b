"""report.html in a real browser: `make test-page`."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.generating.rows import Row, Score
from pipeline.report import page as report
from pipeline.report import parts
from tests.page import chromium, made

playwright = pytest.importorskip("playwright.sync_api", reason="the extra dev is not installed")
pytestmark = pytest.mark.page

SEARCH_MS = 200.0  # what people take for at once
DESK, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    where = chromium.path()
    with playwright.sync_playwright() as driver:
        made = driver.chromium.launch(executable_path=where, args=list(chromium.FLAGS))
        yield made
        made.close()


@dataclass
class Seen:
    """A page that is open, and what it did that it should not."""

    tab: Any
    requests: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def choose(self, **filters: str) -> None:
        for name, value in filters.items():
            if name == "state":
                self.tab.check(f"input[name=state][value='{value}']")
            else:
                self.tab.select_option(f"select[name={name}]", value)

    def everything(self) -> None:
        """Take the filters off; at first the page shows what the funnel counts."""
        self.tab.eval_on_selector("#more", "(more) => { more.open = true; }")
        self.tab.click("text=Show all")

    def found(self) -> int:
        return int(self.tab.text_content("#found").split()[0].replace(",", ""))

    def cards(self, kind: str = "") -> Any:
        return self.tab.locator(f".sample{kind}")


Open = Callable[..., Seen]


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Iterator[Open]:
    """Writes the report of a run's folder and opens it; nothing that was not asked for may have happened at the end."""
    tabs: list[Seen] = []

    def opens(folder: Path, viewport: Mapping[str, int] = DESK, **how: str) -> Seen:
        report.write(folder)
        seen = Seen(browser.new_context(viewport=viewport, **how).new_page())
        seen.tab.on("request", lambda request: seen.requests.append(request.url))
        seen.tab.on("dialog", lambda dialog: (seen.dialogs.append(dialog.message), dialog.dismiss()))
        seen.tab.on("pageerror", lambda error: seen.errors.append(str(error)))
        seen.tab.on("console", lambda said: seen.errors.append(said.text) if said.type == "error" else None)
        seen.tab.goto((folder / report.NAME).as_uri())
        tabs.append(seen)
        return seen

    yield opens
    for seen in tabs:
        url = seen.tab.url
        seen.tab.context.close()
        assert (seen.requests, seen.dialogs, seen.errors) == ([url.partition("#")[0]], [], [])


# --- strangers' texts


def hostile(url: str) -> list[str]:
    return [
        "</script><script>window.owned = 1; alert(1)</script>",
        f"<img src={url}/image onerror=window.owned=1>",
        f"<svg onload=\"window.owned=1; fetch('{url}/svg')\"><a xlink:href='javascript:alert(1)'>x</a></svg>",
        f"<iframe src='{url}/frame' srcdoc='<script>parent.owned=1</script>'></iframe>",
        f"</style><style>@import '{url}/style'; body {{ display: none }}</style>",
        f"<meta http-equiv=refresh content='0; url={url}/refresh'><base href={url}><link rel=stylesheet href={url}/link>",
        "<!--<script>", "-->", "]]>", "{{constructor.constructor('owned=1')()}}", "${owned=1}", "'\"><b>",
        f"![image]({url}/markdown) [link](javascript:alert(1)) https://example.org",
        "line\u2028line\u2029line\r\nline\x00\x0b\x85",
        "\u202eright to left from here \u2066and isolated",
        "\ud800 half a pair \udfff", "__proto__", "constructor", "W" * 3000, "\u0301" * 200, " ",
    ]  # fmt: skip


def carrying(text: str, number: int) -> Row:
    """A dropped row that has the text wherever a row may have one from a model or a person."""
    row = Row(f"{number:x}", number, "train", "grounded", text, 1, text, text, text, facet={text: text})
    return replace(row, scores=(Score(text, 1, text),)).dropped(text, "near", text, 1)


def test_texts_of_strangers_are_shown_and_nothing_of_them_runs(opened: Open, tmp_path: Path) -> None:
    with chromium.sink() as sink:
        texts = hostile(sink.url)
        made.run(tmp_path, [carrying(text, number) for number, text in enumerate(texts, 1)])
        made.trained(tmp_path, texts=texts)
        (tmp_path / parts.PLAN).write_text(json.dumps({text: [text, {text: text}, [[text]]] for text in texts}))
        seen = opened(tmp_path)
        seen.tab.click("#settings summary")
        seen.tab.click("#answers summary")
        seen.tab.fill("#answer-query", "<")
        shown = []
        for number in range(1, len(texts) + 1):
            seen.tab.fill("#query", f"#{number}")
            shown.append(
                seen.tab.evaluate(
                    "Array.from(document.querySelector('#columns .question').textContent, (one) => one.codePointAt())"
                )
            )
        seen.tab.fill("#query", "<")
        seen.tab.wait_for_timeout(300)  # what would be fetched is asked for at once

        assert shown == [[ord(one) for one in text] for text in texts]
        assert seen.tab.evaluate("window.owned") is None
        assert seen.tab.evaluate("document.querySelectorAll('img, iframe, link, base, a, .text svg').length") == 0
        assert seen.tab.evaluate("document.scripts.length") == 1 + len(parts.PARTS)
        assert seen.tab.evaluate("document.documentElement.scrollWidth") <= DESK["width"]
        assert sink.calls == 0


def test_every_character_reaches_the_page_as_it_is(opened: Open, tmp_path: Path) -> None:
    signs = [sign for sign in range(0x10000) if sign < 0x100 or sign % 7 == 0]
    halves = [0xD800, 0x20, 0xDFFF, 0x20]  # two in a row would be a whole
    signs = [sign for sign in signs if not 0xD800 <= sign < 0xE000] + [0x1F600, 0xFFFE, 0xFFFF, 0x10FFFF, *halves]
    everything = "".join(map(chr, signs))
    made.run(tmp_path, [replace(made.train(1)[0], question=everything)])
    seen = opened(tmp_path)

    told = seen.tab.evaluate("Array.from(document.querySelector('.question').textContent, (one) => one.codePointAt())")

    assert told == [ord(one) for one in everything]


def test_were_a_text_to_become_markup_the_policy_would_stop_it(opened: Open, tmp_path: Path) -> None:
    made.run(tmp_path, made.train(3))
    seen = opened(tmp_path)
    with chromium.sink() as sink:
        refused = seen.tab.evaluate(
            """async (url) => {
                const refused = [];
                document.addEventListener("securitypolicyviolation", (event) => refused.push(event.effectiveDirective));
                try { document.body.innerHTML += "<b>markup</b>"; } catch { refused.push("innerHTML"); }
                const image = document.createElement("img");
                image.src = url;
                const script = document.createElement("script");
                try { script.text = "window.owned = 1"; } catch { refused.push("script.text"); }
                script.append("window.owned = 1");
                document.body.append(image, script);
                try { await fetch(url); } catch { refused.push("fetch"); }
                await new Promise((done) => setTimeout(done, 100));
                return [...new Set(refused)];
            }""",
            sink.url,
        )

        assert {"innerHTML", "script.text", "fetch", "img-src", "connect-src"} <= set(refused)
        assert seen.tab.evaluate("window.owned") is None
        assert sink.calls == 0
    seen.errors.clear()  # it said so, as it should
    seen.requests[1:] = []  # asked for by the page, refused before they left it


# --- searching and filtering


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """10,000 samples as long as those of documents, eight of each chunk, with some of strangers among them."""
    train = [long(row) for row in made.train(9_900)]
    for at, text in enumerate(hostile("http://127.0.0.1:9")):
        train[at * 401] = replace(train[at * 401], question=text, answer=text)
    return made.run(tmp_path_factory.mktemp("many"), train, made.held("unseen", 60), made.held("reworded", 40))


def long(row: Row) -> Row:
    answer = "\n".join(f"{number}. {row.answer}" for number in range(20))  # about 700 signs
    return replace(
        row,
        answer=answer,
        document=f"Chunk {row.number // 8}. " + "Whoever orders says what, of which kind, and how many. " * 40,
    )


TIMED = """async (query) => {
    const input = document.getElementById("query");
    const begun = performance.now();
    input.value = query;
    input.dispatchEvent(new InputEvent("input", { bubbles: true }));
    await new Promise((painted) => requestAnimationFrame(() => setTimeout(painted)));
    return performance.now() - begun;
}"""


def test_10000_samples_are_searched_within_200_ms_a_key(opened: Open, many: Path) -> None:
    seen = opened(many)
    keys = ["".join("lamps for mia"[: at + 1]) for at in range(13)] + ["e", "ランプ", "مصابيح", "#777", "nothing has this"]

    # The best of three: other programs have the cores, too.
    took = {key: min(seen.tab.evaluate(TIMED, key) for _ in range(3)) for key in keys}

    print(f"\nthe slowest of {len(took)} searches took {max(took.values()):.0f} ms")  # noqa: T201
    assert {key: round(ms) for key, ms in took.items() if ms >= SEARCH_MS} == {}


def test_10000_samples_are_there(opened: Open, many: Path) -> None:
    seen = opened(many)

    assert seen.tab.text_content("#found") == "9,900 of 10,000"  # those for training

    seen.everything()

    assert seen.tab.text_content("#found") == "10,000 of 10,000"
    assert seen.tab.is_hidden("#cut")
    assert seen.cards().count() == 40  # two columns of 20


def expected(rows: list[Row], word: str = "") -> int:
    """How many of them a search should find, counted without the page."""
    texts = (
        "\n".join([row.question, row.answer, row.context, row.document, row.near, *(one.reason for one in row.scores)])
        for row in rows
    )
    return sum(word in text.lower() for text in texts)


def test_a_search_finds_what_has_all_words_in_any_of_its_texts(opened: Open, tmp_path: Path) -> None:
    train = made.train(200)
    train[9] = replace(train[9], document="Über den Großen Bären.")
    made.run(tmp_path, train)
    seen = opened(tmp_path)
    found = {}
    for query in ("lamps", "LAMPS Mia", "count of the ticket", "großen bären", "ランプ", "#17", "no such words"):
        seen.tab.fill("#query", query)
        found[query] = seen.found()

    assert found == {
        "lamps": expected(train, "lamps"),
        "LAMPS Mia": expected([row for row in train if expected([row], "lamps")], "mia"),
        "count of the ticket": sum(all(expected([row], word) for word in "count of the ticket".split()) for row in train),
        "großen bären": 1,
        "ランプ": expected(train, "ランプ"),
        "#17": 1,
        "no such words": 0,
    }


def test_what_was_searched_for_is_marked(opened: Open, tmp_path: Path) -> None:
    made.run(tmp_path, made.train(9))
    seen = opened(tmp_path)
    seen.tab.fill("#query", "ticket that")
    marks = {text.lower() for text in seen.tab.locator("mark").all_text_contents()}

    assert marks == {"ticket", "that"}


FILTERS: dict[str, tuple[dict[str, str], Callable[[Row], bool]]] = {
    "set": ({"set": "unseen"}, lambda row: row.set == "unseen"),
    "seed": ({"seed": "2"}, lambda row: row.seed == 2),
    "kept": ({"state": "kept"}, lambda row: row.kept),
    "dropped": ({"state": "dropped"}, lambda row: not row.kept),
    "reason": ({"why": "near"}, lambda row: row.why == "near"),
    "step": ({"step": "judge"}, lambda row: row.at == "judge"),
    "score": (
        {"step": "judge_pairs", "score": "3"},
        lambda row: ("judge_pairs", 3) in [(one.step, one.score) for one in row.scores],
    ),
    "all": (
        {"set": "train", "seed": "5", "step": "judge_pairs", "score": "1", "why": "score", "state": "dropped"},
        lambda row: (row.set, row.seed, row.at, row.why) == ("train", 5, "judge_pairs", "score"),
    ),
}


@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_shows_what_it_says_and_its_count_is_right(opened: Open, tmp_path: Path, name: str) -> None:
    train, unseen, reworded = made.train(300), made.held("unseen", 40), made.held("reworded", 20)
    made.run(tmp_path, train, unseen, reworded)
    filters, fits = FILTERS[name]
    fitting = [row for row in [*train, *unseen, *reworded] if fits(row)]
    seen = opened(tmp_path)

    seen.everything()
    seen.choose(**filters)

    assert seen.found() == len(fitting) > 0
    chosen = [seen.tab.locator(f"select[name={one}] option:checked").text_content() for one in filters if one != "state"]
    assert [text.endswith(f"({len(fitting)})") for text in chosen] == [True] * len(chosen)
    kept = sum(row.kept for row in fitting)
    assert [seen.tab.text_content(f"#{state}-head") for state in ("kept", "dropped")] == [
        f"Kept: {kept}",
        f"Dropped: {len(fitting) - kept}",
    ]


def test_the_count_beside_a_choice_is_what_it_would_show(opened: Open, tmp_path: Path) -> None:
    made.run(tmp_path, made.train(200), made.held("unseen", 30))
    seen = opened(tmp_path)
    seen.choose(set="train", step="judge_pairs")
    seen.tab.fill("#query", "lamps")
    for name in ("set", "seed", "step", "score", "why"):
        options = seen.tab.locator(f"select[name={name}] option").all()[1:]
        before = seen.tab.eval_on_selector(f"select[name={name}]", "(select) => select.value")
        for value, text in [(one.get_attribute("value"), one.text_content()) for one in options]:
            seen.choose(**{name: value})
            assert f"({seen.found()})" in text, (name, value)
        seen.choose(**{name: before})


def test_a_reason_of_the_funnel_shows_the_samples_that_it_counts(opened: Open, tmp_path: Path) -> None:
    made.run(tmp_path, made.train(300), made.held("unseen", 30))
    seen = opened(tmp_path)
    reasons = seen.tab.locator("#steps .reason").all()
    counts = []
    for button in reasons:
        button.click()
        counts.append((int(button.text_content().split()[-1]), seen.found()))

    assert len(counts) == 4
    assert [told for told, _ in counts] == [shown for _, shown in counts]


def test_the_funnel_says_what_was_kept(opened: Open, tmp_path: Path) -> None:
    made.run(tmp_path, made.train(300), made.held("unseen", 30), made.held("reworded", 10))
    told = made.funnel(made.train(300), made.held("unseen", 30), made.held("reworded", 10))
    seen = opened(tmp_path)

    tiles = [int(text) for text in seen.tab.locator("#tiles b").all_text_contents()]

    assert tiles == [told["kept"], 300 - told["kept"], told["unseen"]["kept"], told["reworded"]["kept"], 0]
    assert seen.tab.locator("#steps .count").all_text_contents() == [
        f"{passed} passed · {lost} dropped" for _, passed, lost in told["steps"]
    ]


def test_the_funnel_says_which_lists_were_lost_and_offers_no_samples_of_them(opened: Open, tmp_path: Path) -> None:
    folder = made.run(tmp_path, made.train(40))
    told = json.loads((folder / "samples" / "yield.json").read_bytes())
    lost = [{"step": "questions", "why": "malformed", "count": 3, "wrong": "it is no list: '<b>Sure!'"}]
    (folder / "samples" / "yield.json").write_text(json.dumps({**told, "lost": lost}), encoding="utf-8")
    seen = opened(tmp_path)

    first = seen.tab.locator("#steps tbody tr").first
    assert first.locator(".lists").text_content() == "3 lists lost: malformed answer, first: it is no list: '<b>Sure!'"
    assert first.locator(".reason").count() == 0


def test_a_dropped_sample_shows_what_it_is_too_like_and_leads_there(opened: Open, tmp_path: Path) -> None:
    train = made.train(40)
    near = next(row for row in train if row.why == "near")
    made.run(tmp_path, train, made.held("unseen", 40))
    seen = opened(tmp_path)
    seen.tab.fill("#query", f"#{near.number}")
    card = seen.cards(".dropped")

    assert card.locator(".verdict").text_content() == f"Dropped at judge: too like sample {near.of}"
    assert card.locator(".like .text").text_content() == near.near

    card.locator("button").click()

    assert seen.tab.input_value("#query") == f"#{near.of}"
    assert seen.cards().locator(".question").all_text_contents() == [train[near.of - 1].question]


def test_a_document_is_shown_when_it_is_opened_or_has_what_was_searched_for(opened: Open, tmp_path: Path) -> None:
    made.run(tmp_path, [replace(row, document="A chunk about otters.") for row in made.train(3)])
    seen = opened(tmp_path)
    documents = seen.tab.locator(".sample details .text")

    assert documents.count() == 0
    seen.tab.locator(".sample summary").first.click()
    documents.first.wait_for()
    assert documents.all_text_contents() == ["A chunk about otters."]

    seen.tab.fill("#query", "otters wants")

    assert documents.all_text_contents() == ["A chunk about otters."] * seen.found()


def test_a_run_that_was_cut_says_so(opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "MOST", 100)
    made.run(tmp_path, made.train(2_000))
    seen = opened(tmp_path)

    assert seen.tab.text_content("#cut").startswith("This page has 100 of 2,000 samples, taken evenly from first to last")
    assert seen.tab.text_content("#found") == "100 of 100"
    assert seen.tab.locator("#tiles span").first.text_content() == "kept of 2,000"


def test_a_page_without_parts_opens_too(opened: Open, tmp_path: Path) -> None:
    seen = opened(tmp_path)

    assert seen.tab.locator("main > section:visible").count() == 0


# --- the training


def test_the_comparison_says_how_many_were_right_between_what_and_what_that_means(opened: Open, tmp_path: Path) -> None:
    made.trained(made.run(tmp_path, made.train(9)))
    seen = opened(tmp_path)
    told = made.scores()
    rows = seen.tab.locator("#compared tbody tr")

    assert rows.locator("th").all_text_contents() == [
        "75 never seen",
        "20 reworded seed questions",
        "60 what it knew before",
    ]
    assert rows.nth(0).locator("td").nth(1).text_content() == f"{told['unseen']['after']['right']} (89%)"
    assert rows.locator(".said").all_text_contents() == ["Better", "Too few to tell", "Some of it is lost"]
    assert rows.nth(0).locator("svg").get_attribute("aria-label").startswith("before 0% to 5%, after ")
    assert [one[:26] for one in seen.tab.locator("#notes .note").all_text_contents()] == [
        "There is no judge to compa",
        "The checkpoint was chosen ",
    ]


def test_answers_are_searched_and_shown_by_what_became_of_them(opened: Open, tmp_path: Path) -> None:
    made.trained(made.run(tmp_path, made.train(9)))
    seen = opened(tmp_path)
    seen.tab.click("#answers summary")
    counts = dict(
        re.fullmatch(r"(.+) \((\d+)\)", text).groups() for text in seen.tab.locator("#answer-kind option").all_text_contents()
    )

    assert counts == {"all": "95", "became right": "86", "wrong before and after": "9"}
    assert seen.tab.locator("#answers article").count() == 20
    seen.tab.click("#answer-more")
    assert seen.tab.locator("#answers article").count() == 40

    seen.tab.select_option("#answer-kind", "wrong before and after")

    assert seen.tab.text_content("#answer-found") == "9 of 95"
    assert seen.tab.locator("#answers article dt b").all_text_contents() == ["wrong"] * 18

    seen.tab.select_option("#answer-kind", "")
    seen.tab.fill("#answer-query", "LAMPS mia")

    assert {text.lower() for text in seen.tab.locator("#answers mark").all_text_contents()} == {"lamps", "mia"}


def test_the_curve_says_what_stands_where_somebody_points_or_goes_by_keyboard(opened: Open, tmp_path: Path) -> None:
    made.trained(made.run(tmp_path, made.train(9)))
    seen = opened(tmp_path)

    assert seen.tab.text_content("#course") == "300 steps · 192,000 tokens · 6,400 tokens a second · tiny · cpu · fp32"
    seen.tab.hover("#chart", position={"x": 80, "y": 90})
    assert re.match(
        r"step \d+ · loss \d\.\d{3} · held-out \d\.\d{3} \(step \d+\) · rate 3\.0e-3 · 6,400 tokens/s",
        seen.tab.text_content("#at"),
    )
    seen.tab.focus("#chart")
    for key, step in (("End", 300), ("ArrowLeft", 299), ("Home", 1), ("ArrowRight", 2)):
        seen.tab.keyboard.press(key)
        assert seen.tab.text_content("#at").startswith(f"step {step} · ")
    for _ in range(5):
        seen.tab.keyboard.press("ArrowRight")
    assert seen.tab.text_content("#at").startswith("step 7 · loss no number · ")
    seen.tab.click("#checkpoints summary")
    assert seen.tab.locator("#checkpoints tbody tr").count() == 9
    assert seen.tab.locator("#checkpoints tbody tr").last.locator("td").all_text_contents() == [
        "300",
        "0.522",
        "24 of 24",
        "the best",
    ]


# --- reading


def test_all_of_it_can_be_done_by_keyboard(opened: Open, tmp_path: Path) -> None:
    made.run(tmp_path, made.train(300))
    seen = opened(tmp_path)
    press = seen.tab.keyboard.press
    focused = "document.activeElement.textContent || document.activeElement.id || document.activeElement.name"

    press("/")
    assert seen.tab.evaluate(focused) == "query"
    seen.tab.keyboard.type("red/lamps")
    assert seen.tab.input_value("#query") == "red/lamps"
    press("Control+a")
    press("Delete")
    press("Tab")
    press("ArrowRight")
    assert seen.tab.is_checked("input[value=kept]")
    assert seen.cards(".dropped").count() == 0
    press("Tab")
    press("Tab")
    assert seen.tab.evaluate("document.activeElement.name") == "seed"
    press("ArrowDown")
    assert seen.tab.input_value("select[name=seed]") == "1"
    seen.tab.focus("nav button:enabled")
    press("Enter")
    assert "21 to 40" in seen.tab.text_content("nav:visible")
    assert seen.tab.evaluate(focused) == "Next"
    while seen.tab.evaluate(focused) == "Next":
        press("Enter")
    assert seen.tab.evaluate(focused) == "Previous"


def test_a_phone_shows_it_without_scrolling_sideways(opened: Open, tmp_path: Path) -> None:
    made.trained(tmp_path, texts=hostile("http://127.0.0.1:9"))
    made.run(tmp_path, [*made.train(60), *(carrying(text, 61 + at) for at, text in enumerate(hostile("http://127.0.0.1:9")))])
    seen = opened(tmp_path, PHONE)

    assert seen.tab.is_checked("input[value=kept]")
    for state in ("", "kept", "dropped"):
        seen.choose(state=state)
        seen.tab.eval_on_selector("#more", "(more) => { more.open = true; }")
        seen.tab.evaluate("document.querySelectorAll('details').forEach((more) => { more.open = true; })")
        assert seen.tab.evaluate("document.documentElement.scrollWidth") == PHONE["width"]


def test_it_is_dark_where_the_reader_wants_it_dark(opened: Open, tmp_path: Path) -> None:
    made.run(tmp_path, made.train(9))
    ink = "getComputedStyle(document.body).color.match(/\\d+/g).map(Number)[0]"

    assert opened(tmp_path, color_scheme="light").tab.evaluate(ink) < 64
    assert opened(tmp_path, color_scheme="dark").tab.evaluate(ink) > 192


def test_texts_run_in_their_own_direction_and_language(opened: Open, tmp_path: Path) -> None:
    made.run(tmp_path, made.train(5))
    seen = opened(tmp_path)
    questions = "[...document.querySelectorAll('.question')].map((one) => [getComputedStyle(one).direction, one.lang])"

    assert dict(zip(("plain", "german", "japanese", "low", "arabic"), sorted(seen.tab.evaluate(questions)), strict=True)) == {
        "plain": ["ltr", ""],
        "german": ["ltr", ""],
        "japanese": ["ltr", ""],
        "low": ["ltr", "ja"],
        "arabic": ["rtl", ""],
    }
