"""The answers to cameras' login challenges, against the examples of the RFCs."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.acquire.camera import Login
from agent.acquire.digest import Authenticator, choose, parse_challenges
from agent.crypto import Secret
from agent.errors import ConfigurationError

RFC7616_CNONCE = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
RFC7616_NONCE = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
RFC7616_REST = (
    f'realm="http-auth@example.org", qop="auth, auth-int", nonce="{RFC7616_NONCE}", '
    'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
)
MUFASA = Login("Mufasa", Secret("Circle of Life"))


def test_rfc7616_example_with_both_algorithms_is_answered_with_sha256() -> None:
    """RFC 7616 section 3.9.1: the camera offers MD5 and SHA-256, the answer is the RFC's."""
    authenticator = Authenticator(MUFASA)
    assert authenticator.challenged(
        [f"Digest {RFC7616_REST}, algorithm=MD5", f"Digest {RFC7616_REST}, algorithm=SHA-256"]
    )
    answer = authenticator.authorization("GET", "/dir/index.html", RFC7616_CNONCE)
    assert answer is not None
    assert 'response="753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"' in answer
    assert "algorithm=SHA-256" in answer
    assert "nc=00000001" in answer


def test_rfc7616_example_with_md5() -> None:
    """RFC 7616 section 3.9.1: the MD5 half of the example."""
    authenticator = Authenticator(MUFASA)
    assert authenticator.challenged([f"Digest {RFC7616_REST}, algorithm=MD5"])
    answer = authenticator.authorization("GET", "/dir/index.html", RFC7616_CNONCE)
    assert answer is not None
    assert 'response="8ca523f5e9506fed4657c9700eebdbec"' in answer


def test_rfc7616_example_with_a_hashed_user_of_another_algorithm_is_not_answered() -> None:
    """RFC 7616 section 3.9.2: SHA-512-256 alone, which no camera offers, is refused without sending anything."""
    authenticator = Authenticator(Login("J\u00e4s\u00f8n Doe", Secret("Secret, or not?")))
    challenge = (
        'Digest realm="api@example.org", qop="auth", algorithm=SHA-512-256, '
        'nonce="5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK", '
        'opaque="HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS", charset=UTF-8, userhash=true'
    )
    assert not authenticator.challenged([challenge])
    assert authenticator.authorization("GET", "/doe.json", "c") is None


@pytest.mark.parametrize(("algorithm", "name"), [("SHA-256", "sha256"), ("MD5", "md5")])
def test_user_is_hashed_where_the_camera_asks_for_it(algorithm: str, name: str) -> None:
    """RFC 7616 section 3.4.4, with the user and realm of its example: the name in UTF-8 crosses no network."""
    authenticator = Authenticator(Login("J\u00e4s\u00f8n Doe", Secret("Secret, or not?")))
    assert authenticator.challenged(
        [f'Digest realm="api@example.org", nonce="n", qop="auth", algorithm={algorithm}, charset=UTF-8, userhash=true']
    )
    answer = authenticator.authorization("GET", "/doe.json", "c") or ""

    def hashed(text: str) -> str:
        return hashlib.new(name, text.encode()).hexdigest()

    a1, a2 = hashed("J\u00e4s\u00f8n Doe:api@example.org:Secret, or not?"), hashed("GET:/doe.json")
    user = hashed("J\u00e4s\u00f8n Doe:api@example.org")
    assert f'username="{user}"' in answer
    assert f'response="{hashed(f"{a1}:n:00000001:c:auth:{a2}")}"' in answer
    assert "userhash=true" in answer


@pytest.mark.parametrize("said", ["", ", userhash=false"])
def test_user_is_not_hashed_otherwise(said: str) -> None:
    """A camera that knows nothing of it gets the plain name, and no word about hashing."""
    authenticator = Authenticator(MUFASA)
    assert authenticator.challenged([f'Digest realm="r", nonce="n", algorithm=MD5{said}'])
    answer = authenticator.authorization("GET", "/", "c") or ""
    assert 'username="Mufasa"' in answer
    assert "userhash" not in answer


def test_rfc2617_example() -> None:
    """RFC 2617 section 3.5: no algorithm named means MD5."""
    authenticator = Authenticator(Login("Mufasa", Secret("Circle Of Life")))
    challenge = (
        'Digest realm="testrealm@host.com", qop="auth,auth-int", '
        'nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc069c403ebaf9f0171e9517f40e41"'
    )
    assert authenticator.challenged([challenge])
    answer = authenticator.authorization("GET", "/dir/index.html", "0a4f113b")
    assert answer is not None
    assert 'response="6629fae49393a05397450978507c4ef1"' in answer
    assert 'opaque="5ccc069c403ebaf9f0171e9517f40e41"' in answer


def test_legacy_challenge_without_qop_gets_the_short_answer() -> None:
    """RFC 2069: the old response has neither nc nor cnonce (value from RFC 2069's corrected example)."""
    authenticator = Authenticator(Login("Mufasa", Secret("CircleOfLife")))
    assert authenticator.challenged(['Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093"'])
    answer = authenticator.authorization("GET", "/dir/index.html", "unused")
    assert answer is not None
    assert 'response="1949323746fe6a43ef61f9606e7febea"' in answer
    assert "cnonce" not in answer


@pytest.mark.parametrize(
    ("offered", "algorithm"),
    [
        (["MD5", "SHA-256"], "SHA-256"),
        (["SHA-256", "MD5"], "SHA-256"),
        (["MD5-sess", "MD5"], "MD5"),
        (["SHA-256-sess", "MD5"], "SHA-256-SESS"),
        (["SHA-512-256", "MD5-sess"], "MD5-SESS"),
    ],
)
def test_strongest_digest_wins_in_any_order(offered: list[str], algorithm: str) -> None:
    """The order in which a camera lists its algorithms does not matter, nor do unknown ones."""
    one_header = ", ".join(f'Digest realm="r", nonce="n", algorithm={name}' for name in offered)
    chosen = choose(parse_challenges(["Basic realm=x, " + one_header]))
    assert chosen is not None
    assert chosen.algorithm == algorithm


def test_session_algorithm_mixes_the_first_nonces_into_the_key() -> None:
    """RFC 7616 section 3.4.2: with -sess the second answer keeps the first cnonce in A1 and counts nc on."""
    authenticator = Authenticator(Login("u", Secret("p")))
    assert authenticator.challenged(['Digest realm="r", nonce="n", algorithm=SHA-256-sess, qop="auth"'])
    authenticator.authorization("OPTIONS", "*", "first")
    answer = authenticator.authorization("PLAY", "rtsp://c/", "second")

    def hashed(text: str) -> str:
        return hashlib.sha256(text.encode()).hexdigest()

    a1 = hashed(f"{hashed('u:r:p')}:n:first")
    assert answer is not None
    assert f'response="{hashed(f"{a1}:n:00000002:second:auth:" + hashed("PLAY:rtsp://c/"))}"' in answer


def test_basic_only_if_nothing_else() -> None:
    """Basic, which shows the password to the network, is the last choice."""
    authenticator = Authenticator(Login("Aladdin", Secret("open sesame")))
    assert authenticator.challenged(['Basic realm="WallyWorld"'])
    assert authenticator.authorization("GET", "/", "c") == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
    chosen = choose(parse_challenges(['Basic realm="x"', 'Digest realm="x", nonce="y"']))
    assert chosen is not None
    assert chosen.scheme == "digest"


def test_camera_that_spoke_digest_is_never_answered_with_basic() -> None:
    """Whoever asks for the password in the clear in mid-session is not the camera, or no better."""
    authenticator = Authenticator(MUFASA)
    assert authenticator.challenged(['Digest realm="r", nonce="1"'])
    authenticator.authorization("GET", "/", "c")
    authenticator.accepted()
    assert not authenticator.challenged(['Basic realm="r"'])
    assert authenticator.challenged(['Basic realm="r"', 'Digest realm="r", nonce="2"'])


def test_second_refusal_is_final_even_with_a_new_nonce() -> None:
    """A wrong password is tried once: cameras lock accounts."""
    authenticator = Authenticator(MUFASA)
    assert authenticator.challenged(['Digest realm="r", nonce="1"'])
    authenticator.authorization("GET", "/", "c")
    assert not authenticator.challenged(['Digest realm="r", nonce="2"'])


def test_stale_nonces_are_tried_again_but_not_for_ever() -> None:
    """A nonce the camera calls stale is worth one more try, three times in a row."""
    authenticator = Authenticator(MUFASA)
    tries = 0
    while authenticator.challenged([f'Digest realm="r", nonce="{tries}", stale=TRUE']):
        authenticator.authorization("GET", "/", "c")
        tries += 1
    assert tries == 4


def test_login_that_was_accepted_may_be_challenged_again() -> None:
    """A camera whose nonce ran out without saying stale gets a new answer, and the count begins again."""
    authenticator = Authenticator(MUFASA)
    assert authenticator.challenged(['Digest realm="r", nonce="1", qop="auth"'])
    authenticator.authorization("GET", "/", "c")
    authenticator.accepted()
    authenticator.authorization("GET", "/", "c")
    assert authenticator.challenged(['Digest realm="r", nonce="2", qop="auth"'])
    assert "nc=00000001" in (authenticator.authorization("GET", "/", "c") or "")
    assert not authenticator.challenged(['Digest realm="r", nonce="3", qop="auth"'])


def test_quotes_and_backslashes_survive_the_round_trip() -> None:
    """A realm with escaped quotes is hashed unescaped and sent back escaped, as is the user."""
    authenticator = Authenticator(Login('a"b', Secret("p")))
    assert authenticator.challenged([r'Digest realm="the \"best\" \\ cam", nonce="n"'])
    answer = authenticator.authorization("GET", "/", "c") or ""
    assert r'realm="the \"best\" \\ cam"' in answer
    assert r'username="a\"b"' in answer


def test_unquoted_realm_with_blanks_does_not_hide_the_nonce() -> None:
    """A vendor's `realm=IP Camera` without quotes still leaves a usable challenge."""
    chosen = choose(parse_challenges(["Digest realm=IP Camera, nonce=abc"]))
    assert chosen is not None
    assert chosen.parameters["nonce"] == "abc"


def test_header_with_control_characters_is_passed_over() -> None:
    """Nothing a camera says can smuggle a line into our request."""
    assert parse_challenges(['Digest realm="a\r\nX: y", nonce="n"']) == []


def test_user_with_control_characters_is_a_configuration_error() -> None:
    """Nor can the configured user."""
    with pytest.raises(ConfigurationError):
        Authenticator(Login("a\r\nb", Secret("p")))


def test_no_login_means_no_answer() -> None:
    """Without a login nothing is tried."""
    authenticator = Authenticator(None)
    assert not authenticator.challenged(['Digest realm="r", nonce="1"'])
    assert authenticator.authorization("GET", "/", "c") is None


@settings(max_examples=200)
@given(st.lists(st.text(max_size=200), max_size=4))
def test_any_challenge_is_survived(values: list[str]) -> None:
    """Whatever a camera writes, there is an answer on one line or none, never another error."""
    authenticator = Authenticator(MUFASA)
    authenticator.challenged(values)
    answer = authenticator.authorization("GET", "/", "c")
    assert answer is None or not set(answer) & set("\r\n\0")


@settings(max_examples=200)
@given(
    st.dictionaries(
        st.from_regex(r"[a-z]{1,8}", fullmatch=True), st.text(st.characters(min_codepoint=32, max_codepoint=126))
    )
)
def test_quoted_parameters_are_read_back(parameters: dict[str, str]) -> None:
    """Every parameter written as a quoted string is read as it was meant."""
    quoted = {name: value.replace("\\", "\\\\").replace('"', '\\"') for name, value in parameters.items()}
    header = "Digest " + ", ".join(f'{name}="{value}"' for name, value in quoted.items())
    assert parse_challenges([header])[0].parameters == parameters
