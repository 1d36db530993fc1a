"""The training table as a matrix of the model's inputs."""

import numpy as np
import pandas as pd

from inputs import inputs

OUTCOME = "In-hospital_death"


def load(path):
    """Rows of the table, one an ICU stay."""
    return pd.read_csv(path)


def outcome(table):
    """1 where the patient died in hospital."""
    return table[OUTCOME].to_numpy(dtype=int)


def column(table, measurement, aggregation):
    """One input: implausible values dropped, several sources combined.

    Lowest and highest of two sources are exact. Of first and last values the table does not tell
    which source was the earlier or later, so the first source is taken where it is there.
    """
    low, high = measurement.plausible
    sources = []
    for stem in measurement.columns:
        values = table[f"{stem}_{aggregation}"].to_numpy(dtype=float) * measurement.scale
        sources.append(np.where((values >= low) & (values <= high), values, np.nan))
    combined = sources[0]
    for other in sources[1:]:
        if aggregation == "lowest":
            combined = np.fmin(combined, other)
        elif aggregation == "highest":
            combined = np.fmax(combined, other)
        else:
            combined = np.where(np.isnan(combined), other, combined)
    return combined


def matrix(table):
    """The model's inputs, NaN where missing."""
    columns = []
    for item in inputs():
        if item.source == "age":
            columns.append(table["Age"].to_numpy(dtype=float))
        elif item.source == "sex-male":
            columns.append(table["Gender"].to_numpy(dtype=float))
        else:
            columns.append(column(table, item.measurement, item.aggregation))
    return np.column_stack(columns)


def measured(table_matrix):
    """Which measurements a row has: rows by measurement name."""
    names = {}
    for at, item in enumerate(inputs()):
        if item.measurement:
            names.setdefault(item.measurement.name, []).append(at)
    present = ~np.isnan(table_matrix)
    return {name: present[:, at].any(axis=1) for name, at in names.items()}
