"""The owner's page as people meet it: a real hub, a real browser, the owner's key in a file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from agent.__main__ import main
from agent.clip_job import JobState
from agent.clock import SECOND_NS, WallTime, Window
from agent.command.statement import open_strictly
from agent.demo.owner_visit import ask_owner, owner_page
from agent.demo.site import Site
from agent.health.vitals import PageVitals
from agent.outside.keystore import Keystore
from agent.outside.page_certificate import fingerprint_of, page_certificate, page_key
from agent.signing import generate_signing_key
from tests.simulators.piloted_browser import PilotedBrowser, find_browser, piloted_browser
from tests.stories.acts import (
    SCENE,
    alarm_about,
    audit_entries,
    camera_ids,
    checked_audit,
    in_store,
    judged,
    record_for,
    statuses,
    wait_for,
)

BROWSER = find_browser()
pytestmark = pytest.mark.skipif(BROWSER is None, reason="Chromium is missing: apt-get install chromium")
ASKING = {"mode": "ask_first", "uploads_per_day_max": 1000}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Put up a site whose owner wants to be asked, with the hub's page."""
    folder = tmp_path_factory.mktemp("page") / "site"
    with Site(folder, SCENE) as made:
        made.start_cameras()
        made.start_central()
        page = {"address": "127.0.0.1", "port": 0}
        made.start_hub(owner_page=page, status_file=str(folder / "hub" / "status.json"))
        made.install()
        made.pair(**ASKING)
        yield made


@pytest.fixture(scope="module")
def page(site: Site) -> PageVitals:
    """Return where the page is."""
    return owner_page(site)


@pytest.fixture(scope="module")
def browser(site: Site, page: PageVitals, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PilotedBrowser]:
    """Open a browser that knows the certificate which the hub says it has."""
    key = page_key(Keystore(site.folder / "hub" / "keys").key_encryption_key())
    assert fingerprint_of(page_certificate(key)) == page.fingerprint
    digest = hashes.Hash(hashes.SHA256())
    digest.update(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    with piloted_browser(str(BROWSER), tmp_path_factory.mktemp("browser") / "profile", digest.finalize()) as opened:
        yield opened


def test_the_hub_says_where_its_page_is(site: Site, page: PageVitals, capsys: pytest.CaptureFixture[str]) -> None:
    """`transom owner` has the address and the fingerprint to compare."""
    assert main(["owner", "--config", str(site.config)]) == 0
    told = capsys.readouterr().out
    assert f"https://127.0.0.1:{page.port}/" in told
    assert page.fingerprint in told.replace("\n  ", "")


def test_the_owner_logs_in_and_gives_less_than_was_asked(
    site: Site, page: PageVitals, browser: PilotedBrowser, tmp_path: Path
) -> None:
    """A question comes to the page by itself; a yes to one camera and less time brings exactly that to the store."""
    browser.open(f"https://127.0.0.1:{page.port}/")
    assert "This is a hub" in browser.text()
    browser.choose_file("#key", site.owner_key)
    browser.run("document.querySelector('[data-remember]').click()")
    browser.run("document.querySelector('[data-login] [type=submit]').click()")
    browser.wait_for("document.querySelector('.sharing')")
    assert "You are asked first" in browser.text()
    alarm = alarm_about(site, "page-1", record_for(site, 3))
    browser.wait_for("document.querySelector('[data-question]')")
    front = camera_ids(site)["Front door"]
    assert "Glass break alarm at the back door" in browser.text()
    browser.run(f"document.querySelector('input[name=camera]:not([value={front}])').click()")
    for field in ("skip-start", "skip-end"):
        browser.run(
            f"(() => {{ const field = document.querySelector('[name={field}]'); field.value = '1';"
            " field.dispatchEvent(new Event('input', {bubbles: true})) })()"
        )
    assert browser.run("document.querySelector('[data-yes]').textContent") == "Yes, send only that"
    browser.run("document.querySelector('[data-yes]').click()")
    _, end = site.console.wait_end(alarm.id, 30)
    assert end.status is JobState.SUCCEEDED
    given = Window(WallTime(alarm.window.start + SECOND_NS), WallTime(alarm.window.end - SECOND_NS))
    (clip,) = judged(site, replace(alarm, window=given), tmp_path)
    assert (clip.name, clip.is_exact) == ("Front door", True)
    browser.wait_for("document.querySelector('.access.left')")
    browser.run("document.querySelector('.access.left a').click()")
    browser.wait_for("location.pathname === '/access' && document.querySelector('h1')")
    told = browser.text()
    for words in ("officer:1", "Riverside Police", f"Front door ({front})", "(1 s)", f"{clip.frames} pictures"):
        assert words in told
    assert {entry.detail["outcome"] for entry in audit_entries(site) if entry.kind == "login"} == {"let in"}


def test_no_means_no_and_a_pause_is_the_owners(site: Site, page: PageVitals, browser: PilotedBrowser) -> None:
    """A no leaves the clip on the hub; pausing and resuming sign the owner's own policy anew."""
    alarm = ask_owner(site, "page-2")
    before = site.wait_cameras().policy_version
    wait_for(lambda: statuses(site, alarm.id)[1:], 10, "the question")
    browser.open(f"https://127.0.0.1:{page.port}/")
    browser.wait_for("document.querySelector('[data-question]')")
    browser.run("document.querySelector('[data-answer] [value=no]').click()")
    browser.wait_for("!document.querySelector('[data-question]') && document.querySelector('[data-mode=sharing_off]')")
    entries = wait_for(
        lambda: [one for one in audit_entries(site, alarm.id) if one.kind == "owner_answered"], 10, "the answer"
    )
    assert entries[0].detail["says"] == "no"
    assert statuses(site, alarm.id)[-1].status is JobState.AWAITING_OWNER  # nobody learns before the deadline
    assert in_store(site, alarm.id) == set()
    browser.run("document.querySelector('[data-mode=sharing_off]').click()")
    site.console.wait_presence(lambda hub: hub.policy_version == before + 1, 10, "the pause")
    browser.wait_for("document.querySelector('[data-mode=ask_first]:enabled')")
    assert "Sharing is off" in browser.text()
    browser.run("document.querySelector('[data-mode=ask_first]').click()")
    site.console.wait_presence(lambda hub: hub.policy_version == before + 2, 10, "sharing again")
    browser.wait_for("document.querySelector('[data-mode=sharing_off]:enabled')")


def test_every_page_is_drawn_on_a_phone_and_nothing_is_complained_of(page: PageVitals, browser: PilotedBrowser) -> None:
    """At 390 pixels nothing reaches over the edge; the browser has refused nothing and no script has failed."""
    browser.resize((390, 844))
    for path in ("", "accesses", "policy", "log"):
        browser.open(f"https://127.0.0.1:{page.port}/{path}")
        assert browser.run("document.documentElement.scrollWidth <= innerWidth"), path
        unnamed = "[...document.querySelectorAll('input, button, a')].filter(one => !one.labels?.length"
        assert browser.run(f"{unnamed} && !one.textContent.trim()).length") == 0
    assert browser.complaints == []


def test_a_key_that_is_not_the_owners_is_told(page: PageVitals, browser: PilotedBrowser, tmp_path: Path) -> None:
    """After logging out, files that are no key and another's key get nobody in, and the page says what to do."""
    browser.run("document.querySelector('[data-logout]').click()")
    browser.wait_for("document.querySelector('[data-login]')")
    junk = tmp_path / "junk.jwk"
    junk.write_text('{"kty": "RSA"}')
    browser.choose_file("#key", junk)
    browser.run("document.querySelector('[data-login] [type=submit]').click()")
    browser.wait_for("document.querySelector('#notice').textContent.includes('no private key')")
    stranger = tmp_path / "stranger.jwk"
    script = (
        "crypto.subtle.generateKey({name: 'ECDSA', namedCurve: 'P-256'}, true, ['sign'])"
        ".then(pair => crypto.subtle.exportKey('jwk', pair.privateKey)).then(JSON.stringify)"
    )
    stranger.write_text(browser.run(script))
    browser.choose_file("#key", stranger)
    browser.run("document.querySelector('[data-login] [type=submit]').click()")
    browser.wait_for("document.querySelector('#notice').textContent.includes('not the key')")
    browser.open(f"https://127.0.0.1:{page.port}/log")
    assert "This is a hub" in browser.text()


def test_a_forgotten_key_is_chosen_again_for_each_signature(
    site: Site, page: PageVitals, browser: PilotedBrowser
) -> None:
    """Whoever does not let the browser remember the key is asked for its file when something is to be signed."""
    browser.open(f"https://127.0.0.1:{page.port}/")
    browser.wait_for("!document.querySelector('[data-forget]').hidden")
    browser.run("document.querySelector('[data-forget]').click()")
    browser.wait_for("document.querySelector('[data-forget]').hidden && !document.querySelector('button:disabled')")
    browser.choose_file("#key", site.owner_key)
    browser.run("document.querySelector('[data-login] [type=submit]').click()")
    browser.wait_for("document.querySelector('[data-mode=sharing_off]')")
    before = site.wait_cameras().policy_version
    browser.call("Page.setInterceptFileChooserDialog", enabled=True)
    browser.run("document.querySelector('[data-mode=sharing_off]').click()")
    browser.wait_for("document.querySelector('[data-key-asked]')")
    browser.choose_file("[data-key-asked]", site.owner_key)
    site.console.wait_presence(lambda hub: hub.policy_version == before + 1, 10, "the pause")
    assert [one.detail["mode"] for one in audit_entries(site) if one.kind == "policy"][-1] == "sharing_off"


@pytest.mark.parametrize("curve", ["Ed25519", "P-256"])
def test_a_key_of_either_kind_signs_and_cannot_be_copied(browser: PilotedBrowser, curve: str) -> None:
    """What the browser signs verifies by the public half, under the same name; the key in it gives nothing away."""
    key = generate_signing_key(curve)
    jwk = json.dumps(json.dumps(key.as_dict(private=True)))
    script = (
        f"import('/keys.js').then(keys => keys.readKey(new File([{jwk}], 'key.jwk'))"
        ".then(owner => keys.sign(owner, 'transom-login+jwt', {a: 1}).then(token => [token, owner.key.extractable])))"
    )
    token, is_extractable = browser.run(script)
    assert open_strictly(token, key, "transom-login+jwt") == b'{"a":1}'
    assert is_extractable is False


def test_all_of_it_is_on_record(site: Site) -> None:
    """After all of this the audit log verifies, with logins let in and turned away."""
    verdict = checked_audit(site)
    assert verdict.is_intact, verdict.fault
    outcomes = [str(entry.detail["outcome"]) for entry in audit_entries(site) if entry.kind == "login"]
    assert any(outcome.startswith("refused") for outcome in outcomes)
