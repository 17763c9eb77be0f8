"""A PostgreSQL server of the tests' own: on the loopback, in a temporary directory, gone when they are.

`postgres` is the server, for all tests of a run; `database_url` an empty database of it,
for one test. Where PostgreSQL is not installed the test is skipped with a reason.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time

from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import psycopg
import pytest

from equipment import absent


if TYPE_CHECKING:
    from collections.abc import Iterator

OWNER: Final = "casestate"
DEBIAN: Final = Path("/usr/lib/postgresql")
UNPRIVILEGED: Final = "postgres"
"""Who runs the server where root starts it, because it refuses to run as root."""
PATIENCE: Final = 60.0
SETTINGS: Final = (
    # The server is killed here, the machine is not: what a commit has written outlives it all the same.
    "fsync=off",
    "max_connections=50",
    "shared_buffers=256MB",
    "max_wal_size=4GB",
    "timezone=America/St_Johns",  # so that whoever trusts in the session's zone is wrong
)
# Ends the server when it is told how; when whoever could tell is no more it leaves nothing behind either.
WATCH: Final = """
"$@" & server=$!
read -r how || gone=yes
kill -"${how:-QUIT}" "$server"
wait "$server"
[ -z "$gone" ] || rm -rf "$PWD"
"""


class NoServerError(Exception):
    """PostgreSQL is not installed, or cannot be run by whoever runs the tests."""


def programs() -> Path:
    """Where ``initdb`` and ``postgres`` are: on the path, or where Debian puts the newest."""
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).resolve().parent
    versions = [folder for folder in DEBIAN.glob("*/bin") if (folder / "initdb").exists()]
    if not versions:
        raise NoServerError("PostgreSQL")
    return max(versions, key=lambda folder: float(folder.parent.name))


class Server:
    """A server that is running, until `close`."""

    def __init__(self) -> None:
        self.programs = programs()
        self.user: str | None = None
        if os.geteuid() == 0:
            try:
                pwd.getpwnam(UNPRIVILEGED)
            except KeyError:
                raise NoServerError(f"the user {UNPRIVILEGED!r}, as whom root would run it") from None
            self.user = UNPRIVILEGED
        self.names = count(1)
        self.folder = Path(tempfile.mkdtemp(prefix="casestate-postgres-"))
        self.log = self.folder / "log"
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None
        try:
            if self.user is not None:
                shutil.chown(self.folder, self.user)
            self._prepare()
            self.start()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _prepare(self) -> None:
        command = [str(self.programs / "initdb"), "--pgdata", str(self.folder / "data"), "--username", OWNER]
        command += ["--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-sync"]
        made = subprocess.run(command, check=False, capture_output=True, user=self.user, cwd=self.folder)
        if made.returncode:
            raise NoServerError(f"a PostgreSQL that works ({made.stderr.decode(errors='replace').strip()})")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]

    def start(self) -> None:
        """Start it on its port, as before, and wait until it answers."""
        command = ["sh", "-c", WATCH, "sh", str(self.programs / "postgres"), "-D", str(self.folder / "data")]
        command += ["-h", "127.0.0.1", "-p", str(self.port), "-k", str(self.folder)]
        for setting in SETTINGS:
            command += ["-c", setting]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=log, stderr=log, user=self.user, cwd=self.folder
            )
        give_up = time.monotonic() + PATIENCE
        while True:
            try:
                self.run("SELECT 1")
            except psycopg.OperationalError as error:
                if time.monotonic() > give_up:
                    raise NoServerError(f"an answer ({error}; {self.log.read_text()[-2000:]})") from None
                time.sleep(0.05)
            else:
                return

    def stop(self, *, immediate: bool = False) -> None:
        """End it: in good order, or at once, as when it crashes."""
        if self.process is not None:
            self.process.communicate(b"QUIT\n" if immediate else b"INT\n", timeout=PATIENCE)
            self.process = None

    def restart(self, *, immediate: bool = False) -> None:
        """Stop it and start it again, on the same port with the same data."""
        self.stop(immediate=immediate)
        self.start()

    def close(self) -> None:
        """Stop it, and leave nothing behind."""
        try:
            self.stop(immediate=True)
        finally:
            shutil.rmtree(self.folder)

    def run(self, statement: str, database: str = "postgres") -> None:
        """Run a statement outside any transaction, in a connection of its own."""
        address = {"host": "127.0.0.1", "port": self.port, "user": OWNER, "dbname": database}
        with psycopg.connect(**address, autocommit=True) as connection:  # type: ignore[arg-type]  # by keyword
            connection.execute(statement.encode())

    def url(self, database: str = "postgres") -> str:
        """The address of a database, as SQLAlchemy wants it."""
        return f"postgresql+psycopg://{OWNER}@127.0.0.1:{self.port}/{database}"

    @contextmanager
    def database(self) -> Iterator[str]:
        """The address of an empty database that is dropped afterwards, whoever is still in it."""
        name = f"desk_{next(self.names)}"
        self.run(f"CREATE DATABASE {name}")
        try:
            yield self.url(name)
        finally:
            if self.process is None:  # a test has stopped it
                self.start()
            self.run(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """The server."""
    try:
        server = Server()
    except NoServerError as error:
        absent(str(error), "apt-get install postgresql, or put initdb on the PATH")
    with server:
        yield server


@pytest.fixture
def database_url(postgres: Server) -> Iterator[str]:
    """An empty database of the server, for one test."""
    with postgres.database() as url:
        yield url
