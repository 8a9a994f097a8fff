"""The command line: `demo`, `serve`, `publish`, `subscribe`, `proxy` (extra `cli`).

Only `main` is meant for others. It uses the public asyncio adapter as any application would.
"""

import os
import sys


def main() -> None:
    """Run the command line with the arguments of this process, and exit with its code."""
    if sys.stderr is None:
        # Closed by `2>&-`: what is said there is for nobody, and belongs nowhere else.
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  # until the end
    try:
        from .app import run_app
    except KeyboardInterrupt:
        sys.exit(130)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("typer", "rich"):
            raise
        print(
            "gapless: the command line needs typer and rich; install them with:"
            " pip install 'gapless[cli]'",
            file=sys.stderr,
        )
        sys.exit(2)
    sys.exit(run_app(sys.argv[1:]))
