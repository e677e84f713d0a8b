"""Terms as an operator writes them in configs/screen.yaml, and texts as terms are looked for in them.

A term is words in order, of any case; "ä" and "ae" are the same, and accents, apostrophes and typed disguises ("1d10t",
"sh*t") are seen through. In a term

    word*       the word with any ending; *word with any beginning, *word* with both
    a ... b     up to GAP words between
    (a|b c)     either of these
    [a]         may be missing
    {name}      any term of that set
    ^           the beginning of a sentence

Every repetition is bounded, so a long text costs no more than its length.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

GAP = 5  # words that `...` may stand for
_JOINT = r"\W{1,3}"
_WORDS = rf"{_JOINT}(?:\w{{1,30}}{_JOINT}){{0,{GAP}}}?"
_ANY = r"\w{0,20}"
_PARTS = re.compile(r"\.\.\.|\{\w+\}|[()|\[\]*^]|\s+|[^\s()|\[\]{}*^]+|.")
_PLAIN = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "’": "'", "‘": "'", "`": "'"})
_DISGUISE = str.maketrans("013457@$!", "oieastasi")
_DISGUISED = re.compile(r"(?<![\w@$!])(?=[\w@$!]{0,15}[a-z])(?=[a-z@$!]{0,15}[01345@$!])[a-z0-9@$!]{3,16}(?![\w@$])")
_STARRED = re.compile(r"(?<!\w)[a-z]{1,3}\*{1,4}[a-z]{1,7}(?!\w)|(?<!\w)[a-z]{1,2}[#$@%&*]{3,6}(?!\w)")
_SENTENCE = re.compile(r"(?<=[.!?;])\s+|\n+")
_COMMON = 4  # an anchor shorter than that tells nothing


@dataclass(frozen=True, slots=True)
class Term:
    """A term made ready: `anchor` is a piece that every text with it holds ("" for none), looked for first."""

    text: str
    anchor: str
    rule: re.Pattern[str]
    weight: float = 1.0

    def within(self, text: str) -> str:
        """What of a normal text the term fits, or ""."""
        if self.anchor and self.anchor not in text:
            return ""
        found = self.rule.search(text)
        return found[0] if found else ""


def normal(text: str) -> str:
    """A text as terms are compared with it: lower case, no accents, umlauts written out, no apostrophes."""
    low = unicodedata.normalize("NFKD", text.lower().translate(_PLAIN).replace("'", ""))
    return "".join(sign for sign in low if not unicodedata.combining(sign))


def undisguised(text: str) -> str:
    """A normal text with letters again where digits and signs stand for them, and `starred` for words hidden by stars."""
    plain = _STARRED.sub("starred", text)
    return _DISGUISED.sub(lambda found: found[0].translate(_DISGUISE).rstrip("!"), plain)


def sentences(text: str) -> list[str]:
    return [one.strip() for one in _SENTENCE.split(text) if one.strip()]


def listed(text: str) -> list[str]:
    """The terms of a list: one a line, or separated by semicolons."""
    return [one.strip() for one in re.split(r"[;\n]", text) if one.strip()]


def term(text: str, sets: Mapping[str, str], weight: float = 1.0) -> Term:
    """Make a term ready. Raises ValueError where brackets do not close or a set is unknown."""
    plain = normal(text)
    parts = _PARTS.findall(plain)
    rule, rest = _sequence(parts, sets)
    if rest:
        raise ValueError(f"{rest[0]!r} closes nothing in {text!r}")
    before = "" if re.match(r"[^\w*({\[^]", plain) else r"(?<!\w)"
    after = "" if re.search(r"[^\w*)}\]]$", plain) else r"(?!\w)"
    return Term(text, _anchor(plain), re.compile(before + rule + after), weight)


def union(terms: list[str], sets: Mapping[str, str]) -> str:
    """The rule of a set: any of its terms."""
    return f"(?:{'|'.join(_sequence(_PARTS.findall(normal(one)), sets)[0] for one in terms)})"


def _sequence(parts: list[str], sets: Mapping[str, str], closing: str = "") -> tuple[str, list[str]]:
    """The rule of what stands before `closing` or the end, and the parts behind it."""
    made, joint = "", ""
    while parts:
        part, parts = parts[0], parts[1:]
        if part == closing:
            return made, parts
        if part in ")]":
            return made, [part, *parts]
        if part.isspace():
            joint = joint or (_JOINT if made and made[-1] not in "|^" else "")
        elif part == "...":
            joint = _WORDS
            parts = parts[1:] if parts and parts[0].isspace() else parts
        elif part == "[":
            inner, parts = _sequence(parts, sets, "]")
            made, joint = f"{made}(?:{joint}(?:{inner}))?" if made else f"(?:(?:{inner}){_JOINT})?", joint if made else ""
            parts = parts[1:] if not joint and parts and parts[0].isspace() else parts
        else:
            one, parts = _one(part, parts, sets)
            made, joint = made + joint + one, ""
    if closing:
        raise ValueError(f"a bracket lacks its {closing!r}")
    return made, []


def _one(part: str, parts: list[str], sets: Mapping[str, str]) -> tuple[str, list[str]]:
    match part[0]:
        case "(":
            inner, parts = _sequence(parts, sets, ")")
            return f"(?:{inner})", parts
        case "{" if part[1:-1] in sets:
            return sets[part[1:-1]], parts
        case "{":
            raise ValueError(f"there is no set {part[1:-1]!r}")
        case "*":
            return _ANY, parts
        case "|":
            return "|", parts
        case "^":
            return r"(?:^|(?<=[.!?:\n] ))", parts
        case _:
            return re.escape(part), parts


def _anchor(plain: str) -> str:
    """The longest piece of a term that stands in every text it fits."""
    bare = re.sub(r"\([^()]*\)|\[[^\[\]]*\]", " ", re.sub(r"\([^()]*\)|\[[^\[\]]*\]", " ", plain))
    if "(" in bare or "[" in bare:
        return ""
    pieces = re.split(r"[\s*^.]+|\{\w+\}", bare)
    longest = max(pieces, key=len, default="")
    return longest if len(longest) >= _COMMON or longest == plain else ""
