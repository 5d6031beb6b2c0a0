"""Runs several programs as one: their lines with their names before them, all stopped when one ends or we are told to.

honcho's printer writes the lines. Its manager is not used: it signals whole process groups, and Celery's pool
children must not see the SIGTERM that asks the worker to finish what it has begun; and it puts a process between us
and each program, which would outlive a kill of the launcher.
"""

import contextlib
import datetime
import os
import selectors
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from types import FrameType

from honcho.colour import get_colours
from honcho.printer import Message, Printer

from portal.local import processes

STOP_PATIENCE = 8.0  # seconds for programs to finish; what is left then is killed, and its work is claimed again


@dataclass
class Program:
    """A program and how to start it. `unfinished` is output that has no line end yet."""

    name: str
    words: list[str]
    environment: dict[str, str]
    colour: str = ""
    unfinished: bytes = b""
    process: "subprocess.Popen[bytes] | None" = None


@dataclass
class Supervisor:
    """The programs, and the children others started that must live as long as they do (`watched`: name to process)."""

    programs: list[Program]
    watched: "dict[str, subprocess.Popen[bytes]]" = field(default_factory=dict)
    signals: int = 0
    printer: Printer = field(default_factory=lambda: Printer(sys.stdout))
    selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)

    def start(self) -> None:
        self.printer.width = max(len(program.name) for program in self.programs)
        for signum in (signal.SIGINT, signal.SIGTERM):
            signal.signal(signum, self._asked_to_stop)
        for program, colour in zip(self.programs, get_colours(), strict=False):
            program.colour = colour
            self._start(program)

    def run(self) -> str:
        """Pass output on until told to stop: then "". Or until a process ends by itself: then its name and how."""
        while not self.signals:
            self._pass_on(0.2)
            ended = self._ended()
            if ended:
                return ended
        return ""

    def stop(self) -> None:
        """Ask the programs to finish, and kill what has not after STOP_PATIENCE or on a second signal."""
        for process in self._living():
            process.send_signal(signal.SIGTERM)
        deadline, asked = time.monotonic() + STOP_PATIENCE, self.signals
        while self._living() and time.monotonic() < deadline and self.signals < max(2, asked + 1):
            self._pass_on(0.05)
        for process in self._living():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self._pass_on(0)

    def _start(self, program: Program) -> None:
        program.process = subprocess.Popen(  # noqa: S603
            program.words,
            env=program.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches us alone; we pass it on
            preexec_fn=processes.ending_with_parent(signal.SIGTERM),
        )
        if program.process.stdout:
            os.set_blocking(program.process.stdout.fileno(), False)
            self.selector.register(program.process.stdout, selectors.EVENT_READ, program)

    def _asked_to_stop(self, signum: int, frame: FrameType | None) -> None:
        self.signals += 1

    def _living(self) -> "list[subprocess.Popen[bytes]]":
        return [program.process for program in self.programs if program.process and program.process.poll() is None]

    def _ended(self) -> str:
        children = {program.name: program.process for program in self.programs} | self.watched
        for name, process in children.items():
            code = process.poll() if process else None
            if code is not None:
                how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
                return f"{name} {how}"
        return ""

    def _pass_on(self, wait: float) -> None:
        """Wait at most `wait` seconds for output, and print what came."""
        ready = self.selector.select(wait)
        if not self.selector.get_map():
            time.sleep(wait)
        for key, _ in ready:
            output = os.read(key.fd, 65536)
            if not output:
                self.selector.unregister(key.fileobj)
            self._print(key.data, output)

    def _print(self, program: Program, output: bytes) -> None:
        """Print whole lines; at the end of the output also what has no line end."""
        text = program.unfinished + output
        lines, _, program.unfinished = text.rpartition(b"\n") if output else (text, b"", b"")
        if lines:
            now = datetime.datetime.now().astimezone()
            self.printer.write(Message("line", lines, now, program.name, program.colour))
