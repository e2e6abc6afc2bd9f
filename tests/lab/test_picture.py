"""A picture that browsers can read, with everybody in it."""

import itertools
import math
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from pimd.lab import Lab, run
from pimd.lab.__main__ import main
from pimd.lab.picture import draw
from pimd.lab.topology import ring

SVG = "{http://www.w3.org/2000/svg}"


def lines(svg: ET.Element, kind: str) -> int:
    """How many there are, without the one of the legend."""
    return sum(line.get("class") == kind for line in svg.iter(f"{SVG}line")) - 1


def circles(svg: ET.Element, kind: str) -> int:
    return sum(circle.get("class") == kind for circle in svg.findall(f".//{SVG}g/{SVG}circle"))


def test_it_is_xml_and_shows_names_states_cables_and_ways() -> None:
    async def picture() -> str:
        async with Lab(1) as lab:
            daemons = lab.build(ring(6, lab.random))
            silent = lab.add_daemon("a<b&c", settings={"relay": {"enabled": False}})
            liar = lab.add_liar("drop")
            lab.connect(silent, daemons[0])
            lab.connect(liar, daemons[0])
            await lab.start()
            await lab.converged(10)
            daemons[3].kill()
            lab.cut(daemons[0], daemons[1])
            await lab.sleep(5)
            return draw(lab, daemons[2])

    text = run(picture, seed=1)
    svg = ET.fromstring(text)  # noqa: S314 - written a line above
    names = {node.text for node in svg.iter(f"{SVG}text")}
    assert names >= {"n1", "n2", "n3", "n4", "n5", "n6", "a<b&c", "n8"}
    assert (lines(svg, "cable"), lines(svg, "cut"), lines(svg, "idle")) == (5, 1, 2)
    assert (circles(svg, "dead"), circles(svg, "liar"), circles(svg, "silent"), circles(svg, "destination")) == (
        1,
        1,
        1,
        1,
    )
    assert lines(svg, "route") == 1, "two are cut off with the destination"


def test_each_route_is_an_arrow_and_the_command_writes_the_file(tmp_path: Path) -> None:
    file = tmp_path / "mesh.svg"
    assert main(["draw", "grid", "9", str(file), "--to", "n5"]) == 0
    assert lines(ET.parse(file).getroot(), "route") == 8  # noqa: S314


def test_an_empty_lab_can_be_drawn() -> None:
    async def picture() -> str:
        async with Lab(1) as lab:
            return draw(lab)

    assert ET.fromstring(run(picture, seed=1)).tag == f"{SVG}svg"  # noqa: S314


def numbers(element: ET.Element, *names: str) -> list[float]:
    return [float(element.get(name, "nan")) for name in names]


def test_everything_is_in_the_picture_lines_join_circles_and_words_stand_beside_their_signs() -> None:
    async def picture() -> str:
        async with Lab(1) as lab:
            daemons = lab.build(ring(5, lab.random))
            lab.add_daemon("apart")
            await lab.start()
            await lab.until(lambda: all(len(one.node.service.routes()) == 4 for one in daemons), 10)
            return draw(lab)

    svg = ET.fromstring(run(picture, seed=1))  # noqa: S314 - written a line above
    nodes = svg.findall(f".//{SVG}g/{SVG}circle")
    centres = [numbers(node, "cx", "cy") for node in nodes]
    (radius,) = {numbers(node, "r")[0] for node in nodes}
    assert all(math.dist(one, other) > 4 * radius for one, other in itertools.combinations(centres, 2))
    width, height = numbers(svg, "width", "height")
    below = max(y for _, y in centres) + radius
    assert all(radius < x < width - radius for x, _ in centres)
    assert below < height - 100
    lines = list(svg.iter(f"{SVG}line"))
    for line in lines:
        ends = [numbers(line, "x1", "y1"), numbers(line, "x2", "y2")]
        if ends[0][1] < below:
            short_of = radius + 2 if line.get("class") == "route" else 0
            away = [min(math.dist(end, centre) for centre in centres) for end in ends]
            assert away == pytest.approx([short_of] * 2, abs=0.2)
    words = [numbers(text, "x", "y") for text in svg.findall(f"{SVG}text") if text.get("style")]
    signs = [(*numbers(sign, "cx", "cx"), *numbers(sign, "cy")) for sign in svg.findall(f"{SVG}circle")]
    signs += [(left, right, y) for left, right, y in (numbers(line, "x1", "x2", "y1") for line in lines) if y > below]
    assert len(words) == len(signs) == 9
    for left, right, y in signs:
        assert below < y < height
        beside = min(x for x, at in words if at == y and x > left)
        assert left <= right < beside < right + 30
