#!/usr/bin/env python3
"""Draws docs/plots/accuracy-over-cost.svg, the picture of README.md, from the table beside it.

    tools/cost_plot.py

The table is copied from docs/results.md: cost in epochs, mean test accuracy, and the least and most of its seeds.
"""

import csv
import math
import pathlib

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "docs" / "plots"
WIDTH, HEIGHT, PANEL = 820, 300, 380
LEFT, TOP, BOTTOM = 56, 34, 48
COLOURS = {"sweep": "#0b6e4f", "Adam": "#b4471f"}
TICKS = {"MNIST": [0.2, 0.5, 1, 2, 4], "CIFAR-10": [0.7, 1, 2, 4, 6]}


def text(x, y, words, anchor="middle", size=13, colour="#222", extra=""):
    style = f'font-size="{size}" fill="{colour}" text-anchor="{anchor}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {style} {extra}>{words}</text>'


def panel(data, rows, offset):
    rows = [row for row in rows if row["data"] == data]
    costs, bounds = TICKS[data], [float(row[key]) for row in rows for key in ("least", "most")]
    step = 0.5 if data == "MNIST" else 5
    low, high = math.floor(min(bounds) / step) * step, math.ceil(max(bounds) / step) * step
    left, right = math.log(costs[0] * 0.85), math.log(costs[-1] * 1.2)
    x = lambda cost: offset + LEFT + (math.log(cost) - left) / (right - left) * (PANEL - LEFT - 20)
    y = lambda accuracy: HEIGHT - BOTTOM - (accuracy - low) / (high - low) * (HEIGHT - BOTTOM - TOP)
    out = [text((x(costs[0]) + x(costs[-1])) / 2, 20, data, size=15, extra='font-weight="bold"')]
    for i in range(round((high - low) / step) + 1):
        tick = low + i * step
        ends = f'x1="{offset + LEFT}" x2="{offset + PANEL - 20}" y1="{y(tick):.1f}" y2="{y(tick):.1f}"'
        out.append(f'<line {ends} stroke="#ddd"/>')
        out.append(text(offset + LEFT - 6, y(tick) + 4, f"{tick:g}%", "end", 12, "#555"))
    out += [text(x(cost), HEIGHT - BOTTOM + 18, f"{cost:g}", size=12, colour="#555") for cost in costs]
    out.append(text((x(costs[0]) + x(costs[-1])) / 2, HEIGHT - 10, "cost in epochs, everything charged", size=12))
    for method, colour in COLOURS.items():
        points = [{key: float(row[key]) for key in ("cost", "accuracy", "least", "most")}
                  for row in rows if row["method"] == method]
        line = " ".join(f"{x(p['cost']):.1f},{y(p['accuracy']):.1f}" for p in points)
        out.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for p in points:
            at = f'x1="{x(p["cost"]):.1f}" x2="{x(p["cost"]):.1f}"'
            out.append(f'<line {at} y1="{y(p["least"]):.1f}" y2="{y(p["most"]):.1f}" stroke="{colour}"/>')
            out.append(f'<circle cx="{x(p["cost"]):.1f}" cy="{y(p["accuracy"]):.1f}" r="3.5" fill="{colour}"/>')
        # beside the last of ours, which ends far left, and below the first of Adam's
        is_ours = method == "sweep"
        name, at, below = ("gpu-subset", points[-1], 4) if is_ours else ("Adam, tuned as hard", points[0], 16)
        out.append(text(x(at["cost"]) + 10, y(at["accuracy"]) + below, name, "start", 13, colour))
    return out


def main():
    with open(FOLDER / "accuracy-over-cost.csv") as table:
        rows = list(csv.DictReader(table))
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif">'
    body = [f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>']
    body += panel("MNIST", rows, 0) + panel("CIFAR-10", rows, WIDTH // 2)
    (FOLDER / "accuracy-over-cost.svg").write_text("\n".join([head, *body, "</svg>"]) + "\n")


if __name__ == "__main__":
    main()
