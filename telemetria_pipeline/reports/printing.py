"""A report on paper: a page printed by a browser, or a workbook by LibreOffice, whichever the machine has."""

import os
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from telemetria_pipeline.errors import PipelineError

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
OFFICES = ("soffice", "libreoffice")
HOW_TO_PRINT = (
    "No Chromium or LibreOffice on PATH, so no PDF: open the .html in any browser and print it as PDF "
    "(A4, landscape, background graphics on)."
)
_LONGEST_S = 120


class NotPrinted(PipelineError):
    """The printer did not make the PDF; the message says what it answered."""


def printer() -> str | None:
    """Path of the program that prints, browsers first: the page is what was made for paper."""
    return next((found for name in (*BROWSERS, *OFFICES) if (found := shutil.which(name))), None)


def print_pdf(program: str, page: Path, workbook: Path) -> Path:
    """Write the PDF beside the page, from it or, with LibreOffice, from the workbook; where it lies.

    Raises `NotPrinted`.
    """
    pdf = page.with_suffix(".pdf")
    pdf.unlink(missing_ok=True)  # an earlier one must not pass for this one
    with TemporaryDirectory() as profile:
        if Path(program).stem in OFFICES:
            own = f"-env:UserInstallation={Path(profile).as_uri()}"
            command = [program, own, "--headless", "--convert-to", "pdf", "--outdir", str(pdf.parent)]
            command.append(str(workbook))
        else:
            command = [program, "--headless", "--disable-gpu", f"--user-data-dir={profile}"]
            # Chromium refuses its sandbox to root, as which containers run; the page holds no script.
            command += ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
            command += ["--no-pdf-header-footer", f"--print-to-pdf={pdf.resolve()}", page.resolve().as_uri()]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_LONGEST_S)  # noqa: S603
        except subprocess.TimeoutExpired:
            raise NotPrinted(f"{program} did not print {page} within {_LONGEST_S} s") from None
    if not pdf.exists():
        raise NotPrinted(f"{program} did not print {page}: {done.stderr.strip()[-300:]}")
    return pdf
