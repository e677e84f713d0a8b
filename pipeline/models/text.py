"""From bytes of tokens to text that can be shown: whole characters only, and never a part of a stop string."""

import codecs


class Text:
    """Takes the bytes of one token after another and gives out the text that is certain.

    A character whose bytes came only in part waits for the rest; so does an end that may become a stop string.
    """

    def __init__(self, stops: tuple[str, ...] = ()) -> None:
        self._stops = tuple(stop for stop in stops if stop)
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._held = ""
        self.stopped = ""  # the stop string that was met

    def add(self, piece: bytes) -> str:
        """The text that is certain after these bytes; from a stop string on, nothing."""
        return self._certain(self._decode(piece)) if not self.stopped else ""

    def end(self) -> str:
        """What was held back and turned out to be no stop string; bytes without their rest become U+FFFD."""
        if self.stopped:
            return ""
        certain = self._certain(self._decode(b"", True))
        held, self._held = self._held, ""
        return certain + ("" if self.stopped else held)

    def _certain(self, new: str) -> str:
        if not self._stops:
            return new
        text = self._held + new
        found = [(at, stop) for stop in self._stops if (at := text.find(stop)) >= 0]
        if found:
            at, self.stopped = min(found, key=lambda pair: (pair[0], -len(pair[1])))
            self._held = ""
            return text[:at]
        held = max(_begun(text, stop) for stop in self._stops)
        self._held = text[len(text) - held :]
        return text[: len(text) - held]


def _begun(text: str, stop: str) -> int:
    """How many characters at the end of a text are the beginning of a stop string."""
    most = min(len(text), len(stop) - 1)
    return next((size for size in range(most, 0, -1) if text.endswith(stop[:size])), 0)
