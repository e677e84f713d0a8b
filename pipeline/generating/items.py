"""Reads a list out of an answer while it is written, so that each entry can go on as soon as it is whole.

The answer is `{"NAME": [entry, entry, ...]}`. An entry is given out once its last sign is there and it fits its schema;
what comes after a mistake is not read. So half an entry never gets through, and a list that was cut loses its end only.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from jsonschema.protocols import Validator
from jsonschema.validators import validator_for

_BLANK = re.compile(r"[ \t\r\n]*")
_SIGN = re.compile(r'["{}\[\]]')
_STRING_SIGN = re.compile(r'["\\]')


class Items:
    """`wrong` says what kept the list from being read on, "" for nothing; `closed`: it has come to its end.

    Every sign is looked at once, and a whole entry read once more, in however small pieces it comes.
    """

    def __init__(self, name: str, schema: Mapping[str, Any]) -> None:
        self._head = re.compile(rf'\s*(?:```\w*\s*)?\{{\s*"{re.escape(name)}"\s*:\s*\[')
        self._checker: Validator = validator_for(schema)(dict(schema))
        self._text = ""  # what is not read yet
        self._inside, self._after = False, False  # of the list; behind an entry, where a comma is due
        self._seen, self._depth, self._quoted = 0, 0, False  # how far the entry that is coming has been looked through
        self.closed, self.wrong, self.count = False, "", 0

    def feed(self, text: str) -> list[Any]:
        """The entries that this text makes whole."""
        if self.closed or self.wrong:
            return []
        self._text += text
        if not self._inside:
            if not (head := self._head.match(self._text)):
                return []
            self._text, self._inside = self._text[head.end() :], True
        found: list[Any] = []
        while self._step(found):
            pass
        return found

    def end(self) -> str:
        """What is wrong with the whole answer now that no more comes; "" for a list that was closed."""
        if not (self.closed or self.wrong):
            self.wrong = "the list has no end" if self._inside else f"it is no list: {self._text[:80]!r}"
        return self.wrong

    def _step(self, found: list[Any]) -> bool:
        """Read a sign of the list or an entry; whether there may be more to read."""
        if not self._seen:
            self._text = self._text[_BLANK.match(self._text).end() :]  # type: ignore[union-attr]  # it matches ""
        if not self._text:
            return False
        sign = self._text[0]
        if self._after:
            self.closed, self.wrong = sign == "]", "" if sign in ",]" else f"after entry {self.count} stands {sign!r}"
            self._text, self._after = self._text[1:], False
        elif sign == "]" and not self.count:
            self.closed = True
        elif sign not in '"{':
            self.wrong = f"entry {self.count + 1} begins with {sign!r}"
        elif end := self._end():
            self._entry(self._text[:end], found)
            self._text, self._after, self._seen = self._text[end:], True, 0
        else:
            return False
        return not (self.closed or self.wrong)

    def _end(self) -> int:
        """Where the entry that the text begins with ends, 0 as long as its end is not there."""
        while sign := (_STRING_SIGN if self._quoted else _SIGN).search(self._text, self._seen):
            if sign[0] == "\\":
                if sign.end() == len(self._text):
                    self._seen = sign.start()
                    return 0
                self._seen = sign.end() + 1
                continue
            self._seen = sign.end()
            if sign[0] == '"':
                self._quoted = not self._quoted
            else:
                self._depth += 1 if sign[0] in "{[" else -1
            if not (self._quoted or self._depth):
                return self._seen
        self._seen = len(self._text)
        return 0

    def _entry(self, text: str, found: list[Any]) -> None:
        try:
            entry = json.loads(text, parse_constant=_refuse, strict=False)  # models write line ends into strings
            problem = next(iter(self._checker.iter_errors(entry)), None)
            self.wrong = f"entry {self.count + 1}: {problem.message[:200]}" if problem else ""
        except ValueError as error:
            self.wrong = f"entry {self.count + 1} is no JSON ({error})"
        except RecursionError:
            self.wrong = f"entry {self.count + 1} is nested too deeply"
        if not self.wrong:
            self.count += 1
            found.append(entry)


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")
