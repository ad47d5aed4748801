"""The owner's page over real TLS: who is let in, what a session may, and that only the owner's signature decides."""

from __future__ import annotations

import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from agent.auditor import verify_audit
from agent.clip_job import JobState
from agent.clock import SECOND_NS, WallTime, rfc3339
from agent.command.envelope import Audience
from agent.consent.policy import POLICY_TYP
from agent.crypto import canonical_json
from agent.demo.authority import Owner, seconds
from agent.evidence.note import verifier_of
from agent.owner.login import audience_of
from agent.owner.sessions import COOKIE
from agent.owner_page import REFUSED_LOGINS_PER_HOUR_MAX, PageSettings
from agent.signing import generate_signing_key, sign_statement
from tests.simulators.export_site import EVIDENCE_KEY, HUB
from tests.simulators.full_disk import full_disk
from tests.simulators.owner_site import Browser, OwnerSite, visit
from tests.vectors.command.scene import AUDIENCE, MALLORY, NOW, OWNER, WINDOW

READ_PATHS = ("/accesses", "/access?at=0", "/policy", "/log", "/log.tar", "/news", "/policy.json", "/nothing")
FILES = ("/page.js", "/keys.js", "/page.css", "/icon.svg")


# ------------------------------------------------------------------- who is let in
def test_the_owner_logs_in_by_a_signature(tmp_path: Path) -> None:
    """The first page asks for the key; after the login it is the hub's, and the login is in the audit log."""

    async def act(site: OwnerSite, browser: Browser) -> None:
        assert "This is a hub" in (await browser.get("/")).text
        let_in = await browser.post("/login", await browser.login_statement())
        assert let_in.status_code == 200
        cookie = let_in.headers["set-cookie"]
        assert cookie.startswith(f"{COOKIE}=")
        assert cookie.endswith("; Path=/; Secure; HttpOnly; SameSite=Strict")
        assert "You are asked first" in (await browser.get("/")).text
        entry = site.audit.latest(1)[0]
        assert (entry.kind, entry.detail["by"], entry.detail["outcome"]) == ("login", "127.0.0.1", "let in")
        assert entry.ref
        assert entry.ref not in cookie

    visit(tmp_path, act)


def test_whoever_is_not_logged_in_learns_that_this_is_a_hub(tmp_path: Path) -> None:
    """Every address says the same, and nothing anywhere names hub, owner, agency or cameras."""

    async def act(site: OwnerSite, browser: Browser) -> None:
        site.ask("command-77")
        seen = [await browser.get(path) for path in ("/", *READ_PATHS, *FILES, "/challenge")]
        seen += [await browser.post(path, "x") for path in ("/answer", "/policy", "/logout", "/login", "/nothing")]
        text = " ".join(one.text + str(dict(one.headers)) for one in seen)
        for secret in (
            HUB,
            OWNER.key.thumbprint()[:10],
            "pd-0042",
            "Riverside",
            "Front door",
            "Back yard",
            "command-77",
        ):
            assert str(secret) not in text
        assert {one.status_code for one in seen[1:9]} == {401}
        forms = {one.text for one in seen[1:9] if "This is a hub" in one.text}
        assert len(forms) == 1
        assert not any("set-cookie" in one.headers for one in seen)

    visit(tmp_path, act)


def test_nobody_else_is_let_in(tmp_path: Path) -> None:
    """Another key, another hub's login, another origin, nonsense: each is told what to do, and is written down."""

    async def act(site: OwnerSite, browser: Browser) -> None:
        nonce = (await browser.get("/challenge")).json()["nonce"]
        other = audience_of(Audience(AUDIENCE.hub, AUDIENCE.epoch + 1), nonce)
        refused = [
            await browser.login_statement(MALLORY),
            await browser.login_statement(origin="https://192.168.1.66:8443"),
            await browser.login_statement(nonce=nonce, audience=other),
            await browser.login_statement(exp=seconds(NOW) - 3600, iat=seconds(NOW) - 3660),
            "nonsense",
            "",
            "\u00e9" * 100,
        ]
        for statement in refused:
            answer = await browser.post("/login", statement)
            assert answer.status_code == 403
            assert "(" in answer.json()["words"]  # what to do next
        assert "This is a hub" in (await browser.get("/")).text
        assert site.kinds().count("login") == len(refused)

    visit(tmp_path, act)


def test_a_login_is_good_once(tmp_path: Path) -> None:
    """Who has recorded it is not let in by it, in time or later."""

    async def act(site: OwnerSite, browser: Browser) -> None:
        statement = await browser.login_statement()
        assert (await browser.post("/login", statement)).status_code == 200
        assert (await browser.post("/login", statement)).status_code == 403
        late = await browser.login_statement()
        site.clock.go_on(121)
        assert (await browser.post("/login", late)).status_code == 403

    visit(tmp_path, act)


def test_a_flood_of_bad_logins_does_not_fill_the_log(tmp_path: Path) -> None:
    """So many an hour are written; the next entry says how many were not, and the owner is let in all the same."""

    async def act(site: OwnerSite, browser: Browser) -> None:
        for _ in range(REFUSED_LOGINS_PER_HOUR_MAX + 30):
            assert (await browser.post("/login", "nonsense")).status_code == 403
        assert site.kinds().count("login") == REFUSED_LOGINS_PER_HOUR_MAX
        await browser.log_in()
        assert site.audit.latest(1)[0].detail["refused_before"] == 30
        site.clock.go_on(3601)
        await browser.post("/login", "nonsense")
        assert site.audit.latest(1)[0].detail["outcome"] != "let in"

    visit(tmp_path, act)


def test_a_login_that_cannot_be_written_down_lets_nobody_in(tmp_path: Path) -> None:
    """On a disk that takes nothing the page says to try again, and there is no session."""

    async def act(site: OwnerSite, browser: Browser) -> None:
        statement = await browser.login_statement()
        with full_disk():
            answer = await browser.post("/login", statement)
        assert answer.status_code == 503
        assert "Try again" in answer.json()["words"]
        assert not site.page._sessions._open

    visit(tmp_path, act)


def test_a_session_ends(tmp_path: Path) -> None:
    """When it was not used for long, when its owner logs out, when another takes its place."""

    async def act(site: OwnerSite, browser: Browser) -> None:
        await browser.log_in()
        site.clock.go_on(59)
        assert (await browser.get("/log")).status_code == 200
        site.clock.go_on(59)
        assert (await browser.get("/news")).status_code == 200  # looking for news is no use
        assert "Log out" in (await browser.get("/?by=news")).text  # nor is the page that loads itself because of some
        site.clock.go_on(2)
        assert (await browser.get("/log")).status_code == 401
        await browser.log_in()
        cookie = browser.http.cookies[COOKIE]
        assert (await browser.post("/logout", "")).status_code == 200
        assert COOKIE not in browser.http.cookies
        browser.http.cookies.set(COOKIE, cookie)
        assert (await browser.get("/log")).status_code == 401
        browser.http.cookies.clear()
        await browser.log_in()
        first = browser.http.cookies[COOKIE]
        browser.http.cookies.clear()
        await browser.log_in()
        browser.http.cookies.clear()
        browser.http.cookies.set(COOKIE, first)
        assert (await browser.get("/log")).status_code == 401

    visit(tmp_path, act, settings=PageSettings(sessions_max=1, session_s=60))


def test_sessions_end_with_their_owner(tmp_path: Path) -> None:
    """After another pairing, with another owner or the same, whoever was logged in is not any more."""

    async def act(site: OwnerSite, browser: Browser) -> None:
        for changed in ({"owner": MALLORY}, {"audience": Audience(AUDIENCE.hub, AUDIENCE.epoch + 1)}, {"owner": None}):
            await browser.log_in()
            assert (await browser.get("/log")).status_code == 200
            before = site.desk.standing
            site.desk.standing = replace(before, **changed)  # type: ignore[arg-type] # one of its fields
            assert (await browser.get("/log")).status_code == 401
            assert (await browser.post("/login", await browser.login_statement())).status_code == (
                200 if "audience" in changed else 403
            )
            site.desk.standing = before
            browser.http.cookies.clear()

    visit(tmp_path, act)


def test_other_pages_cannot_use_a_session(tmp_path: Path) -> None:
    """A name that was pointed here, another origin and another port reach nothing, though the cookie comes along."""

    async def act(site: OwnerSite, browser: Browser) -> None:
        site.ask("c1")
        await browser.log_in()
        rebound = await browser.http.get("/", headers={"Host": "evil.example"})
        assert (rebound.status_code, "127.0.0.1" in rebound.text) == (421, True)
        for origin in ("https://evil.example", "null", "https://127.0.0.1:1", ""):
            for path in ("/logout", "/answer", "/policy", "/login"):
                assert (await browser.post(path, "x", Origin=origin)).status_code == 403
        assert (await browser.post("/logout", "", Sec_Fetch_Site="cross-site")).status_code == 403
        assert (await browser.get("/log")).status_code == 200
        assert site.state("c1") is JobState.AWAITING_OWNER

    visit(tmp_path, act)


def test_every_page_forbids_what_it_does_not_need(tmp_path: Path) -> None:
    """No script but our own, no frame, no cache, no referrer, on every answer."""

    async def act(_: OwnerSite, browser: Browser) -> None:
        await browser.log_in()
        for path in ("/", "/log", "/page.js", "/challenge", "/nothing"):
            headers = (await browser.get(path)).headers
            policy = headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert "frame-ancestors 'none'" in policy
            assert headers["cache-control"] == "no-store"
            assert headers["x-content-type-options"] == "nosniff"
            assert "strict-transport-security" not in headers

    visit(tmp_path, act)


# ----------------------------------------------------------------- what they decide
def test_a_session_alone_decides_nothing(tmp_path: Path) -> None:
    """An answer and a policy need the owner's own signature, whoever is logged in; a refused one is in the log."""

    async def act(site: OwnerSite, browser: Browser) -> None:
        digest = site.ask("c1")
        await browser.log_in()
        stranger = Owner(HUB, MALLORY)
        forged = stranger.answer(site.clock.now(), digest, "yes")
        old = OWNER.answer(WallTime(site.clock.now() - 2 * 3600 * SECOND_NS), digest, "yes")
        for token in (forged, old, "nonsense", ""):
            answer = await browser.post("/answer", token)
            assert answer.status_code in {400, 403}
            assert answer.json()["words"]
        for policy in (stranger.policy(NOW, 9, mode="opt_in"), "nonsense", OWNER.policy(NOW, 1)):
            assert (await browser.post("/policy", policy)).status_code == 403
        assert site.state("c1") is JobState.AWAITING_OWNER
        assert site.asking.said("c1") is None
        assert site.kinds().count("answer_refused") == 2
        assert site.desk.standing.policy is not None
        assert site.desk.standing.policy.version == 1

    visit(tmp_path, act)


def test_a_signed_answer_needs_a_session_too(tmp_path: Path) -> None:
    """From whoever is not logged in the page takes nothing; the broker is there for that."""

    async def act(site: OwnerSite, browser: Browser) -> None:
        token = OWNER.answer(site.clock.now(), site.ask("c1"), "yes")
        assert (await browser.post("/answer", token)).status_code == 401
        assert site.asking.said("c1") is None

    visit(tmp_path, act)


def test_the_owners_answer_goes_the_way_of_all_answers(tmp_path: Path) -> None:
    """It is written down and stored as one that came by the broker; the question is gone; a second one is told so."""

    async def act(site: OwnerSite, browser: Browser) -> None:
        digest = site.ask("c1")
        await browser.log_in()
        page = (await browser.get("/")).text
        assert "A question waits for you" in page
        for told in (
            digest,
            "officer:1",
            "Riverside Police (pd-0042)",
            "Glass break alarm",
            "Front door (front)",
            "vault",
        ):
            assert told in page
        half = {"start": rfc3339(WINDOW.start), "end": rfc3339(WallTime(WINDOW.start + SECOND_NS))}
        token = OWNER.answer(site.clock.now(), digest, "yes", cameras=["front"], window=half)
        before = (await browser.get("/news")).json()
        assert (await browser.post("/answer", token)).status_code == 200
        said = site.asking.said("c1")
        assert said is not None
        assert (said.decision, said.cameras) == ("yes", ("front",))
        assert site.kinds()[-1] == "owner_answered"
        assert "A question waits" not in (await browser.get("/")).text
        assert (await browser.get("/news")).json() != before
        second = OWNER.answer(site.clock.now(), digest, "yes")
        assert (await browser.post("/answer", second)).status_code == 403

    visit(tmp_path, act)


def test_what_is_being_sent_can_be_stopped(tmp_path: Path) -> None:
    """The access has a button for it while it runs, and a no takes the yes back."""

    async def act(site: OwnerSite, browser: Browser) -> None:
        digest = site.ask("c1")
        site.grant("c1")
        await browser.log_in()
        place = next(one.place for one in site.reading._log.page(None, 0).entries if one.entry.kind == "command")
        assert "Stop it now" in (await browser.get(f"/access?at={place}")).text
        assert (await browser.post("/answer", OWNER.answer(site.clock.now(), digest, "no"))).status_code == 200
        assert "c1" in site.asking.taken_back

    visit(tmp_path, act)


def test_sharing_is_paused_and_resumed_by_the_owners_own_policy(tmp_path: Path) -> None:
    """The page gives the claims to change and sign; everything but the mode stays as the owner had it."""

    async def act(site: OwnerSite, browser: Browser) -> None:
        await browser.log_in()
        for mode, button in (("sharing_off", "Share again, but ask me first"), ("ask_first", "Pause sharing")):
            claims = (await browser.get("/policy.json")).json()["claims"]
            changed = {**claims, "mode": mode, "version": claims["version"] + 1, "iat": seconds(site.clock.now())}
            token = sign_statement(canonical_json(changed), OWNER.key, POLICY_TYP)
            assert (await browser.post("/policy", token)).status_code == 200
            assert button in (await browser.get("/")).text
            after = (await browser.get("/policy.json")).json()["claims"]
            assert {**after, "mode": 0, "version": 0, "iat": 0} == {**claims, "mode": 0, "version": 0, "iat": 0}
            site.clock.go_on(1)
        assert site.kinds().count("policy") == 3
        again = await browser.post("/policy", token)
        assert again.status_code == 403

    visit(tmp_path, act)


def test_both_kinds_of_keys_log_in(tmp_path: Path) -> None:
    """An owner whose key is on P-256 is let in too."""
    key = generate_signing_key("P-256")

    async def act(_: OwnerSite, browser: Browser) -> None:
        assert (await browser.post("/login", await browser.login_statement(key))).status_code == 200

    visit(tmp_path, act, owner=key)


# -------------------------------------------------------------------- what they see
def test_the_log_is_downloaded_and_checked_elsewhere(tmp_path: Path) -> None:
    """The page shows size, root and checkpoint; the copy is intact by the hub's key, and has the login in it."""

    async def act(site: OwnerSite, browser: Browser) -> None:
        await browser.log_in()
        size, root = site.audit.head()
        page = (await browser.get("/log")).text
        assert f"{size} entries" in page
        assert root in page
        got = await browser.get("/log.tar")
        assert got.headers["content-type"] == "application/x-tar"
        with tarfile.open(fileobj=io.BytesIO(got.content)) as archive:
            archive.extractall(tmp_path / "copy", filter="data")
        verdict = verify_audit(tmp_path / "copy" / "audit", str(verifier_of(HUB, EVIDENCE_KEY)), [])
        assert (verdict.is_intact, verdict.entries) == (True, size)

    visit(tmp_path, act)


def test_a_log_that_cannot_be_signed_now_is_told_and_not_begun(tmp_path: Path) -> None:
    """The disk takes nothing: the owner is told to try again, and no download breaks off."""

    async def act(_: OwnerSite, browser: Browser) -> None:
        await browser.log_in()
        with full_disk():
            answer = await browser.get("/log.tar")
        assert answer.status_code == 503
        assert "Try again in a minute" in answer.text

    visit(tmp_path, act)


@pytest.mark.parametrize("query", ["before=-1", "before=1", "before=9999999999999", "before=x", f"before={'9' * 60}"])
def test_a_place_that_is_none_is_told(tmp_path: Path, query: str) -> None:
    """What nobody's link says leads to a page that says where to go."""

    async def act(_: OwnerSite, browser: Browser) -> None:
        await browser.log_in()
        for path in (f"/log?{query}", f"/accesses?{query}", f"/access?{query.replace('before', 'at')}"):
            answer = await browser.get(path)
            assert answer.status_code == 404
            assert "To the first page" in answer.text

    visit(tmp_path, act)


def test_no_page_holds_a_key_or_a_token(tmp_path: Path) -> None:
    """The upload's token and address stay in the journal, and no picture is on any page."""

    async def act(site: OwnerSite, browser: Browser) -> None:
        site.ask("c1")
        await browser.log_in()
        for path in ("/", "/accesses", "/access?at=0", "/policy", "/log"):
            page = (await browser.get(path)).text
            assert "fixed-token" not in page
            assert "evidence.example" not in page
            assert "<img" not in page
            assert "<video" not in page

    visit(tmp_path, act)


def test_news_is_json(tmp_path: Path) -> None:
    """The script asks for little, and gets little."""

    async def act(_: OwnerSite, browser: Browser) -> None:
        await browser.log_in()
        answer = await browser.get("/news")
        assert list(json.loads(answer.text)) == ["news"]

    visit(tmp_path, act)
