"""What a clip is, as one page to look at, keep and print: HTML with a drawing, nothing loaded, nothing that runs.

Rules of this file: every text from outside is escaped; the page holds no script and names no other file, so that it
says the same everywhere and for ever.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final

from agent.clock import WallTime, rfc3339
from agent.evidence.statement import Manifest, PartFacts
from agent.opening.coverage import Kind, coverage
from agent.opening.drawing import draw_timeline
from agent.opening.plain import printable
from agent.opening.words import Opened, rows_about, store_told

_STYLE: Final = """
:root{--ink:#16212b;--soft:#5a6772;--line:#d5dbe0;--good:#1c6b43;--bad:#a3201d;--pictures:#2f6fa7;--gap:#f0c9a0}
*{box-sizing:border-box}
body{font:15px/1.45 system-ui,-apple-system,"Segoe UI",Roboto,"Liberation Sans",sans-serif;color:var(--ink);margin:0;
background:#f3f5f7}
main{max-width:60rem;margin:2rem auto;padding:2.2rem 2.6rem;background:#fff;border:1px solid var(--line)}
h1{font-size:1.5rem;margin:0 0 .2rem;line-height:1.25}h2{font-size:1.02rem;margin:2rem 0 .6rem}
.sub{color:var(--soft);margin:0 0 1.4rem}
.verdict{border-left:.4rem solid var(--good);background:#eef6f1;padding:.75rem 1rem;margin:0}
.verdict.no{border-color:var(--bad);background:#fbefee}.verdict b{color:var(--good)}.verdict.no b{color:var(--bad)}
.verdict ul{margin:.4rem 0 0;padding-left:1.2rem}
table{border-collapse:collapse;width:100%}td,th{text-align:left;vertical-align:top;padding:.34rem .8rem .34rem 0;
border-bottom:1px solid var(--line);overflow-wrap:anywhere}th{color:var(--soft);font-weight:500;white-space:nowrap}
.facts th{width:8.5rem}.parts{font-size:.86rem}.parts .n{text-align:right}.parts .t{white-space:nowrap}
code{font:.82em/1.4 ui-monospace,SFMono-Regular,Consolas,"Liberation Mono",monospace;color:var(--soft)}
svg{width:100%;height:auto;display:block}svg text{font-size:15px;fill:var(--soft)}svg .scale{stroke:var(--soft)}
.pictures{fill:var(--pictures)}.gap{fill:var(--gap)}rect.gap:not(pattern rect){fill:url(#hatch);stroke:#b8702a}
.stroke{stroke:#b8702a;stroke-width:3}.unexplained{fill:#fff;stroke:var(--bad);stroke-width:3}.nothing{fill:#e8ecef}
.key{display:flex;gap:1.6rem;flex-wrap:wrap;font-size:.86rem;color:var(--soft);margin:.2rem 0 0;
padding:0;list-style:none}
.key i{display:inline-block;width:1rem;height:.75rem;margin-right:.4rem;vertical-align:-1px}
footer{margin-top:2rem;font-size:.82rem;color:var(--soft)}
@media print{@page{margin:16mm}body{background:#fff;font-size:11px}main{border:0;margin:0;padding:0;max-width:none}
*{-webkit-print-color-adjust:exact;print-color-adjust:exact}tr,svg,.verdict{break-inside:avoid}}
"""
_KEY: Final = (
    '<ul class="key"><li><i style="background:var(--pictures)"></i>pictures</li>'
    '<li><i style="background:repeating-linear-gradient(45deg,#f0c9a0 0 3px,#b8702a 3px 5px)"></i>'
    "no pictures, explained</li>"
    '<li><i style="border:2px solid var(--bad)"></i>no pictures, unexplained</li>'
    '<li><i style="background:#e8ecef"></i>asked for, not granted or not delivered</li></ul>'
)


def report_page(opened: Opened, now: WallTime) -> str:
    """Draw the page about a clip that was opened."""
    whole = (
        "all of its parts" if opened.is_whole_clip else f"{len(opened.parts)} of its {len(opened.manifest.parts)} parts"
    )
    checks = [
        f"The statement about this clip is signed by hub {opened.manifest.hub}, by the key on your list.",
        f"{whole[0].upper()}{whole[1:]} are here, in order, byte for byte what the hub signed, and were opened.",
        f"The store {store_told(opened.store, is_whole=opened.is_whole_clip)}.",
    ]
    checks += [f"{name} lies beside them: the hub did not sign it." for name in opened.strays]
    unexplained = [span for span in opened.coverage if span.kind is Kind.UNEXPLAINED]
    checks += [f"No pictures, and no reason given, from {span.start} to {span.end}." for span in unexplained]
    videos = [(f"Video {number}" if len(opened.videos) > 1 else "Video", video.file, f"SHA-256 {video.sha256}")
              for number, video in enumerate(opened.videos, 1)]  # fmt: skip
    return _page(opened.manifest, _verdict(checks, is_true=True), videos, opened.signer, now, opened)


def refusal_page(manifest: Manifest, faults: Sequence[str], now: WallTime) -> str:
    """Draw the page about a clip that is not what its hub signed; no video was written."""
    return _page(manifest, _verdict(faults, is_true=False), [], "", now, None)


def _page(
    manifest: Manifest,
    verdict: str,
    videos: Sequence[tuple[str, str, str]],
    signer: str,
    now: WallTime,
    opened: Opened | None,
) -> str:
    title = _text(f"Incident {manifest.incident.id}, {manifest.camera.name}")
    facts = "".join(f"<tr><th>{label}</th><td>{_text(text)}</td></tr>" for label, text in rows_about(manifest))
    facts += "".join(
        f"<tr><th>{label}</th><td>{_text(file)}<br><code>{_text(digest)}</code></td></tr>"
        for label, file, digest in videos
    )
    drawing = draw_timeline(manifest, coverage(manifest))
    stored = {word.part: word.stored_at for word in opened.store} if opened else {}
    rows = "".join(_part_row(part, stored.get(part.name, "")) for part in manifest.parts)
    signed = f" Signed by <code>{_text(signer)}</code>." if signer else ""
    audit = f"The hub's audit log had {manifest.audit.size} entries then, root <code>{manifest.audit.root}</code>."
    command = f"Command {_text(manifest.command.id)}, SHA-256 <code>{manifest.command.sha256}</code>."
    made = _text(f"Made by transom {manifest.software}, policy version {manifest.policy.version}.")
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<style>{_STYLE}</style></head><body><main><h1>{title}</h1>"
        f'<p class="sub">{_text(manifest.incident.type)}, reported {_text(manifest.incident.reported_at)}</p>'
        f"{verdict}<h2>The time that was asked for (UTC)</h2>{drawing}{_KEY}"
        f'<h2>What this is</h2><table class="facts">{facts}</table>'
        '<h2>Sealed parts</h2><table class="parts"><tr><th>Part</th><th>From (UTC)</th><th>To</th>'
        f'<th class="n">Pictures</th><th class="n">Copied</th><th class="n">Re-encoded</th>'
        f"<th>At the store since</th></tr>{rows}</table>"
        f"<footer><p>{command} {audit}{signed} {made}</p>"
        f"<p>Checked at {rfc3339(now)} by the clock of this computer.</p></footer></main></body></html>\n"
    )


def _verdict(lines: Sequence[str], *, is_true: bool) -> str:
    head = "This is the clip that the hub made." if is_true else "This is not the clip as the hub made it."
    more = "" if is_true else " No video was written."
    items = "".join(f"<li>{_text(line)}</li>" for line in lines)
    return f'<div class="verdict{"" if is_true else " no"}"><b>{head}</b>{more}<ul>{items}</ul></div>'


def _part_row(part: PartFacts, stored_at: str) -> str:
    numbers = "".join(f'<td class="n">{count}</td>' for count in (part.pictures, part.copied, part.reencoded))
    times = "".join(f'<td class="t">{_text(text[11:23])}</td>' for text in (part.first_picture, part.last_picture))
    name = f"<td>{_text(part.name)}<br><code>{part.sha256}</code></td>"
    return (
        f'<tr>{name}{times}{numbers}<td class="t">{_text(stored_at[:19].replace("T", " ")) or "not checked"}</td></tr>'
    )


def _text(text: str) -> str:
    return escape(printable(text))
