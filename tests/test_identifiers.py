from __future__ import annotations

import os
import random
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

from ragdiag.identifiers import time_ordered_id


def test_it_is_a_uuid_of_version_7_that_tells_its_time() -> None:
    before = time.time_ns() // 1_000_000
    made = uuid.UUID(time_ordered_id())
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert before <= made.int >> 80 <= time.time_ns() // 1_000_000


def test_ids_sort_by_their_time_within_a_millisecond_too() -> None:
    moments = [1_700_000_000_000_000_000 + step * 1_000 for step in range(2_500)]
    made = [time_ordered_id(moment) for moment in moments]
    assert made == sorted(made)


def test_no_two_are_equal_even_at_one_instant() -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(time_ordered_id, [1_700_000_000_000_000_000] * 20_000))
    assert len(set(made)) == 20_000


def test_a_seeded_generator_and_a_fork_repeat_no_id() -> None:
    moment = 1_700_000_000_000_000_000
    random.seed(0)
    first = time_ordered_id(moment)
    random.seed(0)
    assert time_ordered_id(moment) != first
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.write(writer, time_ordered_id(moment).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reader, 32).decode() != time_ordered_id(moment)
    os.close(reader)
    os.close(writer)
