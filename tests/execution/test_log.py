"""The log of an attempt on its way to rows."""

from scheduler.execution.log import AttemptLog


def text_of(log: AttemptLog) -> str:
    log.begin(0)
    return "".join(text for _, text in log.waiting())


def test_a_character_cut_between_two_pieces_is_whole() -> None:
    log = AttemptLog(limit=100)

    for byte in "é漢😀".encode():
        log.write(bytes([byte]))

    assert text_of(log) == "é漢😀"


def test_bytes_that_are_no_text_are_replaced_and_nul_is_removed() -> None:
    log = AttemptLog(limit=100)

    log.write(b"a\xff\0b\xe6")

    assert text_of(log) == "a\ufffdb\ufffd"


def test_beyond_the_limit_one_line_says_so() -> None:
    log = AttemptLog(limit=10)

    for _ in range(5):
        log.write(b"1234567")

    assert text_of(log) == "1234567123\n[The log ends here: 10 bytes is the most.]\n"


def test_an_earlier_delivery_counts() -> None:
    log = AttemptLog(limit=10, written=8)

    log.write(b"abcd")

    assert text_of(log).startswith("ab\n[")


def test_each_task_has_its_own_rows() -> None:
    log = AttemptLog(limit=100)

    for position in (1, 2):
        log.begin(position)
        log.write(b"a")
        log.write(b"b")

    assert log.waiting() == [(1, "ab"), (2, "ab")]
