"""The model's inputs: what each is to the outside, and which columns of the table it comes from.

One list serves training, the ONNX graph, model.json and the model card, so that they cannot differ.
Units are those that laboratories send; where the table's unit is another, `scale` converts.
"""

from dataclasses import dataclass, field

LOINC = "http://loinc.org"


@dataclass(frozen=True)
class Measurement:
    """Something that is measured, with the LOINC codes it is sent under."""

    name: str
    display: str
    codes: tuple
    unit: str
    plausible: tuple
    # Column stem in the table, first choice first; the ones after fill in where it is missing.
    columns: tuple
    scale: float = 1.0
    alternatives: tuple = ()
    molar_mass: dict = field(default_factory=dict)
    valence: float | None = None


@dataclass(frozen=True)
class Input:
    """One column of the model: a measurement with an aggregation, or a property of the patient."""

    name: str
    display: str
    source: str
    measurement: Measurement | None
    aggregation: str | None


GLUCOSE, CREATININE, NITROGEN = 180.156, 113.118, 28.0134
BILIRUBIN, LACTATE, MAGNESIUM = 584.662, 90.078, 24.305


def mass(molar_mass, *codes):
    return {code: molar_mass for code in codes}


# Pressures are sent under one code whether the cuff or the arterial line measured them, so both
# columns of the table are one measurement here.
MEASUREMENTS = {
    m.name: m
    for m in [
        Measurement("heart-rate", "Heart rate", ("8867-4", "76282-3"), "/min", (20, 300), ("HR",)),
        Measurement("systolic", "Systolic blood pressure", ("8480-6", "76215-3", "76534-7"), "mm[Hg]", (30, 300), ("SysABP", "NISysABP")),
        Measurement("diastolic", "Diastolic blood pressure", ("8462-4", "76213-8", "76535-4"), "mm[Hg]", (10, 200), ("DiasABP", "NIDiasABP")),
        Measurement("mean-pressure", "Mean blood pressure", ("8478-0", "76214-6", "76536-2"), "mm[Hg]", (20, 250), ("MAP", "NIMAP")),
        Measurement("respiratory-rate", "Respiratory rate", ("9279-1",), "/min", (3, 90), ("RespRate",)),
        Measurement("oxygen-saturation", "Oxygen saturation", ("2708-6",), "%", (40, 100), ("SaO2",), alternatives=("59408-5",)),
        Measurement("temperature", "Body temperature", ("8310-5", "8329-5", "8332-9"), "Cel", (25, 45), ("Temp",)),
        Measurement("gcs", "Glasgow coma score", ("9269-2",), "{score}", (3, 15), ("GCS",)),
        Measurement("glucose", "Glucose", ("2345-7", "2339-0", "41653-7", "14749-6", "15074-8"), "mg/dL", (10, 1500), ("Glucose",), molar_mass=mass(GLUCOSE, "2345-7", "2339-0", "41653-7", "14749-6", "15074-8")),
        Measurement("urea-nitrogen", "Urea nitrogen", ("3094-0", "6299-2", "14937-7", "22664-7"), "mg/dL", (1, 300), ("BUN",), molar_mass=mass(NITROGEN, "3094-0", "6299-2", "14937-7", "22664-7")),
        Measurement("creatinine", "Creatinine", ("2160-0", "38483-4", "14682-9"), "mg/dL", (0.1, 30), ("Creatinine",), molar_mass=mass(CREATININE, "2160-0", "38483-4", "14682-9")),
        Measurement("sodium", "Sodium", ("2951-2", "2947-0"), "mmol/L", (90, 200), ("Na",), valence=1),
        Measurement("potassium", "Potassium", ("2823-3", "6298-4"), "mmol/L", (1, 12), ("K",), valence=1),
        Measurement("bicarbonate", "Bicarbonate", ("1963-8", "1960-4", "2028-9"), "mmol/L", (2, 60), ("HCO3",), valence=1),
        Measurement("haematocrit", "Haematocrit", ("4544-3", "20570-8", "4545-0"), "%", (5, 75), ("HCT",)),
        Measurement("leukocytes", "Leukocytes", ("6690-2", "26464-8", "804-5"), "10*3/uL", (0.05, 500), ("WBC",)),
        Measurement("platelets", "Platelets", ("777-3", "26515-7", "778-1"), "10*3/uL", (1, 2500), ("Platelets",)),
        Measurement("bilirubin", "Bilirubin, total", ("1975-2", "14631-6"), "mg/dL", (0.1, 80), ("Bilirubin",), molar_mass=mass(BILIRUBIN, "1975-2", "14631-6")),
        Measurement("lactate", "Lactate", ("2524-7", "32693-4", "2518-9", "2519-7", "14118-4"), "mmol/L", (0.1, 35), ("Lactate",), molar_mass=mass(LACTATE, "2524-7", "32693-4", "2518-9", "2519-7", "14118-4")),
        Measurement("ph", "Arterial pH", ("2744-1", "11558-4"), "[pH]", (6.5, 8.0), ("pH",)),
        Measurement("paco2", "Arterial carbon dioxide pressure", ("2019-8", "11557-6"), "mm[Hg]", (5, 200), ("PaCO2",)),
        Measurement("pao2", "Arterial oxygen pressure", ("2703-7", "11556-8"), "mm[Hg]", (15, 700), ("PaO2",)),
        # The table has a fraction; laboratories send per cent.
        Measurement("fio2", "Inspired oxygen", ("3150-6", "19994-3"), "%", (20, 100), ("FiO2",), scale=100.0),
        Measurement("albumin", "Albumin", ("1751-7",), "g/dL", (0.5, 7), ("Albumin",)),
        Measurement("alt", "Alanine aminotransferase", ("1742-6",), "U/L", (1, 20000), ("ALT",)),
        Measurement("ast", "Aspartate aminotransferase", ("1920-8",), "U/L", (1, 30000), ("AST",)),
        Measurement("alp", "Alkaline phosphatase", ("6768-6",), "U/L", (5, 5000), ("ALP",)),
        # The table's publisher says mmol/L, but its median is 2.0: these are mg/dL. Laboratories that
        # send mmol/L are converted.
        Measurement("magnesium", "Magnesium", ("2601-3", "19123-9"), "mg/dL", (0.3, 12), ("Mg",), molar_mass=mass(MAGNESIUM, "2601-3", "19123-9"), valence=2),
        Measurement("troponin-i", "Troponin I", ("10839-9",), "ng/mL", (0, 500), ("TroponinI",)),
        Measurement("troponin-t", "Troponin T", ("6598-7",), "ng/mL", (0, 100), ("TroponinT",)),
        Measurement("weight", "Body weight", ("29463-7", "3141-9"), "kg", (25, 350), ("Weight",)),
    ]
}

# Measurement and aggregations. Every measurement stands here once; a second aggregation only where
# its curve moved the answer in cross-validation. Of pressures only lowest and highest values are
# combined exactly from cuff and arterial line, and not for the systolic one, of which the table has
# only the first and last arterial value (see data.py).
CHOSEN = [
    ("gcs", "highest", "last"),
    ("heart-rate", "highest", "last"),
    ("systolic", "last"),
    ("diastolic", "lowest"),
    ("mean-pressure", "lowest"),
    ("respiratory-rate", "highest"),
    ("oxygen-saturation", "lowest", "last"),
    ("temperature", "lowest", "last"),
    ("glucose", "last"),
    ("urea-nitrogen", "first", "last"),
    ("creatinine", "last"),
    ("sodium", "first", "last"),
    ("potassium", "last"),
    ("bicarbonate", "first", "last"),
    ("haematocrit", "last"),
    ("leukocytes", "last"),
    ("platelets", "first"),
    ("lactate", "last"),
    ("ph", "last"),
    ("paco2", "last"),
    ("pao2", "first"),
    ("fio2", "last"),
    ("bilirubin", "last"),
    ("albumin", "last"),
    ("alt", "last"),
    ("ast", "last"),
    ("alp", "last"),
    ("magnesium", "last"),
    ("troponin-i", "last"),
    ("troponin-t", "last"),
    ("weight", "first"),
]


def inputs():
    """All inputs, in the order of the graph's columns."""
    listed = [
        Input("age", "Age", "age", None, None),
        Input("sex-male", "Male sex", "sex-male", None, None),
    ]
    for name, *aggregations in CHOSEN:
        measurement = MEASUREMENTS[name]
        for aggregation in aggregations:
            listed.append(Input(f"{name}-{aggregation}", f"{measurement.display}, {aggregation}", "observation", measurement, aggregation))
    return listed
