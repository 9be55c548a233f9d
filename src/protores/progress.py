"""How long work tells what it is doing; silent by itself, the command line draws bars (cli.py)."""


class Progress:
    """Two calls that do nothing. Subclass to show them."""

    def note(self, message: str) -> None:
        """One line that the user should read."""

    def track(self, what: str, done: float, total: float, detail: str = "") -> None:
        """`done` of `total` of the stage `what`; detail is a short text of latest figures."""
