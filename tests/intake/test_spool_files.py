"""The spool's files: whole records in order, whatever was cut short, and never more than there is room for."""

import os
import resource
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.intake import draining, spool_files
from switchboard.intake.errors import SpoolFullError
from switchboard.intake.kept_signals import encode_request
from switchboard.intake.models import NewSignal
from switchboard.intake.spool_files import Record, SealedSegment, SpoolWriter, list_segments, measure
from switchboard.kernel.ids import new_id
from switchboard.kernel.settings import load_settings

MEGABYTE = 1 << 20


def kept(folder: Path) -> list[bytes]:
    """Every record that would be drained, in order."""
    records: list[bytes] = []
    for path in list_segments(folder):
        segment = SealedSegment.find(path)
        assert segment is not None, f"{path} is still written to"
        records += segment.records()
        segment.close()
    return records


def record(content: bytes) -> Record:
    return Record(content, 1)


@contextmanager
def no_file_over(size: int) -> Iterator[None]:
    """The kernel refuses to make any file of this process longer, in the middle of a write."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_records_come_back_in_order_over_several_segments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_files, "SEGMENT_BYTES", 1_000)
    writer = SpoolWriter(tmp_path, MEGABYTE)
    contents = [bytes([number]) * 300 for number in range(10)]
    for first in range(0, 10, 2):
        writer.append([record(contents[first]), record(contents[first + 1])])
    writer.seal()
    assert len(list_segments(tmp_path)) == 5
    assert kept(tmp_path) == contents
    figures = measure(tmp_path)
    assert (figures.signals, figures.bytes) == (10, sum(path.stat().st_size for path in tmp_path.iterdir()))


def test_a_segment_under_a_living_writer_is_left_alone_and_has_no_name_before_it_is_locked(tmp_path: Path) -> None:
    writer = SpoolWriter(tmp_path, MEGABYTE)
    writer.append([record(b"one")])
    (path,) = list_segments(tmp_path)
    assert SealedSegment.find(path) is None
    assert measure(tmp_path).signals == 1
    assert path.stat().st_mode & 0o777 == 0o600
    writer.seal()
    assert kept(tmp_path) == [b"one"]


def test_a_segment_that_another_process_drains_after_the_look_is_gone_quietly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = [NewSignal(new_id(), new_id(), new_id(), new_id(), 60, "{}")]
    paths: list[Path] = []
    for _ in range(2):
        writer = SpoolWriter(tmp_path, MEGABYTE)
        writer.append([Record(encode_request(request), 1)])
        writer.seal()
        paths = list_segments(tmp_path)
    paths[1].unlink()
    monkeypatch.setattr(draining, "list_segments", lambda _: paths)
    assert SealedSegment.find(paths[1]) is None
    assert draining.read_back(tmp_path, 10) == request


@given(contents=st.lists(st.binary(min_size=1, max_size=50), min_size=1, max_size=8), data=st.data())
def test_a_file_cut_short_anywhere_gives_its_whole_records(
    tmp_path_factory: pytest.TempPathFactory, contents: list[bytes], data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("spool")
    writer = SpoolWriter(folder, MEGABYTE)
    writer.append([record(content) for content in contents])
    writer.seal()
    (path,) = list_segments(folder)
    ends = [16]
    for content in contents:
        ends.append(ends[-1] + 8 + len(content))
    cut = data.draw(st.integers(0, ends[-1]))
    os.truncate(path, cut)
    assert kept(folder) == contents[: sum(end <= cut for end in ends[1:])]


def test_a_tail_of_zeros_is_no_record(tmp_path: Path) -> None:
    writer = SpoolWriter(tmp_path, MEGABYTE)
    writer.append([record(b"one")])
    writer.seal()
    (path,) = list_segments(tmp_path)
    os.truncate(path, path.stat().st_size + 4_096)
    assert kept(tmp_path) == [b"one"]


def test_a_damaged_record_is_left_out_and_its_file_kept_for_somebody_to_look_at(tmp_path: Path) -> None:
    writer = SpoolWriter(tmp_path, MEGABYTE)
    writer.append([record(b"first"), record(b"second"), record(b"third")])
    writer.seal()
    (path,) = list_segments(tmp_path)
    path.write_bytes(path.read_bytes().replace(b"second", b"sec0nd"))
    segment = SealedSegment.find(path)
    assert segment is not None
    assert list(segment.records()) == [b"first", b"third"]
    segment.remove()
    segment.close()
    assert [found.suffix for found in tmp_path.iterdir()] == [".damaged"]


def test_what_does_not_fit_is_refused_whole(tmp_path: Path) -> None:
    writer = SpoolWriter(tmp_path, 1_000)
    writer.append([record(b"x" * 400)])
    with pytest.raises(SpoolFullError):
        writer.append([record(b"y" * 300), record(b"z" * 300)])
    writer.append([record(b"z" * 300)])
    writer.seal()
    assert kept(tmp_path) == [b"x" * 400, b"z" * 300]


def test_the_room_is_shared_by_all_processes(tmp_path: Path) -> None:
    first, second = SpoolWriter(tmp_path, 1_000), SpoolWriter(tmp_path, 1_000)
    first.append([record(b"x" * 600)])
    with pytest.raises(SpoolFullError):
        second.append([record(b"y" * 600)])
    first.seal()
    second.seal()


def test_a_disk_that_fills_up_in_the_middle_of_a_batch_keeps_nothing_of_it(tmp_path: Path) -> None:
    writer = SpoolWriter(tmp_path, MEGABYTE)
    writer.append([record(b"a" * 5_000)])
    with no_file_over(8_192), pytest.raises(SpoolFullError):
        writer.append([record(b"b" * 2_000), record(b"c" * 5_000)])
    writer.append([record(b"d" * 5_000)])
    writer.seal()
    assert kept(tmp_path) == [b"a" * 5_000, b"d" * 5_000]


def test_a_disk_without_room_for_a_new_segment_leaves_no_file_behind(tmp_path: Path) -> None:
    writer = SpoolWriter(tmp_path, MEGABYTE)
    with no_file_over(0), pytest.raises(SpoolFullError):
        writer.append([record(b"a")])
    assert list(tmp_path.iterdir()) == []


def test_every_record_carries_its_checksum(tmp_path: Path) -> None:
    writer = SpoolWriter(tmp_path, MEGABYTE)
    writer.append([record(b"one")])
    writer.seal()
    content = list_segments(tmp_path)[0].read_bytes()
    assert content[:8] == b"SWSPOOL1"
    assert content[16:] == (3).to_bytes(4, "little") + zlib.crc32(b"one").to_bytes(4, "little") + b"one"


def test_the_room_that_is_there_by_default_lasts_ten_minutes_at_400_signals_of_a_kilobyte_a_second(
    tmp_path: Path,
) -> None:
    seconds, rate = 600, 400
    payload = '"' + "x" * 1_022 + '"'
    one = [NewSignal(new_id(), new_id(), new_id(), new_id(), 86_400, payload)]
    room = load_settings({}).spool_megabytes << 20
    writer = SpoolWriter(tmp_path, room)
    # A second of it, a request each, as the worst case; the heads of segments are what is left of the room.
    writer.append([Record(encode_request(one), 1)] * rate)
    writer.seal()
    a_second = measure(tmp_path).bytes
    assert a_second * seconds <= room
    assert (a_second - 16) // rate - len(payload) == 90
