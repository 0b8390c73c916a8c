"""A real browser for the page at /ui/: headless Chromium, driven by WebDriver, in a profile of its own that is removed.

    with Browser() as browser:
        browser.open(f"http://{agent.health_address}/ui/")
        browser.wait_for("return document.getElementById('answer').textContent === 'pass'")
        browser.screenshot("light")        # to $VITALD_SCREENSHOTS, if that is set
"""
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

# What Chromium would ask of the world by itself, it shall not.
QUIET = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-default-apps",
         "--disable-extensions", "--no-default-browser-check", "--no-proxy-server", "--hide-scrollbars"]


class Browser:
    def __init__(self, width=1280, height=900, language="en", prefers_dark=False):
        self.profile = tempfile.mkdtemp(prefix="vt-chromium-")
        options = webdriver.ChromeOptions()
        options.binary_location = "/usr/bin/chromium"
        for flag in [*QUIET, f"--user-data-dir={self.profile}", f"--window-size={width},{height}", f"--lang={language}"]:
            options.add_argument(flag)
        options.add_experimental_option("prefs", {"intl.accept_languages": language})
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(service=Service("/usr/bin/chromedriver", log_path=os.devnull), options=options)
        self.driver.set_page_load_timeout(60)
        self.driver.set_script_timeout(60)
        self.resize(width, height)
        if prefers_dark:
            self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia",
                                        {"features": [{"name": "prefers-color-scheme", "value": "dark"}]})

    def resize(self, width, height):
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                                    {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600})

    def open(self, url):
        self.driver.get(url)

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def text(self, selector):
        return self.run("const e = document.querySelector(arguments[0]); return e && e.textContent", selector)

    def wait_for(self, script, timeout=30.0, *arguments):
        """Until the script gives something true, which is returned."""
        end = time.monotonic() + timeout
        while True:
            found = self.run(script, *arguments)
            if found:
                return found
            if time.monotonic() > end:
                raise AssertionError(f"not within {timeout} s in the page: {script}\n{self.text('body')[:3000]}")
            time.sleep(0.05)

    def complaints(self):
        """What the console holds: errors of scripts, refusals of the security policy."""
        return [e["message"] for e in self.driver.get_log("browser") if e["level"] == "SEVERE"]

    def screenshot(self, name):
        place = os.environ.get("VITALD_SCREENSHOTS")
        if place:
            pathlib.Path(place).mkdir(parents=True, exist_ok=True)
            self.driver.save_screenshot(str(pathlib.Path(place) / f"{name}.png"))

    def close(self):
        self.driver.quit()
        shutil.rmtree(self.profile, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def axe_source():
    """The accessibility checker axe-core from npm, or None where there is no npm."""
    npm = shutil.which("npm")
    if npm is None:
        return None
    with tempfile.TemporaryDirectory(prefix="vt-axe-") as place:
        done = subprocess.run([npm, "pack", "--silent", "axe-core@4"], cwd=place, capture_output=True, text=True, timeout=120, check=False)
        packed = list(pathlib.Path(place).glob("axe-core-*.tgz"))
        if done.returncode != 0 or not packed:
            return None
        subprocess.run(["tar", "xzf", packed[0], "package/axe.min.js"], cwd=place, check=True, timeout=60)
        return (pathlib.Path(place) / "package" / "axe.min.js").read_text()
