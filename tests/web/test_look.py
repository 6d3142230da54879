"""What holds for the looks of every page."""

import re
from pathlib import Path

import pytest
from django.conf import settings

from scheduler.models import AttemptStatus, TaskState
from scheduler.web.states import ATTEMPT_STATES, COUNT_ORDER, LOOKS, TASK_STATES

TEMPLATES = sorted((Path(settings.BASE_DIR) / "templates" / "hindcast").glob("*.html"))
STATIC = Path(settings.BASE_DIR) / "templates/static/hindcast"
STYLES = (STATIC / "states.css").read_text() + (STATIC / "hindcast.css").read_text()


def test_every_state_of_an_attempt_and_of_a_task_is_drawn() -> None:
    assert set(ATTEMPT_STATES) == set(AttemptStatus.values)
    assert set(TASK_STATES) == set(TaskState.values)
    assert {state.look for state in (*ATTEMPT_STATES.values(), *TASK_STATES.values())} <= set(LOOKS)
    assert set(COUNT_ORDER) == set(LOOKS)


@pytest.mark.parametrize("look", LOOKS)
def test_every_look_has_a_colour_and_a_shape(look: str) -> None:
    assert re.search(rf"\.is-{look} {{ --state: var\(--{look}\); --shape: url\(", STYLES)
    assert re.search(rf"--{look}: light-dark\(", STYLES)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_templates_hold_no_inline_script_or_style_and_no_other_host(path: Path) -> None:
    text = path.read_text()

    assert not re.search(r"<script(?![^>]*\bsrc=)", text)
    assert not re.search(r"\sstyle=|<style|\son[a-z]+=|javascript:", text)
    assert not re.search(r"""(?:src|href|action)=["']?(?:https?:)?//""", text)
    assert "|safe" not in text
    assert "autoescape" not in text


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_tables_have_a_caption_and_columns_a_scope(path: Path) -> None:
    text = path.read_text()

    assert text.count("<table") == text.count("<caption")
    assert not re.search(r"<th(?![^>]*scope=)[ >]", text)


def luminance(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def tokens(scheme: int) -> dict[str, str]:
    found = re.findall(r"--([a-z-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)", STYLES)
    return {name: (light, dark)[scheme] for name, light, dark in found}


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("ground", ["paper", "raised", "wash"])
@pytest.mark.parametrize("name", ["ink", "quiet", "accent", *LOOKS])
def test_text_stands_out_from_its_ground(name: str, ground: str, scheme: int) -> None:
    colours = tokens(scheme)

    assert contrast(colours[name], colours[ground]) >= 4.5


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_buttons_and_edges_stand_out(scheme: int) -> None:
    colours = tokens(scheme)

    assert contrast(colours["on-accent"], colours["accent"]) >= 4.5
    assert contrast(colours["edge"], colours["paper"]) >= 3
