"""A process that takes in uploads, as a web process does, and tells what came of each and what it took.

A line on standard input is JSON: the path of an upload, and the length to declare. So is a line of the answer.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

from projects import archives, uploads


def main() -> None:
    for line in sys.stdin:
        path, declared = json.loads(line)
        sys.stdout.write(json.dumps(outcome(Path(path), declared)) + "\n")
        sys.stdout.flush()


def outcome(path: Path, declared: int | None) -> dict[str, Any]:
    began = time.process_time()
    answer: dict[str, Any] = {"error": "", "message": ""}
    try:
        with path.open("rb") as stream, uploads.receive(stream, declared=declared) as upload:
            answer["kept"] = archives.keep(upload).name
            answer["files"] = sorted(upload.files)
    except Exception as error:
        answer.update(error=type(error).__name__, message=str(error))
    return answer | {"seconds": time.process_time() - began, "megabytes": peak_megabytes()}


def peak_megabytes() -> float:
    """Of this process alone; what `resource` tells counts the parent's memory before the exec."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:"))


if __name__ == "__main__":
    main()
