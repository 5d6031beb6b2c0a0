"""The embedded servers, really started in a temporary directory."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from portal.local import Problem, accounts, processes, servers, var
from portal.local.servers import Postgres, Valkey

START_AND_WAIT = """
import sys, time
from pathlib import Path
from portal.local.servers import Postgres, Valkey
for kind, name in ((Postgres, "postgres"), (Valkey, "valkey")):
    server = kind(Path(sys.argv[1]) / name, durable=False)
    server.start()
    print(server.process.pid, flush=True)
time.sleep(60)
"""


@pytest.fixture
def postgres(tmp_path):
    server = Postgres(tmp_path / "postgres", durable=False)
    yield server
    server.stop()
    servers.remove(server)


@pytest.fixture
def valkey(tmp_path):
    server = Valkey(tmp_path / "valkey")
    yield server
    server.stop()
    servers.remove(server)


def test_a_committed_row_survives_a_kill_of_postgresql(postgres):
    postgres.start()
    with postgres.connect("portal") as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    postgres.process.kill()
    postgres.process.wait()
    postgres.start()
    with postgres.connect("portal") as connection:
        assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)


def test_postgresql_starts_over_the_marks_of_a_server_whose_number_is_a_zombie(postgres):
    postgres.start()
    postgres.process.send_signal(signal.SIGKILL)
    assert processes.wait_until(lambda: processes.identity(postgres.process.pid) == "", 5)
    assert Path(f"/proc/{postgres.process.pid}").exists(), "nobody has reaped it: PostgreSQL takes it for alive"
    zombie, postgres.process = postgres.process, None
    postgres.start()
    assert postgres.answers()
    zombie.wait()


def test_an_appended_key_survives_a_kill_of_valkey(valkey):
    valkey.start()
    valkey.client().set("kept", "42")
    valkey.process.kill()
    valkey.process.wait()
    valkey.start()
    assert valkey.client().get("kept") == b"42"
    assert valkey.client().config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


def test_a_live_orphan_is_stopped_and_replaced(postgres, valkey):
    postgres.start()
    valkey.start()
    orphans = [postgres.process, valkey.process]
    postgres.process = valkey.process = None
    postgres.start()
    valkey.start()
    assert [orphan.wait(5) for orphan in orphans] == [0, 0]
    assert postgres.answers()
    assert valkey.answers()


def test_the_servers_end_when_the_process_that_started_them_is_killed(tmp_path):
    parent = subprocess.Popen([sys.executable, "-c", START_AND_WAIT, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    children = [int(parent.stdout.readline()) for _ in range(2)]
    assert all(processes.identity(child) for child in children)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert processes.wait_until(lambda: not any(map(processes.identity, children)), 10)


def test_nothing_listens_on_the_network_and_only_we_may_use_the_sockets(postgres, valkey):
    postgres.start()
    valkey.start()
    with postgres.connect() as connection:
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)
    assert valkey.client().config_get("port") == {"port": "0"}
    for directory in (postgres.socket, valkey.socket.parent):
        assert directory.stat().st_mode & 0o077 == 0


def test_a_failed_statement_leaves_no_row_in_the_log(postgres):
    postgres.start()
    with postgres.connect("portal") as connection:
        connection.execute("CREATE TABLE people (name text PRIMARY KEY)")
        connection.execute("INSERT INTO people VALUES ('Ada Canary')")
        with pytest.raises(servers.psycopg.errors.UniqueViolation):
            connection.execute("INSERT INTO people VALUES ('Ada Canary')")
    log = postgres.log_path.read_text()
    assert "duplicate key" in log
    assert "Canary" not in log


def test_a_path_too_long_for_a_socket_gets_a_short_one(tmp_path):
    deep = tmp_path / ("deep" * 20) / ("deeper" * 20)
    short = var.socket_directory(deep)
    try:
        assert len(str(short)) < 60
        assert short == var.socket_directory(deep)
        assert short != var.socket_directory(deep / "other")
    finally:
        for directory in (short, var.socket_directory(deep / "other")):
            directory.rmdir()


def test_data_of_another_version_are_refused_in_words(postgres):
    postgres.data.mkdir(parents=True)
    (postgres.data / "PG_VERSION").write_text("9\n")
    with pytest.raises(Problem, match="made by PostgreSQL 9, and this machine now has only version"):
        Postgres(postgres.directory)


def test_a_user_without_a_name_is_told_so_when_no_namespace_helps(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    monkeypatch.setattr(accounts, "in_namespace", lambda *_: iter(()))
    with pytest.raises(Problem, match=r"number 54321\) has no entry in the password file"):
        accounts.choose(tmp_path, tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody")
def test_root_without_namespaces_runs_postgresql_as_nobody(tmp_path, monkeypatch):
    monkeypatch.setattr(accounts, "in_namespace", lambda *_: iter(()))
    monkeypatch.setattr(accounts, "TRAVERSABLE", Path(f"/var/lib/share-my-meter-test-{os.getpid()}"))
    tmp_path.chmod(0o700)
    server = Postgres(tmp_path / "postgres", durable=False)
    try:
        server.start()
        assert server.account.name == "nobody"
        assert server.answers()
        assert Path(f"/proc/{server.process.pid}").stat().st_uid == accounts.NOBODY
    finally:
        server.stop()
        servers.remove(server)
        servers.shutil.rmtree(accounts.TRAVERSABLE)
