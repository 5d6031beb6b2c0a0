"""The launcher's refusals and its care for processes and secrets."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from portal.local import Problem, commands, keys, place, processes, supervisor, var
from portal.local.place import ROOT, Place


def start(*words, **environment):
    return subprocess.run(
        [sys.executable, "-m", "portal.local", *words],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=30,
    )


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


@pytest.fixture
def ports():
    return {name: free_port() for name in ("PORT", "SANDBOX_PORT", "SANDBOX_TLS_PORT")}


def test_a_second_start_is_refused_and_told_where_the_first_one_runs(tmp_path, ports):
    with var.exclusive(tmp_path):
        var.write_record(tmp_path, {"pid": 4321, "addresses": {"Site": "http://localhost:8765/"}})
        second = start("run", VAR_DIR=str(tmp_path), **ports)
    assert second.returncode == 1
    assert "It is already running" in second.stderr
    assert "process 4321" in second.stderr
    assert "http://localhost:8765/" in second.stderr
    assert "Traceback" not in second.stderr


def test_a_busy_port_is_named_with_the_variable_that_changes_it(tmp_path, ports):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        busy = str(taken.getsockname()[1])
        done = start("run", VAR_DIR=str(tmp_path), **(ports | {"SANDBOX_PORT": busy}))
    assert done.returncode == 1
    assert f"Port {busy} is in use" in done.stderr
    assert "SANDBOX_PORT=" in done.stderr
    assert not (tmp_path / "postgres").exists(), "refused before anything was made"


@pytest.mark.parametrize("port", ["0", "65536", "eighty", "-1", "٨٠"])
def test_a_port_that_is_none_is_refused(port, monkeypatch):
    monkeypatch.setenv("PORT", port)
    with pytest.raises(Problem, match="PORT is"):
        place.from_environment()


def test_the_same_port_twice_is_refused(monkeypatch):
    monkeypatch.setenv("PORT", "8001")
    monkeypatch.setenv("SANDBOX_PORT", "8001")
    with pytest.raises(Problem, match="Three different ports"):
        place.from_environment()


def test_secrets_are_made_once_and_closed_to_others(tmp_path, monkeypatch):
    monkeypatch.delenv("SECRET_KEY")
    monkeypatch.delenv("FIELD_ENCRYPTION_KEYS")
    first = keys.load(tmp_path)
    (tmp_path / "secrets.env").chmod(0o644)
    assert keys.load(tmp_path) == first
    assert (tmp_path / "secrets.env").stat().st_mode & 0o777 == 0o600
    monkeypatch.setenv("SECRET_KEY", "given")
    assert keys.load(tmp_path) == first | {"SECRET_KEY": "given"}


def test_lost_secrets_are_not_replaced_while_data_encrypted_with_them_remain(tmp_path, monkeypatch):
    monkeypatch.delenv("FIELD_ENCRYPTION_KEYS")
    (tmp_path / "postgres").mkdir()
    with pytest.raises(Problem, match=r"secrets\.env is gone"):
        keys.load(tmp_path)
    assert not (tmp_path / "secrets.env").exists()


def test_what_a_killed_launcher_left_is_stopped_and_a_reused_number_is_left_alone(tmp_path):
    orphan, stranger = (subprocess.Popen(["sleep", "60"], start_new_session=True) for _ in range(2))
    try:
        reused = var.noted("web", stranger.pid) | {"began": "1"}
        var.write_record(tmp_path, {"children": [var.noted("worker", orphan.pid), reused]})
        assert var.stop_orphans(tmp_path) == ["worker"]
        assert orphan.wait(5) == -signal.SIGTERM
        assert stranger.poll() is None
    finally:
        for each in (orphan, stranger):
            each.kill()
            each.wait()


def test_an_orphan_deaf_to_the_signal_is_killed(tmp_path):
    deaf = subprocess.Popen(
        ["sh", "-c", "trap '' TERM; echo; while :; do sleep 1; done"], stdout=subprocess.PIPE, start_new_session=True
    )
    deaf.stdout.readline()
    processes.stop(deaf.pid, processes.identity(deaf.pid), signal.SIGTERM, patience=0.3)
    assert deaf.wait(5) == -signal.SIGKILL
    deaf.stdout.close()


def supervised(*scripts):
    """Programs of the given Python scripts, and how their supervisor ended."""
    here = "import signal, sys, time\n"
    return [
        supervisor.Program(f"p{n}", [sys.executable, "-uc", here + script], dict(os.environ))
        for n, script in enumerate(scripts)
    ]


@pytest.fixture
def _signals_restored():
    before = {signum: signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)}
    yield
    for signum, handler in before.items():
        signal.signal(signum, handler)


@pytest.mark.usefixtures("_signals_restored")
def test_when_one_program_ends_it_is_named_and_the_others_are_stopped(capfd):
    group = supervisor.Supervisor(supervised("print('half', end=''); sys.exit(3)", "time.sleep(60)"))
    group.start()
    assert group.run() == "p0 ended with code 3"
    began = time.monotonic()
    group.stop()
    assert time.monotonic() - began < 5
    assert group.programs[1].process.returncode == -signal.SIGTERM
    assert "p0 | half" in capfd.readouterr().out


@pytest.mark.usefixtures("_signals_restored")
def test_a_signal_lets_programs_finish_and_only_their_first_process_gets_it(capfd):
    finishing = """
import subprocess
child = subprocess.Popen(["sleep", "1"])
def finish(*_):
    print("child ended with", child.wait())
    sys.exit(0)
signal.signal(signal.SIGTERM, finish)
print("up")
time.sleep(60)
"""
    group = supervisor.Supervisor(supervised(finishing))
    group.start()
    signal.setitimer(signal.ITIMER_REAL, 0.6)
    signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    assert group.run() == ""
    group.stop()
    assert "child ended with 0" in capfd.readouterr().out


def test_a_command_beside_a_running_copy_uses_that_copys_addresses(tmp_path, monkeypatch):
    monkeypatch.setenv("VAR_DIR", str(tmp_path))
    for name in place.WHERE:
        monkeypatch.delenv(name, raising=False)
    running = Place(tmp_path, "localhost", 8765, 8766, 8767)
    with var.exclusive(tmp_path), contextlib.ExitStack() as stack:
        commands.note(running, [], [])
        here = place.from_environment()
        found = here.environment() | commands.running_servers(here, stack)
        monkeypatch.setenv("PORTAL_BASE_URL", "https://portal.example")
        given = here.environment() | commands.running_servers(here, stack)
    assert found["PORTAL_BASE_URL"] == "http://localhost:8765"
    assert found["SANDBOX_BASE_URL"] == "http://localhost:8766"
    assert found["SANDBOX_TLS_BASE_URL"] == "https://localhost:8767"
    assert given["PORTAL_BASE_URL"] == "https://portal.example"
    assert given["SANDBOX_BASE_URL"] == "http://localhost:8766"


def test_the_record_never_holds_an_address_that_was_given(tmp_path, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgres://portal:canary@db/portal")
    monkeypatch.setenv("VAR_DIR", str(tmp_path))
    commands.note(place.from_environment(), [], [])
    text = (tmp_path / "run.json").read_text()
    assert "canary" not in text
    assert json.loads(text)["pid"] == os.getpid()
    assert (tmp_path / "run.json").stat().st_mode & 0o777 == 0o600
