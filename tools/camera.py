"""What the tools that draw docs/images/ have in common: the browser, and where a picture goes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

IMAGES = Path(__file__).parent.parent / "docs" / "images"
ARGS = ["--no-sandbox", "--disable-lcd-text"]


def chromium() -> str:
    """Where the browser is. Ends the tool where there is none."""
    found = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if not found:
        sys.exit("there is no chromium; CHROMIUM=... names one")
    return found


def kept(image: Path, colours: int) -> None:
    """Shrink a picture that was drawn, where pngquant is there, and say that it is done."""
    if pngquant := shutil.which("pngquant"):
        command = [pngquant, "--force", "--strip", "--output", image, str(colours), image]
        subprocess.run(command, check=True)  # noqa: S603  by hand, on files of this checkout
    sys.stdout.write(f"{image.relative_to(IMAGES.parent.parent)}\n")
