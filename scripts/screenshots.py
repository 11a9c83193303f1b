"""Takes the documentation's pictures from the running stack: `make screenshots`, after `make up`."""

import json
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[1]
NEURMATIC = Path(sys.executable).with_name("neurmatic")
IMAGES = ROOT / "docs" / "images"
SIZE = {"width": 1280, "height": 800}


def main() -> None:
    """Write docs/images/*.png."""
    url = json.loads(subprocess.run([NEURMATIC, "status", "--json"], capture_output=True, check=True).stdout)["url"]
    report = (ROOT / ".neurmatic" / "reports" / "readiness.html").resolve()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox", "--headless"])
        # The stack's own CA is none that this browser knows; what is shown is what counts here.
        page = browser.new_context(viewport=SIZE, ignore_https_errors=True).new_page()
        for name, address in (("site", url), ("status", f"{url}/status"), ("report", report.as_uri())):
            page.goto(address, wait_until="networkidle")
            page.screenshot(path=IMAGES / f"{name}.png")
        browser.close()


main()
