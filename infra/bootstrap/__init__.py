"""Makes the clone's `.venv` from the lock where needed, then runs a command in it; called by infra/demo and infra/test.

Standard library only: it runs before anything is installed. All it says goes to standard error, because standard
output belongs to the command (`infra/demo --once --json`). Its memory is a stamp in `.venv`: the hashes of the locks
and of pyproject.toml that the folder was made from, written last and in one step. While the stamp fits there is
nothing to do, and no network is needed.

Environment: `AUPSTREAM_PYTHON` (interpreter to use), `AUPSTREAM_CACHE` (folder of downloads; default `.cache` in the
clone), `AUPSTREAM_SETUP_MB` (free megabytes asked for before installing) and pip's own `PIP_*`.
"""
