"""A request that is answered by an error: one line that ends with the cure, and its HTTP status."""


class Refusal(Exception):
    """status: of the HTTP answer. retry_after: seconds after which the same request may do, for 429 and 503."""

    def __init__(self, status: int, reason: str, retry_after: int | None = None):
        super().__init__(reason)
        self.status, self.reason, self.retry_after = status, reason, retry_after
