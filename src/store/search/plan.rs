//! Where a search starts, of all the ways there are, and what is left to test then.

use salus_fhir::Key;

use super::chain::with_patient;
use super::condition::Condition;
use super::intervals::IntervalTest;
use super::start::{Clause, KeyStart, Pointing, Start, rank};
use crate::facts::{about_patient, compartment_key, type_key};

/// A start, and what is left to test.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub start: Start,
    /// The conditions that the start already implies.
    pub implied: Vec<Condition>,
    /// All other conditions.
    pub conditions: Vec<Condition>,
}

/// A patient whose compartment has all matches.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OnePatient {
    /// The patient.
    pub key: Key,
    /// The position of the clause that asks for resources about the patient, if one does; otherwise the caller's
    /// access is confined to the compartment.
    pub clause: Option<usize>,
}

/// A clause that asks for codes which are indexed together with patients.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Codes<'c> {
    /// Its position.
    pub clause: usize,
    /// The codes' entries.
    pub keys: &'c [KeyStart],
}

/// A start that no single clause has.
#[derive(Debug, Clone)]
pub(super) struct Fallback {
    pub rank: u8,
    pub start: Start,
    /// Positions of the clauses that hold of all it yields.
    implies: Vec<usize>,
}

impl Fallback {
    /// Where a search starts that is confined to the compartment of `patient`, or else asks for any resource of
    /// the types.
    pub fn of(types: &[String], patient: Option<OnePatient>, codes: Option<Codes<'_>>) -> Self {
        let each =
            |key: &dyn Fn(&str) -> Key| Start::Keys(types.iter().map(|name| KeyStart::of(key(name), true)).collect());
        match (patient, codes) {
            (Some(OnePatient { key: patient, clause: Some(clause) }), Some(codes)) => {
                let with_patient = |start: &KeyStart| KeyStart { key: about_patient(start.key, patient), ..*start };
                let start = Start::Keys(codes.keys.iter().map(with_patient).collect());
                Self { rank: rank::PATIENT_AND_CODE, start, implies: vec![clause, codes.clause] }
            }
            (Some(OnePatient { key: patient, clause: None }), Some(codes)) => {
                let keys = with_patient(codes.keys, "").into_iter();
                let keys = keys.map(|code| KeyStart::of(about_patient(code, patient), false));
                Self { rank: rank::PATIENT_AND_CODE, start: Start::Keys(keys.collect()), implies: Vec::new() }
            }
            (Some(OnePatient { key: patient, .. }), None) => {
                let start = each(&|name| compartment_key(name, patient));
                Self { rank: rank::COMPARTMENT, start, implies: Vec::new() }
            }
            (None, _) => Self { rank: rank::TYPE, start: each(&type_key), implies: Vec::new() },
        }
    }
}

/// The clauses, each in its place, but what several ask of one and the same interval asked by the first of them.
pub(super) fn intersected(clauses: &[Clause]) -> Vec<Clause> {
    let mut all: Vec<Clause> = Vec::with_capacity(clauses.len());
    for clause in clauses {
        let together = match &clause.start {
            Some(Start::Range { key, test, unique: true }) => all.iter_mut().find_map(|other| match &mut other.start {
                Some(Start::Range { key: same, test: first, .. }) if same == key => {
                    *first = IntervalTest::all([&*first, test]);
                    Some((&mut other.condition, &mut other.implied))
                }
                _ => None,
            }),
            _ => None,
        };
        match together {
            None => all.push(clause.clone()),
            Some((condition, implied)) => {
                *condition = Condition::All(vec![condition.clone(), clause.condition.clone()]);
                *implied &= clause.implied;
                all.push(Clause::filter(Condition::Everything));
            }
        }
    }
    all
}

impl Plan {
    /// Takes the most selective of the clauses' starts that `may` be taken, or `otherwise` if that is better.
    pub fn choose(clauses: &[Clause], otherwise: Fallback, may: impl Fn(&Start) -> bool) -> Self {
        let (mut rank, mut start, mut chosen) = (otherwise.rank, &otherwise.start, None);
        for (position, clause) in clauses.iter().enumerate() {
            let Some(own) = clause.start.as_ref().filter(|start| may(start)) else { continue };
            // Of two as good, the one that leaves less to test.
            if clause.rank < rank || (clause.rank == rank && chosen.is_none() && clause.implied) {
                (rank, start, chosen) = (clause.rank, own, Some(position));
            }
        }
        let implied: Vec<usize> = match chosen {
            Some(position) => clauses[position].implied.then_some(position).into_iter().collect(),
            None => otherwise.implies,
        };
        let (implied, rest): (Vec<_>, Vec<_>) =
            clauses.iter().enumerate().partition(|(position, _)| implied.contains(position));
        let conditions =
            |clauses: Vec<(usize, &Clause)>| clauses.into_iter().map(|(_, clause)| clause.condition.clone()).collect();
        Self { start: start.clone(), implied: conditions(implied), conditions: conditions(rest) }
    }

    /// Goes on from the patients that a chain finds to their resources of these codes, not to all of theirs.
    pub fn with_codes(mut self, codes: Option<Codes<'_>>) -> Self {
        if let (Start::Pointing(all), Some(codes)) = (&self.start, codes)
            && let Some(references) = all.iter().map(|one| one.compartment.as_deref()).collect::<Option<Vec<_>>>()
        {
            let narrower = all.iter().zip(references).flat_map(|(one, reference)| {
                let keys = with_patient(codes.keys, reference).into_iter();
                keys.map(|parameter| Pointing { parameter, ..one.clone() })
            });
            self.start = Start::Pointing(narrower.collect());
            self.conditions.append(&mut self.implied);
        }
        self
    }
}
