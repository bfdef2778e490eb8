# SPDX-License-Identifier: MIT
"""From samples to the table: medians, and what sbrouter takes of what another bus takes."""

import statistics


class Samples:
    """{(bus, key, metric): [one value per round]}."""

    def __init__(self):
        self.values = {}

    def add(self, bus, key, metric, value):
        self.values.setdefault((bus, key, metric), []).append(value)

    def of(self, bus, key, metric):
        return self.values.get((bus, key, metric), [])

    def median(self, bus, key, metric):
        found = self.of(bus, key, metric)
        return statistics.median(found) if found else None

    def ratios(self, bus, other, key, metric):
        """Round by round, so that what disturbs a round disturbs both."""
        return [a / b for a, b in zip(self.of(bus, key, metric), self.of(other, key, metric)) if b]


def figure(value):
    if value is None:
        return "-"
    return f"{value:,.0f}".replace(",", " ") if value >= 100 else f"{value:.3g}"


def ratio(values):
    """The median, and between what it lay."""
    if not values:
        return "-"
    return f"{statistics.median(values):.2f} ({min(values):.2f}-{max(values):.2f})"


class Verdict:
    """One row with a target: what was to be reached, what was, and whether that is enough."""

    def __init__(self, row, samples, reference):
        self.row = row
        if row.absolute:
            self.value = samples.median("sbrouter", row.key, row.metric)
        else:
            found = samples.ratios("sbrouter", reference, row.key, row.metric)
            self.value = statistics.median(found) if found else None

    def met(self):
        return self.value is not None and self.value <= self.row.target

    def __str__(self):
        value = "not measured" if self.value is None else f"{self.value:.2f}"
        if self.row.absolute and self.value is not None:
            value = figure(self.value) + " KiB"
        return f"{self.row.label}: {value}, target {self.row.target:g}"


def lines(header, rows):
    """Columns, the first to the left and the others to the right; fit for Markdown, too."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]

    def line(cells):
        first, *others = [cell.ljust(w) if i == 0 else cell.rjust(w)
                          for i, (cell, w) in enumerate(zip(cells, widths))]
        return "| " + " | ".join([first, *others]) + " |"

    rule = "|" + "|".join("-" * (w + 2) if i == 0 else "-" * (w + 1) + ":"
                          for i, w in enumerate(widths)) + "|"
    return [line(header), rule, *(line(row) for row in rows)]


def time_table(rows, samples, buses, reference):
    """CPU of the bus in microseconds per operation, and how it compares."""
    header = ["µs of CPU per operation", *buses, f"sbrouter/{reference}", "by the clock",
              f"relay/{reference}", "target"]
    body = []
    for row in rows:
        target = "" if row.target is None else f"{row.target:g}"
        body.append([row.label, *(figure(samples.median(bus, row.key, "cpu")) for bus in buses),
                     ratio(samples.ratios("sbrouter", reference, row.key, "cpu")),
                     ratio(samples.ratios("sbrouter", reference, row.key, "wall")).split(" ")[0],
                     ratio(samples.ratios("relay", reference, row.key, "cpu")).split(" ")[0],
                     target])
    return lines(header, body)


def memory_table(rows, samples, buses):
    header = ["KiB of memory", *buses, "target"]
    body = [[row.label, *(figure(samples.median(bus, row.key, row.metric)) for bus in buses),
             "" if row.target is None else f"{row.target:g}"] for row in rows]
    return lines(header, body)


def verdict_lines(rows, samples, reference):
    """Which targets are met, and by name which are not."""
    verdicts = [Verdict(row, samples, reference) for row in rows if row.target is not None]
    missed = [v for v in verdicts if not v.met()]
    found = [f"{len(verdicts) - len(missed)} targets met, {len(missed)} missed"
             f"{':' if missed else ''}"]
    return found + [f"  {v}" for v in missed]
