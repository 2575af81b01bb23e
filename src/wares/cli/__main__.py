"""``python -m wares.cli``."""

from wares.cli.main import run

run()
