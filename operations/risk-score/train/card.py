"""card.md: what a reader must know before using the model, with the measured figures filled in."""


def write(description, metrics):
    test = metrics["test"]
    return "\n".join([heading(description), performance(test), calibration(test), groups(test), drivers(metrics), few(metrics, description), training(metrics), limits()]) + "\n"


def figure(measure, digits=3):
    return f"{measure['value']:.{digits}f} ({measure['low']:.{digits}f} to {measure['high']:.{digits}f})"


def table(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join(lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]) + "\n"


def heading(description):
    return f"""# Model card: {description['title']} (`{description['name']}` {description['version']})

{description['description']}

**Not for clinical use.** It is a working demonstration of a model served with its reasons. It was made from one hospital's patients of 2001 to 2008, has not been validated anywhere else or prospectively, and is no medical device. Nobody should be treated, left untreated, or admitted because of it.

| | |
|---|---|
| Predicts | {description['horizon']} |
| Made for | {description['population']['text']} ({description['population']['minimum_age']} years and over) |
| Not made for | children; patients outside intensive care; a time other than the end of the first 48 hours; deciding on limits of care; comparing hospitals |
| Output | probability (0 to 1); a contribution in log-odds for each input; a baseline; baseline plus contributions is the logit of the probability |
| Inputs | {len(description['inputs'])} columns from {len({i['codes'][0]['code'] for i in description['inputs']})} measurements, listed with codes, units, plausible ranges and missing policy in `model.json` |
| Missing inputs | a contribution learned for "not known" takes their place, inside the graph; each is named as `imputed` |
| Too little to go on | fewer than {description['minimum']['measurements']} different measurements: no answer |
| Form | additive: one piecewise linear curve an input; explanations are exact, not approximations |
| Licence | {description['license']}; data ODC-BY 1.0 |
"""


def performance(test):
    model = test["model"]
    rows = [
        ("AUROC", figure(model["auroc"])),
        ("AUPRC", f"{figure(model['auprc'])}; chance is {test['deaths'] / test['rows']:.3f}"),
        ("Brier score", figure(model["brier"])),
        ("Calibration slope", figure(model["calibration_slope"], 2)),
        ("Calibration intercept", figure(model["calibration_intercept"], 2)),
        ("Observed to expected deaths", figure(model["observed_to_expected"], 2)),
    ]
    same = test["same_rows"]
    beside = [(name, figure(same[key]["auroc"]), figure(same[key]["auprc"]), "" if key == "model" else figure(same[f"over_{key}"])) for name, key in (("this model", "model"), ("SAPS-I", "SAPS-I"), ("SOFA", "SOFA"))]
    return f"""## Performance

On {test['rows']} stays ({test['deaths']} deaths) that took no part in any choice, opened once; 95% intervals from {test['bootstrap_resamples']} bootstrap resamples of patients.

{table(('measure', 'value'), rows)}
Beside the scores that came with the same rows ({same['rows']} stays that have both). SAPS-I and SOFA were made for other purposes, and the values are those the publisher computed:

{table(('score', 'AUROC', 'AUPRC', 'AUROC of this model above it'), beside)}"""


def calibration(test):
    rows = [(g["rows"], f"{g['predicted']:.3f}", f"{g['observed']:.3f} ({g['low']:.3f} to {g['high']:.3f})") for g in test["calibration"]]
    points = [(f"{p['threshold']:.2f}", f"{p['flagged_share']:.2f}", f"{p['sensitivity']:.2f}", f"{p['specificity']:.2f}", f"{p['positive_predictive_value']:.2f}") for p in test["decision_points"]]
    bands = [(b["band"], b["rows"], b["deaths"], f"{b['low']:.3f} to {b['high']:.3f}") for b in test["bands"]]
    return f"""## Calibration

Tenths of the test rows by predicted probability:

{table(('stays', 'predicted', 'observed'), rows)}
Bands, as `qualitativeRisk` names them:

{table(('band', 'stays', 'deaths', '95% interval of mortality'), bands)}
If everyone at or above a probability were flagged:

{table(('threshold', 'flagged', 'sensitivity', 'specificity', 'positive predictive value'), points)}"""


def groups(test):
    rows = [(g["group"], g["rows"], g["deaths"], figure(g["auroc"]), figure(g["brier"]), figure(g["observed_to_expected"], 2)) for g in test["subgroups"]]
    return f"""## Subgroups

Race, ethnicity and language are not in the data, so fairness across them is unknown.

{table(('group', 'stays', 'deaths', 'AUROC', 'Brier score', 'observed to expected'), rows)}"""


def drivers(metrics):
    ranked = sorted(metrics["inputs"], key=lambda i: -i["contribution_sd"])[:15]
    rows = [(i["name"], f"{i['contribution_sd']:.3f}", f"{i['missing_share']:.2f}") for i in ranked]
    return f"""## What moves the answer

Spread of the contributions over the training rows (standard deviation, log-odds), largest first. They are associations: changing a value does not change the risk by as much.

{table(('input', 'spread', 'missing in training'), rows)}"""


def few(metrics, description):
    rows = [(r["measurements"], f"{r['auroc']:.3f}", f"{r['brier']:.3f}", f"{r['observed_to_expected']:.2f}") for r in metrics["fewer_measurements"]]
    return f"""## With fewer measurements

Nearly everyone in the data has nearly everything measured; elsewhere that is not so. Training therefore also saw copies of its rows with measurements hidden at random: without them, a patient with five known measurements was given a quarter of the true risk. The table is of the training rows (so somewhat too good), when only so many measurements, drawn at random, are known. {description['minimum']['rationale']}

{table(('measurements', 'AUROC', 'Brier score', 'observed to expected'), rows)}"""


def training(metrics):
    made = metrics["training"]
    tried = []
    for name, m in metrics["cross_validation"]["candidates"].items():
        recorded, hidden = m["as_recorded"], m["hidden"]
        tried.append((name, f"{recorded['auroc']:.4f}", f"{recorded['auprc']:.4f}", f"{recorded['brier']:.4f}", f"{hidden['auroc']:.4f}", f"{hidden['observed_to_expected']:.2f}"))
    return f"""## Training

Data: PhysioNet/Computing in Cardiology Challenge 2012, set A ({made['rows']} stays, {made['deaths']} deaths), from the intensive care units of one US hospital, 2001 to 2008; de-identified by its publisher. Test: half of set B. The data is not in this repository; hashes of both files are in `metrics.json`.

The average of a ridge logistic regression on linear splines and of boosted trees of one input each, folded into curves, then recalibrated on out-of-fold predictions. Chosen by five-fold cross-validation on set A: of the candidates that stay calibrated when measurements are hidden, the one with the best Brier score. The inputs themselves were chosen from about eighty by looking at all of set A, so these figures flatter a little; those of the test do not.

{table(('candidate', 'AUROC', 'AUPRC', 'Brier score', 'AUROC, some hidden', 'observed to expected, some hidden'), tried)}
`make train` repeats all of it; the seed is {made['seed']}.
"""


def limits():
    return """## Limits

- **One hospital, long ago.** Practice, case mix and laboratory methods have changed since 2008. Discrimination falls elsewhere: an earlier model of ours on this data fell to an AUROC of 0.629 on another hospital set. Recalibrate and validate before believing any number.
- **Adults only**, and ages above 89 are all one in the data.
- **A snapshot.** First, last, lowest and highest values of 48 hours; no treatment, diagnosis, operation or limit of care is seen. A patient seen after six hours is scored as one whose 48 hours were like those six.
- **What is missing means something in the data** (few lactates in the well), and it may mean something else elsewhere, or be hidden by a Consent. Copies with hidden measurements soften this and do not remove it: with few measurements the risk is still told somewhat too low (see above), and never sharper than the inputs allow.
- **Training saw aggregates, not single values.** Implausible single values inside a 48-hour series could not be removed one by one in training, as they are in serving; the lowest pressures of arterial lines hold artefacts (a range limit drops the worst).
- **First and last pressures** from cuff and arterial line are not ordered in time in the table; the arterial one was taken where there was one.
- **Saturation**: training saw mostly arterial saturation; pulse oximetry (59408-5) stands in where there is none.
- **Magnesium**: the publisher says mmol/L, but the values are mg/dL (median 2.0) and are used as such; laboratories that send mmol/L are converted.
- **Urine output and ventilation** are predictive, but their columns in the table could not be trusted (urine "sum" of 13 in two days) or cannot be had from Observations, so they are left out.
- **Interactions are left out** on purpose, for exact explanations; our cross-validation found a gain of about 0.015 in AUROC with them.
"""
