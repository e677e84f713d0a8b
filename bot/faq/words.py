"""What people type becomes words that can be compared: greetings and mentions taken off, stems, the parts of a question.

The lists here are of English and of chat, never of a project: what a project calls its things it says in its FAQ.
"""

import re
import unicodedata
from collections.abc import Sequence

from Stemmer import Stemmer

_STEMMER = Stemmer("english", 100_000)
_WORD = re.compile(r"[^\W_]+(?:'[a-z]{1,2}\b)?")

# Words that say how something is asked and not what about. Those that tell questions apart (how, where, when, why,
# who, long, many, not) are left in: their weight follows from how common they are in the FAQ.
STOP = frozenset(
    """a an the of to in on at by for with from as is are was were be been being am do does did doing done have has had
    having it its this that these those there here and or but if then than so such i me my mine you your yours we us our
    ours they them their he him his she her will would shall should can could may might must just also too very really
    please pls plz thanks thank thx hi hey hello yo ok okay well oh um uh hmm lol btw some any into onto about up out
    u ur r im ive id ill dont doesnt didnt cant wont isnt arent whats thats theres lets gonna wanna gotta kinda sorta
    let get got gets getting go going goes anyone anybody someone somebody know tell say said like actually basically
    maybe guess think sure exactly even still yet already ever now again s t d m re ve ll
    idk tbh imo imho afaik rn tho nah yeah yep yup nope dude bro man guys folks gimme lemme prolly def literally super
    stuff thing things bit quick n""".split()
)
_SHORT = {
    "u": "you",
    "ur": "your",
    "r": "are",
    "y": "why",
    "wat": "what",
    "wut": "what",
    "whats": "what is",
    "wheres": "where is",
    "hows": "how is",
    "whos": "who is",
    "gonna": "going to",
    "wanna": "want to",
    "gotta": "have to",
    "dunno": "do not know",
    "cuz": "because",
    "bc": "because",
    "b4": "before",
    "ppl": "people",
    "pls": "please",
    "plz": "please",
    "thx": "thanks",
    "w": "with",
    "wo": "without",
    "abt": "about",
    "smth": "something",
    "sth": "something",
}
# British endings as American ones: both stand in one FAQ, and stems do not join them.
_BRITISH = re.compile(r"(?<=\w{3})is(?=(?:e[sd]?|ing|ations?)$)|(?<=\w{3})ou(?=r(?:s|ed|ing)?$)|(?<=licen)c(?=e[sd]?$)")
_AMERICAN = {"is": "iz", "ou": "o", "c": "s"}
_ADDRESS = re.compile(r"<[@#!&][^>]*>|(?<![\w.])@[\w.-]+|:[a-z0-9_+-]+:(?!\w)|https?://\S+")
_POLITE = re.compile(
    r"""^[\s,.!;:-]*(?:
      (?:hi+|hey+|hello+|heya|hiya|yo+|greetings|howdy|good\ (?:morning|evening|afternoon|day)
        |ok(?:ay)?|so|um+|uh+|hm+|well|sorry)
        (?:\s+(?:there|all|everyone|everybody|folks|guys|team|bot|labbot|y'?all))*\b
     |(?:quick|stupid|dumb|silly|noob|newbie|newb|small|general|simple)\s+question\b
     |(?:a\s+)?question\s*(?=[:,-])
     |(?:can|could|would|does|do|did)\s+(?:any(?:one|body)|some(?:one|body)|you|u)\s+(?:please\s+|pls\s+)?
        (?:tell|explain(?:\ to)?|help\ me\ understand|remind)\s*(?:me|us)?\b
     |(?:does|do)\s+(?:any(?:one|body)|some(?:one|body)|you|u)\s+(?:happen\s+to\s+)?know\b
     |any(?:one|body)\s+know\b|any\s+idea\b
     |i(?:\s+was|\s+am|'m|m)?\s+(?:just\s+)?wonder(?:ing)?\b(?:\s+if)?
     |(?:i\s+)?(?:just\s+)?(?:wanted|want|wanna|would\ like|need)\s+to\s+(?:know|ask)\b(?:\s+if)?
     |(?:please|pls|plz|thanks|thank\ you|thx|btw|lol|guys|folks)\b
    )[\s,.!;:-]*""",
    re.IGNORECASE | re.VERBOSE,
)
_THANKS = re.compile(
    r"[\s,.!;-]*\b(?:please|pls|plz|thanks(?:\s+(?:a\s+lot|in\s+advance|so\s+much))?|thank\s+you|thx|ty|cheers|lol|haha+)[\s.!?:)]*$",
    re.IGNORECASE,
)
_PARTS = re.compile(
    r"[?!.;]+\s+(?:(?:and|also|but|oh|plus)\b[\s,]*)*|\s*[,;]?\s+(?:and|also|plus|or)\s+(?:also\s+)?(?="
    r"(?:what|how|where|when|why|who|which|whose|can|could|do|does|did|is|are|should|may|must|will|would)\b)",
    re.IGNORECASE,
)
_FOLLOWS = re.compile(
    r"""^\W*(?:and|but|or|also|then|so|what\s+about|how\s+about|what\s+if|why|why\s+not|how\s+so|where|when|which\s+(?:one|ones)
      |how\s+(?:much|many|long)|ok(?:ay)?)\b
     |\b(?:it|its|that|this|those|these|they|them|their|there|one|ones|he|she|him|her|same|instead|else|other|another|both)\b""",
    re.IGNORECASE | re.VERBOSE,
)
_ASKS = re.compile(
    r"(?:^|[,:;]\s*)\W*(?:and|also|but|so|or)?\s*(?:what|how|where|when|why|who|whom|which|whose|can|could|do|does|did|is|are"
    r"|should|shall|may|must|will|would|have|has)\b",
    re.IGNORECASE,
)
_MARKS = re.compile(r"!?\[((?:[^\[\]]|\[[^\]]*\])*)\]\([^)]*\)|<https?://[^>]*>|https?://\S+|<[^<>]{1,200}>|[*`#>|]+|\b_+|_+\b")


def plain(markdown: str) -> str:
    """The text that somebody reads: without the addresses of links and without marks."""
    return _MARKS.sub(lambda found: found[1] or " " if found[1] is not None else _gap(found[0]), markdown)


def _gap(mark: str) -> str:
    return "" if set(mark) <= set("*`_") else " "


def clean(question: str) -> str:
    """The question without mentions, greetings, thanks and "does anybody know"; as it was if nothing else is in it."""
    bare = _ADDRESS.sub(" ", question).strip()
    while True:
        shorter = _THANKS.sub("", _POLITE.sub("", bare, count=1)).strip()
        if shorter == bare or not shorter:
            break
        bare = shorter
    return bare if words(bare) else question


def words(text: str) -> list[str]:
    """The words in lower case, without accents, typographic signs and possessives; chat's short forms written out."""
    lower = plain(text).lower().replace("’", "'")
    folded = lower if lower.isascii() else "".join(filter(_kept, unicodedata.normalize("NFKD", lower)))
    found = (word.removesuffix("'s").replace("'", "") for word in _WORD.findall(folded))
    return [_american(part) for word in found for part in _SHORT.get(word, word).split()]


def _american(word: str) -> str:
    return _BRITISH.sub(lambda found: _AMERICAN[found[0]], word)


def _kept(letter: str) -> bool:
    return not unicodedata.combining(letter)


def stems(given: Sequence[str]) -> list[str]:
    return [str(stem) for stem in _STEMMER.stemWords(list(given))]


def parts(question: str) -> list[str]:
    """The questions in one message: ended by a mark, or begun anew after "and"."""
    found = [part.strip(" ,;?") for part in _PARTS.split(question)]
    return [part for part in found if content(part)]


def questions(text: str) -> bool:
    """Whether the text asks: it begins, or one of its clauses does, as questions begin."""
    return bool(_ASKS.search(text))


def follows(question: str) -> bool:
    """Whether the question leans on what was said before: a connective in front, or a word that points back."""
    return bool(_FOLLOWS.search(question))


def content(text: str) -> list[str]:
    """The words that say what a text is about."""
    return [word for word in words(text) if word not in STOP]
