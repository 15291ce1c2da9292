"""The benchmark's own provider: it takes what a real client posts, and notes the key."""

import http.client

from bench.http_sink import HttpSink


def test_it_notes_each_post_with_its_key() -> None:
    with HttpSink() as sink:
        connection = http.client.HTTPConnection("127.0.0.1", sink.port, timeout=5)
        for key in ("one", "two"):
            connection.request("POST", "/", b'{"n": 1}' * 1_000, {"Idempotency-Key": key})
            answer = connection.getresponse()
            assert (answer.status, answer.read()) == (200, b"{}")
        connection.close()
        taken = sink.take()
        assert [one.key for one in taken] == ["one", "two"]
        assert taken[0].at <= taken[1].at
        assert sink.take() == []
