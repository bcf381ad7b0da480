"""The app under load. It runs in the server's process; the environment says what guards it."""

from __future__ import annotations

import multiprocessing
import os
import threading

from flask import Flask
from guards import PREFIX
from guards import put_in_front
from views import MIXED_CPU_SHARE
from views import Database
from views import burn

CPU_ITERATIONS = int(os.environ[f"{PREFIX}CPU_ITERATIONS"])

application = Flask("overload")
database = Database(threading.Semaphore)
shared_database = Database(multiprocessing.Semaphore)


@application.get("/cpu")
def cpu() -> str:
    """Need nothing but the CPU."""
    burn(CPU_ITERATIONS)
    return "done"


@application.get("/database")
def query() -> str:
    """Wait for the database."""
    database.query()
    return "done"


@application.get("/shared")
def query_shared() -> str:
    """Wait for a database that all workers share."""
    shared_database.query()
    return "done"


@application.get("/mixed")
def mixed() -> str:
    """Wait for the database, and work on what it says."""
    database.query()
    burn(int(CPU_ITERATIONS * MIXED_CPU_SHARE))
    return "done"


@application.get("/empty")
def empty() -> str:
    """Do nothing, which is about what a rejection does."""
    return "done"


put_in_front(application)
