"""Words that people use for one another, from configs/faq-synonyms.txt: who asks for the price finds the entry on cost.

Only for FAQs that do not say how they are asked; phrasings teach the same, and better, where there are any.
"""

import logging
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from bot.faq.words import stems, words

SYNONYMS = Path(__file__).resolve().parent.parent.parent / "configs" / "faq-synonyms.txt"
_log = logging.getLogger(__name__)


@cache
def akin(path: Path = SYNONYMS) -> Mapping[str, frozenset[str]]:
    """Each stem's others, of all its groups; a list that cannot be read has none, and search finds a little less."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        _log.warning("%s cannot be read: %s", path.name, error.strerror)
        return {}
    found: dict[str, frozenset[str]] = {}
    for line in lines:
        group = frozenset(stems(words(line))) if not line.startswith("#") else frozenset()
        for stem in group:
            found[stem] = found.get(stem, frozenset()) | (group - {stem})
    return found
