"""What `manage.py up` looks at before it starts anything."""

from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from scheduler.management.commands.up import Command

pytestmark = pytest.mark.django_db


@pytest.fixture
def manifest(settings: Settings, tmp_path: Path) -> Path:
    """Where the list of the collected files will be; nothing was collected yet."""
    collected = {"BACKEND": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"}
    settings.STORAGES = {**settings.STORAGES, "staticfiles": collected}
    settings.STATIC_ROOT = tmp_path
    settings.STATICFILES_FINDERS = ["django.contrib.staticfiles.finders.FileSystemFinder"]  # few are enough
    return tmp_path / "staticfiles.json"


def test_without_the_files_of_the_pages_it_says_how_to_collect_them(manifest: Path) -> None:
    with pytest.raises(CommandError, match="collectstatic --no-input"):
        Command().get_ready(demo=False)

    assert not manifest.exists()


def test_with_all_of_them_it_is_ready(manifest: Path) -> None:
    call_command("collectstatic", interactive=False, verbosity=0)

    Command().get_ready(demo=False)


def test_files_of_an_older_version_are_not_enough(manifest: Path, settings: Settings, tmp_path: Path) -> None:
    call_command("collectstatic", interactive=False, verbosity=0)
    newer = tmp_path / "newer"
    newer.mkdir()
    (newer / "new.css").write_text("")
    settings.STATICFILES_DIRS = [*settings.STATICFILES_DIRS, newer]

    with pytest.raises(CommandError, match="collectstatic"):
        Command().get_ready(demo=False)
