"""What a front end counts for /metrics: what is heard and said, how fast, and how often a platform told it to slow down."""

from collections import Counter

from pipeline.metrics import Histogram, Labels, histogram, metric, page

BOUNDS_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0)


class Counts:
    """Since the start of this process. Times are in seconds."""

    def __init__(self, platform: str) -> None:
        self.platform = platform
        self.heard = self.duplicates = 0
        self.acks = Histogram(BOUNDS_S)  # from an interaction to its first answer
        self.first_tokens = Histogram(BOUNDS_S)  # from a question to the first words of a model
        self.sent: Counter[str] = Counter()  # by kind: post, edit, callback; and edits that a newer one made needless
        self.limited = 0  # answers "429"
        self.retried = 0  # requests that were sent again

    def text(self) -> str:
        """Everything in Prometheus' text format."""
        label = (("platform", self.platform),)
        sent: dict[Labels, float] = {(*label, ("kind", kind)): count for kind, count in sorted(self.sent.items())}
        return page(
            metric("events_heard_total", "counter", "Events that were heard for the first time.", {label: self.heard}),
            metric("duplicates_heard_total", "counter", "Events that were heard before.", {label: self.duplicates}),
            metric("messages_sent_total", "counter", "What was sent to the platform, by kind.", sent),
            metric("rate_limited_total", "counter", "Requests that the platform refused for now (429).", {label: self.limited}),
            metric("requests_retried_total", "counter", "Requests that were sent again.", {label: self.retried}),
            histogram("ack_seconds", "From an interaction to its first answer.", {label: self.acks}, BOUNDS_S),
            histogram("first_token_seconds", "From a question to the first words.", {label: self.first_tokens}, BOUNDS_S),
        )
