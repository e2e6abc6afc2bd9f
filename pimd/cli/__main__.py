"""`python -m pimd.cli`."""

import sys

from pimd.cli import main

if __name__ == "__main__":
    sys.exit(main())
