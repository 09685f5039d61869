"""The background thread of a server: delivers events, sweeps what has expired."""

import fcntl
import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from app.events.logic import Dispatcher

log = logging.getLogger(__name__)

SWEEP_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Housekeeper:
    """Runs in every process; the one that holds the lock file works.

    The kernel lets go of the lock when its holder dies, so another takes over at once.

    Attributes:
        sweep: deletes some of what has long expired; how much.
        poll_seconds: between two looks into the outbox.
    """

    dispatcher: Dispatcher
    sweep: Callable[[], int]
    lock_path: Path
    poll_seconds: float
    _stopping: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)
    _locks: list[IO[bytes]] = field(default_factory=list)

    def start(self) -> bool:
        """Begin; whether this process is the one that works."""
        leads = self._lead()
        thread = threading.Thread(target=self._run, name="housekeeper", daemon=True)
        self._threads.append(thread)
        thread.start()
        return leads

    def stop(self) -> None:
        """Finish the delivery under way and end."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        for lock in self._locks:
            lock.close()
        self._locks.clear()

    def _run(self) -> None:
        swept = 0.0
        while not self._stopping.wait(self.poll_seconds):
            if not self._lead():
                continue
            try:
                self.dispatcher.run_once()
                if time.monotonic() - swept > SWEEP_SECONDS:
                    swept = time.monotonic()
                    while self.sweep() and not self._stopping.is_set():
                        pass
            except Exception:
                # The store may be busy or the disk full; the next round tries again.
                log.exception("housekeeping failed")

    def _lead(self) -> bool:
        if self._locks:
            return True
        self.lock_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.fdopen(os.open(self.lock_path, os.O_CREAT | os.O_RDWR, 0o600), "rb+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            return False
        self._locks.append(lock)
        return True
