"""Finds the browser and shrinks pictures, for the tools that draw docs/images/."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

IMAGES = Path(__file__).parent.parent / "docs" / "images"
ARGS = ["--no-sandbox", "--disable-lcd-text"]


def find_chromium() -> str:
    """Return the path of the browser, or end the tool if there is none."""
    found = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if not found:
        sys.exit("there is no chromium; CHROMIUM=... names one")
    return found


def shrink(image: Path, colours: int) -> None:
    """Shrink a picture to ``colours`` colours if pngquant is installed, and print the picture's path."""
    if pngquant := shutil.which("pngquant"):
        command = [pngquant, "--force", "--strip", "--output", image, str(colours), image]
        subprocess.run(command, check=True)  # noqa: S603  by hand, on files of this checkout
    sys.stdout.write(f"{image.relative_to(IMAGES.parent.parent)}\n")
