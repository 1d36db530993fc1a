//! Units of measure: the part of UCUM that laboratories and monitors send, and conversion by
//! dimension.
//!
//! A unit is parsed into a factor and a dimension, so `mg/dL`, `g/L` and `ug/mL` need no table of
//! pairs. Beyond plain UCUM a conversion may bridge mass and substance (grams and moles, with the
//! molar mass of the analyte) and equivalents and moles (with its valence), and knows the two
//! special scales that matter at the bedside, Celsius and Fahrenheit.
//!
//! Two liberties, both harmless for what models take: `[iU]` is read as `U`, since enzyme activity
//! "international units" are micromoles a minute, and `[pH]` as a plain number.
//!
//! Source: The Unified Code for Units of Measure, version 2.1.

use crate::description::InputCode;

/// A physical dimension: exponents of metre, second, gram, kelvin, mole, equivalent.
type Dimension = [i8; 6];

const MASS: usize = 2;
const TEMPERATURE: usize = 3;
const SUBSTANCE: usize = 4;
const EQUIVALENT: usize = 5;

/// A parsed unit: `value × factor + offset` is the value in base units.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Unit {
    factor: f64,
    offset: f64,
    dimension: Dimension,
}

/// Longest unit that is read; longer ones are no units.
const MAX_LENGTH: usize = 64;

/// What is known of an analyte, for conversions that UCUM alone does not allow.
#[derive(Debug, Clone, Copy, Default)]
pub struct Analyte {
    /// Grams a mole.
    pub molar_mass: Option<f64>,
    /// Charges a molecule.
    pub valence: Option<f64>,
}

impl From<&InputCode> for Analyte {
    fn from(code: &InputCode) -> Self {
        Self { molar_mass: code.molar_mass, valence: code.valence }
    }
}

impl Unit {
    /// The number one.
    pub const ONE: Unit = Unit { factor: 1.0, offset: 0.0, dimension: [0; 6] };

    /// Parses a UCUM code, or one of the common printed forms that are not UCUM (`mmHg`, `bpm`,
    /// `K/uL`). `None` where it is neither.
    pub fn parse(text: &str) -> Option<Unit> {
        let text = text.trim();
        if text.is_empty() || text.len() > MAX_LENGTH {
            return None;
        }
        // Printed forms first: a device's `K/uL` are thousands, where UCUM would read kelvin.
        Parser::parse(printed(text).unwrap_or(text))
    }

    /// Whether it is a plain number, a percentage or a count.
    pub fn is_dimensionless(&self) -> bool {
        self.dimension == [0; 6]
    }

    /// Converts a value of this unit to another; `None` where the two do not measure the same, even
    /// with what is known of the analyte.
    pub fn convert(&self, value: f64, to: &Unit, analyte: Analyte) -> Option<f64> {
        let mut base = value * self.factor + self.offset;
        let mut dimension = self.dimension;
        if dimension == to.dimension && self.factor == to.factor && self.offset == to.offset {
            return Some(value);
        }
        if dimension[EQUIVALENT] != to.dimension[EQUIVALENT] {
            let valence = analyte.valence.unwrap_or(1.0);
            let steps = dimension[EQUIVALENT];
            base /= valence.powi(i32::from(steps - to.dimension[EQUIVALENT]));
            dimension[SUBSTANCE] += steps - to.dimension[EQUIVALENT];
            dimension[EQUIVALENT] = to.dimension[EQUIVALENT];
        }
        if dimension[MASS] != to.dimension[MASS] {
            let steps = dimension[MASS] - to.dimension[MASS];
            base /= analyte.molar_mass?.powi(i32::from(steps));
            dimension[SUBSTANCE] += steps;
            dimension[MASS] = to.dimension[MASS];
        }
        (dimension == to.dimension).then(|| (base - to.offset) / to.factor)
    }
}

/// UCUM for printed forms that devices and laboratories put into `unit`, compared without case.
fn printed(text: &str) -> Option<&'static str> {
    let lower = text.to_lowercase();
    Some(match lower.as_str() {
        "mmhg" | "mm hg" | "torr" => "mm[Hg]",
        "cmh2o" => "cm[H2O]",
        "bpm" | "beats/min" | "beats/minute" | "beats per minute" | "breaths/min" | "breaths/minute"
        | "breaths per minute" | "/minute" | "per minute" | "1/min" => "/min",
        "°c" | "degc" | "deg c" | "c" | "celsius" | "degrees celsius" => "Cel",
        "°f" | "degf" | "deg f" | "f" | "fahrenheit" | "degrees fahrenheit" => "[degF]",
        "percent" | "pct" => "%",
        "k/ul" | "k/mm3" | "k/µl" | "x10^3/ul" | "x10e3/ul" | "x10(3)/ul" | "10^3/ul" | "10e3/ul" | "thou/ul"
        | "thousand/ul" => "10*3/uL",
        "10^9/l" | "x10^9/l" | "10e9/l" | "x10e9/l" | "giga/l" => "10*9/L",
        "iu/l" => "U/L",
        "mg/dl" => "mg/dL",
        "g/dl" => "g/dL",
        "mmol/l" => "mmol/L",
        "umol/l" | "µmol/l" | "μmol/l" => "umol/L",
        "meq/l" => "meq/L",
        "ng/ml" => "ng/mL",
        "score" | "points" | "{score}" => "{score}",
        "ph" | "ph units" => "[pH]",
        "kgs" | "kilogram" | "kilograms" => "kg",
        "lb" | "lbs" | "pounds" => "[lb_av]",
        "yr" | "yrs" | "years" => "a",
        _ => return None,
    })
}

/// Atoms that take metric prefixes: name, factor in base units, dimension.
const METRIC: &[(&str, f64, Dimension)] = &[
    ("m", 1.0, [1, 0, 0, 0, 0, 0]),
    ("s", 1.0, [0, 1, 0, 0, 0, 0]),
    ("g", 1.0, [0, 0, 1, 0, 0, 0]),
    ("K", 1.0, [0, 0, 0, 1, 0, 0]),
    ("mol", 1.0, [0, 0, 0, 0, 1, 0]),
    ("eq", 1.0, [0, 0, 0, 0, 0, 1]),
    ("L", 1e-3, [3, 0, 0, 0, 0, 0]),
    ("l", 1e-3, [3, 0, 0, 0, 0, 0]),
    ("Hz", 1.0, [0, -1, 0, 0, 0, 0]),
    ("Pa", 1e3, [-1, -2, 1, 0, 0, 0]),
    ("bar", 1e8, [-1, -2, 1, 0, 0, 0]),
    ("m[Hg]", 133_322e3, [-1, -2, 1, 0, 0, 0]),
    ("m[H2O]", 9806.65e3, [-1, -2, 1, 0, 0, 0]),
    ("kat", 1.0, [0, -1, 0, 0, 1, 0]),
    ("U", 1e-6 / 60.0, [0, -1, 0, 0, 1, 0]),
    ("[iU]", 1e-6 / 60.0, [0, -1, 0, 0, 1, 0]),
    ("[IU]", 1e-6 / 60.0, [0, -1, 0, 0, 1, 0]),
];

/// Atoms that take none.
const PLAIN: &[(&str, f64, Dimension)] = &[
    ("1", 1.0, [0; 6]),
    ("%", 1e-2, [0; 6]),
    ("[pH]", 1.0, [0; 6]),
    ("[ppth]", 1e-3, [0; 6]),
    ("[ppm]", 1e-6, [0; 6]),
    ("min", 60.0, [0, 1, 0, 0, 0, 0]),
    ("h", 3600.0, [0, 1, 0, 0, 0, 0]),
    ("d", 86400.0, [0, 1, 0, 0, 0, 0]),
    ("wk", 604_800.0, [0, 1, 0, 0, 0, 0]),
    ("mo", 2_629_800.0, [0, 1, 0, 0, 0, 0]),
    ("a", 31_557_600.0, [0, 1, 0, 0, 0, 0]),
    ("[in_i]", 0.0254, [1, 0, 0, 0, 0, 0]),
    ("[ft_i]", 0.3048, [1, 0, 0, 0, 0, 0]),
    ("[lb_av]", 453.592_37, [0, 0, 1, 0, 0, 0]),
    ("[oz_av]", 28.349_523_125, [0, 0, 1, 0, 0, 0]),
    ("t", 1e6, [0, 0, 1, 0, 0, 0]),
];

const PREFIXES: &[(&str, f64)] = &[
    ("da", 1e1),
    ("G", 1e9),
    ("M", 1e6),
    ("k", 1e3),
    ("h", 1e2),
    ("d", 1e-1),
    ("c", 1e-2),
    ("m", 1e-3),
    ("u", 1e-6),
    ("n", 1e-9),
    ("p", 1e-12),
    ("f", 1e-15),
];

/// The UCUM grammar without parentheses: terms of atoms with exponents, `.` and `/`, annotations.
struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn parse(text: &'a str) -> Option<Unit> {
        if let Some(special) = special(text) {
            return Some(special);
        }
        let mut parser = Parser { rest: text };
        let mut unit = Unit::ONE;
        let mut sign = 1;
        if parser.take('/') {
            sign = -1;
        }
        loop {
            let (factor, dimension) = parser.component()?;
            unit.factor *= factor.powi(sign);
            for (total, part) in unit.dimension.iter_mut().zip(dimension) {
                *total = total.checked_add(part.checked_mul(sign as i8)?)?;
            }
            if parser.rest.is_empty() {
                break;
            }
            sign = if parser.take('/') {
                -1
            } else if parser.take('.') {
                1
            } else {
                return None;
            };
        }
        (unit.factor.is_finite() && unit.factor > 0.0).then_some(unit)
    }

    fn take(&mut self, expected: char) -> bool {
        let stripped = self.rest.strip_prefix(expected);
        self.rest = stripped.unwrap_or(self.rest);
        stripped.is_some()
    }

    /// An atom with its exponent and annotation, or an annotation alone.
    fn component(&mut self) -> Option<(f64, Dimension)> {
        if let Some(()) = self.annotation() {
            return Some((1.0, [0; 6]));
        }
        if let Some(power) = self.power_of_ten() {
            self.annotation();
            return Some((power, [0; 6]));
        }
        let end = atom_end(self.rest);
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        let (factor, dimension) = atom(word)?;
        let exponent = self.exponent()?;
        self.annotation();
        let mut raised = [0i8; 6];
        for (to, from) in raised.iter_mut().zip(dimension) {
            *to = from.checked_mul(exponent)?;
        }
        Some((factor.powi(i32::from(exponent)), raised))
    }

    /// `10*3`, `10^-6`, `10*`.
    fn power_of_ten(&mut self) -> Option<f64> {
        let rest = self.rest.strip_prefix("10*").or_else(|| self.rest.strip_prefix("10^"))?;
        self.rest = rest;
        let exponent = self.exponent()?;
        Some(10f64.powi(i32::from(exponent)))
    }

    /// An optional exponent of at most two digits; 1 where there is none.
    fn exponent(&mut self) -> Option<i8> {
        let signed = usize::from(self.rest.starts_with(['+', '-']));
        let digits = self.rest[signed..].bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return (signed == 0).then_some(1);
        }
        let (number, rest) = self.rest.split_at(signed + digits);
        self.rest = rest;
        let value: i8 = number.parse().ok()?;
        (-24..=24).contains(&value).then_some(value)
    }

    fn annotation(&mut self) -> Option<()> {
        let inner = self.rest.strip_prefix('{')?;
        let end = inner.find('}')?;
        self.rest = &inner[end + 1..];
        Some(())
    }
}

/// Units on a scale of their own; they stand alone.
fn special(text: &str) -> Option<Unit> {
    let mut dimension = [0; 6];
    dimension[TEMPERATURE] = 1;
    match text {
        "Cel" => Some(Unit { factor: 1.0, offset: 273.15, dimension }),
        "[degF]" => Some(Unit { factor: 5.0 / 9.0, offset: 459.67 * 5.0 / 9.0, dimension }),
        _ => None,
    }
}

/// Where an atom ends: before an operator, an annotation or an exponent, but not inside brackets.
fn atom_end(text: &str) -> usize {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match c {
            '[' => depth += 1,
            ']' => depth -= 1,
            '.' | '/' | '{' | '+' | '-' if depth == 0 => return at,
            '0'..='9' if depth == 0 && at > 0 => return at,
            _ => {}
        }
    }
    text.len()
}

fn atom(word: &str) -> Option<(f64, Dimension)> {
    let find = |table: &[(&str, f64, Dimension)], name: &str| {
        table.iter().find(|(atom, ..)| *atom == name).map(|&(_, factor, dimension)| (factor, dimension))
    };
    find(PLAIN, word).or_else(|| find(METRIC, word)).or_else(|| {
        PREFIXES.iter().find_map(|(prefix, scale)| {
            let (factor, dimension) = find(METRIC, word.strip_prefix(prefix)?)?;
            Some((factor * scale, dimension))
        })
    })
}

#[cfg(test)]
mod tests;
