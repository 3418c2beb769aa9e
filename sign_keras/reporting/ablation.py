"""The page of an ablation: what each variant scored, drawn on one scale beside the first."""

import math
from typing import Any

from sign_keras.reporting.findings import counted
from sign_keras.reporting.templates import render

TEMPLATE_NAME = "ablation.html.j2"
LESS_IS_BETTER = ("wer",)
SMALLEST_STEP = 0.1  # of a scale's end


def render_ablation(summary: dict[str, Any], *, name: str, configuration: str) -> str:
    """The page's text.

    Args:
        summary: from ``studies.ablation.summarise``.
        name: of the configuration.
        configuration: of the first variant, as YAML.
    """
    first, reference = next(iter(summary["variants"].items()))
    return render(
        TEMPLATE_NAME,
        name=name,
        first=first,
        labels=list(reference["each"]),
        tested=f"{counted(reference['clips'], 'clip')} of {counted(reference['signers'], 'signer')}",
        charts=[_chart(summary, score, title) for score, title in summary["scores"].items()],
        trainings={
            variant: [f"{of_run['minutes']:.1f} ({of_run['epochs']})" for of_run in scores["each"].values()]
            for variant, scores in summary["variants"].items()
        },
        configuration=configuration,
    )


def _chart(summary: dict[str, Any], score: str, title: str) -> dict[str, Any]:
    """A score of all variants; places are shares of the scale, from 0 to a little more than what there is."""
    variants = summary["variants"]
    highest = max(
        max(scores[f"{score}_interval"][1], *(of_run[score] for of_run in scores["each"].values()))
        for scores in variants.values()
    )
    end = max(SMALLEST_STEP, math.ceil(highest / SMALLEST_STEP - 1e-9) * SMALLEST_STEP)
    rows = []
    for variant, scores in variants.items():
        low, high = scores[f"{score}_interval"]
        rows.append(
            {
                "variant": variant,
                "value": scores[score],
                "interval": (low, high),
                "place": scores[score] / end,
                "from": low / end,
                "to": high / end,
                "each": [of_run[score] for of_run in scores["each"].values()],
                "seeds": [of_run[score] / end for of_run in scores["each"].values()],
                "difference": scores["difference"][score] if "difference" in scores else None,
            }
        )
    return {"title": title, "rows": rows, "end": end, "less_is_better": score in LESS_IS_BETTER}
