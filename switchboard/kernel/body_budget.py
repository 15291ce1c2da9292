"""How many bytes of request bodies one process holds at once: a crowd of large ones must not use up the memory."""

from types import TracebackType

from switchboard.kernel.errors import UnavailableError

MOST_IN_FLIGHT = 128 * 1024 * 1024
RETRY_AFTER_SECONDS = 2


class BodyBudget:
    """The bytes that bodies in flight may take together; one for all entry points of a process."""

    def __init__(self, most_bytes: int = MOST_IN_FLIGHT) -> None:
        self.most_bytes = most_bytes
        self.held_bytes = 0

    def hold(self) -> "HeldBody":
        """Room for one body that grows while it is read, given back at the end of a `with` block."""
        return HeldBody(self)


class HeldBody:
    """What one request holds of the budget."""

    __slots__ = ("_budget", "_size")

    def __init__(self, budget: BodyBudget) -> None:
        self._budget = budget
        self._size = 0

    def grow(self, size: int) -> None:
        """Take `size` bytes more; raises UnavailableError when all bodies together would be too much."""
        budget = self._budget
        if budget.held_bytes + size > budget.most_bytes:
            message = "Too much is being sent to this server at once. Send it again in a moment."
            raise UnavailableError(message, retry_after_seconds=RETRY_AFTER_SECONDS)
        budget.held_bytes += size
        self._size += size

    def give_back(self) -> None:
        """The body is gone: called once, by those who hold it for longer than a block."""
        self._budget.held_bytes -= self._size

    def __enter__(self) -> "HeldBody":
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.give_back()
