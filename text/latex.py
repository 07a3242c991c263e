"""Simple LaTeX → the signs of mathematics, which text.signs reads: $x^{2}$ is x^2, \\frac{1}{2} is 1/2."""

import re

from text.rules import rule

COMMANDS = {
    **{"times": "×", "cdot": "×", "div": "÷", "pm": "±", "leq": "≤", "geq": "≥", "neq": "≠"},  # noqa: RUF001
    **{"approx": "≈", "infty": "∞", "sum": "∑", "int": "∫", "partial": "∂", "nabla": "∇", "rightarrow": "→"},
}
GREEK = (
    "alpha|beta|gamma|delta|epsilon|theta|lambda|mu|pi|rho|sigma|tau|phi|psi|omega|Gamma|Delta|Sigma|Omega"
)


def _fraction(found: re.Match[str]) -> str:
    above, below = found[1].strip(), found[2].strip()
    return f"{above}/{below}" if above.isdecimal() and below.isdecimal() else f"{above} over {below}"


LATEX = (
    # $X and $5 are amounts; a formula between two dollars is a letter or has marks that only formulas have.
    rule(
        r"(?<![\w$])\$([^\W\d]|(?=[^$\n]{0,100}[\\^_{}]|[^\d$\n]{1,100}=)[^\s$][^$\n]{0,98}[^\s$])\$(?![\d$])",
        r"\1",
    ),
    rule(r"\\[dt]?frac\{([^{}]{1,40})\}\{([^{}]{1,40})\}", _fraction),
    rule(r"\\sqrt\{([^{}]{1,40})\}", r"√\1"),
    rule(rf"\\({'|'.join(COMMANDS)})\b", lambda found: f" {COMMANDS[found[1]]} "),
    rule(rf"\\({GREEK})\b", r" \1 "),
    rule(r"\^\{(\w{1,40})\}(?!\w)", r"^\1"),
    rule(r"\^\{([^{}]{1,40})\}", r"^(\1)"),
)
