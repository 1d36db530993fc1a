//! Purposes of use and the narrower ones they take in.

/// v3 ActReason, the code system of purposes of use.
pub const ACT_REASON: &str = "http://terminology.hl7.org/CodeSystem/v3-ActReason";

/// The branches of v3 PurposeOfUse that have narrower purposes (R4 package, CodeSystem v3-ActReason),
/// each with all that lie below it. `BTG` is left out of `TREAT` and `ETREAT` on purpose: whoever
/// denies treatment has not spoken about breaking the glass.
const NARROWER: &[(&str, &[&str])] = &[
    (
        "HOPERAT",
        &[
            "CAREMGT",
            "DONAT",
            "FRAUD",
            "GOV",
            "HACCRED",
            "HCOMPL",
            "HDECD",
            "HDIRECT",
            "HDM",
            "HLEGAL",
            "HOUTCOMS",
            "HPRGRP",
            "HQUALIMP",
            "HSYSADMIN",
            "HTEST",
            "LABELING",
            "MEMADMIN",
            "METAMGT",
            "MILCDM",
            "PATADMIN",
            "PATSFTY",
            "PERFMSR",
            "RECORDMGT",
            "SYSDEV",
            "TRAIN",
        ],
    ),
    ("HSYSADMIN", &["LABELING", "METAMGT"]),
    ("SYSDEV", &["HTEST"]),
    ("HPAYMT", &["CLMATTCH", "COVAUTH", "COVERAGE", "ELIGDTRM", "ELIGVER", "ENROLLM", "MILDCRG", "REMITADV"]),
    ("COVERAGE", &["ELIGDTRM", "ELIGVER", "ENROLLM", "MILDCRG"]),
    ("HRESCH", &["BIORCH", "CLINTRCH", "CLINTRCHNPC", "CLINTRCHPC", "DSRCH", "POARCH", "PRECLINTRCH", "TRANSRCH"]),
    ("CLINTRCH", &["CLINTRCHNPC", "CLINTRCHPC", "PRECLINTRCH"]),
    ("PATRQT", &["FAMRQT", "PWATRNY", "SUPNWK"]),
    ("PUBHLTH", &["DISASTER", "THREAT"]),
    ("TREAT", &["CLINTRL", "COC", "ERTREAT", "ETREAT", "POPHLTH"]),
    ("ETREAT", &["ERTREAT"]),
];

/// `code` and every narrower purpose.
pub fn with_narrower(code: &str) -> impl Iterator<Item = &str> {
    let below = NARROWER.iter().find(|(broader, _)| *broader == code).map_or(&[][..], |(_, below)| below);
    std::iter::once(code).chain(below.iter().copied())
}
