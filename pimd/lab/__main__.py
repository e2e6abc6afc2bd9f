"""The command line of the lab; `scripts/lab` runs it."""

import argparse
import sys
from collections.abc import Sequence
from functools import partial

from pimd.lab import scale
from pimd.lab.run import run


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what is asked for; 1 when something was found that must not be."""
    chosen = _parser().parse_args(arguments)
    code: int = chosen.action(chosen)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/lab", description="Whole daemons under a virtual clock.")
    actions = parser.add_subparsers(required=True)
    one = actions.add_parser("scale", help="measure a cold start and the steady state of meshes of these sizes")
    one.add_argument("nodes", type=int, nargs="+")
    one.add_argument("--seed", type=int, default=1)
    one.add_argument("--degree", type=float, default=6.0, help="mean number of neighbours")
    one.add_argument("--steady", type=float, default=scale.STEADY_S, help="virtual seconds to go on for")
    one.set_defaults(action=_scale)
    return parser


def _scale(chosen: argparse.Namespace) -> int:
    print(scale.HEAD)
    for nodes in chosen.nodes:
        measure = partial(scale.measure, nodes, chosen.seed, chosen.degree, chosen.steady)
        print(run(measure, seed=chosen.seed), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
