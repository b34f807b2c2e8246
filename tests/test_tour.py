"""The guided tour shows every picture that the screenshot script makes, and no other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[1] / "docs"
TOUR = (DOCS / "tour.md").read_text(encoding="utf-8")
README = (DOCS.parent / "README.md").read_text(encoding="utf-8")
SCENES = set(
    re.findall(r'^@scene\("([^"]+)"\)$', (DOCS / "screenshots" / "scenes.py").read_text(), re.M)
)
FEATURES = 11
LARGEST_BYTES = 250_000


def pictures_of(text: str) -> set[str]:
    return set(re.findall(r"!\[[^\]]+\]\((?:docs/)?images/([^)]+)\)", text))


def test_every_scene_is_in_the_tour_or_the_readme() -> None:
    assert pictures_of(TOUR) == {name for name in SCENES if name.startswith("tour-")}
    assert SCENES - pictures_of(TOUR) <= pictures_of(README)


def test_every_scene_has_its_picture_and_every_picture_its_scene() -> None:
    made = {path.name for path in (DOCS / "images").glob("tour-*")}
    assert made == pictures_of(TOUR)


@pytest.mark.parametrize("name", sorted(SCENES))
def test_pictures_are_small(name: str) -> None:
    assert 10_000 < (DOCS / "images" / name).stat().st_size <= LARGEST_BYTES


def test_every_feature_has_a_section_with_a_picture() -> None:
    sections = re.split(r"^## ", TOUR, flags=re.MULTILINE)
    numbered = [text for text in sections if re.match(r"\d+\. ", text)]
    numbers = [int(text.split(".")[0]) for text in numbered]
    assert numbers == list(range(1, FEATURES + 1))
    for text in numbered:
        assert pictures_of(text), text.splitlines()[0]


def test_every_link_leads_somewhere() -> None:
    titles = re.findall(r"^## (.+)$", TOUR, re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-") for title in titles}
    for path, anchor in re.findall(r"\]\((?!http)([^)#]*)#?([^)]*)\)", TOUR):
        if path:
            assert (DOCS / path).exists(), path
        else:
            assert anchor in anchors, anchor
