"""Runs fuzz targets with atheris, which mutates bytes towards branches that were not taken yet.

`python -m tests.fuzz.run NAME [libFuzzer options] [corpus folder]` runs one until it is stopped, from its
seeds, which are put into the folder;
`make fuzz` runs all of them for a while each.
"""

import sys
from pathlib import Path

import atheris


def main() -> None:
    """Instrument the labels room only: the rest is not under test and would be slow."""
    with atheris.instrument_imports(include=["labelbridge.labels"], enable_loader_override=False):
        from tests.fuzz import targets
    name, *options = sys.argv[1:]
    for folder in (Path(option) for option in options if not option.startswith("-")):
        for number, seed in enumerate(targets.SEEDS[name]):
            (folder / f"seed{number}").write_bytes(seed)
    atheris.Setup([sys.argv[0], *options], targets.TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
