"""Profiles: the named ones say what is known of their models, and none can be half valid."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_invisp.errors import CheckpointError
from napari_invisp.flow.profiles import PROFILES, Profile


def test_the_authors_checkpoints_keep_their_habits() -> None:
    canon, nikon = PROFILES["authors-canon"], PROFILES["authors-nikon"]
    assert (canon.white, nikon.white) == (2**12 - 1, 2**14 - 1)
    for profile in (canon, nikon):
        assert (profile.black, profile.pattern) == ("none", "RGGB")
        assert (profile.demosaicing, profile.gamma) == ("bilinear", 2.2)
        assert profile.rounding == "truncate"


def test_our_own_profiles_believe_the_file() -> None:
    for name, demosaicing, gamma in (("paper", "bilinear", 2.2), ("physics", "ahd", 1.0)):
        profile = PROFILES[name]
        assert (profile.black, profile.white, profile.pattern) == ("file", "file", "file")
        assert (profile.demosaicing, profile.gamma) == (demosaicing, gamma)
        assert profile.rounding == "round"


def test_profiles_are_found_under_their_own_names() -> None:
    assert {name: profile.name for name, profile in PROFILES.items()} == {
        name: name for name in PROFILES
    }


_PROFILES = st.builds(
    Profile,
    name=st.text(min_size=1),
    demosaicing=st.sampled_from(["bilinear", "ahd", "dcb"]),
    black=st.sampled_from(["file", "none"]),
    white=st.just("file") | st.floats(1, 65535) | st.integers(1, 65535),
    pattern=st.sampled_from(["file", "RGGB"]),
    gamma=st.floats(0.1, 10),
    rounding=st.sampled_from(["round", "truncate"]),
    balance=st.sampled_from(["file", "none"]),
)


@given(_PROFILES)
def test_json_round_trip(profile: Profile) -> None:
    assert Profile.from_dict(json.loads(json.dumps(profile.to_dict()))) == profile


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", 3),
        ("demosaicing", "guess"),
        ("demosaicing", ["ahd"]),
        ("black", "camera"),
        ("white", "none"),
        ("white", 0),
        ("white", True),
        ("white", float("nan")),
        ("white", None),
        ("pattern", "XYZW"),
        ("gamma", -2.2),
        ("gamma", "2.2"),
        ("gamma", float("inf")),
        ("rounding", "up"),
        ("balance", "camera"),
    ],
)
def test_what_a_field_cannot_hold_is_named(field: str, value: Any) -> None:
    values = PROFILES["paper"].to_dict() | {field: value}
    with pytest.raises(CheckpointError, match=rf"profile field '{field}' must be .* not "):
        Profile.from_dict(values)


def test_fields_are_neither_missing_nor_unknown() -> None:
    values = PROFILES["paper"].to_dict()
    with pytest.raises(CheckpointError, match="unknown fields: colour"):
        Profile.from_dict(values | {"colour": "sRGB"})
    del values["gamma"], values["black"]
    with pytest.raises(CheckpointError, match="lacks black, gamma"):
        Profile.from_dict(values)


def test_profiles_from_before_white_balance_was_a_choice_are_balanced() -> None:
    values = PROFILES["paper"].to_dict()
    del values["balance"]
    assert Profile.from_dict(values) == PROFILES["paper"]


@pytest.mark.parametrize("values", [None, [], "paper", 3])
def test_only_an_object_is_a_profile(values: Any) -> None:
    with pytest.raises(CheckpointError, match="JSON object"):
        Profile.from_dict(values)


def test_profiles_do_not_change() -> None:
    profile = PROFILES["paper"]
    with pytest.raises(FrozenInstanceError):
        profile.gamma = 1.0  # type: ignore[misc]
    assert replace(profile, gamma=1.0) != profile
