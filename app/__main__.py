"""``python -m app``: the same as the command ``thetaloop``."""

from app.cli.main import main

raise SystemExit(main())
