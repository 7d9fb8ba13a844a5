"""Write docs/reference.md and docs/schema/*.json from the code. `make reference` runs it; a test compares them."""
# ruff: noqa: INP001  a script, no package

import json
from pathlib import Path

from model.file_schema import schema_of
from reports.reference import reference

DOCS = Path(__file__).parent


def files() -> dict[Path, str]:
    """Return what each of the files must contain."""
    schemas = {
        DOCS / "schema" / f"{kind}.json": json.dumps(schema_of(kind), indent=2, ensure_ascii=False) + "\n"
        for kind in ("suite", "test")
    }
    return {DOCS / "reference.md": reference(), **schemas}


if __name__ == "__main__":
    for path, content in files().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(content, encoding="utf-8")
