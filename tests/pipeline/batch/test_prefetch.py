"""Reading ahead keeps order, memory and errors in check."""

import threading
import time

import pytest

from pipeline.batch.prefetch import Spans, ahead, worker


def test_results_come_in_order_from_another_thread() -> None:
    with worker() as executor:
        results = list(ahead(executor, lambda n: (n, threading.current_thread()), range(5)))
    assert [n for n, _ in results] == list(range(5))
    assert threading.main_thread() not in {thread for _, thread in results}


def test_it_stays_one_item_ahead() -> None:
    taken = []
    items = (taken.append(n) or n for n in range(100))
    with worker() as executor:
        results = ahead(executor, str, items)
        assert next(results) == "0"
        assert taken == [0, 1]
        assert next(results) == "1"
        assert taken == [0, 1, 2]


def test_errors_arrive_where_the_result_is_asked_for() -> None:
    with worker() as executor, pytest.raises(ZeroDivisionError):
        list(ahead(executor, lambda n: 1 / n, [1, 0, 1]))


def test_what_has_begun_is_ended_when_interrupted() -> None:
    begun, ended = threading.Event(), []

    def work(item: int) -> None:
        begun.set()
        ended.append(item)

    def interrupted() -> None:
        with worker() as executor:
            executor.submit(work, 1)
            begun.wait()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert ended == [1]


def test_gaps_are_what_lies_between_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([10.0, 11.0, 14.0, 15.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(times))
    spans = Spans()
    assert spans.gaps == 0
    with spans.span():
        pass
    assert spans.gaps == 0
    with spans.span():
        pass
    assert spans.gaps == pytest.approx(0.6)
