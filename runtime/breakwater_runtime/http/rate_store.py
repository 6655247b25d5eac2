"""The store in which replicas count together, asked by one script. Loaded only where there is one.

The clock is the store's, so that those of replicas need not agree.
"""

import ssl
from collections.abc import Sequence

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from breakwater_runtime.http.shared_buckets import Charge, Target

RESP2 = 2
"""The older protocol, which needs no HELLO that a user of the store may not be allowed to send."""

MICROSECONDS = 1_000_000

SCRIPT = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local said = {}
for index, key in ipairs(KEYS) do
  local each = tonumber(ARGV[index])
  local level = math.max(0, (tonumber(redis.call('GET', key)) or 0) - now)
  local over = level + each - 60000000
  if over < 0.5 then
    over, level = 0, level + each
    redis.call('SET', key, string.format('%.2f', now + level), 'PX', math.ceil(level / 1000) + 1)
  end
  said[2 * index - 1] = math.ceil(level)
  said[2 * index] = math.ceil(over)
end
return said
"""
"""Take one from each bucket of KEYS in turn, if there is one left.

A bucket is the time at which it will be full again, in microseconds, as in `Buckets`; ARGV says
what one takes of it. A full one is forgotten. The answer is two numbers for each: after how long it
is full again, and after how long one more is allowed, which is 0 where it was.
"""


class RateStore:
    """A connection to a Redis or Valkey, made when it is needed and made again when it is lost."""

    def __init__(self, target: Target) -> None:
        """Ask what `target` names; nothing is connected yet."""
        settings = target.settings
        host, port = settings.host_and_port
        self._redis = Redis(
            host=host,
            port=port,
            db=settings.database,
            username=settings.username,
            password=target.password.decode() if target.password is not None else None,
            ssl=settings.tls is not None,
            ssl_ca_data=target.authorities.decode() if target.authorities is not None else None,
            ssl_min_version=ssl.TLSVersion.TLSv1_2,
            socket_timeout=settings.timeout.seconds,
            socket_connect_timeout=settings.timeout.seconds,
            # Who asks decides what to do when there is no answer, and when to ask again.
            retry=Retry(NoBackoff(), 0),
            protocol=RESP2,
            max_connections=1,
        )
        self._script = self._redis.register_script(SCRIPT)

    async def take(self, charges: Sequence[Charge]) -> Sequence[tuple[float, float]]:
        """Charge all in one round trip; get `level` and `over` of each, in seconds."""
        keys = [charge.key for charge in charges]
        said = await self._script(keys, [charge.each_seconds * MICROSECONDS for charge in charges])
        if len(said) != 2 * len(charges):
            raise ValueError(f"{len(said)} numbers for {len(charges)} charges")
        numbers = [number / MICROSECONDS for number in said]
        return list(zip(numbers[::2], numbers[1::2], strict=True))

    async def close(self) -> None:
        """Let go of the connection."""
        await self._redis.aclose()
