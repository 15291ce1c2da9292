"""Postgres goes away, then Redis, then both: with a Redis beside them intake goes on while one of the two is there."""

import json
from pathlib import Path

import pytest

from tests.external.own_postgres import OWNER, OwnPostgres
from tests.external.test_outage import ask, stored_ids, take
from tests.external.test_own_postgres import signed_in
from tests.processes import eventually, running
from tests.redis_server import redis_server

pytestmark = [pytest.mark.journey, pytest.mark.timeout(180)]


def test_one_of_postgres_and_redis_is_enough(bare_postgres: OwnPostgres, tmp_path: Path) -> None:
    name = bare_postgres.new_database()
    (tmp_path / "redis").mkdir()
    with (
        redis_server(tmp_path / "redis") as redis,
        running(tmp_path / "home", DATABASE_URL=bare_postgres.url(name, OWNER), REDIS_URL=redis.url) as product,
        signed_in(product) as browser,
    ):
        intake = product.json_command("source", "create", "--name", "Fair", "--format", "generic")["url"]
        taken = take(browser, intake, "before")

        redis.stop()
        taken += take(browser, intake, "without-redis")
        redis.start()

        bare_postgres.stop()
        try:
            taken += take(browser, intake, "without-postgres", "without-postgres-2")
            kept = json.loads(ask(browser, f"{product.url}/health/ready").text)["intake"]
            assert (kept["kept_in"], kept["kept_signals"], kept["takes_signals"]) == ("redis", 2, True)

            redis.kill()
            refused = ask(browser, intake, b'[{"email": "half1@byron.example"}, {"email": "half2@byron.example"}]')
            assert (refused.status, refused.retry_after) == (503, "2")
            ready = ask(browser, f"{product.url}/health/ready")
            assert (ready.status, json.loads(ready.text)["intake"]["takes_signals"]) == (503, False)
            redis.start()
            eventually(
                lambda: ask(browser, intake, b'{"email": "ping@byron.example"}').status == 202, what="Redis being found"
            )
        finally:
            bare_postgres.start()
        eventually(lambda: len(stored_ids(bare_postgres, name)) == len(taken) + 1, what="all signals in Postgres")
        assert stored_ids(bare_postgres, name)[:-1] == taken
        eventually(lambda: product.health()["troubles"] == [], what="health without troubles")
        findings = {found["subject"]: found for found in product.json_command("doctor")}
        assert findings["redis"]["detail"] == "0 signals wait, 0 of 256 MB taken; what it acknowledges is on its disk"
