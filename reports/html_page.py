"""The frame of a report: one self-contained HTML file without any script, and without anything from another host."""

import html
from collections.abc import Sequence

from reports.texts import for_xml

STYLE = """
  :root{color-scheme:light dark;--page:#fff;--text:#1f2328;--soft:#59636e;--line:#d1d9e0;--frame:#f6f8fa;
    --good:#0f7a52;--bad:#b42318;--open:#8a5a00}
  @media (prefers-color-scheme: dark){:root{--page:#0d1117;--text:#e6edf3;--soft:#9198a1;--line:#30363d;
    --frame:#161b22;--good:#3fca8f;--bad:#ff7b72;--open:#e3b341}}
  body{background:var(--page);color:var(--text);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;
    max-width:1000px;margin:24px auto;padding:0 20px}
  h1{font-size:24px;margin:0 0 4px} h2{font-size:17px;margin:28px 0 8px} .soft{color:var(--soft)}
  .verdict{display:inline-block;border-radius:6px;padding:3px 12px;font-weight:600;border:1.5px solid currentColor}
  .good{color:var(--good)} .bad{color:var(--bad)} .open{color:var(--open)}
  table{border-collapse:collapse;width:100%;font-size:14px} th,td{text-align:left;vertical-align:top;
    padding:6px 10px 6px 0;border-bottom:1px solid var(--line)} th{color:var(--soft);font-weight:600}
  td.number{font-variant-numeric:tabular-nums;white-space:nowrap} svg{max-width:100%;height:auto}
  .advice{color:var(--soft);font-style:italic}
"""
POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def page(title: str, parts: Sequence[str]) -> str:
    """Return a whole page. `title` is escaped, the parts are HTML already."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escaped(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(parts)
        + "\n</body>\n</html>\n"
    )


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table. Its cells are HTML already."""
    head = "".join(f"<th>{word}</th>" for word in heads)
    body = "\n".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table>\n<tr>{head}</tr>\n{body}\n</table>"


def escaped(text: str) -> str:
    """Return text as HTML that shows it."""
    return html.escape(for_xml(text))
