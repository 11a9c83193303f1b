"""The command `neurmatic`, for whoever knows the interpreter only: the stack's timers do."""

import sys

from neurmatic.cli.main import main

sys.exit(main())
