"""The results of a run as a table, as JSON and as a plot."""

import json
import os
import platform

MAX_RSS_BYTES = 256 << 20


def number(value):
    if value is None:
        return "-"
    return f"{value:.0f}" if value >= 1000 else f"{value:.3g}"


def asked(row):
    if row.at_least is not None:
        return f">= {row.at_least:g}"
    return f"<= {row.at_most:g}" if row.at_most is not None else ""


def verdict(row):
    holds = row.holds()
    if row.value() is None:
        return f"not run ({row.reason})" if row.reason else "not run"
    return "" if holds is None else "holds" if holds else "MISSED"


def spread(row):
    """The smallest and the largest of the rounds, where they were compared."""
    ratios = row.ratios()
    return f"{min(ratios):.2f}-{max(ratios):.2f}" if ratios else ""


def table(bench):
    lines = [("", "unit", "ours", "theirs", "peer", "ratio", "rounds", "asked", "")]
    for row in bench.rows:
        ratio = row.value() if row.peer else None
        lines.append((row.what, row.unit, number(row.median("ours")),
                      number(row.median("theirs")) if row.peer else "", row.peer,
                      f"{ratio:.2f}" if ratio is not None else "", spread(row), asked(row),
                      verdict(row)))
    for workload, byte_count in bench.peak_rss.items():
        lines.append((f"peak memory of the daemon: {workload}", "MiB",
                      number(byte_count / (1 << 20)), "", "", "", "",
                      f"<= {MAX_RSS_BYTES >> 20}",
                      "holds" if byte_count <= MAX_RSS_BYTES else "MISSED"))
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    right = {2, 3, 5}
    return "\n".join("  ".join(cell.rjust(width) if i in right else cell.ljust(width)
                               for i, (cell, width) in enumerate(zip(line, widths))).rstrip()
                     for line in lines)


def as_json(bench):
    return {
        "machine": {"cores": len(os.sched_getaffinity(0)), "kernel": platform.release(),
                    "load": os.getloadavg()},
        "options": {"rounds": bench.options.rounds, "mib": bench.options.mib,
                    "mount": bench.options.options},
        "rows": [{"what": row.what, "unit": row.unit, "peer": row.peer or None,
                  "ours": row.ours, "theirs": row.theirs, "ratios": row.ratios(),
                  "value": row.value(), "at_least": row.at_least, "at_most": row.at_most,
                  "holds": row.holds(), "not_run": row.reason or None} for row in bench.rows],
        "peak_rss_bytes": bench.peak_rss,
        "notes": bench.notes,
    }


def plot(bench, stem):
    """Bars of ratio to what is asked for: 1 is enough. Needs matplotlib."""
    try:
        import matplotlib
        matplotlib.use("Agg")
        from matplotlib import pyplot
    except ImportError:
        bench.note("no plot: python3-matplotlib is missing")
        return
    rows = [row for row in bench.rows if row.peer and row.at_least and row.value() is not None]
    if not rows:
        return
    rows.reverse()
    figure, axes = pyplot.subplots(figsize=(10, 0.42 * len(rows) + 1.6))
    places = range(len(rows))
    axes.barh(places, [row.value() for row in rows],
              color=["#2f7d4f" if row.holds() else "#b5483a" for row in rows])
    for place, row in zip(places, rows):
        ratios = row.ratios()
        axes.plot([min(ratios), max(ratios)], [place, place], color="black", linewidth=1)
        axes.plot([row.at_least] * 2, [place - 0.45, place + 0.45], color="black", linewidth=2)
    axes.set_yticks(list(places), [f"{row.what} / {row.peer}" for row in rows], fontsize=8)
    axes.set_xscale("log")
    axes.axvline(1, color="grey", linewidth=0.8, linestyle=":")
    axes.set_xlabel("gzipfs / peer; thick mark: asked for; thin line: all rounds")
    figure.tight_layout()
    for kind in ("svg", "png"):
        figure.savefig(f"{stem}.{kind}", dpi=120)
    pyplot.close(figure)


def write(bench, stem):
    """Prints the table and leaves STEM.json, .txt, .svg and .png."""
    plot(bench, stem)
    text = table(bench) + "".join(f"\n{note}" for note in bench.notes) + "\n"
    print(text, end="")
    with open(stem + ".txt", "w", encoding="utf-8") as file:
        file.write(text)
    with open(stem + ".json", "w", encoding="utf-8") as file:
        json.dump(as_json(bench), file, indent=1)
        file.write("\n")
