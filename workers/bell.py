"""Signals as something to wait for: a descriptor that is readable when one came, so none is missed between looks."""

import os
import select
import signal
from collections.abc import Callable


class Bell:
    """Rings for the signals it is given, and does at once what goes with them. One a process, on its main thread."""

    def __init__(self, signals: dict[signal.Signals, Callable[[], None]]) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        for number, act in signals.items():
            signal.signal(number, lambda *_, act=act: act())

    def fileno(self) -> int:
        """To select on, together with other descriptors."""
        return self._read

    def wait(self, limit_ms: int) -> None:
        """Until it rings or the time is over; a ring before the call counts."""
        if select.select([self._read], [], [], max(0, limit_ms) / 1000)[0]:
            self.hush()

    def hush(self) -> None:
        """Forget the rings so far."""
        try:
            while os.read(self._read, 4096):
                pass
        except BlockingIOError:
            return

    def take_down(self) -> None:
        """Give every signal its default effect again, for a child that was just forked."""
        signal.set_wakeup_fd(-1)
        default_signals()
        os.close(self._read)
        os.close(self._write)


def default_signals() -> None:
    """Undo what this process, or whoever started it (`nohup`, `&`), chose to ignore: a child would inherit it."""
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGPIPE, signal.SIGXFSZ}:
        if signal.getsignal(number) not in (signal.SIG_DFL, None):
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def nothing() -> None:
    """For a signal that only rings."""
