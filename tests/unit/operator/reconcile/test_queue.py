"""Each key is in the queue once, and worked on by one worker at a time."""

import asyncio

import pytest

from breakwater_operator.kube.backoff import Backoff
from breakwater_operator.reconcile.queue import Key, Priority, Queue

A, B = ("ns", "a"), ("ns", "b")


class Clock:
    """Time that moves when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(clock: Clock) -> Queue:
    return Queue(clock, lambda: Backoff(0.5, 300.0, chance=lambda: 0.0))


async def is_empty(queue: Queue) -> bool:
    try:
        await asyncio.wait_for(queue.get(), 0.02)
    except TimeoutError:
        return True
    return False


async def test_a_key_that_is_added_twice_is_passed_once(queue: Queue) -> None:
    queue.add(A)
    queue.add(A)

    assert await queue.get() == A
    queue.done(A)
    assert await is_empty(queue)


async def test_a_key_that_changes_during_its_pass_gets_another_one_afterwards(
    queue: Queue,
) -> None:
    queue.add(A)
    await queue.get()

    queue.add(A)

    assert await is_empty(queue)
    queue.done(A)
    assert await queue.get() == A


async def test_who_waits_for_it_goes_first(queue: Queue) -> None:
    queue.add(A, Priority.ROUTINE)
    queue.add(B, Priority.CHANGE)

    assert [await queue.get(), await queue.get()] == [B, A]


async def test_reports_come_after_changes_and_before_the_regular_look(
    queue: Queue, clock: Clock
) -> None:
    changed, reported, regular = ("ns", "c"), ("ns", "b"), ("ns", "a")
    queue.add(regular, Priority.ROUTINE)
    queue.add_report(reported, 0.2, 1.0)
    clock.now = 0.2
    queue.add(changed)

    assert [await queue.get() for _ in range(3)] == [changed, reported, regular]


async def test_a_change_is_heard_of_between_any_two_that_nobody_waits_for(queue: Queue) -> None:
    many = [("ns", f"s{number}") for number in range(20)]
    for key in many:
        queue.add(key, Priority.ROUTINE)
    passed: list[Key] = []
    has_begun = asyncio.Event()

    async def work() -> None:
        while len(passed) < len(many) + 1:
            passed.append(await queue.get())
            has_begun.set()

    workers = [asyncio.create_task(work()) for _ in range(4)]
    await has_begun.wait()
    queue.add(A)
    await asyncio.wait_for(workers[0], 60)
    for worker in workers:
        worker.cancel()

    assert passed.index(A) <= 3


async def test_a_key_that_somebody_waits_for_overtakes_itself(queue: Queue) -> None:
    queue.add(B, Priority.ROUTINE)
    queue.add(A, Priority.ROUTINE)
    queue.add(A, Priority.CHANGE)

    assert [await queue.get(), await queue.get()] == [A, B]
    queue.done(A)
    assert await is_empty(queue)


async def test_failures_wait_longer_each_time_and_are_forgotten_after_a_success(
    queue: Queue, clock: Clock
) -> None:
    queue.add_failed(A)
    assert queue.due_seconds(A) == 0.5
    clock.now += 1
    assert await queue.get() == A
    queue.add_failed(A)
    queue.done(A)
    assert queue.due_seconds(A) == 1.0
    assert (queue.failures(A), queue.failing) == (2, 1)

    queue.succeeded(A)

    assert (queue.failures(A), queue.failing) == (0, 0)


async def test_a_failure_of_a_pass_that_got_somewhere_is_a_first_one(
    queue: Queue, clock: Clock
) -> None:
    for _ in range(5):
        queue.add_failed(A)
        clock.now += 60
        assert await queue.get() == A
        queue.done(A)

    queue.add_failed(A, got_somewhere=True)

    assert queue.due_seconds(A) == 0.5
    assert queue.failures(A) == 1


async def test_a_pass_that_comes_before_the_retry_leaves_its_date(
    queue: Queue, clock: Clock
) -> None:
    for _ in range(4):
        queue.add_failed(A)
        clock.now += 10
        assert await queue.get() == A
        queue.done(A)
    queue.add_failed(A)
    assert queue.due_seconds(A) == 8.0

    for _ in range(3):
        clock.now += 1
        queue.add(A)
        assert await queue.get() == A
        queue.add_failed(A)
        queue.done(A)

    assert queue.due_seconds(A) == 5.0
    assert queue.failures(A) == 5
    clock.now += 5
    assert await queue.get() == A
    queue.add_failed(A)
    assert queue.due_seconds(A) == 16.0


async def test_a_change_does_not_wait_for_the_retry(queue: Queue) -> None:
    queue.add_failed(A, at_least_seconds=60)

    queue.add(A)

    assert await queue.get() == A
    queue.done(A)
    assert queue.due_seconds(A) is None


async def test_the_earlier_of_two_dates_counts(queue: Queue, clock: Clock) -> None:
    queue.add_after(A, 30)
    queue.add_after(A, 5)
    queue.add_after(A, 20)

    clock.now = 5

    assert await queue.get() == A
    queue.done(A)
    clock.now = 60
    assert await is_empty(queue)


async def test_depth_and_age_say_what_waits(queue: Queue, clock: Clock) -> None:
    queue.add(A)
    clock.now = 3
    queue.add(B)

    assert (len(queue), queue.oldest_seconds) == (2, 3.0)
    await queue.get()
    assert (len(queue), queue.oldest_seconds) == (1, 0.0)


async def test_a_pass_that_does_not_end_is_stuck_until_it_does(queue: Queue, clock: Clock) -> None:
    queue.add(A)
    await queue.get()
    clock.now = 301
    queue.add(B)
    await queue.get()
    queue.done(B)

    assert queue.stuck_seconds == 301
    queue.done(A)
    assert queue.stuck_seconds == 0


async def test_keys_that_nobody_takes_are_stuck(queue: Queue, clock: Clock) -> None:
    clock.now = 1000
    queue.add(A)
    clock.now = 1301

    assert queue.stuck_seconds == 301
    queue.done(await queue.get())
    assert queue.stuck_seconds == 0


async def test_a_long_queue_that_moves_is_not_stuck(queue: Queue, clock: Clock) -> None:
    for number in range(100):
        queue.add(("ns", f"a{number}"))
    for _ in range(99):
        clock.now += 15
        queue.done(await queue.get())

    assert queue.oldest_seconds == 99 * 15
    assert queue.stuck_seconds == 0


async def workers(queue: Queue, count: int) -> list[asyncio.Task[Key]]:
    """Have several wait."""
    waiting = [asyncio.create_task(queue.get()) for _ in range(count)]
    await asyncio.sleep(0)
    return waiting


async def test_a_key_wakes_one_of_those_that_wait() -> None:
    queue = Queue()
    waiting = await workers(queue, 3)

    queue.add(("ns", "a"))
    done, idle = await asyncio.wait(waiting, timeout=0.05)

    assert [task.result() for task in done] == [("ns", "a")]
    for task in idle:
        task.cancel()


async def test_keys_that_are_due_one_after_the_other_reach_those_that_wait() -> None:
    queue = Queue()
    queue.add_after(("ns", "late"), 0.06)
    queue.add_after(("ns", "early"), 0.02)
    waiting = await workers(queue, 2)

    found = await asyncio.wait_for(asyncio.gather(*waiting), 5)

    assert sorted(found) == [("ns", "early"), ("ns", "late")]


async def test_an_earlier_date_wakes_earlier() -> None:
    queue = Queue()
    queue.add_after(("ns", "late"), 3600)
    waiting = await workers(queue, 1)

    queue.add_after(("ns", "early"), 0.01)

    assert await asyncio.wait_for(waiting[0], 5) == ("ns", "early")


async def test_a_worker_that_is_cancelled_as_it_is_woken_leaves_the_key_to_another() -> None:
    queue = Queue()
    waiting = await workers(queue, 2)

    queue.add(("ns", "a"))
    waiting[0].cancel()

    assert await asyncio.wait_for(waiting[1], 5) == ("ns", "a")


async def test_reports_wake_a_pass_only_so_often(queue: Queue, clock: Clock) -> None:
    queue.add_report(A, 0.2, 1.0)
    assert queue.due_seconds(A) == pytest.approx(0.2)

    clock.now = 0.2
    assert await queue.get() == A
    queue.done(A)
    clock.now = 0.5
    queue.add_report(A, 0.2, 1.0)
    queue.add_report(B, 0.2, 1.0)

    assert queue.due_seconds(A) == pytest.approx(0.7)
    assert queue.due_seconds(B) == pytest.approx(0.2)
    queue.add(A)
    assert await queue.get() == A
