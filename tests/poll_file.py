"""A made-up poll and what a file says of its columns, for tests that read files."""

import datetime as dt

import numpy as np
import polars as pl

N = 400
AGREE = {1.0: "Strongly agree", 2.0: "Agree", 3.0: "Neither", 4.0: "Disagree", 5.0: "Strongly disagree",
         8.0: "Don't know", 9.0: "Refused"}  # fmt: skip
LABELS = {
    "sex": {1.0: "Male", 2.0: "Female"},
    "agree": AGREE,
    "vote": {1.0: "Red", 2.0: "Blue", 3.0: "Green", 4.0: "Grey", -9.0: "No answer"},
    "happy": {0.0: "Extremely unhappy", 10.0: "Extremely happy"},
    "therm": {998.0: "Don't know"},
}
TEXTS = {
    "agree": "Differences in income should be reduced – “a lot”.",
    "therm": "Feeling thermometer: unions",
    "happy": "How happy are you?",
    "sex": "Sex of respondent",
    "age": "Age",
    "wt": "Post-stratification weight",
}


def poll() -> pl.DataFrame:
    """Return the people and what they said."""
    rng = np.random.default_rng(1)
    return pl.DataFrame(
        {
            "id": np.arange(N) + 1001.0,
            "sex": rng.integers(1, 3, N) * 1.0,
            "age": np.append(rng.integers(18, 95, N - 2), [18, 94]) * 1.0,
            "agree": rng.choice([1.0, 2, 3, 4, 5, 8, 9], N),
            "vote": rng.choice([1.0, 2, 3, -9], N),
            "happy": rng.integers(0, 11, N) * 1.0,
            "therm": rng.choice([0.0, 15, 30, 50, 60, 70, 85, 100, 998], N),
            "wt": rng.uniform(0.2, 3, N),
            "stratum": np.arange(N) // 100 + 1.0,
            "psu": np.arange(N) // 25 % 4 + 1.0,
            "asked": [dt.date(2020, 1, 2)] * N,
            "said": [f"text {i}" for i in range(N)],
        }
    )
