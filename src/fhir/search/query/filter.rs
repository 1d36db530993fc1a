//! The text of `_filter`.
//!
//! Source: R4 search_filter.html. `and` and `or` are taken from left to right, with no precedence.

use crate::search::SearchError;

/// Most levels of parentheses and brackets.
const DEPTH: usize = 32;
/// Most tests of one filter: each is a part of the statement.
const TESTS: usize = 200;

/// What a filter demands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// `path operator value`
    Test {
        /// Parameters from the resource on; all but the last are references to follow.
        path: Vec<FilterStep>,
        /// How the value must compare.
        operator: FilterOperator,
        /// The value, without quotes and escapes.
        value: String,
    },
    /// Both hold.
    And(Box<Filter>, Box<Filter>),
    /// One holds.
    Or(Box<Filter>, Box<Filter>),
    /// It does not hold.
    Not(Box<Filter>),
}

/// A step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterStep {
    /// A search parameter.
    pub code: String,
    /// What else must hold of that which it leads to: `subject[name co "x"].birthdate`.
    pub filter: Option<Box<Filter>>,
}

/// How a value is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the codes of R4 search_filter.html#ops")]
pub enum FilterOperator {
    Eq,
    Ne,
    Co,
    Sw,
    Ew,
    Gt,
    Lt,
    Ge,
    Le,
    Ap,
    Sa,
    Eb,
    Pr,
    Po,
    Ss,
    Sb,
    In,
    Ni,
    Re,
}

const OPERATORS: [(&str, FilterOperator); 19] = [
    ("eq", FilterOperator::Eq),
    ("ne", FilterOperator::Ne),
    ("co", FilterOperator::Co),
    ("sw", FilterOperator::Sw),
    ("ew", FilterOperator::Ew),
    ("gt", FilterOperator::Gt),
    ("lt", FilterOperator::Lt),
    ("ge", FilterOperator::Ge),
    ("le", FilterOperator::Le),
    ("ap", FilterOperator::Ap),
    ("sa", FilterOperator::Sa),
    ("eb", FilterOperator::Eb),
    ("pr", FilterOperator::Pr),
    ("po", FilterOperator::Po),
    ("ss", FilterOperator::Ss),
    ("sb", FilterOperator::Sb),
    ("in", FilterOperator::In),
    ("ni", FilterOperator::Ni),
    ("re", FilterOperator::Re),
];

impl FilterOperator {
    /// Its code.
    pub fn as_str(self) -> &'static str {
        OPERATORS.iter().find(|(_, known)| *known == self).map_or("", |(code, _)| code)
    }
}

impl Filter {
    /// Reads a filter.
    ///
    /// # Errors
    /// [`SearchError::Filter`] that says where and what was expected, [`SearchError::TooDeep`] where it is nested or
    /// long beyond reason.
    pub fn parse(text: &str) -> Result<Self, SearchError> {
        let mut parser = Parser { text, at: 0, depth: 0, tests: 0 };
        let filter = parser.filter()?;
        parser.space();
        match parser.rest() {
            "" => Ok(filter),
            _ => Err(parser.expected("'and', 'or' or the end")),
        }
    }
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
    tests: usize,
}

impl<'t> Parser<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn expected(&self, what: &'static str) -> SearchError {
        SearchError::Filter { at: self.text[..self.at].chars().count() + 1, expected: what }
    }

    /// Takes `token` if it is next.
    fn take(&mut self, token: &str) -> bool {
        self.space();
        let found = self.rest().starts_with(token);
        self.at += if found { token.len() } else { 0 };
        found
    }

    /// Takes a word if it is next, and not the beginning of a longer one.
    fn take_word(&mut self, word: &str) -> bool {
        self.space();
        let found = self.rest().strip_prefix(word).is_some_and(|rest| !rest.starts_with(is_name_character));
        self.at += if found { word.len() } else { 0 };
        found
    }

    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, SearchError>) -> Result<T, SearchError> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(SearchError::TooDeep);
        }
        let read = read(self);
        self.depth -= 1;
        read
    }

    fn filter(&mut self) -> Result<Filter, SearchError> {
        let mut left = self.one()?;
        loop {
            let join = match (self.take_word("and"), self.at) {
                (true, _) => Filter::And,
                (false, _) if self.take_word("or") => Filter::Or,
                _ => return Ok(left),
            };
            left = join(Box::new(left), Box::new(self.one()?));
        }
    }

    fn one(&mut self) -> Result<Filter, SearchError> {
        let negated = self.take_word("not");
        if self.take("(") {
            let inner = self.deeper(Self::filter)?;
            if !self.take(")") {
                return Err(self.expected("')'"));
            }
            return Ok(if negated { Filter::Not(Box::new(inner)) } else { inner });
        }
        if negated { Err(self.expected("'(' after 'not'")) } else { self.test() }
    }

    fn test(&mut self) -> Result<Filter, SearchError> {
        self.tests += 1;
        if self.tests > TESTS {
            return Err(SearchError::TooDeep);
        }
        let mut path = Vec::new();
        loop {
            let code = self.name()?;
            let filter = match self.rest().starts_with('[') && self.take("[") {
                true => {
                    let filter = self.deeper(Self::filter)?;
                    if !self.take("]") {
                        return Err(self.expected("']'"));
                    }
                    Some(Box::new(filter))
                }
                false => None,
            };
            let last = filter.is_none();
            path.push(FilterStep { code, filter });
            match (self.rest().starts_with('.'), last) {
                (true, _) => self.at += 1,
                (false, true) => break,
                (false, false) => return Err(self.expected("'.' and what is asked of that in brackets")),
            }
        }
        if path.len() > super::MAX_CHAIN {
            return Err(SearchError::TooDeep);
        }
        let operator = OPERATORS.iter().find(|(code, _)| self.take_word(code));
        let (_, operator) = operator.ok_or_else(|| self.expected("an operator such as eq, co or ge"))?;
        Ok(Filter::Test { path, operator: *operator, value: self.value()? })
    }

    fn name(&mut self) -> Result<String, SearchError> {
        self.space();
        let rest = self.rest();
        let end = rest.find(|c| !is_name_character(c)).unwrap_or(rest.len());
        if end == 0 {
            return Err(self.expected("a search parameter"));
        }
        self.at += end;
        Ok(rest[..end].to_owned())
    }

    fn value(&mut self) -> Result<String, SearchError> {
        self.space();
        let rest = self.rest();
        if !rest.starts_with('"') {
            let end = rest.find(|c: char| c.is_whitespace() || matches!(c, ')' | ']')).unwrap_or(rest.len());
            self.at += end;
            return if end == 0 { Err(self.expected("a value")) } else { Ok(rest[..end].to_owned()) };
        }
        let mut value = String::new();
        let mut characters = rest.char_indices().skip(1);
        while let Some((at, character)) = characters.next() {
            match character {
                '"' => {
                    self.at += at + 1;
                    return Ok(value);
                }
                '\\' => value.extend(characters.next().map(|(_, escaped)| match escaped {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    other => other,
                })),
                other => value.push(other),
            }
        }
        Err(self.expected("'\"' that ends the value"))
    }
}

fn is_name_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '$')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written out with all parentheses.
    fn shown(text: &str) -> String {
        fn write(filter: &Filter) -> String {
            match filter {
                Filter::Test { path, operator, value } => {
                    let step = |step: &FilterStep| match &step.filter {
                        Some(filter) => format!("{}[{}]", step.code, write(filter)),
                        None => step.code.clone(),
                    };
                    let path: Vec<String> = path.iter().map(step).collect();
                    format!("{} {} <{value}>", path.join("."), operator.as_str())
                }
                Filter::And(left, right) => format!("({} & {})", write(left), write(right)),
                Filter::Or(left, right) => format!("({} | {})", write(left), write(right)),
                Filter::Not(not) => format!("!{}", write(not)),
            }
        }
        Filter::parse(text).map_or_else(|error| error.to_string(), |filter| write(&filter))
    }

    #[test]
    fn examples_of_the_specification() {
        assert_eq!(
            shown(r#"given eq "peter" and birthdate ge 2014-10-10"#),
            "(given eq <peter> & birthdate ge <2014-10-10>)"
        );
        assert_eq!(shown("code eq http://loinc.org|1234-5"), "code eq <http://loinc.org|1234-5>");
        assert_eq!(shown(r#"subject.name co "pet""#), "subject.name co <pet>");
        assert_eq!(
            shown(r#"related[type eq "has-component"].target pr false"#),
            "related[type eq <has-component>].target pr <false>"
        );
        assert_eq!(shown("a eq 1 or b eq 2 and c eq 3"), "((a eq <1> | b eq <2>) & c eq <3>)");
        assert_eq!(shown("not (a eq 1) or (b eq 2 and c eq 3)"), "(!a eq <1> | (b eq <2> & c eq <3>))");
        assert_eq!(shown(r#"a eq "say \"x\" \\ now""#), r#"a eq <say "x" \ now>"#);
    }

    #[test]
    fn what_is_wrong_is_told() {
        assert_eq!(shown("a is 1"), "at character 3 of the filter: expected an operator such as eq, co or ge");
        for bad in ["", "a", "a eq", "a eq \"x", "(a eq 1", "a eq 1 b eq 2", "not a eq 1", "a[b eq 1] eq 2", "a. eq 1"]
        {
            assert!(Filter::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(Filter::parse(&"(".repeat(1000)), Err(SearchError::TooDeep));
        let long = vec!["a eq 1"; 1000].join(" or ");
        assert_eq!(Filter::parse(&long), Err(SearchError::TooDeep));
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in r#"(a|eq|not|and|or|\(|\)|\[|\]|"|\.|\\| |é|1){0,40}"#) {
            let _ = Filter::parse(&text);
        }
    }
}
