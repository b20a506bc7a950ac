"""The page's frame, tables and figures as HTML. Everything that came from outside is escaped here. Used by ``page``."""

from collections.abc import Iterable, Sequence
from html import escape

CSS = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; color: #1c2733; background: #fff; max-width: 60rem; margin: 2rem auto;
  padding: 0 1rem; }
h1 { font-size: 1.6rem; margin: 0; }
h2 { font-size: 1.15rem; margin: 2.4rem 0 .4rem; border-bottom: 1px solid #dde3e9; }
p.note, figcaption { color: #52606d; font-size: .88rem; margin: .3rem 0; }
figure { margin: .6rem 0 1.4rem; overflow-x: auto; }
svg { max-width: 100%; height: auto; }
table { border-collapse: collapse; width: 100%; font-size: .88rem; margin: .4rem 0 1rem; }
th { text-align: left; font-weight: 600; border-bottom: 1px solid #9aa5b1; }
td { border-bottom: 1px solid #eef1f4; overflow-wrap: anywhere; }
th, td { padding: .25rem .7rem .25rem 0; vertical-align: top; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)); gap: .6rem; margin: 1rem 0; }
dl div { background: #f5f7fa; border-radius: .4rem; padding: .5rem .8rem; }
dt { color: #52606d; font-size: .8rem; }
dd { margin: 0; font-size: 1.25rem; font-weight: 600; }
.warn { color: #9a3412; }
@media screen and (prefers-color-scheme: dark) {
  body { color: #dde3ea; background: #15191e; }
  p.note, figcaption, dt { color: #a3afbb; }
  h2, td { border-color: #2c343d; }
  dl div { background: #1f262d; }
  .warn { color: #f0a27a; }
  svg { filter: invert(.92) hue-rotate(180deg); } /* white paper becomes dark, and blue stays blue */
}
"""


def document(title: str, body: Iterable[str]) -> str:
    """A page of these pieces of HTML."""
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{escape(title)}</title>'
    style = f"<style>{CSS}</style>"
    return f'<!doctype html>\n<html lang="en"><head>{head}{style}</head>\n<body>{"".join(body)}</body></html>\n'


def table(columns: Sequence[tuple[str, str]], rows: Iterable[Sequence[str]]) -> str:
    """``columns`` are (title, class); class ``n`` is for numbers. Every cell is escaped."""
    head = "".join(f'<th class="{kind}">{escape(title)}</th>' for title, kind in columns)
    lines = [
        "".join(f'<td class="{kind}">{escape(cell)}</td>' for cell, (_, kind) in zip(row, columns, strict=True))
        for row in rows
    ]
    return f"<table><tr>{head}</tr>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"


def drawn(caption: str, drawing: str) -> str:
    """A drawing of ours, which is escaped already, with its caption."""
    return f"<figure>{drawing}<figcaption>{escape(caption)}</figcaption></figure>"
