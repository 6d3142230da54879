"""The log of an attempt on its way to rows."""

from scheduler.execution.log import AttemptLog


def written(log: AttemptLog, *pieces: bytes) -> str:
    """What the log holds once a task has written these pieces."""
    task = log.of(0)
    for piece in pieces:
        task.write(piece)
    task.close()
    return "".join(text for _, text in log.waiting())


def test_a_character_cut_between_two_pieces_is_whole() -> None:
    log = AttemptLog(limit=100)

    text = written(log, *(bytes([byte]) for byte in "é漢😀".encode()))

    assert text == "é漢😀"


def test_bytes_that_are_no_text_are_replaced_and_nul_is_removed() -> None:
    log = AttemptLog(limit=100)

    assert written(log, b"a\xff\0b\xe6") == "a\ufffdb\ufffd"


def test_beyond_the_limit_one_line_says_so() -> None:
    log = AttemptLog(limit=10)

    assert written(log, *[b"1234567"] * 5) == "1234567123\n[The log ends here: 10 bytes is the most.]\n"


def test_an_earlier_delivery_counts() -> None:
    log = AttemptLog(limit=10, written=8)

    assert written(log, b"abcd").startswith("ab\n[")


def test_each_task_has_its_own_rows() -> None:
    log = AttemptLog(limit=100)

    for position in (1, 2):
        log.of(position).write(b"a")
        log.of(position).write(b"b")

    assert log.waiting() == [(1, "ab"), (2, "ab")]


def test_what_is_written_while_the_rest_is_stored_stays() -> None:
    log = AttemptLog(limit=100)
    log.of(1).write(b"stored")
    log.waiting()
    log.of(2).write("später".encode())

    log.written()

    assert log.waiting() == [(2, "später")]
    assert log.waiting_bytes > 0
