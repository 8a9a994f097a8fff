"""`python -m gapless.adapters.cli`: the same as `gapless`."""

from gapless.adapters.cli import main

if __name__ == "__main__":
    main()
