"""A packed log: the same items come out, it is smaller, and what is damaged is named as such."""

from __future__ import annotations

import base64
import contextlib
import json
import random
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.api.common.v1 import Payload, Payloads

from streamlib.errors import MalformedInputError, StateTooLargeError
from streamlib.wire import compress
from streamlib.wire.compress import pack, unpack
from streamlib.wire.encode import decode_payload, encode_payload


def item(topic: str, data: bytes, **metadata: bytes) -> tuple[str, str]:
    return topic, encode_payload(Payload(metadata={"encoding": b"x", **metadata}, data=data))


items = st.builds(item, st.text(min_size=1), st.binary(max_size=200))


@given(st.lists(items, max_size=10))
def test_what_was_packed_comes_out_as_it_was(log: list[tuple[str, str]]) -> None:
    assert list(unpack(pack(log))) == log


def test_metadata_survives() -> None:
    log = [item("t", b"1", kind=b"\x00\xff")]
    assert list(unpack(pack(log))) == log


def test_an_empty_log_is_packed_too() -> None:
    assert list(unpack(pack([]))) == []


def test_repetitions_are_packed_away_and_noise_grows_by_no_more_than_its_frame() -> None:
    same = [item("status", b'{"order": 7, "state": "shipped"}') for _ in range(2000)]
    assert len(pack(same)) * 50 < sum(len(data) for _, data in same)
    chance = random.Random(1)
    noise = [item("t", chance.randbytes(1000)) for _ in range(200)]
    assert len(pack(noise)) < 1.02 * sum(len(data) for _, data in noise)


def test_a_log_of_many_pieces_is_packed_as_one_that_is_packed_at_once() -> None:
    chance = random.Random(2)
    log = [item(f"t{n % 3}", chance.randbytes(30_000)) for n in range(20)]
    header = json.dumps([topic for topic, _ in log]).encode()
    at_once = Payloads(payloads=[decode_payload(data) for _, data in log]).SerializeToString()
    assert body_of(pack(log)) == len(header).to_bytes(8, "big") + header + at_once
    assert list(unpack(pack(log))) == log


def test_what_gets_too_large_is_given_up_early_and_its_size_is_estimated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chance = random.Random(3)
    log = [item("t", chance.randbytes(30_000)) for _ in range(100)]
    size, seen = len(pack(log)), list[str]()
    monkeypatch.setattr(
        compress, "_payload", lambda data: seen.append(data) or decode_payload(data)
    )
    with pytest.raises(StateTooLargeError) as raised:
        pack(log, size // 10)
    assert raised.value.limit == size // 10
    assert 0.95 * size < raised.value.size < 1.05 * size
    assert len(seen) < 25
    assert pack(log, size) == pack(log)


def test_empty_items_under_endless_topics_are_given_up_too() -> None:
    topics = [("".join(random.Random(n).choices("abcdef", k=90)), "") for n in range(1_000)]
    with pytest.raises(StateTooLargeError):
        pack(topics, 1_000)


def test_it_is_text_that_json_leaves_as_it_is() -> None:
    packed = pack([item("täg", b"1")])
    assert json.dumps(packed) == f'"{packed}"'


def body_of(packed: str) -> bytes:
    return zlib.decompress(base64.b64decode(packed.removeprefix("zlib1:")))


def packed_of(body: bytes) -> str:
    return "zlib1:" + base64.b64encode(zlib.compress(body)).decode()


GOOD = pack([item("t", b"1"), item("u", b"2")])


@pytest.mark.parametrize(
    "damaged",
    [
        "",
        "zlib2:" + GOOD[6:],
        GOOD[:-8],
        GOOD[:10] + "*" + GOOD[11:],
        packed_of(b""),
        packed_of(body_of(GOOD)[:20]),
        packed_of((3).to_bytes(8, "big") + b"[1]" + b"\xff\xff"),
        packed_of(
            (2).to_bytes(8, "big") + b"[]" + Payloads(payloads=[Payload()]).SerializeToString()
        ),
    ],
)
def test_what_is_damaged_is_refused_before_an_item_comes_out(damaged: str) -> None:
    with pytest.raises(MalformedInputError, match="compressed log"):
        unpack(damaged)


@given(st.integers(6, len(GOOD) - 1), st.sampled_from("A*/=é"))
def test_no_single_wrong_character_gives_other_items(where: int, character: str) -> None:
    damaged = GOOD[:where] + character + GOOD[where + 1 :]
    with contextlib.suppress(MalformedInputError):
        assert list(unpack(damaged)) == list(unpack(GOOD))
