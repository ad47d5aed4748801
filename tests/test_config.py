"""The configuration file: a person's mistakes are named, and nothing else happens."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.config import CONFIG_BYTES_MAX, Config, load, parse
from agent.deliver.cap import Caps
from agent.errors import ConfigurationError

LEAST = "data_dir: /d\nidentity_dir: /i\nkey_dir: /k\n"


def parsed(more: str = "") -> Config:
    """Parse the least configuration and some more."""
    return parse((LEAST + more).encode(), "hub.yaml")


def test_everything_but_the_folders_has_a_default() -> None:
    """The least configuration is three lines."""
    config = parsed()
    assert config == Config(Path("/d"), Path("/i"), Path("/k"))
    assert config.clock == "synchronised"
    assert not config.cameras.sound
    assert config.ring.settings().bytes_max == 16 * 1024**3


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("data_dri: /x\n", "did you mean `data_dir`"),
        ("ring: {size_mb: 100}\n", "did you mean `size_mib`"),
        ("clips: {parts: 4}\n", "did you mean `part_s`"),
        ("cameras: {login: {usr: a, password_file: /p}}\n", "did you mean `user`"),
        ("zzzzzzzzzzzz: 1\n", "unknown field `zzzzzzzzzzzz`"),
    ],
)
def test_an_unknown_key_is_answered_with_the_nearest_one(line: str, said: str) -> None:
    """A typing mistake is an error that names what was probably meant."""
    with pytest.raises(ConfigurationError, match=said):
        parsed(line)


@pytest.mark.parametrize(
    "line",
    [
        "ring: {size_mib: 1}\n",
        "ring: {size_mib: '100'}\n",
        "ring: {commit_ms: 5}\n",
        "clips: {give_up_h: 0}\n",
        "clock: trust_me\n",
        "log_level: loud\n",
        "cameras: {search_s: .nan}\n",
        "cameras: {search_every_s: .inf}\n",
        "bridge_socket: 5\n",
        "bridge_socket: ''\n",
        "cameras: [1]\n",
        "cameras: {sound: loud}\n",
    ],
)
def test_a_value_outside_its_limits_is_refused(line: str) -> None:
    """Each setting has a type and limits; the error says which setting it is about."""
    name = line.replace("{", "").split(":")[0]
    with pytest.raises(ConfigurationError, match=rf"hub\.yaml: .*\$\.{name}"):
        parsed(line)


def test_numbers_that_do_not_fit_together_are_refused() -> None:
    """Each is within its limits, but the ring cannot be built of them."""
    with pytest.raises(ConfigurationError):
        parsed("ring: {size_mib: 64, slab_mib: 64}\n").ring.settings()


@pytest.mark.parametrize("keys", ["/d", "/d/keys", "/d/../d/keys", "/e/../d"])
def test_keys_do_not_lie_beside_what_they_encrypt(keys: str) -> None:
    """A stolen data disk must not open itself, however the path is written."""
    with pytest.raises(ConfigurationError, match="key_dir lies inside data_dir"):
        parse(f"data_dir: /d\nidentity_dir: /i\nkey_dir: {keys}\n".encode(), "hub.yaml")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """The person is told which file, and by what option it is given."""
    with pytest.raises(ConfigurationError, match=r"hub\.yaml.*--config"):
        load(tmp_path / "hub.yaml")
    (tmp_path / "hub.yaml").write_text(LEAST)
    assert load(tmp_path / "hub.yaml") == parsed()


def test_a_huge_file_is_not_parsed() -> None:
    """Somebody has given the wrong file."""
    with pytest.raises(ConfigurationError, match="more than"):
        parse(b"#" * (CONFIG_BYTES_MAX + 1), "hub.yaml")


def test_caps_of_uploads_are_read_whole() -> None:
    """Absolute, as a share, and by hours in a zone that must be known."""
    night = '{from: "22:00", to: "06:00"}'
    more = f"upload: {{kbit_s_max: 500, uplink_share: 0.5, zone: Europe/Berlin, hours: [{night}]}}\n"
    caps = parsed(more).upload.caps()
    assert (caps.kbit_s_max, caps.uplink_share, caps.hours[0].kbit_s_max) == (500, 0.5, None)
    assert parsed("").upload.caps() == Caps()


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ("kbit_s_max: 63", "64"),
        ("uplink_share: 0", r"0\.05"),
        ("uplink_share: 1.1", "1"),
        ("at_once: 17", "16"),
        ("kbit_max: 100", "did you mean `kbit_s_max`"),
        ('hours: [{from: "22:00", to: "06:00"}]', "time zone"),
        ('zone: Mars/Base, hours: [{from: "22:00", to: "06:00"}]', "time zone"),
        ('zone: UTC, hours: [{from: "08:00", to: "08:00"}]', "are none"),
        ("urgent_types: [Alarm]", "regex"),
    ],
)
def test_caps_that_are_none_are_told(more: str, why: str) -> None:
    """Before the hub starts with them."""
    with pytest.raises(ConfigurationError, match=why):
        parsed(f"upload: {{{more}}}\n")


def test_passwords_are_read_from_their_own_file(tmp_path: Path) -> None:
    """The password is the file's only line, and is in no text made of it."""
    file = tmp_path / "password"
    more = f"cameras: {{login: {{user: transom, password_file: {file}}}}}\n"
    login = parsed(more).cameras.login
    assert login is not None
    with pytest.raises(ConfigurationError, match="password file"):
        login.read()
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match="password file"):
        login.read()
    file.write_text("hunter2 \r\n")
    read = login.read()
    assert (read.user, read.password.reveal()) == ("transom", b"hunter2 ")
    assert "hunter2" not in repr(read)


HOSTILE = [
    b"",
    b"\xff\xfe\x00",
    b"- a\n- b\n",
    b"!!python/object/apply:os.system [id]",
    b"[" * 20_000,
    b"{? {a: b}: c}",
    b"a: &a [*a]\n",
    b"data_dir: !!binary AAAA\n",
    b"x: 2026-99-99\n",
    b"x: " + b"9" * 5000,
    b'data_dir: "/d\\0"\nidentity_dir: /i\nkey_dir: /k\n',
    b'data_dir: /d\nidentity_dir: /i\nkey_dir: "\\0"\n',
    b"? !!omap [a: 1]\n: 1",
    b"=: 1",
    b"%YAML 9.9\n---\na: 1",
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_what_is_no_configuration_is_an_error_for_a_person(text: bytes) -> None:
    """No file, however broken, raises anything else."""
    with pytest.raises(ConfigurationError, match=r"^hub\.yaml: "):
        parse(text, "hub.yaml")


@settings(max_examples=150)
@given(st.one_of(st.binary(max_size=200), st.text("abdinort_ :-[]{}!&*?|>%@`'\"#\n,=~0159.T", max_size=80)))
def test_any_text_is_a_configuration_or_an_error_for_a_person(text: bytes | str) -> None:
    """Fuzzed files do not break the hub."""
    whole = text if isinstance(text, bytes) else (LEAST + text).encode()
    try:
        assert parse(whole, "hub.yaml").data_dir == Path("/d")
    except ConfigurationError as error:
        assert str(error)  # noqa: PT017 - either of the two is right
