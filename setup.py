"""The two steps of a build that pyproject.toml cannot say; everything else stands there.

Prevents two wheels that would install and not work: one whose console has no script (`make` puts it there, git
does not hold it), and one whose `labelbridge dev` does not know which Azurite to fetch.
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
SCRIPT = Path("labelbridge/console/static/vendor/htmx.js")
LOCK_FILES = Path("deploy/azurite")
INSTALLED = Path("labelbridge/local/azurite_npm")
"""Where `labelbridge.local.azurite` looks for the lock files in an installation."""


class Build(build_py):
    """Adds Azurite's lock files to what is built; refuses to build without the console's script."""

    def run(self) -> None:
        """Build; an editable installation uses the tree as it is, so nothing is added or asked of it."""
        super().run()
        if self.editable_mode:
            return
        if not (ROOT / SCRIPT).is_file():
            raise SystemExit(
                f"{SCRIPT} is not there: run `make dist`, which puts it there, not a bare build."
            )
        target = Path(self.build_lib) / INSTALLED
        target.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copyfile(ROOT / LOCK_FILES / name, target / name)


setup(cmdclass={"build_py": Build})
