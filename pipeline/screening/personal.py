"""Personal data in a text: mail, telephone, card, bank account, street address.

Numbers are recognised by what holds of them and not by looks: telephone numbers by the plans of each country
(phonenumbers), cards by Luhn and the prefixes of issuers (ISO/IEC 7812), IBANs by their check digits and the length of
their country (ISO 13616, python-stdnum). Addresses are patterns for the United States, Great Britain and Germany.
Every repetition in a pattern is bounded.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import phonenumbers
from phonenumbers import Leniency, PhoneNumberMatcher
from stdnum import iban, luhn

from pipeline.errors import Problem
from pipeline.screening.places import Place, finding, masked

NUMBERS = 60  # candidates for telephone numbers in one text that are looked at


@dataclass(frozen=True, slots=True)
class Personal:
    """`regions` are those whose national telephone numbers are known; `spared` are addresses that everybody knows."""

    regions: tuple[str, ...] = ("US", "GB", "DE")
    spared: tuple[str, ...] = ()
    names: bool = False


def find(place: Place, rules: Personal) -> list[Problem]:
    """One finding for each kind that the text holds, with its first occurrence masked."""
    text = place.text
    found = {
        "mail": next(_mails(text), ""),
        "phone": next(_phones(text, rules.regions), ""),
        "card": next(_cards(text), ""),
        "iban": next(_ibans(text), ""),
        "address": next(_addresses(text, rules.spared), ""),
    }
    return [
        finding(kind, place, masked(one), f"{kind}: {masked(one)}", wording="statement") for kind, one in found.items() if one
    ]


# --- mail

_LOCAL = r"[A-Za-z0-9_][\w.+%-]{0,63}"
_MAIL = re.compile(rf"(?<![\w.+%@/-])({_LOCAL})@((?:[\w-]{{1,63}}\.){{1,5}}[A-Za-z]{{2,24}})(?![\w@]|-\w|:[\w/~])")
_AT = r"\s?(?:\(\s?(?:at|ät|@)\s?\)|\[\s?(?:at|ät|@)\s?\]|\{\s?(?:at|ät|@)\s?\}|<\s?(?:at|ät|@)\s?>)\s?"
_DOT = r"\s?(?:\(\s?(?:dot|punkt|\.)\s?\)|\[\s?(?:dot|punkt|\.)\s?\]|\{\s?(?:dot|punkt|\.)\s?\}|<\s?(?:dot|punkt)\s?>|\.| dot | punkt )\s?"
_TOP = r"(?:com|org|net|edu|gov|info|io|de|at|ch|eu|uk|co|us|example|test|fr|dev|app|me|biz|int|mil)"
_HIDDEN = re.compile(rf"(?<![\w@])({_LOCAL}){_AT}[\w-]{{1,63}}(?:{_DOT}[\w-]{{1,63}}){{0,4}}{_DOT}{_TOP}(?!\w)", re.I)
_SPOKEN = re.compile(
    rf"(?<![\w@])([a-z0-9_][\w.+-]{{0,63}}(?: (?:dot|punkt) [\w-]{{1,40}})?) (?:at|ät|klammeraffe|affenklammer) "
    rf"[\w-]{{1,63}}(?:(?: (?:dot|punkt) |\.)[\w-]{{1,63}}){{0,3}} (?:dot|punkt) {_TOP}(?!\w)",
    re.I,
)
_VERBS = frozenset(
    "look looks looking looked available hosted host found find meet live lives us them it him her is are".split()
)
_ROBOTS = frozenset("git svn hg".split())


def _mails(text: str) -> Iterator[str]:
    """Addresses as they are typed, and as they are hidden from machines."""
    for found in _MAIL.finditer(text):
        if found[1].lower() not in _ROBOTS:
            yield found[0]
    for rule in (_HIDDEN, _SPOKEN):
        for found in rule.finditer(text):
            if found[1].lower() not in _VERBS:
                yield found[0]


# --- telephone

_SAID = re.compile(
    r"(?:\b(?:tel|telephone|phone|call(?:ed|ing)?|dial|ring|mobile|cell|fax|reach|text|whatsapp|number|sms|hotline|contact"
    r"|telefon|fon|ruf|rufen|anruf|anrufen|handy|mobil|nummer|rufnummer|telefonnummer|handynummer|durchwahl|erreich\w{0,8}"
    r"|erreichst|melde)\b|☎|📞)[^\d]{0,50}\Z",
    re.I,
)
_NOT_SAID = re.compile(
    r"(?:isbn|issn|version|order|invoice|bestell|rechnung|serial|serien|ticket|case|part|artikel|model|modell|imei|id|doi|"
    r"patent|population|einwohner|postcode|zip|plz|account|konto|vin|isrc|ean|sku|latitude|longitude|port|page|seite|error|rfc|"
    r"tracking|sendung\w{0,8}|kunden\w{0,8}|aktenzeichen|steuer\w{0,8}|ip|card|karte|iban|room|raum|build|release|reference)"
    r"(?:[ -]?(?:number|nummer|no|nr|num|code))?\b[^\w]{0,4}(?:(?:is|ist|was|war|lautet)\s)?[^\w]{0,3}\Z",
    re.I,
)
_DATE = re.compile(r"\d{1,4}[-./]\d{1,2}[-./]\d{1,4}(?:[ T]\d{1,2}(?::\d{2})?.{0,6})?")
_FORMED = re.compile(r"\+\d|\(\d{2,5}\)|\d[ ./-]+\d")
_LOCAL_US = re.compile(r"(?<![\d-])(?:\(?\d{3}\)?[ .-]{1,2})?555[ .-]01\d\d(?![\d-])")
_FORMATTED = re.compile(  # what a person writes as a telephone number, though no plan knows it (numbers kept for fiction)
    r"(?<![\w.+-])(?:\+[1-9]\d{0,2}[ ./-]?(?:\(0\)[ ]?)?\(?\d{1,5}\)?(?:[ ./-]?\d{2,8}){1,4}|\(0?\d{2,5}\)[ ./-]?\d{3,8}(?:[ .-]?\d{2,6}){0,3}"
    r"|0\d{2,4}[ ]?[/-][ ]?\d{3,9}(?:[ -]?\d{1,6}){0,3}|0\d{3,4} \d{3} ?\d{3,4}|0\d{2} \d{4} \d{4}|1?[ .-]?\(?[2-9]\d{2}\)?[ .-]\d{3}[ .-]\d{4})(?![\w-]|[.,]\d)"
)


def _phones(text: str, regions: tuple[str, ...]) -> Iterator[str]:
    """What a country's plan holds valid and a person wrote as a number, or what is written where one is announced."""
    for rule in (_LOCAL_US, _FORMATTED):
        for found in rule.finditer(text):
            if _plausible(text, found.start(), found[0]) and 7 <= sum(map(str.isdigit, found[0])) <= 15:
                yield found[0].strip()
    for region in regions:
        for match in PhoneNumberMatcher(text, region, leniency=Leniency.POSSIBLE, max_tries=NUMBERS):
            said = bool(_SAID.search(text[max(0, match.start - 70) : match.start]))
            formed = bool(_FORMED.search(match.raw_string)) and phonenumbers.is_valid_number(match.number)
            if (said or (formed and match.raw_string[0] in "+0(")) and _plausible(text, match.start, match.raw_string):
                yield match.raw_string


def _plausible(text: str, start: int, raw: str) -> bool:
    digits = re.sub(r"\D", "", raw)
    before = text[max(0, start - 40) : start]
    dated = bool(_DATE.fullmatch(raw)) or len(set(digits)) < 3
    return len(digits) >= 7 and not dated and not _NOT_SAID.search(before) and before[-1:] not in ("$", "€", "£", "#", "/", "=")


# --- cards and accounts

_DIGITS = re.compile(r"(?<![\w.,-])\d(?:[ -]?\d){11,18}(?![\w-]|[.,]\d)")
_ISSUERS = (  # prefix, lengths: the ranges that issuers use today
    (r"4", (13, 16, 19)),
    (r"5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720", (16,)),
    (r"3[47]", (15,)),
    (r"6011|65|64[4-9]", (16, 19)),
    (r"30[0-5]|36|38|39", (14, 16)),
    (r"35(?:2[89]|[3-8])", (16, 19)),
    (r"62|81", (16, 17, 18, 19)),
    (r"50|5[6-9]|6", (12, 13, 14, 15, 16, 17, 18, 19)),
)
_OTHER = re.compile(
    r"(?:imei|isbn|ean|gtin|serial|barcode|tracking|seriennummer|sendungs?nummer|iccid)\W{0,3}(?:\w{1,12}\W{1,3}){0,3}\Z", re.I
)


def _cards(text: str) -> Iterator[str]:
    for found in _DIGITS.finditer(text):
        digits = re.sub(r"\D", "", found[0])
        known = any(len(digits) in lengths and re.match(prefix, digits) for prefix, lengths in _ISSUERS)
        if known and len(set(digits)) > 1 and luhn.is_valid(digits) and not _OTHER.search(text[: found.start()][-60:]):
            yield found[0]


_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}[ -]?\d{2}(?:[ .-]?[A-Za-z0-9]){11,30}")


def _ibans(text: str) -> Iterator[str]:
    """The longest beginning of each candidate that holds: the words behind an account look like more of it."""
    for found in _IBAN.finditer(text):
        compact = re.sub(r"[ .-]", "", found[0]).upper()
        if any(iban.is_valid(compact[:length], check_country=False) for length in range(min(34, len(compact)), 14, -1)):
            yield found[0].strip()


# --- addresses

_WORD = r"[A-ZÄÖÜ][\w.'-]{1,25}"
_US = (
    r"(?:Street|St|Avenue|Ave|Road|Rd|Boulevard|Blvd|Lane|Ln|Drive|Dr|Court|Ct|Way|Place|Pl|Terrace|Circle|Cir|Parkway|Pkwy"
    r"|Square|Sq|Highway|Hwy|Trail|Close|Crescent|Gardens|Grove|Mews|Row|Walk|Hill|Green|Rise|View|Loop|Alley|Broadway)"
)
_STREET = re.compile(
    rf"(?<![\w.,/-])(?:(?:Flat|Unit|Apt\.?|Suite) \w{{1,4}},? )?\d{{1,5}}[A-Za-z]?,? (?:(?:[NSEW]|North|South|East|West|Old|New)\.? )?"
    rf"(?:(?:{_WORD}|\d{{1,3}}(?:st|nd|rd|th)) ){{1,3}}{_US}(?![\w'])"
)
_BOX = re.compile(r"(?<!\w)(?:P\.? ?O\.? Box|Postfach) \d{1,6}(?: \d{2,4}){0,2}(?!\w)", re.I)
_GERMAN = re.compile(
    r"(?<![\w-])(?:(?:(?:[A-ZÄÖÜ][\wäöüß.]{1,20}[ -]){0,3}(?:[A-ZÄÖÜ][a-zäöüß]{1,25}(?:straße|strasse|str\.|gasse|allee|weg|platz|damm|ufer"
    r"|chaussee|steig|pfad|stieg|ring|markt|graben|hof|berg|kamp|wall|promenade|steg|twiete|zeile|winkel|rain)|(?:Straße|Strasse|Str\.|Allee|Weg|Gasse|Platz|Ring|Damm|Ufer)))"
    r"|(?:Am|An der|An dem|Im|In der|Auf dem|Auf der|Zum|Zur|Unter den|Hinter der|Beim) (?:[A-ZÄÖÜ][\wäöüß]{1,20}[ -]){0,2}[A-ZÄÖÜ][\wäöüß]{2,25})"
    r" (?P<number>\d{1,4} ?[a-z]?)(?![\w%€$°]|[.,:]\d| (?:Uhr|Euro|Prozent|km|Meter|Jahre|Tage|Minuten|Stunden|Kilometer|Liegt|liegt))"
)
_SURE = re.compile(r"(?:straße|strasse|str\.|gasse|allee|chaussee)$", re.I)
_PLACE = re.compile(r"(?:,|\n| in)\s{0,2}(?:[A-Z]{1,2}-)?\d{5} [A-ZÄÖÜ]")
_HOME = re.compile(
    r"\b(?:address|anschrift|adresse|wohn\w{0,6}|live[sd]?|living|reside\w?|home|house|deliver\w{0,3}|liefer\w{0,6}|schick\w{0,4}|send|ship|mail|hausnummer|visit"
    r"|besuch\w{0,5}|klingel\w{0,3}|zieh\w{0,3}|umzug|moved|family|familie|frau|herr|mr|mrs|ms)\b",
    re.I,
)
_TRAIL = re.compile(
    r"(?:wander|rad|rund|um|aus|feld|lehr|hin|rück|schul|lebens|arbeits)weg$|(?:stell|sitz|steh|arbeits|flug|park|sport|spiel)platz$",
    re.I,
)
_ZIP = re.compile(r"(?<!\w)[A-ZÄÖÜ][\w.'-]{1,25}(?: [A-ZÄÖÜ][\w.'-]{1,25}){0,2},? [A-Z]{2} \d{5}(?:-\d{4})?(?!\d)")
_UK = re.compile(r"(?<!\w)[A-Z]{1,2}\d[A-Z\d]? \d[A-Z]{2}(?!\w)")
_YEAR = re.compile(r"(?:1[5-9]|20)\d\d (?!.*\d)", re.S)
_WHEN = re.compile(
    r"\b(?:in|of|since|by|until|the|after|before|from|during|summer|winter|spring|fall|autumn|year)\s{1,2}\Z", re.I
)


def _addresses(text: str, spared: tuple[str, ...]) -> Iterator[str]:
    """A street with its number. What may be a name with a number behind it counts where a town or a home is near."""
    low = text.lower()
    if any(one in low for one in spared):
        return
    for found in _STREET.finditer(text):
        if not (_YEAR.match(found[0]) and _WHEN.search(text[max(0, found.start() - 20) : found.start()])):
            yield found[0]
    for found in _BOX.finditer(text):
        yield found[0]
    for found in _GERMAN.finditer(text):
        street = found[0][: -len(found["number"])].strip()
        near = text[max(0, found.start() - 80) : found.end() + 30]
        sure = _SURE.search(street) or _PLACE.match(text, found.end()) or _HOME.search(near)
        if sure and not _TRAIL.search(street):
            yield found[0]
    for rule in (_ZIP, _UK):
        for found in rule.finditer(text):
            if re.search(r"\d{1,5}[A-Za-z]?,? [A-Z]", text[max(0, found.start() - 60) : found.end()][: -len(found[0]) or None]):
                yield found[0]
