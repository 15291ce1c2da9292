"""The statements about how much of their providers' rates channels have left."""

from switchboard.kernel.db import Tx


async def fill(tx: Tx, channel: str, *, per_second: float, capacity: float) -> float:
    """Fill a channel's bucket up to the present, hold it against other processes, and return what is in it."""
    # By primary key.
    tokens: float = await tx.fetch_value(
        """
        INSERT INTO app.channel_pace AS p (channel, tokens) VALUES (%(channel)s, %(capacity)s)
        ON CONFLICT (channel) DO UPDATE SET
            tokens = least(%(capacity)s,
                p.tokens + %(rate)s * greatest(0, extract(epoch FROM app.now() - p.filled_at)::double precision)),
            filled_at = greatest(p.filled_at, app.now())
        RETURNING tokens
        """,
        {"channel": channel, "rate": per_second, "capacity": capacity},
    )
    return tokens


async def take(tx: Tx, channel: str, messages: int) -> None:
    """Take one from a channel's bucket for each message that goes."""
    # By primary key.
    await tx.execute("UPDATE app.channel_pace SET tokens = tokens - %s WHERE channel = %s", (messages, channel))
