"""The smallest client of Firefox: WebDriver BiDi over a web socket (RFC 6455), which it speaks itself."""

import base64
import json
import os
import re
import shutil
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

PATIENCE = 60.0
"""Seconds until it has started, or has answered."""
_LISTENS = re.compile(r"WebDriver BiDi listening on ws://127\.0\.0\.1:(\d+)")
_PREFERENCES = """
user_pref("app.update.enabled", false);
user_pref("browser.shell.checkDefaultBrowser", false);
user_pref("browser.startup.homepage_override.mstone", "ignore");
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("intl.accept_languages", "en-US");
user_pref("network.captive-portal-service.enabled", false);
user_pref("network.connectivity-service.enabled", false);
user_pref("services.settings.server", "data:,#remote-settings-dummy/v1");
user_pref("toolkit.telemetry.enabled", false);
"""


def firefox() -> str:
    """Where a Firefox is; without one the test is skipped."""
    named = os.environ.get("KADR_FIREFOX")
    for name in (named,) if named else ("firefox-esr", "firefox"):
        if found := shutil.which(name):
            return found
    pytest.skip("No Firefox here: install one, or name it in KADR_FIREFOX")


class Tab:
    """A tab of a running Firefox."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self._file = self._socket.makefile("rb")
        self._number = 0
        key = base64.b64encode(os.urandom(16)).decode()
        self._socket.sendall(
            f"GET /session HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        assert b" 101 " in self._file.readline(), "Firefox refuses the connection"
        while self._file.readline().strip():
            pass
        self.ask("session.new", capabilities={})
        self._context = self.ask("browsingContext.getTree")["contexts"][0]["context"]

    def ask(self, method: str, **params: Any) -> Any:
        """The result of a command; events that come before it are passed over."""
        self._number += 1
        self._send(json.dumps({"id": self._number, "method": method, "params": params}).encode())
        while True:
            answer = json.loads(self._receive())
            if answer.get("id") == self._number:
                assert answer["type"] == "success", answer
                return answer["result"]

    def open(self, address: str) -> None:
        """Go there, and wait until all is loaded."""
        self.ask("browsingContext.navigate", context=self._context, url=address, wait="complete")

    def run(self, expression: str) -> Any:
        """What an expression is in the page: a text, a number, or true and false."""
        result = self.ask(
            "script.evaluate", expression=expression, target={"context": self._context},
            awaitPromise=True, userActivation=True,
        )  # fmt: skip
        assert result["type"] == "success", result
        return result["result"].get("value")

    def until(self, expression: str) -> None:
        """Wait until an expression is true in the page."""
        end = time.monotonic() + PATIENCE
        while not self.run(expression):
            assert time.monotonic() < end, f"It didn't come to be: {expression}"
            time.sleep(0.05)

    def type(self, text: str) -> None:
        """Press the keys of a text, as a person does."""
        keys = [{"type": kind, "value": sign} for sign in text for kind in ("keyDown", "keyUp")]
        source = {"type": "key", "id": "keyboard", "actions": keys}
        self.ask("input.performActions", context=self._context, actions=[source])

    def close(self) -> None:
        self._file.close()
        self._socket.close()

    def _send(self, payload: bytes) -> None:
        """One text frame, masked, as clients must."""
        size = len(payload)
        length = bytes([0x80 | size]) if size < 126 else b"\xfe" + struct.pack(">H", size)
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload))
        self._socket.sendall(b"\x81" + length + mask + masked)

    def _receive(self) -> bytes:
        """One message, whose frames may be several."""
        message = b""
        while True:
            head, size = self._file.read(2)
            if size >= 126:
                wide = 2 if size == 126 else 8
                size = int.from_bytes(self._file.read(wide))
            content = self._file.read(size)
            if head & 0x0F in {0, 1, 2}:  # no ping, which nobody answers within seconds
                message += content
                if head & 0x80:
                    return message


@contextmanager
def opened(folder: Path) -> Iterator[Tab]:
    """Run Firefox with a fresh profile in a folder until the block ends."""
    path, profile = firefox(), folder / "profile"
    profile.mkdir()
    (profile / "user.js").write_text(_PREFERENCES, encoding="utf-8")
    log = folder / "firefox.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [path, "--headless", "--no-remote", "--profile", profile, "--remote-debugging-port", "0"],
            stdout=out, stderr=out, env={**os.environ, "HOME": str(folder), "LC_ALL": "C.UTF-8"},
        )  # fmt: skip
    try:
        tab = Tab(_port(process, log))
        yield tab
        tab.close()
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _port(process: "subprocess.Popen[bytes]", log: Path) -> int:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        if found := _LISTENS.search(log.read_text("utf-8", "replace")):
            return int(found[1])
        time.sleep(0.1)
    raise AssertionError(f"Firefox doesn't start: {log.read_text('utf-8', 'replace')[-2000:]}")
