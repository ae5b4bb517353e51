"""What the panel says below its chart: the distance, what chance would show, and what fell outside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plural_nb.charts.theme import percent

if TYPE_CHECKING:
    from plural_nb.answers import Answers
    from plural_nb.comparison.comparison import Comparison
    from plural_nb.survey.shares import Shares
    from plural_nb.survey.survey import Count, Survey


def findings(humans: Shares, comparison: Comparison | None) -> list[dict[str, str]]:
    """Return what there is to say, as mappings of name, value and explanation, the most important first."""
    found = []
    if comparison is not None:
        found.append(
            {
                "name": "Jensen–Shannon distance (base 2)",
                "value": f"{comparison.distances['js_distance']:.2f}",
                "more": f"0: the same shares; 1: nothing in common. {noise(comparison)}",
            }
        )
        found.append(more_than_noise(comparison))
        mass = comparison.b.captured_mass
        if mass is not None:
            found.append(
                {
                    "name": "Outside the options",
                    "value": percent(1 - mass),
                    "more": "of the model's probability fell on none of the options; the bars show the rest as 100%"
                    + (
                        f" (at worst {percent(1 - (comparison.b.captured_mass_min or 0.0))})."
                        if _differs(comparison.b)
                        else "."
                    ),
                }
            )
    found += [side for side in map(_no_opinion, [humans, *([comparison.b] if comparison else [])]) if side]
    return found


def more_than_noise(comparison: Comparison) -> dict[str, str]:
    """Return the verdict on the only group: yes, no or cannot tell, and why."""
    verdict = comparison.verdict
    said = {"beyond noise": "Yes", "within noise": "No", "exact": "No noise"}
    return {
        "name": "More than noise?",
        "value": said.get(verdict.word, "Cannot tell"),
        "more": verdict.sentence(),
    }


def noise(comparison: Comparison) -> str:
    """Return what sampling alone would show if the model were right, in words."""
    floor = comparison.noise_floor
    if comparison.a.exact and comparison.b.exact:
        return "Both are exact for their prompts, so there is no sampling noise."
    about = f"about {floor:.2f}" if floor >= 0.005 else "less than 0.01"
    upper = getattr(comparison.floor, "p95", None)
    seldom = f" (in 19 of 20 samples at most {upper:.2f})" if isinstance(upper, float) and upper >= 0.005 else ""
    n = int(comparison.a.n[0])
    return f"If the model agreed with people exactly, a sample of {n:,} would still show {about}{seldom}."


def counted(count: Count, total: int) -> str:
    """Return a population's size in words.

    >>> from plural_nb.survey.survey import Count
    >>> counted(Count(471, 402.4), 944)
    '471 of 944 people; effective number (Kish) 402'
    """
    people = "person" if count.n == 1 else "people"
    if count.n == 0:
        return f"Nobody of {total:,} people"
    of = f"{count.n:,} of {total:,} people" if count.n != total else f"All {total:,} {people}"
    return f"{of}; effective number (Kish) {count.n_eff_kish:,.0f}"


def survey_notes(survey: Survey, question_wording: str) -> list[str]:
    """Return what a reader must know of the survey: its note, whose words the questions are, its source."""
    wording = "Question texts are paraphrased, not the survey's own words." if question_wording == "paraphrased" else ""
    return [text.strip() for text in (survey.note, wording, survey.citation) if text and text.strip()]


def seen(answers: Answers, mode: str) -> dict[str, Any]:
    """Return exactly what the model was sent: each prompt with its tokens, and the mode."""
    return {
        "mode": mode,
        "replies": [
            {"text": reply.text, "tokens": list(reply.tokens), "pieces": list(reply.pieces)}
            for reply in answers.replies
        ],
    }


def _no_opinion(shares: Shares) -> dict[str, str] | None:
    share = float(shares.nonsubstantive[0])
    volunteered = float(shares.volunteered[0])
    if shares.source.kind != "humans":
        if share < 0.0005:
            return None
        return {
            "name": "No opinion, model",
            "value": percent(share),
            "more": "of its probability on the options fell on “don't know” and the like, which the bars leave out.",
        }
    offered = [o for o in shares.question.options if not o.substantive]
    if not offered:
        return None
    labels = ", ".join(option.label for option in offered)
    if not any(option.offered for option in offered):
        return {
            "name": "No opinion, people",
            "value": percent(volunteered),
            "more": f"gave an answer without opinion unasked ({labels}); they count nowhere in the bars.",
        }
    spoken = f"; another {percent(volunteered)} said so unasked" if volunteered > 0.0005 else ""
    return {
        "name": "No opinion, people",
        "value": percent(share),
        "more": f"gave an answer without opinion ({labels}), which the bars leave out{spoken}.",
    }


def _differs(shares: Shares) -> bool:
    least = shares.captured_mass_min
    return least is not None and shares.captured_mass is not None and shares.captured_mass - least > 0.005
