"""What triage would ask about is told as advice: documented word limits, sources, licences, revisions."""

from pipeline.licences import PUBLIC_DOMAIN
from pipeline.screen import CONTEXT_WORDS, PAIRS_WORDS, SKILL_WORDS, advice
from pipeline.sources import Source
from pipeline.taxonomy import Document, Knowledge, Passage, SeedExample, Skill, Work

WIKIPEDIA = Source("Wikipedia", "approved", ("wikipedia.org",), "CC-BY-SA-4.0")
NASA = Source("NASA", "verify", ("nasa.gov",))
FIXED = "https://en.wikipedia.org/w/index.php?title=A&oldid=1"
DOCUMENT = Document("https://example.org/docs", "0" * 40, ("*.md",))
PAIR = SeedExample("What?", "That.")


def knowledge(*passages: Passage, works: tuple[Work, ...] = ()) -> Knowledge:
    return Knowledge("knowledge/arts/x", "alice", "arts", "A thing", passages, DOCUMENT, works)


def codes(entry: Skill | Knowledge) -> list[str]:
    return [one.code for one in advice(entry, (WIKIPEDIA, NASA))]


def test_an_entry_within_every_limit_has_no_advice() -> None:
    passage = Passage("word " * CONTEXT_WORDS, (PAIR, PAIR, PAIR))

    assert codes(knowledge(passage, works=(Work("A", FIXED, "CC-BY-SA-4.0", "W", FIXED),))) == []


def test_one_word_too_many_in_a_passage_is_told_with_its_number() -> None:
    found = advice(knowledge(Passage("c", (PAIR,)), Passage("word " * (CONTEXT_WORDS + 1), (PAIR,))))

    assert [(one.code, one.facts["number"], one.facts["words"]) for one in found] == [("limit.context", "2", "501")]


def test_the_words_of_all_pairs_of_a_passage_count_together() -> None:
    half = SeedExample("word " * (PAIRS_WORDS // 2), "")

    assert codes(knowledge(Passage("c", (half, half)))) == []
    assert codes(knowledge(Passage("c", (half, half, PAIR)))) == ["limit.pairs"]


def test_pairs_beyond_those_that_are_read_are_told() -> None:
    assert codes(knowledge(Passage("c", (PAIR,) * 4))) == ["limit.unread"]


def test_a_skill_has_a_limit_for_everything_in_it() -> None:
    long = SeedExample("word " * SKILL_WORDS, "")

    assert codes(Skill("", "", "", (long,), ())) == []
    assert codes(Skill("", "", "One more", (long,), ())) == ["limit.skill"]


def test_a_source_is_unlisted_verified_by_hand_or_in_order() -> None:
    def of(link: str) -> list[str]:
        return codes(knowledge(works=(Work("A", link, "CC-BY-SA-4.0", "W"),)))

    assert [of(link) for link in ("https://example.org/a", "https://www.nasa.gov/a", "https://en.wikipedia.org/wiki/A")] == [
        ["source.unlisted"],
        ["source.verify"],
        [],
    ]


def test_a_licence_that_the_source_does_not_have_is_told() -> None:
    assert codes(knowledge(works=(Work("A", FIXED, PUBLIC_DOMAIN, "W", FIXED),))) == ["source.licence"]


def test_a_link_that_leads_to_another_text_tomorrow_is_no_revision() -> None:
    plain = "https://en.wikipedia.org/wiki/A"

    assert codes(knowledge(works=(Work("A", plain, "CC-BY-SA-4.0", "W", plain),))) == ["source.revision"]


def test_own_work_and_own_documents_are_no_sources_to_be_looked_up() -> None:
    own = Work("A", DOCUMENT.repo, "Apache-2.0", "alice")

    assert codes(knowledge(works=(own,))) == []
    assert codes(Skill("", "", "", (), (Work("A", "-", "Apache-2.0", "alice"),))) == []
