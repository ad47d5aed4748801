"""What a clip is, on an officer's screen: a table, a bar of the window, and the verdict in colour."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from agent.opening.coverage import Kind, shares
from agent.opening.words import Opened, rows_of

BAR_CELLS = 60
_CELLS = {Kind.PICTURES: ("#", "green"), Kind.GAP: ("-", "yellow"), Kind.UNEXPLAINED: ("?", "red")}


def clip_table(opened: Opened) -> RenderableType:
    """Lay the rows out in two columns, with the bar of the window below."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for label, text in rows_of(opened):
        table.add_row(label, Text(text))
    table.add_row("Window", _bar(opened))
    table.add_row(
        "", Text("# pictures   - none, with a reason   ? none, no reason   . not granted or delivered", style="dim")
    )
    verdict = "This is the clip that the hub made." if opened.is_whole_clip else "These are parts of the hub's clip."
    return Group(Text(verdict, style="bold green"), table)


def _bar(opened: Opened) -> Text:
    cells = [(".", "dim")] * BAR_CELLS
    placed = shares(opened.manifest, opened.coverage)
    for span, begin, end in sorted(placed, key=lambda each: each[0].kind is not Kind.PICTURES):
        first = min(int(begin * BAR_CELLS), BAR_CELLS - 1)
        for cell in range(first, max(first + 1, round(end * BAR_CELLS))):
            cells[cell] = _CELLS[span.kind]
    bar = Text()
    for mark, style in cells:
        bar.append(mark, style)
    return bar
