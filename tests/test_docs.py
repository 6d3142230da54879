"""What the documents have to name, they name."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
SOURCES = {
    path: path.read_text()
    for package in ("projects", "scheduler")
    for path in sorted((ROOT / package).rglob("*.py"))
    if "migrations" not in path.parts
}
PERMISSION = re.compile(r'"((?:projects|scheduler|django_celery_beat)\.(?:add|change|delete|run|backfill)_[a-z]+)"')


def section(title: str) -> str:
    """Of the README, from its heading to the next."""
    return README.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize("permission", sorted({name for text in SOURCES.values() for name in PERMISSION.findall(text)}))
def test_the_readme_says_what_each_permission_allows(permission: str) -> None:
    assert f"`{permission}`" in section("Who may do what")
