"""Lists of 100 rows by the API at 1,000,000 attempts, asked for 100 times a second, whether or not answers come.

    python bench/steady.py [--size 1000000] [--rate 100] [--seconds 20] [--rounds 5]

Two web processes, as in the Procfile. A request's time counts from the moment it was due, so that one slow answer
shows in all that it held up; the questions go round the lists of attempts, of sessions, and older pages of both.
"""

import argparse
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle

import requests
from lists import fill, prepare
from requests.adapters import HTTPAdapter
from scratch import django_on_scratch, machine, served, table

THREADS = 50
PATHS = ("attempts", "sessions", "attempts?last_id={middle}", "sessions?last_id={middle}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=1_000_000)
    parser.add_argument("--rate", type=int, default=100)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    django_on_scratch("steady")
    key, workflows = prepare()
    fill(options.size, workflows)
    with served(processes=2) as address:
        asked(address, key, options, seconds=3)  # everything is imported, connections are made
        rounds = [asked(address, key, options, options.seconds) for _ in range(options.rounds)]
    halves = [statistics.quantiles(spent, n=100) for spent in rounds]
    print(machine())
    print(
        table(
            [
                (f"lists at {options.rate} requests a second, p50", milliseconds(halves, 49), "10 ms", ""),
                ("  p99", milliseconds(halves, 98), "60 ms", "250 ms"),
            ]
        )
    )


def asked(address: str, key: str, options: argparse.Namespace, seconds: int) -> list[float]:
    """Seconds from when each request was due to the last byte of its answer."""
    client = requests.Session()
    client.headers["Authorization"] = f"TD1 {key}"
    client.mount("http://", HTTPAdapter(pool_maxsize=THREADS))
    paths = cycle(path.format(middle=options.size // 2) for path in PATHS)
    began = time.perf_counter()

    def ask(number: int, path: str) -> float:
        due = began + number / options.rate
        time.sleep(max(due - time.perf_counter(), 0))
        answer = client.get(f"{address}/api/{path}", timeout=60)
        assert answer.status_code == 200, answer.text[:300]
        return time.perf_counter() - due

    with ThreadPoolExecutor(THREADS) as pool:
        waiting = [pool.submit(ask, number, next(paths)) for number in range(seconds * options.rate)]
        return [answer.result() for answer in waiting]


def milliseconds(rounds: list[list[float]], percentile: int) -> str:
    return f"{statistics.median(quantiles[percentile] for quantiles in rounds) * 1000:.0f} ms"


if __name__ == "__main__":
    main()
