"""Several trainings for one answer: run one after another, their scores pooled, compared and laid out."""
