"""Make the rendered heads that the tab Explore begins with.

``python benchmarks/example_heads.py`` renders 600 portraits (seed 7) and writes them as JPEG files
with their labels and factors into ``assets/heads.zip``.
"""

import csv
import io
import tempfile
import zipfile
from pathlib import Path

from studio import images, paths
from studio.data.folder import TABLE
from studio.render import heads

COUNT, SIZE, SEED = 600, 96, 7
QUALITY = 92


def pack(folder: Path, target: Path) -> None:
    """Pack a rendered set, its PNG files as JPEG; the same set gives the same bytes."""
    rows = list(csv.DictReader((folder / TABLE).open(encoding="utf-8")))
    table = io.StringIO()
    writer = csv.DictWriter(table, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for row in rows:
            picture = images.read_photo(folder / row["file"]).pixels
            row["file"] = f"{Path(row['file']).stem}.jpg"
            archive.writestr(zipfile.ZipInfo(row["file"]), images.encode_jpeg(picture, QUALITY))
            writer.writerow(row)
        archive.writestr(zipfile.ZipInfo(TABLE), table.getvalue())


def main() -> None:
    """Render and pack."""
    with tempfile.TemporaryDirectory() as folder:
        rendered = Path(folder) / "heads"
        heads.write_set(rendered, COUNT, SIZE, seed=SEED)
        pack(rendered, paths.ASSETS / "heads.zip")


if __name__ == "__main__":
    main()
