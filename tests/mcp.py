"""A scripted MCP client: the server is a real process, and every line it writes must be JSON-RPC."""

import itertools
import json
import subprocess
import threading
from types import TracebackType
from typing import Any, Self

from tests.cli import COMMAND
from tests.waiting import wait_until_sync

CHANNEL = "notifications/claude/channel"
Message = dict[str, Any]


class Client:
    """Starts `coordinator mcp` in the environment of the test, and ends it by closing its stdin."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [*COMMAND, "mcp"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self.heard: list[Message] = []
        self.logs = b""
        self._ids = itertools.count(1)
        self._threads = [threading.Thread(target=target) for target in (self._read, self._read_logs)]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        code = self.leave()
        if error is None:
            assert code == 0, self.logs
            assert b"Traceback" not in self.logs, self.logs

    def leave(self) -> int:
        """Close its stdin; its exit code."""
        assert self.process.stdin
        self.process.stdin.close()
        try:
            code = self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        finally:
            for thread in self._threads:
                thread.join()
            for pipe in (self.process.stdout, self.process.stderr):
                assert pipe
                pipe.close()
        return code

    def write(self, line: bytes) -> None:
        """Bytes as they are, and the end of a line."""
        assert self.process.stdin
        self.process.stdin.write(line + b"\n")
        self.process.stdin.flush()

    def say(self, method: str, **more: Any) -> None:
        self.write(json.dumps({"jsonrpc": "2.0", "method": method, **more}).encode())

    def ask(self, method: str, params: Any = None) -> Message:
        """The whole answer, an error too."""
        asker = f"q{next(self._ids)}"
        self.say(method, id=asker, **({} if params is None else {"params": params}))
        wait_until_sync(lambda: self.under(asker), f"{method} is answered", 20.0)
        (answer,) = self.under(asker)
        return answer

    def begin(self) -> Message:
        """The handshake; what the server says of itself."""
        info = {"name": "tests", "version": "1"}
        params = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": info}
        answer = self.ask("initialize", params)
        self.say("notifications/initialized")
        result: Message = answer["result"]
        return result

    def call(self, tool: str, /, **arguments: Any) -> Message:
        """What a tool answers."""
        answer = self.ask("tools/call", {"name": tool, "arguments": arguments})
        result: Message = answer["result"]
        assert set(result) == {"content", "structuredContent", "isError"}
        return result

    def told(self, tool: str, /, **arguments: Any) -> tuple[str, Message]:
        """Sentence and fields of an answer that is no error."""
        result = self.call(tool, **arguments)
        assert not result["isError"], result
        return text_of(result), result["structuredContent"]

    def wrong(self, tool: str, /, **arguments: Any) -> str:
        """The sentence of an error."""
        result = self.call(tool, **arguments)
        assert result["isError"], result
        return text_of(result)

    def news(self) -> list[Message]:
        """The params of every channel message so far."""
        return [message["params"] for message in self.heard if message.get("method") == CHANNEL]

    def under(self, asker: object) -> list[Message]:
        """The answers under this id."""
        return [message for message in self.heard if message.get("id") == asker]

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            message = json.loads(line)
            assert message.pop("jsonrpc") == "2.0"
            self.heard.append(message)

    def _read_logs(self) -> None:
        assert self.process.stderr
        for line in self.process.stderr:
            self.logs += line


def text_of(result: Message) -> str:
    """The sentence of a tool's answer."""
    (part,) = result["content"]
    assert part["type"] == "text"
    return str(part["text"])
