"""The command line of the lab; `scripts/lab` runs it."""

import argparse
import math
import multiprocessing
import os
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pimd.lab import scale
from pimd.lab.lab import Lab, NotInTime
from pimd.lab.lies import LIES
from pimd.lab.picture import draw
from pimd.lab.run import run
from pimd.lab.scenario import Verdict, play
from pimd.lab.script import Script, script_of
from pimd.lab.topology import KINDS

TOLD_EVERY = 100
LAST_RECORDS = 40
"""Lines of the log that are shown with a failed scenario."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 1 when a promise was broken, 2 when the arguments make no sense."""
    chosen = _parser().parse_args(arguments)
    code: int = chosen.action(chosen)
    return code


def _number(least: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not text.isascii() or not text.isdigit() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text} is not a whole number from {least}")
        return int(text)

    return number


def _amount(text: str) -> float:
    try:
        amount = float(text)
    except ValueError:
        amount = math.nan
    if not 0 < amount < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not a number above 0")
    return amount


def _file(text: str) -> Path:
    """Check at once that the file can be written, not after minutes of work."""
    file = Path(text)
    if file.is_dir() or not os.access(file if file.exists() else file.parent, os.W_OK):
        raise argparse.ArgumentTypeError(f"{file} cannot be written")
    return file


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/lab", description="Whole daemons under a virtual clock.")
    actions = parser.add_subparsers(required=True)
    one = actions.add_parser("scenario", help="play one scenario, and say what happened and what was wrong")
    one.add_argument("--seed", type=int, required=True)
    one.add_argument("--svg", type=_file, help="where to put a picture of the end")
    one.add_argument("-v", "--verbose", action="store_true", help="also what every daemon logged")
    one.set_defaults(action=_scenario)
    _choices(one)
    one = actions.add_parser("scenarios", help="play many scenarios")
    one.add_argument("--count", type=_number(1), default=100)
    one.add_argument("--from", dest="first", type=int, default=0, help="the first seed")
    one.add_argument("--jobs", type=_number(1), default=os.cpu_count(), help="processes")
    one.set_defaults(action=_scenarios)
    _choices(one)
    one = actions.add_parser("draw", help="write a picture of a topology, its daemons started and their routes found")
    one.add_argument("kind", choices=sorted(KINDS))
    one.add_argument("nodes", type=_number(1))
    one.add_argument("file", type=_file)
    one.add_argument("--seed", type=int, default=1)
    one.add_argument("--to", metavar="NAME", help="draw the routes to this daemon, n1 unless given")
    one.set_defaults(action=_draw)
    one = actions.add_parser("scale", help="measure a cold start and the steady state of meshes of these sizes")
    one.add_argument("nodes", type=_number(2), nargs="+")
    one.add_argument("--seed", type=int, default=1)
    one.add_argument("--degree", type=_amount, default=6.0, help="mean number of neighbours")
    one.add_argument("--steady", type=_amount, default=scale.STEADY_S, help="virtual seconds to go on for")
    one.set_defaults(action=_scale)
    return parser


def _choices(one: argparse.ArgumentParser) -> None:
    one.add_argument("--kind", choices=sorted(KINDS), help="instead of the one that the seed draws")
    one.add_argument("--nodes", type=_number(2))
    one.add_argument("--lies", type=_lies, help=f"of one liar: {','.join(LIES)}, or none")


def _lies(text: str) -> tuple[str, ...]:
    lies = () if text == "none" else tuple(text.split(","))
    if unknown := [lie for lie in lies if lie not in LIES]:
        raise argparse.ArgumentTypeError(f"{unknown[0]} is none of {', '.join(LIES)}")
    return lies


def _scenario(chosen: argparse.Namespace) -> int:
    verdict = play(_script(chosen, chosen.seed), log_level="debug" if chosen.verbose else "info")
    if chosen.verbose or verdict.faults:
        print(*verdict.log[0 if chosen.verbose else -LAST_RECORDS :], sep="\n")
    print(verdict)
    print(f"digest {verdict.digest} after {verdict.virtual_s:.3f} s of virtual time")
    if chosen.svg is not None:
        chosen.svg.write_text(verdict.svg)
    return 1 if verdict.faults else 0


def _script(chosen: argparse.Namespace, seed: int) -> Script:
    return script_of(seed, kind=chosen.kind, count=chosen.nodes, lies=chosen.lies)


def _scenarios(chosen: argparse.Namespace) -> int:
    scripts = (_script(chosen, seed) for seed in range(chosen.first, chosen.first + chosen.count))
    failed: list[_Outcome] = []
    again: list[float] = []
    looked = Counter[str]()
    with multiprocessing.Pool(chosen.jobs) as pool:
        for played, verdict in enumerate(pool.imap_unordered(_outcome, scripts), start=1):
            again += verdict.again_s
            looked += verdict.looked
            if verdict.faults:
                failed.append(verdict)
                print(f"scenario {verdict.seed}: {verdict.faults[0]}", flush=True)
            if played % TOLD_EVERY == 0:
                print(f"{played} played", file=sys.stderr, flush=True)
    print(f"{chosen.count} scenarios, {len(failed)} failed")
    print("looked at: " + ", ".join(f"{count} {what}" for what, count in sorted(looked.items())))
    if again:
        print(
            f"pairs were apart {len(again)} times, the median {sorted(again)[len(again) // 2]:.2f} s, at most {max(again):.2f} s"
        )
    for verdict in sorted(failed, key=lambda verdict: verdict.seed):
        print(f"again: {verdict.command}")
    return 1 if failed else 0


@dataclass(frozen=True)
class _Outcome:
    """The result of one scenario, as a worker process returns it."""

    seed: int
    command: str
    faults: list[str]
    again_s: list[float]
    looked: Counter[str]


def _outcome(script: Script) -> _Outcome:
    try:
        verdict = play(script, log_level="warning")
    except Exception as error:  # noqa: BLE001 - the seam of one scenario: the others continue, and its seed is printed
        verdict = Verdict(script, faults=[f"the lab broke: {error!r}"])
    return _Outcome(script.seed, verdict.command, verdict.faults, verdict.again_s, verdict.looked)


def _draw(chosen: argparse.Namespace) -> int:
    names = [f"n{number + 1}" for number in range(chosen.nodes)]
    if chosen.to not in (None, *names):
        print(f"there is no daemon {chosen.to}: they are n1 to {names[-1]}", file=sys.stderr)
        return 2

    async def svg() -> str:
        async with Lab(chosen.seed, log_level="warning") as lab:
            lab.build(KINDS[chosen.kind](chosen.nodes, lab.random))
            await lab.start()
            await lab.converged(scale.LIMIT_S)
            return draw(lab, lab.daemons[chosen.to] if chosen.to else None)

    chosen.file.write_text(run(svg, seed=chosen.seed))
    return 0


def _scale(chosen: argparse.Namespace) -> int:
    print(scale.HEAD)
    broken: list[str] = []
    for nodes in chosen.nodes:
        try:
            cost = run(partial(scale.measure, nodes, chosen.seed, chosen.degree, chosen.steady), seed=chosen.seed)
        except NotInTime as error:
            broken.append(f"{nodes} nodes: {error}")
            continue
        print(cost, flush=True)
        broken += scale.broken_promises(cost)
    print(*broken, sep="\n", end="\n" if broken else "", file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
