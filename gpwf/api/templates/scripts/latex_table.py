"""Turn the result of a fit into a table for a paper.

The step `paper-table` of @file@ runs this as

    python3 @script@ fit_result.json parameters.tex --digits=2
"""

import argparse
import json
import math
from pathlib import Path
from typing import Any


def main() -> None:
    """Read the result of a fit, and write its free parameters as rows of a LaTeX table."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("result", type=Path, help="JSON file of a product of the kind fit-result")
    parser.add_argument("table", type=Path, help="file to write")
    parser.add_argument("--digits", type=int, default=2, help="digits of the errors")
    given = parser.parse_args()
    result = json.loads(given.result.read_text())
    rows = [row(item, given.digits) for item in result["parameters"] if not item["frozen"]]
    lines = [
        r"\begin{tabular}{lllc}",
        r"\hline",
        r"Source & Parameter & Unit & Value \\",
        r"\hline",
        *rows,
        r"\hline",
        r"\end{tabular}",
    ]
    given.table.write_text("\n".join(lines) + "\n")
    print(f"{len(rows)} parameters, fit statistic {result['total_stat']:.1f}")


def row(parameter: dict[str, Any], digits: int) -> str:
    """Return a parameter as a row; its value has as many decimals as its error."""
    value, error = parameter["value"], parameter["error"]
    power = math.floor(math.log10(abs(value))) if value else 0
    power = 0 if abs(power) < 3 else power
    small = error / 10**power
    decimals = max(0, digits - 1 - math.floor(math.log10(small))) if small > 0 else digits
    number = f"{value / 10**power:.{decimals}f} \\pm {small:.{decimals}f}"
    if power:
        number = f"({number}) \\times 10^{{{power}}}"
    cells = [parameter["model"], parameter["name"], parameter["unit"], f"${number}$"]
    return " & ".join(cell.replace("_", r"\_") for cell in cells) + r" \\"


if __name__ == "__main__":
    main()
