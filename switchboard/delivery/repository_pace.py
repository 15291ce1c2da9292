"""The statements about how much of their providers' rates channels have left."""

from switchboard.kernel.db import Tx


async def fill(tx: Tx, channel: str, *, per_second: float, capacity: float) -> float:
    """Fill a channel's bucket up to the present, hold it against other processes, and return what is in it."""
    # By primary key. Transactions overlap, so the present may be a little earlier than the last filling; where it is
    # much earlier, the clock was set back, and waiting for the old time would keep everything from going until then.
    tokens: float = await tx.fetch_value(
        """
        INSERT INTO app.channel_pace AS p (channel, tokens) VALUES (%(channel)s, %(capacity)s)
        ON CONFLICT (channel) DO UPDATE SET
            tokens = least(%(capacity)s,
                p.tokens + %(rate)s * greatest(0, extract(epoch FROM app.now() - p.filled_at)::double precision)),
            filled_at = CASE WHEN p.filled_at < app.now() + interval '1 minute' THEN greatest(p.filled_at, app.now())
                ELSE app.now() END
        RETURNING tokens
        """,
        {"channel": channel, "rate": per_second, "capacity": capacity},
    )
    return tokens


async def take(tx: Tx, channel: str, messages: int) -> None:
    """Take one from a channel's bucket for each message that goes."""
    # By primary key.
    await tx.execute("UPDATE app.channel_pace SET tokens = tokens - %s WHERE channel = %s", (messages, channel))
