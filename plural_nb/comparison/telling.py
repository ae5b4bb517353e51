"""A comparison told in plain sentences."""

from __future__ import annotations

import numpy as np

from plural_nb.comparison.noise import NoiseFloor
from plural_nb.survey.shares import Shares

# Below this captured mass a model's row says little of what it would answer (definitions, section 1).
CAPTURED_THRESHOLD = 0.5


def captured_warning(a: Shares, b: Shares) -> str:
    """Return a sentence where less than half of a model's probability fell on the options; else an empty one."""
    for shares in (a, b):
        if shares.captured_mass is not None and shares.captured_mass < CAPTURED_THRESHOLD:
            return (
                f"Only {_percent(shares.captured_mass)} of the probability of {shares.source.name} fell on the "
                "options: its bars are what is left after most of its answer was set aside, so don't lean on them."
            )
    return ""


def sentence(a: Shares, b: Shares, js_distance: float, floor: NoiseFloor) -> str:
    """Return a comparison of one group: the leading option on both sides, the distance, the noise, the rest."""
    k = int(np.argmax(a.share[0]))
    parts = [f"{_said(a, k, a.options[k])}; {_said(b, k)}."]
    parts.append(f"The Jensen–Shannon distance (base 2) is {js_distance:.2f}{_noise(a, b, floor)}.")
    for shares in (a, b):
        if float(shares.nonsubstantive[0]) >= 0.005:
            parts.append(_capital(f"{_percent(shares.nonsubstantive[0])} of {_whose(shares)} gave no opinion."))
        mass = shares.captured_mass
        if mass is not None and mass >= CAPTURED_THRESHOLD and 1 - mass >= 0.005:
            parts.append(_capital(f"{_percent(1 - mass)} of {_whose(shares)} fell outside the options."))
    return " ".join([*parts, captured_warning(a, b)]).strip()


def _noise(a: Shares, b: Shares, floor: NoiseFloor) -> str:
    if floor.method == "none":
        return "; both are exact for their prompts"
    about = f"about {floor.mean:.2f}" if floor.mean >= 0.005 else "less than 0.01"
    if a.exact or b.exact:
        return f"; a sample of this size would show {about} even if the two agreed"
    same = int(a.n[0]) == int(b.n[0])
    return f"; two samples of {'this size' if same else 'these sizes'} from one truth would show {about}"


def _said(shares: Shares, k: int, option: str = "") -> str:
    share = _percent(float(shares.share[0, k]))
    if shares.source.kind == "model":
        as_whom = "" if shares.groups[0] in ("", shares.source.name) else f" ({shares.groups[0]})"
        return f"{shares.source.name}{as_whom} says {share}{' for ' + option if option else ''}"
    group = shares.groups[0]
    who = "people" if shares.source.kind == "humans" else f"personas of {shares.source.name}"
    about = "" if group in ("Everyone", shares.source.name) else f" ({group})"
    n = int(shares.n[0])
    who = who.replace("people", "person").replace("personas", "persona") if n == 1 else who
    said = f"among {n:,} {who}{about}, {share}{' chose ' + option if option else ' did'}"
    return said[0].upper() + said[1:] if option else said


def _whose(shares: Shares) -> str:
    return "people" if shares.source.kind == "humans" else f"the probability of {shares.source.name}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _percent(share: float) -> str:
    # The rule of the charts' labels, in words.
    if 0 < share < 0.005:
        return "under 1%"
    if 0.995 <= share < 1 - 1e-12:
        return "over 99%"
    return f"{share * 100:.0f}%"
