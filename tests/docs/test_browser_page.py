"""The page of docs/how-to/browser.md, in a real browser."""

import re
import shutil
from pathlib import Path

import pytest

import linexport

ROOT = Path(__file__).parents[2]
DIST = ROOT / "examples" / "runtimes" / "node_modules" / "onnxruntime-web" / "dist"
TEXTBOOK = ROOT / "models" / "textbook"
PLACE = "http://page.invalid/"
"""Nothing listens there: what the page asks for is answered by the test."""
TYPES = {".mjs": "text/javascript", ".wasm": "application/wasm"}


def test_the_page_predicts_what_the_bundle_predicts():
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None or not DIST.is_dir():
        pytest.skip("chromium or onnxruntime-web is not installed (make runtimes)")
    from playwright.sync_api import sync_playwright

    (page,) = re.findall(
        r"```html\n(.*?)```", (ROOT / "docs" / "how-to" / "browser.md").read_text(), re.DOTALL
    )

    def answer(route):
        name = route.request.url.removeprefix(PLACE)
        if not name:
            route.fulfill(content_type="text/html", body=page)
            return
        file = TEXTBOOK / name if name == "model.onnx" else DIST / name
        route.fulfill(
            content_type=TYPES.get(file.suffix, "application/octet-stream"), body=file.read_bytes()
        )

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        tab = browser.new_page()
        tab.route(f"{PLACE}**", answer)
        tab.goto(PLACE)
        tab.wait_for_function("document.getElementById('y').value")
        first = float(tab.locator("#y").inner_text())
        tab.locator("#x1").fill("3.5")
        tab.wait_for_function(f"document.getElementById('y').value != '{first}'")
        second = float(tab.locator("#y").inner_text())
        browser.close()
    expected = linexport.load(TEXTBOOK).predict([[1, 2], [3.5, 2]])[:, 0]
    assert [first, second] == pytest.approx(expected.tolist(), rel=1e-6)
