"""`make run` from a fresh clone, as a newcomer: a page, a real backfill with the printed line, Ctrl-C."""

import json
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from startup import Site


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="hindcast-smoke-"))
    site = Site(folder)
    try:
        print(f"first page after {site.start():.1f} s")
        assert "Hindcast" in site.page(), site.page()[:500]
        backfill(site)
        print(f"nothing left {site.stop():.1f} s after Ctrl-C")
        assert site.make.wait(5) in (0, 2, -signal.SIGINT), site.make.returncode
        print(f"first page after {site.start():.1f} s, the second time")
        print(f"nothing left {site.stop():.1f} s after Ctrl-C")
    finally:
        if site.make.poll() is None:
            site.stop()
        shutil.rmtree(folder)


def backfill(site: Site) -> None:
    line = printed_line(site)
    dry = curl(line)
    assert [attempt["id"] for attempt in dry["attempts"]] == ["0"] * 7, dry
    real = curl(line.replace('"dryRun": true', '"dryRun": false'))
    key = re.search(r"Authorization: (TD1 [^']+)", line)
    assert key, line
    deadline = time.monotonic() + 60
    for attempt in real["attempts"]:
        while not (now := get(f"{site.address}/api/attempts/{attempt['id']}", key[1]))["done"]:
            assert time.monotonic() < deadline, f"not done: {now}"
            time.sleep(0.1)
        assert now["success"], now
    print(f"{len(real['attempts'])} attempts are success")


def printed_line(site: Site) -> str:
    for _ in range(100):
        if found := re.search(r"^curl .*}'$", site.said, re.MULTILINE):
            return found[0]
        time.sleep(0.1)
    raise SystemExit(f"No curl line:\n{site.said}")


def curl(line: str) -> Any:
    answer = subprocess.run([*shlex.split(line), "--silent", "--fail"], capture_output=True, text=True, check=True)
    return json.loads(answer.stdout)


def get(url: str, key: str) -> Any:
    with urllib.request.urlopen(urllib.request.Request(url, headers={"Authorization": key}), timeout=10) as answer:
        return json.load(answer)


if __name__ == "__main__":
    main()
